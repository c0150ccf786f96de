"""A person's decisions: which side of a conflict counts, and what is sent again."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from fhir_mappings import exact_json, r4
from fhir_mappings.exact_json import Tree
from service.chart import Chart
from service.errors import Conflict, InvalidContent, NotFound
from service.store.tables import ConflictRow, Connection, Link, Record
from service.sync import links, outbox
from service.sync.links import Known
from service.sync.merge import Side
from service.sync.project import to_here
from service.sync.reasons import Reason, State
from service.sync.reconcile import reconcile, unreadable
from service.sync.taking import Ours, current


def resolve(
    session: Session,
    chart: Chart,
    clock: Callable[[], datetime],
    conflict_id: str,
    keep: Side,
    actor: str,
    tree: Tree | None,
) -> None:
    """Decide a conflict and send what was decided.

    keep: the side that counts where both changed; what only one side changed stays in any case.
    tree: what the record is to be instead, in our own words.
    """
    row = session.get(ConflictRow, conflict_id)
    if row is None:
        raise NotFound("There is no such conflict")
    if row.resolved_at is not None:
        raise Conflict("The conflict was resolved already")
    ours = current(session, row.record_id)
    decided = tree if tree is not None else _decided(session, row, ours, keep)
    if tree is not None:
        decided = {**tree, "id": ours.record_id}
    findings = r4.check(decided) or unreadable(decided)
    if findings:
        raise InvalidContent(findings)
    if decided != ours.tree:
        chart.absorb(
            session,
            decided,
            record_id=ours.record_id,
            patient_id=ours.patient_id,
            actor=actor,
            action="resolve",
            enqueue=True,
            but=row.connection_id,
        )
    row.resolved_at, row.resolved_by = clock(), actor
    row.resolution = "merged" if tree is not None else str(keep)
    # No common version any more: whatever differs from the copy there is what was decided.
    link = {"record_id": ours.record_id, "resource_type": ours.resource_type, "synced_version": None}
    links.save(session, row.connection_id, clock(), [{**link, **links.explained(State.PENDING)}])
    outbox.enqueue(session, row.connection_id, [ours.record_id], clock())


def _decided(session: Session, row: ConflictRow, ours: Ours, keep: Side) -> Tree:
    known = links.known(session, row.connection_id, [row.record_id])[row.record_id]
    connection = session.get_one(Connection, row.connection_id)
    places = links.places(session, row.connection_id, connection.base_url, [known.tree])
    there = to_here(known.tree, places, row.record_id)
    there_before = exact_json.parse(row.base) if row.base else {}
    here_before = _here_before(session, ours, known, there_before)
    return reconcile(here_before, ours.tree, there_before, there, prefer=keep).here


def _here_before(session: Session, ours: Ours, known: Known, there_before: Tree) -> Tree:
    if known.synced_version is None:
        return there_before
    found = links.trees_of(session, [(ours.record_id, known.synced_version)])
    return found.get(ours.record_id, there_before)


def retry(session: Session, now: datetime, record_id: str, connection: str | None) -> None:
    """Put a record in the outbox again, due now, for one connection or for all."""
    if session.get(Record, record_id) is None:
        raise NotFound("There is no such record")
    query = select(Connection.id)
    if connection is not None:
        query = query.where(Connection.name == connection)
    for connection_id in session.scalars(query).all():
        link = session.get(Link, (record_id, connection_id))
        if link is not None and link.state == State.CONFLICT:
            if connection is not None:
                raise Conflict("The record is in conflict; resolve that first")
            continue
        if link is not None and link.reason == Reason.GONE_THERE:
            # It may be back; only the server knows.
            link.state, link.reason, link.next_step = State.UNKNOWN, None, None
        outbox.enqueue(session, connection_id, [record_id], now)
