"""Telling every server of a change: outbox row and link state, in the transaction of the change."""

from datetime import datetime
from functools import cache
from typing import cast

from sqlalchemy import ColumnElement, Table, bindparam, case, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.store.tables import Connection, Link, OutboxRow, Version

#: A change here does not answer the question that these stand for.
_STAYS = ("unknown", "conflict")

_RECORD_ID = bindparam("record_id", type_=OutboxRow.record_id.type)
_RESOURCE_TYPE = bindparam("resource_type", type_=Link.resource_type.type)
_NOW = bindparam("now", type_=OutboxRow.enqueued_at.type)
_BUT = bindparam("but", type_=Connection.id.type)


def enqueue(
    session: Session, record_id: str, resource_type: str, now: datetime, *, but: str | None = None
) -> None:
    """Put a record in the outbox of every connection but one, due now.

    What is in there already moves a generation on: ten edits are one row. A record that was read
    from a server is brought to those servers only that have it already.
    """
    dialect = session.get_bind().dialect.name
    # No connection has an empty id.
    values = {"record_id": record_id, "now": now, "but": but or ""}
    session.execute(_outbox_rows(dialect), values)
    session.execute(_pending_links(dialect), {**values, "resource_type": resource_type})


def _targets() -> ColumnElement[bool]:
    pulled = (
        select(Version.record_id)
        .where(Version.record_id == _RECORD_ID, Version.version == 1, Version.action == "pull")
        .exists()
    )
    linked = (
        select(Link.record_id)
        .where(Link.record_id == _RECORD_ID, Link.connection_id == Connection.id)
        .exists()
    )
    return (~pulled | linked) & (Connection.id != _BUT)


@cache
def _outbox_rows(dialect: str) -> sqlite.Insert:
    # Made once: to put the statement together takes longer than to run it.
    rows = select(_RECORD_ID, Connection.id, literal(1), _NOW, literal(0), _NOW).where(_targets())
    columns = ["record_id", "connection_id", "generation", "enqueued_at", "attempts", "next_attempt_at"]
    return (
        _insert(dialect)(cast("Table", OutboxRow.__table__))
        .from_select(columns, rows)
        .on_conflict_do_update(
            index_elements=["record_id", "connection_id"],
            set_={"generation": OutboxRow.generation + 1, "attempts": 0, "next_attempt_at": _NOW},
        )
    )


@cache
def _pending_links(dialect: str) -> sqlite.Insert:
    rows = select(_RECORD_ID, Connection.id, _RESOURCE_TYPE, literal("pending"), _NOW).where(_targets())
    stays = Link.state.in_(_STAYS)
    cleared = {
        name: case((stays, getattr(Link, name)), else_=None) for name in ("reason", "outcome", "next_step")
    }
    return (
        _insert(dialect)(cast("Table", Link.__table__))
        .from_select(["record_id", "connection_id", "resource_type", "state", "updated_at"], rows)
        .on_conflict_do_update(
            index_elements=["record_id", "connection_id"],
            set_={"state": case((stays, Link.state), else_="pending"), "updated_at": _NOW, **cleared},
        )
    )


def _insert(dialect: str) -> type[sqlite.Insert]:
    # The two dialects' inserts say "on conflict" in the same words; their classes share nothing.
    return sqlite.Insert if dialect == "sqlite" else postgresql.Insert  # type: ignore[return-value]
