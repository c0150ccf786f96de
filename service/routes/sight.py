"""What a caller who is confined to one patient may name: that patient, their records, what is no patient's.

Whatever else they name is refused in one way, whether it is here or not: the chart would tell the
two apart, and so would tell that another's record exists.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from service.errors import InvalidContent, NotFound
from service.references import references
from service.routes.services import chart

_OF_A_PATIENT = ("Goal", "CarePlan", "ServiceRequest", "QuestionnaireResponse")
_SUBJECTS = ("subject", "patient")
_ID = r"[A-Za-z0-9.\-]{1,64}"
#: Ours by Type/id. What lies elsewhere may be a copy of one of ours, and so may be what a search finds.
_LITERAL = re.compile(
    rf"(?P<elsewhere>.*[/:])?(?P<type>Patient|{'|'.join(_OF_A_PATIENT)})"
    rf"(?:/(?P<id>{_ID})(?:/_history/{_ID})?|(?P<search>\?.*))",
    re.DOTALL,
)
_PROBLEM = "names somebody or something that this token may not refer to"
_CHUNK = 200


def require_in_sight(tree: Tree, patient_id: str, before: Tree | None) -> None:
    """Raise InvalidContent for whatever a tree names out of the patient's sight.

    before: the version that it replaces; what that one named may be sent back.
    """
    kept = {_said(value) for _, _, value in references(before, "")}
    names = _names(patient_id)
    refused: list[str] = []
    records: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path, element, value in references(tree, tree["resourceType"]):
        if _said(value) in kept:
            continue
        literal = _LITERAL.fullmatch(value.get("reference") or "")
        if literal and literal["type"] in _OF_A_PATIENT and literal["id"] and not literal["elsewhere"]:
            records[literal["type"], literal["id"]].append(path)
        elif literal and literal[0].split("/_history/")[0] != f"Patient/{patient_id}":
            refused.append(path)
        is_to_patient = element in _SUBJECTS or value.get("type") == "Patient" or bool(literal)
        if is_to_patient and _name(value) not in (None, *names):
            refused.append(path)
    refused += _out_of_sight(records, patient_id)
    if refused:
        raise InvalidContent([Finding(path, _PROBLEM, "not-found") for path in dict.fromkeys(refused)])


def _said(value: dict[str, Any]) -> tuple[Any, ...]:
    return value.get("reference"), value.get("type"), _name(value)


def _name(value: dict[str, Any]) -> tuple[str, str] | None:
    """Return system and value of the identifier by which a reference names somebody."""
    identifier = value.get("identifier")
    if not isinstance(identifier, dict) or not isinstance(identifier.get("value"), str):
        return None
    return str(identifier.get("system") or ""), identifier["value"]


def _names(patient_id: str) -> tuple[tuple[str, str], ...]:
    try:
        return chart().patient(patient_id).identifiers
    except NotFound:
        return ()


def _out_of_sight(records: dict[tuple[str, str], list[str]], patient_id: str) -> Iterator[str]:
    by_type: dict[str, list[str]] = defaultdict(list)
    for type_, id_ in records:
        by_type[type_].append(id_)
    for type_, ids in by_type.items():
        for start in range(0, len(ids), _CHUNK):
            some = ids[start : start + _CHUNK]
            page = chart().search(type_, ids=some, patient=patient_id, limit=_CHUNK)
            for id_ in set(some) - {entry.id for entry in page.entries}:
                yield from records[type_, id_]
