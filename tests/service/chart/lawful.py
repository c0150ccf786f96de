"""The law of every row, read from the database apart from the code that holds it: plain SQL, plain JSON."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from service.record_types import OF_PATIENT
from service.store.database import Database

_ADDRESS = re.compile(r"(\w+)/([\w\-.]+)(/_history/.+)?")


@dataclass
class Rows:
    """All that a verdict on a row needs."""

    records: dict[str, tuple[str, str | None]]
    patients: dict[str, str | None]
    names: dict[tuple[str, str], str]
    system: str


def breaches(database: Database) -> list[str]:
    """Return what is unlawful in a database, a sentence each."""
    with database.read() as session:

        def rows(query: str) -> list[Any]:
            return list(session.execute(text(query)).all())

        records = rows("SELECT id, resource_type, patient_id, tree, version FROM records")
        failed = rows("SELECT record_id FROM links WHERE reason = 'failed-here'")
        shown = {(one[0], one[1]): one[2] for one in rows("SELECT record_id, version, tree FROM history")}
        known = Rows(
            {one[0]: (one[1], one[2]) for one in records},
            {one[0]: one[1] for one in rows("SELECT id, merged_into FROM patients")},
            {
                (one[0], one[1]): one[2]
                for one in rows("SELECT system, value, patient_id FROM patient_identifiers")
            },
            rows("SELECT identifier_system FROM deployment")[0][0],
        )
    found = [f"{one[0]} could not be dealt with" for one in failed]
    found += [
        f"{name} is called by an identifier and was merged"
        for name in known.names.values()
        if known.patients[name]
    ]
    for record_id, kind, patient, tree, version in records:
        if shown.get((record_id, version)) != tree:
            found.append(f"{record_id}: what is shown is something else")
        found += [f"{record_id}: {one}" for one in _of_row(record_id, kind, patient, json.loads(tree), known)]
    return found


def _of_row(
    record_id: str, kind: str, patient: str | None, tree: dict[str, Any], known: Rows
) -> Iterator[str]:
    if (tree["resourceType"], tree["id"]) != (kind, record_id):
        yield "is another resource"
    if kind not in OF_PATIENT:
        if patient is not None:
            yield "is for all, and a patient's"
        return
    if patient is None or known.patients[patient] is not None:
        yield "is the record of nobody who is a patient"
    subject = _ADDRESS.fullmatch(tree.get("subject", {}).get("reference", ""))
    if subject is None or (subject[1], subject[2]) != ("Patient", patient):
        yield "is about somebody else than whose it is"
    listed = tree.get("identifier", [])
    for one in listed if isinstance(listed, list) else [listed]:
        if one.get("system") == known.system and one.get("value") != record_id:
            yield "carries another record's identifier"
    for element, reference in _references("", tree):
        yield from _of_reference(element, reference, patient, known)


def _references(element: str, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, list):
        for item in value:
            yield from _references(element, item)
    elif isinstance(value, dict):
        says_an_identifier = isinstance(value.get("identifier"), dict) and "resourceType" not in value
        if isinstance(value.get("reference"), str) or says_an_identifier:
            yield element, value
        for name, member in value.items():
            yield from _references(name, member)


def _of_reference(element: str, reference: dict[str, Any], patient: str | None, known: Rows) -> Iterator[str]:
    literal = reference.get("reference", "")
    if "?" in literal:
        yield "says a search"
    address = _ADDRESS.fullmatch(literal)
    kind, target = (address[1], address[2]) if address else ("", "")
    identifier = reference.get("identifier") or {}
    owner = known.names.get((identifier.get("system", ""), identifier.get("value", "")))
    is_whom_it_is_about = element in ("subject", "patient")
    if kind == "Patient":
        if known.patients.get(target, "nobody") is not None:
            yield f"{element} is nobody who is a patient"
        if owner not in (None, target):
            yield f"{element} says two persons"
    if is_whom_it_is_about and kind in ("Patient", "") and (target or owner or patient) != patient:
        yield f"{element} is another patient"
    if is_whom_it_is_about and kind in ("Patient", "") and owner not in (None, patient):
        yield f"{element} is another patient by identifier"
    if kind in OF_PATIENT and known.records.get(target) != (kind, patient):
        yield f"{element} is another patient's record, or none"
