"""A record's row, its history and its place in the outbox: written together or not at all."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Insert, Table, delete, insert
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.chart import trees
from service.chart.entries import Entry
from service.store import outbox, tables


@dataclass(frozen=True)
class Act:
    """Who does what, when. told: whether servers are to hear of it; but: the one that told us."""

    actor: str
    action: str
    at: datetime
    told: bool = True
    but: str | None = None


def _insert(table: type[tables.Table]) -> Insert:
    # Into the table itself, and through the connection: a new row needs nothing of the object
    # mapping nor of its session, which add their own time to each statement.
    return insert(cast("Table", table.__table__))


_INSERT_RECORD = _insert(tables.Record)
_INSERT_IDENTIFIER = _insert(tables.RecordIdentifier)
_INSERT_VERSION = _insert(tables.Version)


def add(session: Session, tree: Tree, patient_id: str | None, act: Act) -> Entry:
    """Store a new record."""
    columns = _columns(tree) | {"version": 1, "updated_at": act.at}
    identity = {"id": tree["id"], "resource_type": tree["resourceType"], "patient_id": patient_id}
    connection = session.connection()
    connection.execute(_INSERT_RECORD, {**identity, "created_at": act.at, **columns})
    _identify(connection, tree)
    entry = _written(connection, tree, patient_id, columns, act)
    # What was read from a server goes to no other: each keeps its own.
    if act.told and patient_id is not None and act.action != "pull":
        outbox.enqueue_new(session, entry.id, entry.resource_type, act.at, but=act.but)
    return entry


def change(session: Session, record: tables.Record, tree: Tree, act: Act) -> Entry:
    """Store the next version of a record that is held against others (``conditions.current_of``)."""
    columns = _columns(tree) | {"version": record.version + 1, "updated_at": act.at}
    for name, value in columns.items():
        setattr(record, name, value)
    session.flush()
    session.execute(delete(tables.RecordIdentifier).where(tables.RecordIdentifier.record_id == record.id))
    _identify(session.connection(), tree)
    entry = _written(session.connection(), tree, record.patient_id, columns, act)
    if act.told and entry.patient_id is not None:
        outbox.enqueue(session, entry.id, entry.resource_type, act.at, but=act.but)
    return entry


def _columns(tree: Tree) -> dict[str, Any]:
    url, version = trees.canonical(tree)
    return {
        "status": trees.status(tree),
        "canonical_url": url,
        "canonical_version": version,
        "tree": exact_json.dump(tree),
    }


def _identify(connection: Connection, tree: Tree) -> None:
    rows = [
        {"record_id": tree["id"], "system": system, "value": value}
        for system, value in trees.business_identifiers(tree)
    ]
    if rows:
        connection.execute(_INSERT_IDENTIFIER, rows)


def _written(
    connection: Connection, tree: Tree, patient_id: str | None, columns: dict[str, Any], act: Act
) -> Entry:
    record_id, kind, status = tree["id"], tree["resourceType"], columns["status"]
    version = {name: columns[name] for name in ("version", "tree", "status")}
    by = {"actor": act.actor, "action": act.action, "at": act.at}
    connection.execute(_INSERT_VERSION, {"record_id": record_id, **version, **by})
    return Entry(
        record_id,
        kind,
        patient_id,
        columns["version"],
        status,
        columns["tree"],
        act.at,
        act.actor,
        act.action,
    )
