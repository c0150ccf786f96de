"""Patients: found or registered by what they are called; what that is can be added to, corrected, removed."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.errors import Finding
from fhir_mappings.references import Name
from service.chart.targets import named_patients
from service.chart.versions import Page, Patient, PatientChange
from service.errors import Conflict, InvalidContent, InvalidInput, NotFound
from service.store import matches, tables

#: What a line of a patient's history shows.
_SHOWN = frozenset({"identifiers", "corrected", "from", "into", "edited"})


def find_or_register(
    session: Session, identifiers: Iterable[Name], actor: str, now: datetime, *, also: bool = False
) -> Patient:
    """Return the patient who has one of these identifiers, called by all of them from now on.

    Raises Conflict when they belong to different patients (who is who is for a person to say), and
    InvalidContent for a second value in one system, unless that is meant (``also``).
    """
    wanted = list(dict.fromkeys(identifiers))
    places = [f"identifiers[{position}]" for position in range(len(wanted))]
    _require_names(wanted, places)
    known = named_patients(session, set(wanted))
    owners = set(known.values())
    if len(owners) > 1:
        raise Conflict("These identifiers belong to different patients")
    patient_id = owners.pop() if owners else None
    new = [name for name in wanted if name not in known]
    if patient_id is not None and new:
        lock(session, patient_id)
    if not also:
        _require_one_a_system(session, patient_id, wanted, places)
    if patient_id is None:
        patient_id = str(uuid.uuid4())
        session.add(tables.Patient(id=patient_id, created_at=now, created_by=actor))
        session.flush()
        note(session, patient_id, "register", {"identifiers": listed(new)}, actor, now)
    elif new:
        note(session, patient_id, "add", {"identifiers": listed(new)}, actor, now)
    _give(session, patient_id, new, now)
    return get(session, patient_id)


def add_identifier(
    session: Session, patient_id: str, name: Name, actor: str, now: datetime, *, also: bool = False
) -> None:
    """Call a patient by one more identifier. Raises Conflict where another patient has it."""
    lock(session, patient_id)
    if claim_identifier(session, patient_id, name, now, also=also, place=""):
        note(session, patient_id, "add", {"identifiers": listed([name])}, actor, now)


def claim_identifier(
    session: Session, patient_id: str, name: Name, now: datetime, *, also: bool, place: str
) -> bool:
    """Give a patient who is held (``lock``) an identifier that nobody has; False if they have it already.

    place: where it was said.
    """
    _require_names([name], [place])
    owner = named_patients(session, {name}).get(name)
    if owner == patient_id:
        return False
    if owner is not None:
        raise Conflict("Another patient is called by this identifier here")
    if not also:
        _require_one_a_system(session, patient_id, [name], [place])
    _give(session, patient_id, [name], now)
    return True


def take_identifier(session: Session, patient_id: str, name: Name) -> None:
    """Call a patient by an identifier no more. Raises NotFound where they have none such."""
    row = session.get(tables.PatientIdentifier, name)
    if row is None or row.patient_id != patient_id:
        raise NotFound("The patient has no such identifier here")
    session.delete(row)
    session.flush()


def lock(session: Session, patient_id: str) -> tables.Patient:
    """Return a patient, held against others to the end. Raises NotFound, and Conflict for one merged."""
    row = session.get(tables.Patient, patient_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound("There is no such patient here")
    if row.merged_into is not None:
        raise Conflict(f"This patient was merged into {row.merged_into}")
    return row


def note(
    session: Session, patient_id: str, action: str, detail: dict[str, Any], actor: str, now: datetime
) -> None:
    """Write a line of a patient's history."""
    table = tables.PatientChange
    last = session.scalar(select(func.max(table.number)).where(table.patient_id == patient_id)) or 0
    session.add(
        table(
            patient_id=patient_id,
            number=last + 1,
            action=action,
            detail=exact_json.dump(detail),
            actor=actor,
            at=now,
        )
    )
    session.flush()


def history(session: Session, patient_id: str) -> list[PatientChange]:
    """Return what was done to a patient's identifiers, newest first. Raises NotFound."""
    get(session, patient_id)
    table = tables.PatientChange
    rows = session.scalars(select(table).where(table.patient_id == patient_id).order_by(table.number.desc()))
    return [PatientChange(action=row.action, detail=_shown(row), actor=row.actor, at=row.at) for row in rows]


def _shown(row: tables.PatientChange) -> dict[str, Any]:
    # Not the list by which a merge can be undone: it is long, and names what callers keep to themselves.
    return {name: value for name, value in exact_json.parse(row.detail).items() if name in _SHOWN}


def _give(session: Session, patient_id: str, names: Iterable[Name], now: datetime) -> None:
    names = list(names)
    _require_meant(session, patient_id, names)
    for system, value in names:
        session.add(tables.PatientIdentifier(system=system, value=value, patient_id=patient_id))
    session.flush()
    if names:
        matches.make_stale(session, patient_id, now)


def _require_meant(session: Session, patient_id: str, names: Iterable[Name]) -> None:
    """Raise Conflict where a record means another patient by an identifier: it would say two things."""
    table = tables.UnregisteredName
    for system, value in names:
        record_id = session.scalar(
            select(table.record_id)
            .where(table.system == system, table.value == value, table.patient_id != patient_id)
            .order_by(table.record_id)
            .limit(1)
        )
        if record_id is not None:
            problem = "means another patient by this identifier: correct it there, or merge the two"
            raise Conflict(f"The record {record_id} {problem}")


def listed(names: Iterable[Name]) -> list[dict[str, str]]:
    return [{"system": system, "value": value} for system, value in names]


def names(identifiers: Iterable[dict[str, str]]) -> list[Name]:
    return [(one["system"], one["value"]) for one in identifiers]


def pairs(corrected: Iterable[tuple[Name, Name]]) -> list[dict[str, dict[str, str]]]:
    """Return identifiers and what they became, as a line of history has them."""
    return [dict(zip(("identifier", "corrected"), listed(pair), strict=True)) for pair in corrected]


def _require_one_a_system(
    session: Session, patient_id: str | None, names: Sequence[Name], places: Sequence[str]
) -> None:
    """Raise InvalidContent for a second value in a system: more often a mistake than a second number."""
    held = set(get(session, patient_id).identifiers) if patient_id is not None else set()
    systems = {system for system, _ in held}
    findings = []
    for place, name in zip(places, names, strict=True):
        if name[0] in systems and name not in held:
            problem = "is a second value in one system; if both are meant, say so (also)"
            findings.append(Finding(_member(place, "value"), problem, "business-rule"))
        systems.add(name[0])
    if findings:
        raise InvalidContent(findings)


def _require_names(names: Sequence[Name], places: Sequence[str]) -> None:
    if not names:
        raise InvalidContent(Finding("identifiers", "a patient needs an identifier", "required"))
    findings = [
        Finding(_member(place, name), problem)
        for place, pair in zip(places, names, strict=True)
        for name, text in zip(("system", "value"), pair, strict=True)
        if (problem := _problem(name, text))
    ]
    if findings:
        raise InvalidContent(findings)


def _member(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _problem(name: str, text: str) -> str | None:
    if not text.strip():
        return "must not be empty"
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        return "has a character that is no text"
    if name == "system" and any(map(str.isspace, text)):
        return "a system is a URI, which has no spaces"
    return None


def get(session: Session, patient_id: str) -> Patient:
    row = session.get(tables.Patient, patient_id)
    if row is None:
        raise NotFound("There is no such patient here")
    return _patients(session, [row])[0]


def find(session: Session, system: str, value: str) -> Patient | None:
    row = session.get(tables.PatientIdentifier, (system, value))
    return None if row is None else get(session, row.patient_id)


def page(session: Session, limit: int, after: str | None) -> Page[Patient]:
    """Return patients in the order in which they were registered; who was merged into another is none."""
    table = tables.Patient
    living = table.merged_into.is_(None)
    total = session.scalar(select(func.count()).select_from(table).where(living)) or 0
    query = select(table).where(living).order_by(table.created_at, table.id).limit(limit + 1)
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
    named: dict[str, list[Name]] = {row.id: [] for row in rows}
    pairs = session.execute(
        select(table.patient_id, table.system, table.value)
        .where(table.patient_id.in_(named))
        .order_by(table.system, table.value)
    ).all()
    for patient_id, system, value in pairs:
        named[patient_id].append((system, value))
    return [
        Patient(
            row.id, identifiers=tuple(named[row.id]), created_at=row.created_at, merged_into=row.merged_into
        )
        for row in rows
    ]
