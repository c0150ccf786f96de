"""A person's decisions: which side of a conflict counts, whose a moved copy is, and what is sent again."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fhir_mappings import exact_json, r4
from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from fhir_mappings.mappings import BY_RECORD_TYPE
from fhir_mappings.records import Record
from service.chart import Chart
from service.chart.ownership import Origin
from service.errors import Conflict, InvalidContent, NotFound
from service.store import tables
from service.store.tables import ConflictRow, Connection, Link, MovedCopy, OutboxRow, PatientLink
from service.sync import links, match_rows, moved, outbox
from service.sync.links import Known
from service.sync.merge import Side
from service.sync.project import to_here
from service.sync.reasons import Reason, State
from service.sync.reconcile import reconcile, unreadable
from service.sync.taking import Ours, current, open_conflict


class MovedDecision(StrEnum):
    """What becomes of a copy that is another patient's there by now."""

    WRITE_BACK = "write-back"
    LET_GO = "let-go"
    HAND_OVER = "hand-over"


def resolve(
    session: Session,
    chart: Chart,
    clock: Callable[[], datetime],
    conflict_id: str,
    keep: Side,
    actor: str,
    record: Record | None,
) -> None:
    """Decide a conflict and send what was decided.

    keep: the side that counts where both changed; what only one side changed stays in any case.
    record: what a person made of both, written onto our side; of this type and this patient.
    """
    row = session.get(ConflictRow, conflict_id)
    if row is None:
        raise NotFound("There is no such conflict")
    if row.resolved_at is not None:
        raise Conflict("The conflict was resolved already")
    ours = current(session, row.record_id)
    known = links.known(session, row.connection_id, [row.record_id])[row.record_id]
    if known.state is State.MOVED:
        raise Conflict("The copy is another patient's there by now; decide about that first")
    if record is not None:
        decided = chart.written(_of_type(record, ours), ours.record_id, onto=exact_json.parse(row.here))
    else:
        decided = _decided(session, row, ours, known, keep)
    findings = r4.check(decided) or unreadable(decided)
    if findings:
        raise InvalidContent(findings)
    if decided != ours.tree:
        origin = Origin.SERVER if record is None else Origin.PEOPLE
        chart.decide(session, decided, actor, origin=origin, except_connection=row.connection_id)
    _close(row, "merged" if record is not None else str(keep), actor, clock())
    # No common version any more: whatever differs from the copy there is what was decided.
    link = {"record_id": ours.record_id, "resource_type": ours.resource_type, "synced_version": None}
    links.save(session, row.connection_id, clock(), [{**link, **links.explained(State.PENDING)}])
    outbox.enqueue(session, row.connection_id, [ours.record_id], clock())


def _of_type(record: Record, ours: Ours) -> Record:
    """Return a record that can stand in the place of another one. Raises InvalidContent."""
    kind = type(record).__name__
    resource_type = BY_RECORD_TYPE[kind].resource_type
    if resource_type != ours.resource_type:
        raise InvalidContent(Finding("type", f"the conflict is about a {ours.resource_type}", "value"))
    if record.id not in (None, ours.record_id):
        raise InvalidContent(Finding(f"{resource_type}.id", "is another record's", "value"))
    return record


def _decided(session: Session, row: ConflictRow, ours: Ours, known: Known, keep: Side) -> Tree:
    there = _to_here(session, row.connection_id, ours, known.tree)
    there_before = exact_json.parse(row.base) if row.base else {}
    here_before = _here_before(session, ours, known, there_before)
    return reconcile(here_before, ours.tree, there_before, there, prefer=keep).here


def _to_here(session: Session, connection_id: str, ours: Ours, body: Tree) -> Tree:
    base_url = session.get_one(Connection, connection_id).base_url
    places = links.places(session, connection_id, base_url, str(ours.patient_id), [body])
    return to_here(body, places, ours.record_id)


def _here_before(session: Session, ours: Ours, known: Known, there_before: Tree) -> Tree:
    if known.synced_version is None:
        return there_before
    found = links.trees_of(session, [(ours.record_id, known.synced_version)])
    return found.get(ours.record_id, there_before)


def _close(row: ConflictRow, resolution: str, actor: str, now: datetime) -> None:
    row.resolved_at, row.resolved_by, row.resolution = now, actor, resolution


def decide_moved(
    session: Session,
    chart: Chart,
    clock: Callable[[], datetime],
    record_id: str,
    connection_id: str,
    decision: MovedDecision,
    actor: str,
) -> None:
    """Decide about a copy that is another patient's there by now. Raises NotFound, InvalidContent."""
    copy = session.get(MovedCopy, (record_id, connection_id), with_for_update=True)
    if copy is None:
        raise NotFound("There is no copy of this record that moved there")
    ours = current(session, record_id)
    if decision is MovedDecision.HAND_OVER:
        _hand_over(session, chart, copy, ours, actor, clock())
    elif decision is MovedDecision.WRITE_BACK:
        copy.decision = decision
        chart.set_aside(session, record_id, None)
        state = {"record_id": record_id, "resource_type": ours.resource_type}
        explained = links.explained(State.PENDING, Reason.OTHER_PATIENT_THERE)
        links.save(session, connection_id, clock(), [{**state, **explained}])
        outbox.enqueue(session, connection_id, [record_id], clock())
    else:
        moved.come_back(session, chart, connection_id, record_id)
        links.save(session, connection_id, clock(), [_let_go(ours)])
    conflict = open_conflict(session, record_id, connection_id)
    if conflict is not None:
        _close(conflict, str(Side.HERE), actor, clock())
    session.flush()


def _let_go(ours: Ours) -> dict[str, object]:
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
    session: Session, chart: Chart, copy: MovedCopy, ours: Ours, actor: str, now: datetime
) -> None:
    """Make the copy a new record of the patient whose it is there; ours is withdrawn and set aside."""
    patient_id = session.scalar(
        select(PatientLink.patient_id).where(
            PatientLink.connection_id == copy.connection_id,
            PatientLink.server_id == copy.there,
            PatientLink.state == match_rows.MATCHED,
        )
    )
    if patient_id is None:
        problem = "whose it is there is no patient here: register them, and let a sync run find them"
        raise InvalidContent(Finding("decision", problem, "not-found"))
    body = exact_json.parse(copy.body)
    whose = Ours(ours.record_id, ours.resource_type, patient_id, ours.version, ours.tree)
    tree = _to_here(session, copy.connection_id, whose, body)
    entry = chart.hand_over(
        session, ours.record_id, tree, patient_id, actor, except_connection=copy.connection_id
    )
    session.delete(copy)
    for table in (Link, OutboxRow):
        session.execute(
            delete(table).where(table.record_id == ours.record_id, table.connection_id == copy.connection_id)
        )
    is_as_it_is = {**entry.tree, "id": ""} == {**tree, "id": ""}
    link = {
        "record_id": entry.id,
        "resource_type": entry.resource_type,
        "server_id": body["id"],
        "server_version": copy.server_version,
        "body": copy.body,
        "synced_version": entry.version if is_as_it_is else None,
        **links.explained(State.SYNCED if is_as_it_is else State.PENDING),
    }
    links.save(session, copy.connection_id, now, [link])
    if not is_as_it_is:
        # It still carries the identifier of the record that it was.
        outbox.enqueue(session, copy.connection_id, [entry.id], now)


def retry(session: Session, now: datetime, record_id: str, connection: str | None) -> None:
    """Put a record in the outbox again, due now, for one connection or for all."""
    if session.get(tables.Record, record_id) is None:
        raise NotFound("There is no such record")
    query = select(Connection.id)
    if connection is not None:
        query = query.where(Connection.name == connection)
    for connection_id in session.scalars(query).all():
        link = session.get(Link, (record_id, connection_id))
        if link is not None and link.state in _DECIDED:
            if connection is not None:
                raise Conflict(_DECIDED[link.state])
            continue
        if link is not None and link.reason == Reason.GONE_THERE:
            # It may be back; only the server knows.
            link.state, link.reason, link.next_step = State.UNKNOWN, None, None
        if link is not None and link.state == State.HELD:
            link.state, link.reason, link.next_step = State.PENDING, None, None
        outbox.enqueue(session, connection_id, [record_id], now)


_DECIDED: dict[str, str] = {
    State.CONFLICT: "The record is in conflict; resolve that first",
    State.MOVED: "The copy is another patient's there by now; decide about that first",
}
