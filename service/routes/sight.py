"""What a caller who is confined to one patient may name: that patient, their records, what is no patient's.

Whatever else they name is refused in one way, whether it is here or not: the chart would tell the
two apart, and so would tell that another's record exists.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import FHIR_ID, Address, Name, Spot, references
from service.chart.queries import RecordQuery
from service.errors import InvalidContent, NotFound
from service.record_types import OF_PATIENT
from service.routes.services import chart

#: Ours by Type/id. What lies elsewhere may be a copy of one of ours, and so may be what a search finds.
_LITERAL = re.compile(
    rf"(?P<elsewhere>.*[/:])?(?P<type>Patient|{'|'.join(sorted(OF_PATIENT))})"
    rf"(?:/(?P<id>{FHIR_ID})(?:/_history/{FHIR_ID})?|(?P<search>\?.*))",
    re.DOTALL,
)
_PROBLEM = "names somebody or something that this token may not refer to"
_CHUNK = 200


def require_in_sight(tree: Tree, patient_id: str, before: Tree | None) -> None:
    """Raise InvalidContent for whatever a tree names out of the patient's sight.

    before: the version that it replaces; what that one named may be sent back.
    """
    kept = {_meant(spot) for spot in references(before)} if before else set()
    names = _names(patient_id)
    refused: list[str] = []
    records: dict[Address, list[str]] = defaultdict(list)
    for spot in references(tree):
        if _meant(spot) in kept:
            continue
        literal = _LITERAL.fullmatch(spot.literal or "")
        if literal and literal["type"] in OF_PATIENT and literal["id"] and not literal["elsewhere"]:
            records[Address(literal["type"], literal["id"])].append(spot.path)
        elif literal and literal[0].split("/_history/")[0] != f"Patient/{patient_id}":
            refused.append(spot.path)
        elif (spot.is_to_patient or literal) and spot.name not in (None, *names):
            refused.append(f"{spot.path}.identifier" if spot.literal else spot.path)
    refused += _out_of_sight(records, patient_id)
    if refused:
        raise InvalidContent([Finding(path, _PROBLEM, "not-found") for path in dict.fromkeys(refused)])


def _meant(spot: Spot) -> tuple[Any, ...]:
    return spot.literal, spot.reference.get("type"), spot.name


def _names(patient_id: str) -> tuple[Name, ...]:
    try:
        return chart().patient(patient_id).identifiers
    except NotFound:
        return ()


def _out_of_sight(records: Mapping[Address, list[str]], patient_id: str) -> Iterator[str]:
    by_type: dict[str, list[str]] = defaultdict(list)
    for type_, id_ in records:
        by_type[type_].append(id_)
    for type_, ids in by_type.items():
        for start in range(0, len(ids), _CHUNK):
            some = ids[start : start + _CHUNK]
            page = chart().find(RecordQuery(resource_type=type_, ids=some, patient=patient_id, limit=_CHUNK))
            for id_ in set(some) - {entry.id for entry in page.entries}:
                yield from records[Address(type_, id_)]
