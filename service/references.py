"""References: found in a tree, and said anew where the same thing has another name. Pure."""

from collections.abc import Callable, Iterator
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


def references(node: Any, path: str, element: str = "") -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, name of the element and value of every reference, also in contained resources."""
    if isinstance(node, list):
        for position, item in enumerate(node):
            yield from references(item, f"{path}[{position}]", element)
    elif isinstance(node, dict):
        if _is_reference(node):
            yield path, element, node
        for name, value in node.items():
            if isinstance(value, dict | list):
                yield from references(value, f"{path}.{name}", name)


def _is_reference(node: dict[str, Any]) -> bool:
    """Tell whether an object points at something; one that is a resource has an identifier of its own."""
    by_name = isinstance(node.get("identifier"), dict) and "resourceType" not in node
    return isinstance(node.get("reference"), str) or by_name
