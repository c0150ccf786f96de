"""References said anew, where the same thing has another name. Pure."""

from collections.abc import Callable
from typing import Any


def with_references(node: Any, renamed: Callable[[str], str]) -> Any:
    """Return a tree or record with each of its literal references as ``renamed`` says it."""
    if isinstance(node, dict):
        return {
            name: renamed(value)
            if name == "reference" and isinstance(value, str)
            else with_references(value, renamed)
            for name, value in node.items()
        }
    if isinstance(node, list):
        return [with_references(item, renamed) for item in node]
    return node
