"""What the chart reads from a resource and puts into one. Pure; the trees must be valid R4 by shape."""

import re
from typing import Any

from fhir_mappings import references
from fhir_mappings.exact_json import Number, Tree
from fhir_mappings.references import names_of
from service.record_types import BY_RESOURCE_TYPE

WITHDRAWN = "entered-in-error"
RETIRED = "retired"

FHIR_ID = re.compile(references.FHIR_ID)

#: What only a server says of a resource; ours is said from version and time of the record.
_SERVERS_META = frozenset({"versionId", "_versionId", "lastUpdated", "_lastUpdated"})


def status(tree: Tree) -> str | None:
    """Return how a resource stands, by the element that says so for its type."""
    found = tree.get(BY_RESOURCE_TYPE[tree["resourceType"]].status_element)
    return found if isinstance(found, str) else None


def with_id(tree: Tree, record_id: str) -> Tree:
    """Return the tree under an id of ours, and without what its own server said about it."""
    rest = {name: value for name, value in tree.items() if name not in ("resourceType", "id")}
    meta = rest.get("meta")
    if isinstance(meta, dict) and _SERVERS_META & meta.keys():
        kept = {name: value for name, value in meta.items() if name not in _SERVERS_META}
        rest = {name: value for name, value in rest.items() if name != "meta"} | (
            {"meta": kept} if kept else {}
        )
    return {"resourceType": tree["resourceType"], "id": record_id, **rest}


def with_identifier(tree: Tree, system: str, record_id: str) -> Tree:
    """Return the tree with the identifier by which every server can tell that it is this record."""
    kind = BY_RESOURCE_TYPE[tree["resourceType"]]
    if not kind.is_synced or any(known == system for known, _ in names_of(tree)):
        return tree
    identifier = {"system": system, "value": record_id}
    if kind.has_one_identifier:
        # It has room for one only, and a form's own is worth more than ours.
        return tree if "identifier" in tree else {**tree, "identifier": identifier}
    return {**tree, "identifier": [*tree.get("identifier", []), identifier]}


def without_identifier(tree: Tree, system: str) -> Tree:
    """Return the tree without its identifiers of a system."""
    found = tree.get("identifier")
    if isinstance(found, dict):
        left: Any = {} if found.get("system") == system else found
    else:
        left = [one for one in found or [] if one.get("system") != system]
    rest = {name: value for name, value in tree.items() if name != "identifier"}
    return {**rest, "identifier": left} if left else rest


def canonical(tree: Tree) -> tuple[str | None, str | None]:
    """Return url and version of the questionnaire that this is, or that it answers."""
    if tree["resourceType"] == "Questionnaire":
        return tree.get("url"), tree.get("version", "")
    if tree["resourceType"] == "QuestionnaireResponse" and isinstance(tree.get("questionnaire"), str):
        return split_canonical(tree["questionnaire"])
    return None, None


def split_canonical(text: str) -> tuple[str, str]:
    """Split ``url|version``; a version that is not said is empty."""
    url, _, version = text.partition("|")
    return url, version


def same(one: Any, other: Any) -> bool:
    """Tell whether two trees say the same in the same way: 7.5 is not 7.50, and True is not 1."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Number):
        one, other = one.text, other.text
    equal: bool = one == other
    return equal
