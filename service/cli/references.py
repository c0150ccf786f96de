"""References said anew, where ids differ between the place a record comes from and the one it goes to."""

from collections.abc import Mapping
from typing import Any


def with_references(node: Any, renamed: Mapping[str, str]) -> Any:
    """Return a tree or record with its literal references renamed: ``Goal/a`` to ``Goal/b``."""
    if isinstance(node, dict):
        return {
            name: renamed.get(value, value)
            if name == "reference" and isinstance(value, str)
            else with_references(value, renamed)
            for name, value in node.items()
        }
    if isinstance(node, list):
        return [with_references(item, renamed) for item in node]
    return node
