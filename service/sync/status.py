"""How everything stands with every server, as people and programs ask for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, and_, case, func, literal, or_, select
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.store.tables import (
    Connection,
    Link,
    OutboxRow,
    Record,
)
from service.sync.states import State

AnySelect = Select[*tuple[Any, ...]]


@dataclass(frozen=True)
class Sought:
    """What was looked for on a server by identifier."""

    type: str
    system: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Somebody or something that was looked for in vain, by these identifiers, for so many records."""

    connection: str
    reason: str
    sought: list[Sought]
    records: int


@dataclass(frozen=True, kw_only=True)
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
            Record.id.label("record_id"),
            Record.resource_type,
            Record.patient_id,
            Connection.name.label("connection"),
            Link.server_id,
            Link.server_version,
            _STATE.label("state"),
            Link.reason,
            Link.outcome,
            Link.next_step,
            Link.sought,
            OutboxRow.attempts,
            OutboxRow.next_attempt_at,
            func.coalesce(Link.updated_at, OutboxRow.enqueued_at).label("updated_at"),
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
    rows = session.execute(query.order_by(Record.id, Connection.name).limit(limit + 1)).mappings().all()
    page = [_status(row) for row in rows[:limit]]
    more = len(rows) > limit
    return page, f"{page[-1].record_id},{page[-1].connection}" if more else None


def _status(row: RowMapping) -> Status:
    parsed = {
        "outcome": exact_json.parse(row["outcome"]) if row["outcome"] else None,
        "sought": _sought(row["sought"]),
    }
    return Status(**{**row, **parsed})


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
    return [
        Missing(connection=name, reason=str(reason), sought=_sought(sought), records=count)
        for name, reason, sought, count in rows
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
