"""Whom a record is about, and whether what it refers to is theirs."""

import re
from collections.abc import Iterable
from typing import cast

from sqlalchemy import Table, bindparam, select
from sqlalchemy.orm import Session

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from service.chart.trees import RECORD_TYPES, references
from service.errors import InvalidContent
from service.store import tables

_LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?")

#: Elements that say whom something is about; elsewhere another patient may stand, a parent who answers.
_SUBJECTS = frozenset({"subject", "patient"})

#: Fewer than SQLite's limit of variables in one statement.
_CHUNK = 500

_PATIENT_ID = cast("Table", tables.Patient.__table__).c.id
_PATIENT = select(_PATIENT_ID).where(bindparam("id") == _PATIENT_ID)


def with_subject(session: Session, tree: Tree) -> tuple[Tree, str]:
    """Return the tree with its subject as our reference, and our id of that patient."""
    path = f"{tree['resourceType']}.subject"
    subject = tree.get("subject")
    if not isinstance(subject, dict):
        raise InvalidContent(Finding(path, "a record has to say which patient it is about", "required"))
    if isinstance(subject.get("reference"), str):
        return tree, _registered(session, subject["reference"], path)
    identifier = subject.get("identifier")
    if not isinstance(identifier, dict):
        raise InvalidContent(Finding(path, "name the patient by reference or identifier", "required"))
    named = session.get(
        tables.PatientIdentifier, (identifier.get("system") or "", identifier.get("value") or "")
    )
    if named is None:
        raise InvalidContent(
            Finding(path, "no patient is registered here under this identifier", "not-found")
        )
    # The key order of FHIR: reference comes first.
    filled = {"reference": f"Patient/{named.patient_id}", **subject}
    return {name: filled if name == "subject" else value for name, value in tree.items()}, named.patient_id


def _registered(session: Session, reference: str, path: str) -> str:
    local = _LOCAL.fullmatch(reference)
    if local is None or local[1] != "Patient":
        raise InvalidContent(Finding(path, "has to be a patient who is registered here: Patient/id", "value"))
    if session.connection().scalar(_PATIENT, {"id": local[2]}) is None:
        raise InvalidContent(Finding(path, "no patient is registered here under this id", "not-found"))
    return local[2]


def require_own(session: Session, tree: Tree, patient_id: str) -> None:
    """Raise InvalidContent for every reference to a record or patient that is not here, or another's."""
    kind = tree["resourceType"]
    local = [
        (path, name, found[1], found[2])
        for path, name, text in references(tree, kind)
        if (found := _LOCAL.fullmatch(text))
    ]
    owners = _owners(session, {id_ for _, _, type_, id_ in local if type_ in RECORD_TYPES})
    patients = _patients(session, {id_ for _, _, type_, id_ in local if type_ == "Patient"} - {patient_id})
    findings = []
    for path, name, type_, id_ in local:
        if type_ in RECORD_TYPES:
            problem = _record_problem(type_, owners.get(id_), patient_id)
        elif type_ == "Patient" and id_ != patient_id:
            problem = _patient_problem(id_ in patients, name)
        else:
            problem = None
        if problem:
            findings.append(Finding(path, *problem))
    if findings:
        raise InvalidContent(findings)


def _record_problem(
    type_: str, owner: tuple[str, str | None] | None, patient_id: str
) -> tuple[str, str] | None:
    if owner is None or owner[0] != type_:
        return f"no such {type_} is kept here", "not-found"
    if type_ != "Questionnaire" and owner[1] != patient_id:
        return f"this {type_} belongs to another patient", "business-rule"
    return None


def _patient_problem(registered: bool, name: str) -> tuple[str, str] | None:
    if not registered:
        return "no patient is registered here under this id", "not-found"
    if name in _SUBJECTS:
        return "is about another patient than the record", "business-rule"
    return None


def _owners(session: Session, ids: set[str]) -> dict[str, tuple[str, str | None]]:
    found = {}
    for some in _chunks(ids):
        rows = session.execute(
            select(tables.Record.id, tables.Record.resource_type, tables.Record.patient_id).where(
                tables.Record.id.in_(some)
            )
        )
        found.update({row.id: (row.resource_type, row.patient_id) for row in rows})
    return found


def _patients(session: Session, ids: set[str]) -> set[str]:
    found: set[str] = set()
    for some in _chunks(ids):
        found.update(session.scalars(select(tables.Patient.id).where(tables.Patient.id.in_(some))))
    return found


def _chunks(ids: Iterable[str]) -> Iterable[list[str]]:
    listed = sorted(ids)
    return (listed[start : start + _CHUNK] for start in range(0, len(listed), _CHUNK))
