"""Who is who: identifiers corrected, two patients who are one person merged, and that undone."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.errors import Finding
from fhir_mappings.references import Name
from service.chart import patients, renaming
from service.chart.writes import Change
from service.errors import Conflict, InvalidContent, InvalidInput
from service.store import matches
from service.store.tables import Patient, PatientChange, PatientIdentifier, Record, ReferenceLink

#: Fewer than SQLite's limit of variables in one statement.
_CHUNK = 500


def correct_identifier(
    session: Session, patient_id: str, old: Name, new: Name, actor: str, now: datetime, *, also: bool = False
) -> None:
    """Say an identifier anew, here and in every record that names the patient by it."""
    patients.lock(session, patient_id)
    patients.take_identifier(session, patient_id, old)
    patients.claim_identifier(session, patient_id, new, now, also=also)
    detail = {"identifiers": patients.listed([old]), "corrected": patients.listed([new])}
    patients.note(session, patient_id, "correct", detail, actor, now)
    _rename(session, patient_id, old, new, actor, now)


def remove_identifier(session: Session, patient_id: str, name: Name, actor: str, now: datetime) -> None:
    """Call a patient by an identifier no more; their last one stays."""
    patients.lock(session, patient_id)
    patients.take_identifier(session, patient_id, name)
    if not patients.get(session, patient_id).identifiers:
        problem = "is the patient's last identifier; correct it, or give another one first"
        raise InvalidContent(Finding("identifier", problem, "business-rule"))
    patients.note(session, patient_id, "remove", {"identifiers": patients.listed([name])}, actor, now)
    matches.make_stale(session, patient_id, now)
    _rename(session, patient_id, name, None, actor, now)


def _rename(
    session: Session, patient_id: str, old: Name, new: Name | None, actor: str, now: datetime
) -> None:
    change = Change(actor=actor, action="identify", at=now)
    renaming.everywhere(session, old[1], renaming.identifier(patient_id, old, new), change)


def merge(session: Session, from_id: str, into_id: str, actor: str, now: datetime) -> None:
    """Make one patient of two who are the same person: records, references, conflicts, keys, matches.

    Raises NotFound, and Conflict for one who was merged already.
    """
    if from_id == into_id:
        raise InvalidInput(Finding("into", "is the same patient"))
    for patient_id in sorted((from_id, into_id)):
        patients.lock(session, patient_id)
    own = list(session.scalars(select(Record.id).where(Record.patient_id == from_id)))
    names = patients.get(session, from_id).identifiers
    session.get_one(Patient, from_id).merged_into = into_id
    _hand_identifiers(session, names, into_id)
    _move(session, own, into_id)
    change = Change(actor=actor, action="merge-patient", at=now)
    paths = renaming.everywhere(session, f"Patient/{from_id}", renaming.patient(from_id, into_id), change)
    claims = matches.hand_over(session, from_id, into_id)
    session.execute(delete(ReferenceLink).where(ReferenceLink.patient_id.in_((from_id, into_id))))
    renaming.answers(session, from_id, into_id)
    for patient_id in (from_id, into_id):
        matches.make_stale(session, patient_id, now)
    undo: dict[str, Any] = {
        "from": from_id,
        "into": into_id,
        "identifiers": patients.listed(names),
        "records": own,
        "references": paths,
        "matches": claims,
    }
    for patient_id in (from_id, into_id):
        patients.note(session, patient_id, "merge", undo, actor, now)


def unmerge(session: Session, from_id: str, actor: str, now: datetime) -> None:
    """Make two patients again of one, by the list that was kept; what came since stays where it is.

    Raises Conflict if the patient is not merged, InvalidContent where a record refers by now to
    what would be another patient's again.
    """
    row = session.get(Patient, from_id)
    if row is None or row.merged_into is None:
        raise Conflict("This patient was not merged into another one")
    undo = _last_merge(session, from_id)
    into_id = undo["into"]
    patients.lock(session, into_id)
    row.merged_into = None
    session.flush()
    names = [(one["system"], one["value"]) for one in undo["identifiers"]]
    still = set(patients.get(session, into_id).identifiers)
    _hand_identifiers(session, [name for name in names if name in still], from_id)
    own = [one for one in undo["records"] if session.get_one(Record, one).patient_id == into_id]
    _move(session, own, from_id)
    change = Change(actor=actor, action="unmerge-patient", at=now)
    renaming.at_paths(session, undo["references"], renaming.patient(into_id, from_id), change)
    matches.restore(session, from_id, into_id, undo["matches"], now)
    session.execute(delete(ReferenceLink).where(ReferenceLink.patient_id.in_((from_id, into_id))))
    for patient_id in (from_id, into_id):
        matches.make_stale(session, patient_id, now)
        patients.note(session, patient_id, "unmerge", {"from": from_id, "into": into_id}, actor, now)


def _last_merge(session: Session, from_id: str) -> dict[str, Any]:
    row = session.scalars(
        select(PatientChange)
        .where(PatientChange.patient_id == from_id, PatientChange.action == "merge")
        .order_by(PatientChange.number.desc())
    ).first()
    assert row is not None
    undo: dict[str, Any] = exact_json.parse(row.detail)
    return undo


def _hand_identifiers(session: Session, names: Any, patient_id: str) -> None:
    for name in names:
        session.get_one(PatientIdentifier, name).patient_id = patient_id
    session.flush()


def _move(session: Session, record_ids: list[str], patient_id: str) -> None:
    # All rows before any tree: records of one patient refer to one another.
    session.flush()
    for start in range(0, len(record_ids), _CHUNK):
        session.execute(
            update(Record)
            .where(Record.id.in_(record_ids[start : start + _CHUNK]))
            .values(patient_id=patient_id)
            .execution_options(synchronize_session="fetch")
        )
