"""Telling every server of a change: outbox row and link state, in the transaction of the change."""

from datetime import datetime

from sqlalchemy import ColumnElement, case, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.store.tables import Connection, Link, OutboxRow, Version

#: A change here does not answer the question that these stand for.
_STAYS = ("unknown", "conflict")


def enqueue(
    session: Session, record_id: str, resource_type: str, now: datetime, *, but: str | None = None
) -> None:
    """Put a record in the outbox of every connection but one, due now.

    What is in there already moves a generation on: ten edits are one row. A record that was read
    from a server is brought to those servers only that have it already.
    """
    targets = _targets(record_id, but)
    session.execute(_outbox_rows(session, targets, record_id, now))
    session.execute(_pending_links(session, targets, record_id, resource_type, now))


def _targets(record_id: str, but: str | None) -> ColumnElement[bool]:
    pulled = (
        select(Version.record_id)
        .where(Version.record_id == record_id, Version.version == 1, Version.action == "pull")
        .exists()
    )
    linked = (
        select(Link.record_id)
        .where(Link.record_id == record_id, Link.connection_id == Connection.id)
        .exists()
    )
    wanted: ColumnElement[bool] = ~pulled | linked
    return wanted if but is None else wanted & (Connection.id != but)


def _outbox_rows(
    session: Session, targets: ColumnElement[bool], record_id: str, now: datetime
) -> sqlite.Insert:
    moment = literal(now, OutboxRow.enqueued_at.type)
    rows = select(literal(record_id), Connection.id, literal(1), moment, literal(0), moment).where(targets)
    columns = ["record_id", "connection_id", "generation", "enqueued_at", "attempts", "next_attempt_at"]
    return (
        _insert(session)(OutboxRow)
        .from_select(columns, rows)
        .on_conflict_do_update(
            index_elements=["record_id", "connection_id"],
            set_={"generation": OutboxRow.generation + 1, "attempts": 0, "next_attempt_at": now},
        )
    )


def _pending_links(
    session: Session, targets: ColumnElement[bool], record_id: str, resource_type: str, now: datetime
) -> sqlite.Insert:
    rows = select(
        literal(record_id),
        Connection.id,
        literal(resource_type),
        literal("pending"),
        literal(now, Link.updated_at.type),
    ).where(targets)
    stays = Link.state.in_(_STAYS)
    cleared = {
        name: case((stays, getattr(Link, name)), else_=None) for name in ("reason", "outcome", "next_step")
    }
    return (
        _insert(session)(Link)
        .from_select(["record_id", "connection_id", "resource_type", "state", "updated_at"], rows)
        .on_conflict_do_update(
            index_elements=["record_id", "connection_id"],
            set_={"state": case((stays, Link.state), else_="pending"), "updated_at": now, **cleared},
        )
    )


def _insert(session: Session) -> type[sqlite.Insert]:
    # The two dialects' inserts say "on conflict" in the same words; their classes share nothing.
    return sqlite.Insert if session.get_bind().dialect.name == "sqlite" else postgresql.Insert  # type: ignore[return-value]
