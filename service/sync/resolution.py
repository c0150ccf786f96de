"""A person's decisions: which side of a conflict counts, and what is sent again."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from fhir_mappings import exact_json, r4
from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from fhir_mappings.records import Record
from fhir_mappings.resources import BY_RECORD_TYPE
from service.chart import Chart, aside
from service.chart.ownership import Origin
from service.errors import Conflict, InvalidContent, NotFound
from service.store import tables
from service.store.tables import ConflictRow, Connection, Link
from service.sync import leases
from service.sync.conflicts import close, here_before
from service.sync.identity import links
from service.sync.identity.links import LinkState
from service.sync.identity.references import to_here
from service.sync.incoming import LocalRecord, local_record
from service.sync.merge.resources import reconcile, unreadable
from service.sync.merge.three_way import Side
from service.sync.states import Reason, State


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
    ours = local_record(session, row.record_id)
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
    close(row, "merged" if record is not None else str(keep), actor, clock())
    # No common version any more: whatever differs from the copy there is what was decided.
    link = {"record_id": ours.record_id, "resource_type": ours.resource_type, "synced_version": None}
    links.save(session, row.connection_id, clock(), [{**link, **links.explained(State.PENDING)}])
    leases.enqueue(session, row.connection_id, [ours.record_id], clock())


def _of_type(record: Record, ours: LocalRecord) -> Record:
    """Return a record that can stand in the place of another one. Raises InvalidContent."""
    kind = type(record).__name__
    resource_type = BY_RECORD_TYPE[kind].resource_type
    if resource_type != ours.resource_type:
        raise InvalidContent(Finding("type", f"the conflict is about a {ours.resource_type}", "value"))
    if record.id not in (None, ours.record_id):
        raise InvalidContent(Finding(f"{resource_type}.id", "is another record's", "value"))
    return record


def _decided(session: Session, row: ConflictRow, ours: LocalRecord, known: LinkState, keep: Side) -> Tree:
    there = copy_here(session, row.connection_id, ours, known.tree)
    there_before = exact_json.parse(row.base) if row.base else {}
    before = here_before(session, ours.record_id, known, there_before)
    return reconcile(before, ours.tree, there_before, there, prefer=keep).here


def copy_here(session: Session, connection_id: str, ours: LocalRecord, body: Tree) -> Tree:
    """Return a copy there in our words, as a record of a patient's."""
    base_url = session.get_one(Connection, connection_id).base_url
    places = links.places(session, connection_id, base_url, str(ours.patient_id), [body])
    return to_here(body, places, ours.record_id)


def retry(session: Session, now: datetime, record_id: str, connection: str | None) -> None:
    """Put a record in the outbox again, due now, for one connection or for all."""
    record = session.get(tables.Record, record_id)
    if record is None or record.set_aside == aside.HANDED_OVER:
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
        leases.enqueue(session, connection_id, [record_id], now)


_DECIDED: dict[str, str] = {
    State.CONFLICT: "The record is in conflict; resolve that first",
    State.MOVED: "The copy is another patient's there by now; decide about that first",
}
