"""Patients: found or registered by what they are called."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import and_, func, or_, select, tuple_
from sqlalchemy.orm import Session

from fhir_mappings.errors import Finding
from service.chart.entries import Page, Patient
from service.errors import Conflict, InvalidContent, InvalidInput, NotFound
from service.store import tables

Named = tuple[str, str]


def find_or_register(session: Session, identifiers: Iterable[Named], actor: str, now: datetime) -> Patient:
    """Return the patient who has one of these identifiers, called by all of them from now on.

    Raises Conflict when they belong to different patients: who is who is for a person to say.
    """
    wanted = _valid(list(dict.fromkeys(identifiers)))
    known = _owners(session, wanted)
    owners = set(known.values())
    if len(owners) > 1:
        raise Conflict("These identifiers belong to different patients")
    if owners:
        patient_id = owners.pop()
    else:
        patient_id = str(uuid.uuid4())
        session.add(tables.Patient(id=patient_id, created_at=now, created_by=actor))
        session.flush()
    for system, value in wanted:
        if (system, value) not in known:
            session.add(tables.PatientIdentifier(system=system, value=value, patient_id=patient_id))
    session.flush()
    return get(session, patient_id)


def _valid(identifiers: list[Named]) -> list[Named]:
    if not identifiers:
        raise InvalidContent(Finding("identifiers", "a patient needs an identifier", "required"))
    findings = [
        Finding(f"identifiers[{position}].{name}", problem)
        for position, pair in enumerate(identifiers)
        for name, text in zip(("system", "value"), pair, strict=True)
        if (problem := _problem(name, text))
    ]
    if findings:
        raise InvalidContent(findings)
    return identifiers


def _problem(name: str, text: str) -> str | None:
    if not text.strip():
        return "must not be empty"
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        return "has a character that is no text"
    if name == "system" and any(map(str.isspace, text)):
        return "a system is a URI, which has no spaces"
    return None


def _owners(session: Session, identifiers: Sequence[Named]) -> dict[Named, str]:
    table = tables.PatientIdentifier
    rows = session.scalars(select(table).where(tuple_(table.system, table.value).in_(identifiers)))
    return {(row.system, row.value): row.patient_id for row in rows}


def get(session: Session, patient_id: str) -> Patient:
    row = session.get(tables.Patient, patient_id)
    if row is None:
        raise NotFound("There is no such patient here")
    return _patients(session, [row])[0]


def find(session: Session, system: str, value: str) -> Patient | None:
    row = session.get(tables.PatientIdentifier, (system, value))
    return None if row is None else get(session, row.patient_id)


def page(session: Session, limit: int, after: str | None) -> Page[Patient]:
    """Return patients in the order in which they were registered."""
    table = tables.Patient
    total = session.scalar(select(func.count()).select_from(table)) or 0
    query = select(table).order_by(table.created_at, table.id).limit(limit + 1)
    if after is not None:
        last = session.get(table, after)
        if last is None:
            raise InvalidInput(Finding("after", "is not where a page ended", "value"))
        query = query.where(
            or_(
                table.created_at > last.created_at,
                and_(table.created_at == last.created_at, table.id > after),
            )
        )
    rows = session.scalars(query).all()
    shown = rows[:limit]
    return Page(tuple(_patients(session, shown)), shown[-1].id if len(rows) > limit else None, total)


def _patients(session: Session, rows: Sequence[tables.Patient]) -> list[Patient]:
    table = tables.PatientIdentifier
    named: dict[str, list[Named]] = {row.id: [] for row in rows}
    pairs = session.execute(
        select(table.patient_id, table.system, table.value)
        .where(table.patient_id.in_(named))
        .order_by(table.system, table.value)
    ).all()
    for patient_id, system, value in pairs:
        named[patient_id].append((system, value))
    return [Patient(row.id, tuple(named[row.id]), row.created_at) for row in rows]
