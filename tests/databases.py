"""What tests of the store share: a chart on a fresh database, and what is in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from service.chart import Chart
from service.store.database import Database
from service.store.tables import Connection, Link, OutboxRow, Table

MOMENT = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """Open a database with its schema; close it again."""
    database = Database(url)
    database.upgrade()
    try:
        yield database
    finally:
        database.close()


def connect(database: Database, name: str = "clinic") -> str:
    """Add a connection; return its id."""
    with database.begin() as session:
        session.add(
            Connection(id=f"id-{name}", name=name, base_url=f"https://{name}.example/fhir", created_at=MOMENT)
        )
    return f"id-{name}"


def patient(chart: Chart, value: str = "1") -> str:
    """Register a patient; return their id."""
    return chart.register_patient([("https://clinic.example/patients", value)], "nurse").id


def outbox(database: Database) -> dict[tuple[str, str], OutboxRow]:
    with database.read() as session:
        return {(row.record_id, row.connection_id): row for row in session.scalars(select(OutboxRow))}


def links(database: Database) -> dict[tuple[str, str], Link]:
    with database.read() as session:
        return {(row.record_id, row.connection_id): row for row in session.scalars(select(Link))}


def contents(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table, in one order."""
    with database.read() as session:
        return {
            table.name: sorted((tuple(row) for row in session.execute(select(table))), key=repr)
            for table in Table.metadata.sorted_tables
        }
