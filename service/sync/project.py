"""A resource as it is called here and as it is called there: ids and references. Pure.

Here, ``Goal/<id>`` is a record of ours, what has no record here is an absolute URL, and
people and conditions are named by identifier. There, all that the server holds is relative.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_mappings.exact_json import Tree

#: Type/id, and a version that means nothing on the other side.
_RELATIVE = re.compile(r"([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?")

#: Of ``meta``, what a server says about its own copy.
_SERVERS_OWN = frozenset({"versionId", "lastUpdated", "source"})

#: A type and an identifier (system, value), as a logical reference names its target.
Logical = tuple[str, str, str]


@dataclass(frozen=True)
class Addresses:
    """What is called how on one server.

    there: ``Goal/<id here>`` -> ``Goal/<id there>`` (or ``urn:uuid:`` within a transaction).
    logical: a type and identifier -> ``Practitioner/<id there>``.
    """

    base_url: str
    there: Mapping[str, str] = field(default_factory=dict)
    logical: Mapping[Logical, str] = field(default_factory=dict)

    def here(self) -> "Places":
        """Return the same, seen from the server."""
        return Places(
            self.base_url,
            {there: here for here, there in self.there.items()},
            {place: name for name, place in self.logical.items()},
        )


@dataclass(frozen=True)
class Places:
    """What the things on one server are called here."""

    base_url: str
    here: Mapping[str, str] = field(default_factory=dict)
    logical: Mapping[str, Logical] = field(default_factory=dict)


def to_there(tree: Tree, addresses: Addresses, server_id: str | None) -> Tree:
    """Return a tree of ours as the server calls it; without its id where it has none there yet."""
    projected = _without_server_meta(
        _rewritten(tree, lambda reference: _reference_there(reference, addresses))
    )
    if server_id is not None:
        return {**projected, "id": server_id}
    return {key: value for key, value in projected.items() if key != "id"}


def to_here(body: Tree, places: Places, record_id: str) -> Tree:
    """Return a server's tree as we call it."""
    projected = _without_server_meta(_rewritten(body, lambda reference: _reference_here(reference, places)))
    return {**projected, "id": record_id}


def referred(tree: Tree) -> set[str]:
    """Return the relative references of a tree, each as ``Type/id``."""
    return {
        match[1]
        for reference in _references(tree)
        if (match := _RELATIVE.fullmatch(reference.get("reference") or "")) is not None
    }


def references(tree: Tree) -> set[str]:
    """Return all literal references of a tree, of whatever form."""
    return {one["reference"] for one in _references(tree) if isinstance(one.get("reference"), str)}


def named(tree: Tree) -> set[Logical]:
    """Return what a tree refers to by type and identifier alone."""
    return {name for reference in _references(tree) if (name := logical_name(reference)) is not None}


def logical_name(reference: Tree) -> Logical | None:
    """Return the name that a logical reference gives; None if it is another kind of reference."""
    identifier = reference.get("identifier")
    if reference.get("reference") is not None or not isinstance(identifier, dict):
        return None
    name = (reference.get("type"), identifier.get("system"), identifier.get("value"))
    return (name[0], name[1], name[2]) if all(isinstance(one, str) for one in name) else None  # type: ignore[return-value]


def subject_of(tree: Tree) -> str | None:
    """Return the reference of a resource's subject."""
    subject = tree.get("subject")
    reference = subject.get("reference") if isinstance(subject, dict) else None
    return reference if isinstance(reference, str) else None


def relative(reference: str, base_url: str) -> str:
    """Return a reference into a server as ``Type/id``; another one as it is."""
    match = _RELATIVE.fullmatch(reference.removeprefix(f"{base_url}/"))
    return match[1] if match else reference


def by_name(reference: Tree, resource_type: str, identifier: Tree) -> Tree:
    """Return a reference by business identifier, for what has no address there yet."""
    kept = {key: value for key, value in reference.items() if key not in ("reference", "_reference")}
    return {**kept, "type": resource_type, "identifier": identifier}


def _reference_there(reference: Tree, addresses: Addresses) -> Tree:
    target = reference.get("reference")
    if target is None:
        name = logical_name(reference)
        place = addresses.logical.get(name) if name else None
        return {"reference": place, **reference} if place else reference
    if not isinstance(target, str):
        return reference
    local = _RELATIVE.fullmatch(target)
    if local:
        return {**reference, "reference": addresses.there.get(local[1], target)}
    return {**reference, "reference": target.removeprefix(f"{addresses.base_url}/")}


def _reference_here(reference: Tree, places: Places) -> Tree:
    target = reference.get("reference")
    if not isinstance(target, str):
        return reference
    match = _RELATIVE.fullmatch(target.removeprefix(f"{places.base_url}/"))
    if match is None:
        return reference
    if match[1] in places.here:
        return {**reference, "reference": places.here[match[1]]}
    without = {key: value for key, value in reference.items() if key != "reference"}
    if match[1] in places.logical and logical_name(without) == places.logical[match[1]]:
        return without
    return {**reference, "reference": f"{places.base_url}/{target.removeprefix(places.base_url + '/')}"}


def _rewritten(node: Any, rewrite: Callable[[Tree], Tree]) -> Any:
    """Return the tree with every Reference rewritten; parts without one are shared, not copied."""
    if isinstance(node, dict):
        members = {key: _rewritten(value, rewrite) for key, value in node.items()}
        return rewrite(members) if _is_reference(members) else members
    if isinstance(node, list):
        return [_rewritten(item, rewrite) for item in node]
    return node


def _references(node: Any) -> Iterator[Tree]:
    if isinstance(node, dict):
        if _is_reference(node):
            yield node
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)


def _is_reference(node: Tree) -> bool:
    # A Reference is known by its members; only it has a text called reference, or an
    # identifier that is an object (a QuestionnaireResponse has one too, and a type of its own).
    if isinstance(node.get("reference"), str):
        return True
    return isinstance(node.get("identifier"), dict) and "resourceType" not in node


def _without_server_meta(tree: Tree) -> Tree:
    meta = tree.get("meta")
    if not isinstance(meta, dict):
        return tree
    kept = {key: value for key, value in meta.items() if key not in _SERVERS_OWN}
    if kept:
        return {**tree, "meta": kept}
    return {key: value for key, value in tree.items() if key != "meta"}
