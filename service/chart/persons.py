"""Who is who: identifiers corrected, two patients who are one person merged, and that undone."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.errors import Finding
from fhir_mappings.references import Name
from service.chart import audit, kept_answers, patients, renames
from service.chart.ownership import Origin
from service.chart.writes import Change
from service.errors import Conflict, InvalidContent, InvalidInput
from service.store import matches
from service.store.statements import chunks
from service.store.tables import (
    ConflictRow,
    Patient,
    PatientChange,
    PatientIdentifier,
    Record,
    ReferenceLink,
)


def correct_identifier(
    session: Session, patient_id: str, old: Name, new: Name, actor: str, now: datetime, *, also: bool = False
) -> None:
    """Say an identifier anew, here and in every record that names the patient by it."""
    patients.lock(session, patient_id)
    patients.take_identifier(session, patient_id, old)
    patients.claim_identifier(session, patient_id, new, now, also=also, place="corrected")
    detail = {"corrected": patients.pairs([(old, new)])}
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
    _rename(session, patient_id, name, None, actor, now)


def _rename(
    session: Session, patient_id: str, old: Name, new: Name | None, actor: str, now: datetime
) -> None:
    matches.make_stale(session, patient_id, now)
    rewrite = renames.identifier(patient_id, old, new)
    changed = renames.records(session, old[1], rewrite, _change(actor, "identify", now))
    # Our side alone: the server still says the old one, and so did both, or it would seem to have changed.
    renames.conflicts(session, old[1], rewrite, [ConflictRow.here])
    renames.follow_records(session, changed)


def merge(session: Session, from_id: str, into_id: str, actor: str, now: datetime) -> None:
    """Make one patient of two who are the same person: records, references, conflicts, keys, matches.

    Raises NotFound, and Conflict for one who was merged already.
    """
    if from_id == into_id:
        raise InvalidInput(Finding("into", "is the same patient"))
    for patient_id in sorted((from_id, into_id)):
        patients.lock(session, patient_id)
    own = list(session.scalars(select(Record.id).where(Record.patient_id == from_id).order_by(Record.id)))
    names = patients.get(session, from_id).identifiers
    session.get_one(Patient, from_id).merged_into = into_id
    _hand_identifiers(session, names, into_id)
    _move(session, own, into_id)
    rewrite, needle = renames.patient(from_id, into_id), f"Patient/{from_id}"
    references = renames.records(session, needle, rewrite, _change(actor, "merge-patient", now))
    conflicts = renames.conflicts(session, needle, rewrite)
    undo: dict[str, Any] = {
        "from": from_id,
        "into": into_id,
        "identifiers": patients.listed(names),
        "records": own,
        "references": references,
        "versions": renames.versions(session, references),
        "conflicts": conflicts,
        "sides": renames.sides(session, conflicts),
        "answers": kept_answers.hand_over(session, from_id, into_id),
        "matches": matches.hand_over(session, from_id, into_id),
    }
    renames.follow_records(session, references)
    _part(session, from_id, into_id, "merge", undo, actor, now)


def unmerge(session: Session, from_id: str, actor: str, now: datetime) -> None:
    """Make two patients again of one, by the list that was kept; what came since stays where it is.

    Records that were edited meanwhile are told in the history (``edited``): what was written goes with them,
    and a reference that no longer stands where it stood names who stayed.
    Raises Conflict if the patient is not merged, InvalidContent where a record refers by now to
    what would be another patient's again.
    """
    into_id = _merged_into(session, from_id)
    patients.lock(session, into_id)
    if _merged_into(session, from_id) != into_id:
        raise Conflict("Somebody else decided about this patient at the same moment")
    undo = _last_merge(session, from_id)
    session.get_one(Patient, from_id).merged_into = None
    session.flush()
    corrected = _corrected_since(session, from_id, into_id)
    names = [corrected.get(name, name) for name in patients.names(undo["identifiers"])]
    still = set(patients.get(session, into_id).identifiers)
    _hand_identifiers(session, [name for name in names if name in still], from_id)
    _require_names(session, from_id, into_id)
    own = [one for one in undo["records"] if session.get_one(Record, one).patient_id == into_id]
    _move(session, own, from_id)
    change = _change(actor, "unmerge-patient", now)
    parting = renames.Parting(from_id, into_id, undo, corrected, frozenset(own))
    changed, edited = renames.records_back(session, parting, change)
    renames.follow_records(session, changed)
    renames.conflicts_back(session, parting)
    kept_answers.give_back(session, undo["answers"], into_id)
    matches.restore(session, from_id, into_id, undo["matches"], now)
    # Also what was written since, and who else names one of the two.
    audit.require_lawful(session, [from_id, into_id], InvalidContent)
    said: dict[str, Any] = {"from": from_id, "into": into_id, "corrected": patients.pairs(corrected.items())}
    if edited:
        said["edited"] = edited
    _part(session, from_id, into_id, "unmerge", said, actor, now)


def _change(actor: str, action: str, now: datetime) -> Change:
    # What servers have said of a patient beside their address is said on, so only contradictions count.
    return Change(actor=actor, action=action, at=now, origin=Origin.SERVER)


def _part(
    session: Session,
    from_id: str,
    into_id: str,
    action: str,
    detail: dict[str, Any],
    actor: str,
    now: datetime,
) -> None:
    """Have both looked for anew on every server, and tell it in the history of both."""
    session.execute(delete(ReferenceLink).where(ReferenceLink.patient_id.in_((from_id, into_id))))
    for patient_id in (from_id, into_id):
        matches.make_stale(session, patient_id, now)
        patients.note(session, patient_id, action, detail, actor, now)


def _merged_into(session: Session, patient_id: str) -> str:
    row = session.get(Patient, patient_id, populate_existing=True)
    if row is None or row.merged_into is None:
        raise Conflict("This patient was not merged into another one")
    return row.merged_into


def _last_merge(session: Session, from_id: str) -> dict[str, Any]:
    row = session.scalars(
        select(PatientChange)
        .where(PatientChange.patient_id == from_id, PatientChange.action == "merge")
        .order_by(PatientChange.number.desc())
    ).first()
    assert row is not None
    undo: dict[str, Any] = exact_json.parse(row.detail)
    return undo


def _corrected_since(session: Session, from_id: str, into_id: str) -> dict[Name, Name]:
    """Return what identifiers have become that were corrected since the two were merged."""
    corrected: dict[Name, Name] = {}
    for line in reversed(patients.history(session, into_id)):
        if line.action == "merge" and line.detail["from"] == from_id:
            corrected = {}
        for pair in line.detail.get("corrected", []):
            old, new = patients.names([pair["identifier"], pair["corrected"]])
            origin = next((name for name, by_now in corrected.items() if by_now == old), old)
            corrected[origin] = new
    return corrected


def _require_names(session: Session, *patient_ids: str) -> None:
    for patient_id in patient_ids:
        if not patients.get(session, patient_id).identifiers:
            problem = f"Patient/{patient_id} would be left without any: add theirs again first"
            raise InvalidContent(Finding("identifier", problem, "business-rule"))


def _hand_identifiers(session: Session, names: Any, patient_id: str) -> None:
    for name in names:
        session.get_one(PatientIdentifier, name).patient_id = patient_id
    session.flush()


def _move(session: Session, record_ids: list[str], patient_id: str) -> None:
    # All rows before any tree: records of one patient refer to one another.
    session.flush()
    for chunk in chunks(record_ids):
        session.execute(
            update(Record)
            .where(Record.id.in_(chunk))
            .values(patient_id=patient_id)
            .execution_options(synchronize_session="fetch")
        )
