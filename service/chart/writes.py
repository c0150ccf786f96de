"""A record's row, its history and its place in the outbox: written together or not at all."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Insert, Table, delete, insert
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import names_of
from service.chart import ownership, trees
from service.chart.ownership import Origin, Stranger
from service.chart.versions import RecordVersion
from service.store import outbox, tables
from service.store.deployment import identifier_system


@dataclass(frozen=True, kw_only=True)
class Change:
    """Who does what, when. notify: whether servers are to hear of it, all but except_connection."""

    actor: str
    action: str
    at: datetime
    origin: Origin = Origin.PEOPLE
    notify: bool = True
    except_connection: str | None = None


def _insert(table: type[tables.Table]) -> Insert:
    # Into the table itself, and through the connection: a new row needs nothing of the object
    # mapping nor of its session, which add their own time to each statement.
    return insert(cast("Table", table.__table__))


_INSERT_RECORD = _insert(tables.Record)
_INSERT_IDENTIFIER = _insert(tables.RecordIdentifier)
_INSERT_VERSION = _insert(tables.Version)
_INSERT_STRANGER = _insert(tables.UnregisteredName)


def add(session: Session, tree: Tree, patient_id: str | None, change: Change) -> RecordVersion:
    """Store a new record. Raises InvalidContent for one that is not that patient's."""
    entry = _write(session, tree, patient_id, change, None)
    # What was read from a server goes to no other: each keeps its own.
    if change.notify and patient_id is not None and change.action != "pull":
        outbox.enqueue_new(
            session, entry.id, entry.resource_type, change.at, except_connection=change.except_connection
        )
    return entry


def replace(
    session: Session, record: tables.Record, tree: Tree, change: Change, *, patient_id: str | None = None
) -> RecordVersion:
    """Store the next version of a record that is held against others (``preconditions.lock_current``).

    patient_id: of another patient who is the same person, when two are merged. Raises InvalidContent.
    """
    if patient_id is not None:
        record.patient_id = patient_id
    entry = _write(session, tree, record.patient_id, change, record)
    if change.notify and entry.patient_id is not None:
        outbox.enqueue(
            session, entry.id, entry.resource_type, change.at, except_connection=change.except_connection
        )
    return entry


def _write(
    session: Session, tree: Tree, patient_id: str | None, change: Change, record: tables.Record | None
) -> RecordVersion:
    """Write a record's row, identifiers and version: the one place where that is done."""
    before = None if record is None else exact_json.parse(record.tree)
    strangers = ownership.require(
        session, tree, patient_id, identifier_system(session), origin=change.origin, before=before
    )
    columns = _columns(tree) | {"version": record.version + 1 if record else 1, "updated_at": change.at}
    connection = session.connection()
    if record is None:
        identity = {"id": tree["id"], "resource_type": tree["resourceType"], "patient_id": patient_id}
        connection.execute(_INSERT_RECORD, {**identity, "created_at": change.at, **columns})
    else:
        for name, value in columns.items():
            setattr(record, name, value)
        session.flush()
        for table in (tables.RecordIdentifier, tables.UnregisteredName):
            session.execute(delete(table).where(table.record_id == record.id))
    _identify(connection, tree)
    _note_strangers(connection, tree["id"], strangers)
    return _versioned(connection, tree, patient_id, columns, change)


def _columns(tree: Tree) -> dict[str, Any]:
    url, version = trees.canonical(tree)
    return {
        "status": trees.status(tree),
        "canonical_url": url,
        "canonical_version": version,
        "tree": exact_json.dump(tree),
    }


def _identify(connection: Connection, tree: Tree) -> None:
    rows = [{"record_id": tree["id"], "system": system, "value": value} for system, value in names_of(tree)]
    if rows:
        connection.execute(_INSERT_IDENTIFIER, rows)


def _note_strangers(connection: Connection, record_id: str, strangers: Iterable[Stranger]) -> None:
    rows = [
        {"record_id": record_id, "system": system, "value": value, "patient_id": meant}
        for (system, value), meant in sorted(strangers)
    ]
    if rows:
        connection.execute(_INSERT_STRANGER, rows)


def _versioned(
    connection: Connection, tree: Tree, patient_id: str | None, columns: dict[str, Any], change: Change
) -> RecordVersion:
    version = {name: columns[name] for name in ("version", "tree", "status")}
    by = {"actor": change.actor, "action": change.action, "at": change.at}
    connection.execute(_INSERT_VERSION, {"record_id": tree["id"], **version, **by})
    return RecordVersion(
        id=tree["id"],
        resource_type=tree["resourceType"],
        patient_id=patient_id,
        version=columns["version"],
        status=columns["status"],
        text=columns["tree"],
        updated_at=change.at,
        actor=change.actor,
        action=change.action,
    )
