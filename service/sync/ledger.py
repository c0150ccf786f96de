"""How everything stands with every server, as people and programs ask for it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.store.tables import (
    ConflictRow,
    Connection,
    InvalidResource,
    Link,
    MatchChange,
    MovedCopy,
    OutboxRow,
    PatientLink,
    Record,
    Version,
)
from service.sync import match_rows
from service.sync.reasons import NEXT_STEPS, Reason, State

AnySelect = Select[*tuple[Any, ...]]


@dataclass(frozen=True)
class Sought:
    """What was looked for on a server by identifier."""

    type: str
    system: str
    value: str


@dataclass(frozen=True)
class Missing:
    """Somebody or something that was looked for in vain, by these identifiers, for so many records."""

    connection: str
    reason: str
    sought: list[Sought]
    records: int


@dataclass(frozen=True)
class Moved:
    """A record's copy that is another patient's there by now; what it says is shown to nobody.

    there: the server's id of that patient; patient_there: our id of them, if they are a patient here.
    """

    record_id: str
    resource_type: str
    patient_id: str | None
    connection: str
    server_id: str | None
    there: str | None
    patient_there: str | None
    was_born_there: bool
    found_at: datetime


@dataclass(frozen=True)
class MatchEvent:
    """One line of the history of a match."""

    server_id: str | None
    state: str
    reason: str | None
    basis: str | None
    actor: str
    at: datetime


@dataclass(frozen=True)
class PatientMatch:
    """Which Patient there a patient is on one connection, or why none; newest line of the history first."""

    connection: str
    server_id: str | None
    state: str
    reason: str | None
    next_step: str | None
    basis: str | None
    checked_at: datetime
    history: list[MatchEvent]


@dataclass(frozen=True)
class Status:
    """How one record stands with one connection. outcome: the server's OperationOutcome."""

    record_id: str
    resource_type: str
    patient_id: str | None
    connection: str
    server_id: str | None
    server_version: str | None
    state: str
    reason: str | None
    outcome: Tree | None
    next_step: str | None
    sought: list[Sought]
    attempts: int | None
    next_attempt_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True)
class Summary:
    """How many records are in each state, and for how long the oldest has waited."""

    states: dict[str, int]
    oldest_pending_seconds: float | None


@dataclass(frozen=True)
class Conflict:
    """A record changed on both sides; base, here and there are trees in our own words."""

    id: str
    record_id: str
    resource_type: str
    connection: str
    here_version: int
    server_version: str | None
    paths: list[str]
    opened_at: datetime
    resolved_at: datetime | None
    resolution: str | None
    resolved_by: str | None
    base: Tree | None
    here: Tree
    there: Tree


@dataclass(frozen=True)
class Invalid:
    """A resource of a server that is not valid R4, kept as it came."""

    connection: str
    resource_type: str
    server_id: str
    server_version: str | None
    findings: list[dict[str, str]]
    seen_at: datetime


#: A record that was changed since it was synced or set aside is pending again.
_STATE: ColumnElement[str] = case(
    (Link.state.is_(None), literal(State.PENDING.value)),
    (
        and_(Link.state.in_([State.SYNCED, State.REJECTED]), OutboxRow.record_id.is_not(None)),
        literal(State.PENDING.value),
    ),
    else_=Link.state,
)


def statuses(
    session: Session,
    *,
    connection: str | None,
    state: str | None,
    patient: str | None,
    limit: int,
    after: str | None,
) -> tuple[list[Status], str | None]:
    """Return one page of states, and where the next one begins."""
    query = _standing(
        select(
            Record.id,
            Record.resource_type,
            Record.patient_id,
            Connection.name,
            Link.server_id,
            Link.server_version,
            _STATE,
            Link.reason,
            Link.outcome,
            Link.next_step,
            Link.sought,
            OutboxRow.attempts,
            OutboxRow.next_attempt_at,
            func.coalesce(Link.updated_at, OutboxRow.enqueued_at),
        )
    )
    conditions: Iterable[Any] = (
        Connection.name == connection if connection else None,
        state == _STATE if state else None,
        # To whom a patient is shown, what is set aside is shown under nobody.
        (Record.patient_id == patient) & Record.set_aside.is_(None) if patient else None,
        _beyond(after) if after else None,
    )
    query = query.where(*[one for one in conditions if one is not None])
    rows = session.execute(query.order_by(Record.id, Connection.name).limit(limit + 1)).all()
    page = [_status(*row) for row in rows[:limit]]
    more = len(rows) > limit
    return page, f"{page[-1].record_id},{page[-1].connection}" if more else None


def _status(*columns: Any) -> Status:
    status = Status(*columns)
    outcome = exact_json.parse(columns[8]) if columns[8] else None
    return replace(status, outcome=outcome, sought=_sought(columns[10]))


def _sought(text: str | None) -> list[Sought]:
    return [Sought(*name) for name in exact_json.parse(text)] if text else []


def summary(session: Session, connection: str | None, now: datetime) -> Summary:
    """Count the records in each state."""
    query = _standing(select(_STATE, func.count(), func.min(OutboxRow.enqueued_at))).group_by(_STATE)
    if connection:
        query = query.where(Connection.name == connection)
    counts = {state.value: 0 for state in State}
    oldest: datetime | None = None
    for state, count, enqueued_at in session.execute(query):
        counts[state] = count
        if enqueued_at is not None and (oldest is None or enqueued_at < oldest):
            oldest = enqueued_at
    return Summary(counts, max(0.0, (now - oldest).total_seconds()) if oldest else None)


def missing(session: Session, connection: str | None) -> list[Missing]:
    """Return who and what is looked for in vain, each once, with the number of records that name them."""
    query = (
        select(Connection.name, Link.reason, Link.sought, func.count())
        .join(Connection, Connection.id == Link.connection_id)
        .where(Link.sought.is_not(None))
        .group_by(Connection.name, Link.reason, Link.sought)
        .order_by(Connection.name, Link.reason, Link.sought)
    )
    if connection:
        query = query.where(Connection.name == connection)
    rows = session.execute(query).all()
    return [Missing(name, str(reason), _sought(sought), count) for name, reason, sought, count in rows]


def moved(session: Session, connection: str | None) -> list[Moved]:
    """Return the copies that are another patient's by now and wait for a decision."""
    there = aliased(PatientLink)
    first = aliased(Version)
    query = (
        select(
            Record.id,
            Record.resource_type,
            Record.patient_id,
            Connection.name,
            Link.server_id,
            MovedCopy.there,
            there.patient_id,
            first.action == "pull",
            MovedCopy.found_at,
        )
        .join(MovedCopy, MovedCopy.record_id == Record.id)
        .join(Connection, Connection.id == MovedCopy.connection_id)
        .join(Link, (Link.record_id == Record.id) & (Link.connection_id == MovedCopy.connection_id))
        .join(first, (first.record_id == Record.id) & (first.version == 1))
        .outerjoin(
            there,
            (there.connection_id == MovedCopy.connection_id)
            & (there.server_id == MovedCopy.there)
            & (there.state == match_rows.MATCHED),
        )
        .where(MovedCopy.decision.is_(None))
        .order_by(MovedCopy.found_at, Record.id)
    )
    if connection:
        query = query.where(Connection.name == connection)
    return [Moved(*row) for row in session.execute(query)]


def matches(session: Session, patient_id: str) -> list[PatientMatch]:
    """Return how a patient is matched on each connection."""
    rows = session.execute(
        select(PatientLink, Connection.name)
        .join(Connection, Connection.id == PatientLink.connection_id)
        .where(PatientLink.patient_id == patient_id)
        .order_by(Connection.name)
    )
    return [
        PatientMatch(
            name,
            row.server_id,
            row.state,
            row.reason,
            NEXT_STEPS[Reason(row.reason)] if row.reason else None,
            row.basis,
            row.checked_at,
            _match_history(session, patient_id, row.connection_id),
        )
        for row, name in rows.all()
    ]


def _match_history(session: Session, patient_id: str, connection_id: str) -> list[MatchEvent]:
    table = MatchChange
    rows = session.scalars(
        select(table)
        .where(table.patient_id == patient_id, table.connection_id == connection_id)
        .order_by(table.number.desc())
    )
    return [MatchEvent(row.server_id, row.state, row.reason, row.basis, row.actor, row.at) for row in rows]


def conflicts(
    session: Session, *, connection: str | None, resolved: bool, limit: int, after: str | None
) -> tuple[list[Conflict], str | None]:
    """Return one page of conflicts, the open ones or those that were decided."""
    query = _conflicts().where(
        Record.set_aside.is_(None),
        ConflictRow.resolved_at.is_not(None) if resolved else ConflictRow.resolved_at.is_(None),
    )
    if connection:
        query = query.where(Connection.name == connection)
    if after:
        query = query.where(ConflictRow.id > after)
    rows = session.execute(query.order_by(ConflictRow.id).limit(limit + 1)).all()
    page = [_conflict(*row) for row in rows[:limit]]
    return page, page[-1].id if len(rows) > limit else None


def conflict(session: Session, conflict_id: str) -> Conflict | None:
    """Return one conflict, open or decided."""
    query = _conflicts().where(ConflictRow.id == conflict_id, Record.set_aside.is_(None))
    row = session.execute(query).first()
    return _conflict(*row) if row else None


def invalid(session: Session, connection: str | None) -> list[Invalid]:
    """Return what servers hold that is not valid R4."""
    query = select(InvalidResource, Connection.name).join(
        Connection, Connection.id == InvalidResource.connection_id
    )
    if connection:
        query = query.where(Connection.name == connection)
    order = (Connection.name, InvalidResource.resource_type, InvalidResource.server_id)
    return [
        Invalid(
            name,
            row.resource_type,
            row.server_id,
            row.server_version,
            exact_json.parse(row.findings),
            row.seen_at,
        )
        for row, name in session.execute(query.order_by(*order))
    ]


def _standing(query: AnySelect) -> AnySelect:
    """Join all records that have anything to do with a connection: a link, or a place in the outbox."""
    return (
        query.select_from(Record)
        .join(Connection, literal(True))
        .outerjoin(Link, and_(Link.record_id == Record.id, Link.connection_id == Connection.id))
        .outerjoin(
            OutboxRow, and_(OutboxRow.record_id == Record.id, OutboxRow.connection_id == Connection.id)
        )
        .where(or_(Link.record_id.is_not(None), OutboxRow.record_id.is_not(None)))
    )


def _beyond(after: str) -> ColumnElement[bool]:
    record_id, _, name = after.partition(",")
    return or_(Record.id > record_id, and_(Record.id == record_id, Connection.name > name))


def _conflicts() -> AnySelect:
    return (
        select(ConflictRow, Record.resource_type, Connection.name)
        .join(Record, Record.id == ConflictRow.record_id)
        .join(Connection, Connection.id == ConflictRow.connection_id)
    )


def _conflict(row: ConflictRow, resource_type: str, connection: str) -> Conflict:
    return Conflict(
        row.id,
        row.record_id,
        resource_type,
        connection,
        row.here_version,
        row.server_version,
        exact_json.parse(row.paths),
        row.opened_at,
        row.resolved_at,
        row.resolution,
        row.resolved_by,
        exact_json.parse(row.base) if row.base else None,
        exact_json.parse(row.here),
        exact_json.parse(row.there),
    )
