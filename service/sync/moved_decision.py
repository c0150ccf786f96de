"""A person's decision about a copy that is another patient's there by now."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import name_of
from service.chart import Chart, aside
from service.chart.targets import named_patients
from service.errors import Conflict, InvalidContent, NotFound
from service.store import matches
from service.store.tables import Connection, Link, MovedCopy, OutboxRow, PatientLink
from service.sync import leases, moved
from service.sync.conflicts import close, open_conflict
from service.sync.identity import links, match_rows
from service.sync.incoming import LocalRecord, local_record
from service.sync.merge.three_way import Side
from service.sync.resolution import copy_here
from service.sync.states import Reason, State


class MovedDecision(StrEnum):
    """What becomes of a copy that is another patient's there by now."""

    WRITE_BACK = "write-back"
    LET_GO = "let-go"
    HAND_OVER = "hand-over"


def decide_moved(
    session: Session,
    chart: Chart,
    clock: Callable[[], datetime],
    record_id: str,
    connection_id: str,
    decision: MovedDecision,
    actor: str,
    *,
    believed_since: datetime,
) -> None:
    """Decide about a copy that is another patient's there by now.

    believed_since: older matches give nobody a record. Raises NotFound, InvalidContent, Conflict.
    """
    copy = session.get(MovedCopy, (record_id, connection_id), with_for_update=True)
    if copy is None:
        raise NotFound("There is no copy of this record that moved there")
    ours = local_record(session, record_id)
    if decision is MovedDecision.HAND_OVER:
        _require_verified(session, copy, believed_since)
        _hand_over(session, chart, copy, ours, actor, clock())
    elif decision is MovedDecision.WRITE_BACK:
        copy.decision = decision
        aside.show_again(session, record_id)
        state = {"record_id": record_id, "resource_type": ours.resource_type}
        explained = links.explained(State.PENDING, Reason.OTHER_PATIENT_THERE)
        links.save(session, connection_id, clock(), [{**state, **explained}])
        leases.enqueue(session, connection_id, [record_id], clock())
    else:
        # Whose it is there may be a patient here: then it is found as theirs.
        theirs = _patient_there(session, copy)
        matches.read_again(session, [theirs] if theirs else [], connection_id)
        moved.come_back(session, connection_id, record_id)
        links.save(session, connection_id, clock(), [_let_go(ours)])
    conflict = open_conflict(session, record_id, connection_id)
    if conflict is not None:
        close(conflict, str(Side.HERE), actor, clock())
    session.flush()


def parties(session: Session, record_id: str, connection_id: str) -> set[str]:
    """Return the patients here between whom a copy stands: whose record it is, and whose copy."""
    copy = session.get(MovedCopy, (record_id, connection_id))
    if copy is None:
        return set()
    owner = local_record(session, record_id).patient_id
    return {one for one in (owner, _patient_there(session, copy)) if one is not None}


def _require_verified(session: Session, copy: MovedCopy, since: datetime) -> None:
    """Raise Conflict where the one whose copy it is there was not looked at just now."""
    patient_id = _patient_there(session, copy)
    match = session.get(PatientLink, (patient_id, copy.connection_id)) if patient_id else None
    if match is not None and match.checked_at <= since:
        raise Conflict("The server did not show just now whose it is there; try again later")


def _let_go(ours: LocalRecord) -> dict[str, object]:
    return {
        "record_id": ours.record_id,
        "resource_type": ours.resource_type,
        "server_id": None,
        "server_version": None,
        "body": None,
        "synced_version": None,
        **links.explained(State.HELD, Reason.LET_GO),
    }


def _hand_over(
    session: Session, chart: Chart, copy: MovedCopy, ours: LocalRecord, actor: str, now: datetime
) -> None:
    """Make the copy a new record of the patient whose it is there; ours is withdrawn and set aside."""
    patient_id = _patient_there(session, copy)
    if patient_id is None:
        problem = "whose it is there is no patient here: register them, and let a sync run find them"
        raise InvalidContent(Finding("decision", problem, "not-found"))
    if patient_id == ours.patient_id:
        raise Conflict("It is this patient's there by now: let a sync run take it in")
    _require_in_step_elsewhere(session, copy)
    body = exact_json.parse(copy.body)
    whose = LocalRecord(
        record_id=ours.record_id,
        resource_type=ours.resource_type,
        patient_id=patient_id,
        version=ours.version,
        tree=ours.tree,
    )
    shown = copy_here(session, copy.connection_id, whose, body)
    tree = _named_by_address(session, shown, patient_id)
    entry = chart.hand_over(
        session, ours.record_id, tree, patient_id, actor, except_connection=copy.connection_id
    )
    session.delete(copy)
    _forget_here(session, copy)
    is_as_it_is = {**entry.tree, "id": ""} == {**shown, "id": ""}
    link = {
        **links.to_copy(entry.id, body, entry.version if is_as_it_is else None),
        "server_version": copy.server_version,
        **links.explained(State.SYNCED if is_as_it_is else State.PENDING),
    }
    links.save(session, copy.connection_id, now, [link])
    if not is_as_it_is:
        # It still carries the identifier of the record that it was, or of the patient.
        leases.enqueue(session, copy.connection_id, [entry.id], now)


def _named_by_address(session: Session, tree: Tree, patient_id: str) -> Tree:
    """Return the tree without an identifier of the patient whose it was, left beside the new address."""
    subject = tree["subject"]
    name = name_of(subject.get("identifier"))
    if name is None or named_patients(session, {name}).get(name) in (None, patient_id):
        return tree
    return {**tree, "subject": {key: value for key, value in subject.items() if key != "identifier"}}


def _patient_there(session: Session, copy: MovedCopy) -> str | None:
    """Return our id of the patient whose a copy is there, if no change here has cast doubt on it."""
    return session.scalar(
        select(PatientLink.patient_id).where(
            PatientLink.connection_id == copy.connection_id,
            PatientLink.server_id == copy.there,
            PatientLink.state == match_rows.MATCHED,
            PatientLink.is_stale.is_(False),
        )
    )


def _require_in_step_elsewhere(session: Session, copy: MovedCopy) -> None:
    """Raise Conflict where a person has to decide about the record on another server, too.

    Once it is handed over it is out of sight, and that server would never hear of it.
    """
    name = session.scalar(
        select(Connection.name)
        .join(Link, Link.connection_id == Connection.id)
        .where(
            Link.record_id == copy.record_id,
            Link.connection_id != copy.connection_id,
            Link.state.in_([State.CONFLICT, State.MOVED]),
        )
        .order_by(Connection.name)
    )
    if name is not None:
        raise Conflict(f"The record waits for a decision on {name}, too; decide that first")


def _forget_here(session: Session, copy: MovedCopy) -> None:
    """Part a record from the copy that it hands over, and from servers that it was never sent to."""
    row = OutboxRow
    unsent = (Link.server_id.is_(None)) & (Link.state != State.UNKNOWN)
    ends = (Link.connection_id == copy.connection_id) | unsent
    ended = select(Link.connection_id).where(Link.record_id == copy.record_id, ends)
    session.execute(delete(row).where(row.record_id == copy.record_id, row.connection_id.in_(ended)))
    session.execute(delete(Link).where(Link.record_id == copy.record_id, ends))
