"""Telling every server of a change: outbox row and link state, in the transaction of the change."""

from datetime import datetime
from functools import cache
from typing import cast

from sqlalchemy import ColumnElement, Table, bindparam, case, insert, literal_column, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session

from service.store.statements import insert_of
from service.store.tables import Connection, Link, OutboxRow, Version

#: A change here does not answer the question that these stand for.
_STAYS = ("unknown", "conflict", "moved", "held")

_RECORD_ID = bindparam("record_id", type_=OutboxRow.record_id.type)
_RESOURCE_TYPE = bindparam("resource_type", type_=Link.resource_type.type)
_NOW = bindparam("now", type_=OutboxRow.enqueued_at.type)
_CONNECTION_ID = cast("Table", Connection.__table__).c.id
# No connection has an empty id.
_IS_NOTIFIED = bindparam("except_connection", type_=_CONNECTION_ID.type) != _CONNECTION_ID


def enqueue(
    session: Session,
    record_id: str,
    resource_type: str,
    now: datetime,
    *,
    except_connection: str | None = None,
) -> None:
    """Put a record in the outbox of every connection but one, due now.

    What is in there already moves a generation on: ten edits are one row. A record that was read
    from a server is brought to those servers only that have it already.
    """
    dialect = session.get_bind().dialect.name
    values = {"record_id": record_id, "now": now, "except_connection": except_connection or ""}
    session.execute(_outbox_rows(dialect), values)
    session.execute(_pending_links(dialect), {**values, "resource_type": resource_type})


def enqueue_new(
    session: Session,
    record_id: str,
    resource_type: str,
    now: datetime,
    *,
    except_connection: str | None = None,
) -> None:
    """Put a record that was made here, in this transaction, in the outbox of every connection but one.

    As ``enqueue`` does it, in less time: nothing of the record can be there already.
    """
    connection = session.connection()
    values = {"record_id": record_id, "now": now, "except_connection": except_connection or ""}
    connection.execute(_NEW_OUTBOX_ROWS, values)
    connection.execute(_NEW_LINKS, {**values, "resource_type": resource_type})


def _targets() -> ColumnElement[bool]:
    pulled = (
        select(Version.record_id)
        .where(Version.record_id == _RECORD_ID, Version.version == 1, Version.action == "pull")
        .exists()
    )
    linked = (
        select(Link.record_id)
        .where(Link.record_id == _RECORD_ID, Link.connection_id == _CONNECTION_ID)
        .exists()
    )
    return (~pulled | linked) & _IS_NOTIFIED


_OUTBOX, _LINKS = cast("Table", OutboxRow.__table__), cast("Table", Link.__table__)
_OUTBOX_COLUMNS = ["record_id", "connection_id", "generation", "enqueued_at", "attempts", "next_attempt_at"]
_OUTBOX_ROWS = select(_RECORD_ID, _CONNECTION_ID, literal_column("1"), _NOW, literal_column("0"), _NOW)
_LINK_COLUMNS = ["record_id", "connection_id", "resource_type", "state", "updated_at"]
_PENDING_LINKS = select(_RECORD_ID, _CONNECTION_ID, _RESOURCE_TYPE, literal_column("'pending'"), _NOW)

_NEW_OUTBOX_ROWS = insert(_OUTBOX).from_select(_OUTBOX_COLUMNS, _OUTBOX_ROWS.where(_IS_NOTIFIED))
_NEW_LINKS = insert(_LINKS).from_select(_LINK_COLUMNS, _PENDING_LINKS.where(_IS_NOTIFIED))


@cache
def _outbox_rows(dialect: str) -> sqlite.Insert:
    # Made once: to put the statement together takes longer than to run it.
    return (
        insert_of(dialect)(_OUTBOX)
        .from_select(_OUTBOX_COLUMNS, _OUTBOX_ROWS.where(_targets()))
        .on_conflict_do_update(
            index_elements=["record_id", "connection_id"],
            set_={"generation": OutboxRow.generation + 1, "attempts": 0, "next_attempt_at": _NOW},
        )
    )


@cache
def _pending_links(dialect: str) -> sqlite.Insert:
    stays = Link.state.in_(_STAYS)
    cleared = {
        name: case((stays, getattr(Link, name)), else_=None)
        for name in ("reason", "outcome", "next_step", "sought")
    }
    return (
        insert_of(dialect)(_LINKS)
        .from_select(_LINK_COLUMNS, _PENDING_LINKS.where(_targets()))
        .on_conflict_do_update(
            index_elements=["record_id", "connection_id"],
            set_={"state": case((stays, Link.state), else_="pending"), "updated_at": _NOW, **cleared},
        )
    )
