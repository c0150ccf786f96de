"""What the chart reads from a resource and puts into one. Pure; the trees must be valid R4 by shape."""

import re
from collections.abc import Iterator
from typing import Any

from fhir_mappings.exact_json import Number, Tree

#: Types of records that are about a patient.
PATIENT_TYPES = frozenset({"Goal", "CarePlan", "ServiceRequest", "QuestionnaireResponse"})
RECORD_TYPES = PATIENT_TYPES | {"Questionnaire"}

WITHDRAWN = "entered-in-error"
RETIRED = "retired"

#: https://hl7.org/fhir/R4/datatypes.html#id
FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")

#: What only a server says of a resource; ours is said from version and time of the record.
_SERVERS_META = frozenset({"versionId", "_versionId", "lastUpdated", "_lastUpdated"})


def status(tree: Tree) -> str | None:
    found = tree.get("lifecycleStatus" if tree["resourceType"] == "Goal" else "status")
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


def business_identifiers(tree: Tree) -> list[tuple[str, str]]:
    """Return system and value of each identifier that has a value; an absent system is empty."""
    found = tree.get("identifier", [])
    listed = found if isinstance(found, list) else [found]
    pairs = [(one.get("system") or "", one["value"]) for one in listed if isinstance(one.get("value"), str)]
    return list(dict.fromkeys(pairs))


def with_identifier(tree: Tree, system: str, record_id: str) -> Tree:
    """Return the tree with the identifier by which every server can tell that it is this record."""
    kind = tree["resourceType"]
    if kind == "Questionnaire" or any(known == system for known, _ in business_identifiers(tree)):
        return tree
    identifier = {"system": system, "value": record_id}
    if kind == "QuestionnaireResponse":
        # It has room for one only, and a form's own is worth more than ours.
        return tree if "identifier" in tree else {**tree, "identifier": identifier}
    return {**tree, "identifier": [*tree.get("identifier", []), identifier]}


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


def references(node: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """Yield path, name of the element and text of every literal reference, contained ones too."""
    if isinstance(node, dict):
        for name, value in node.items():
            for step, item in _items(name, value):
                if isinstance(item, dict) and isinstance(item.get("reference"), str):
                    yield f"{path}.{step}", name, item["reference"]
                yield from references(item, f"{path}.{step}")


def _items(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        yield from ((f"{name}[{position}]", item) for position, item in enumerate(value))
    elif isinstance(value, dict):
        yield name, value


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
