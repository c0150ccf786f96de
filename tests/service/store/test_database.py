"""The schema is the tables, moments stay moments, and errors tell nothing of what people wrote."""

import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from service.errors import Conflict, Unavailable
from service.store.database import Database
from service.store.deployment import identifier_system
from service.store.tables import Connection, Patient, PatientIdentifier, Table
from tests.clock import START
from tests.databases import connect


def test_the_migrations_make_the_tables_that_the_code_uses(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


def test_an_empty_database_is_not_current_until_it_is_upgraded(database_url: str) -> None:
    database = Database(database_url)
    assert database.revision() is None
    assert not database.is_current()
    database.upgrade()
    assert database.is_current()
    database.close()


def test_several_processes_may_upgrade_at_once(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    threads = [threading.Thread(target=database.upgrade) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(database.is_current() for database in databases)
    systems = set()
    for database in databases:
        with database.read() as session:
            systems.add(identifier_system(session))
        database.close()
    assert len(systems) == 1
    assert systems.pop().startswith("urn:uuid:")


def test_the_identifier_system_can_be_chosen_until_there_are_records(database: Database) -> None:
    database.upgrade("https://mainstay.example/ids")
    database.upgrade()
    with database.begin() as session:
        assert identifier_system(session) == "https://mainstay.example/ids"
        session.execute(
            text(
                "INSERT INTO records (id, resource_type, version, tree, created_at, updated_at)"
                " VALUES ('1', 'Goal', 1, '{}', '2026-01-01', '2026-01-01')"
            )
        )
    database.upgrade("https://mainstay.example/ids")
    with pytest.raises(Conflict):
        database.upgrade("https://other.example/ids")


@pytest.mark.parametrize(
    "moment",
    [
        START,
        datetime(2026, 3, 2, 23, 30, 0, 123456, tzinfo=timezone(-timedelta(hours=5))),
        datetime(2026, 3, 2, tzinfo=UTC),
    ],
)
def test_a_moment_comes_back_as_the_same_moment_in_utc(database: Database, moment: datetime) -> None:
    with database.begin() as session:
        session.add(Connection(id="c", name="c", base_url="https://c.example", created_at=moment))
    with database.read() as session:
        kept = session.get_one(Connection, "c").created_at
    assert kept == moment
    assert kept.utcoffset() == timedelta(0)


def test_a_moment_without_a_zone_is_refused(database: Database) -> None:
    naive = datetime(2026, 3, 2)  # noqa: DTZ001

    def store() -> None:
        with database.begin() as session:
            session.add(Connection(id="c", name="c", base_url="https://c.example", created_at=naive))

    with pytest.raises(Exception, match="without a time zone"):
        store()


def test_a_refused_value_is_not_in_the_error(database: Database) -> None:
    connect(database, "seeded-secret")
    with pytest.raises(Conflict) as refusal:
        connect(database, "seeded-secret")
    assert "seeded" not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__


def test_a_row_of_nobody_is_refused(database: Database) -> None:
    def store() -> None:
        with database.begin() as session:
            session.add(PatientIdentifier(system="s", value="1", patient_id="nobody"))

    with pytest.raises(Conflict):
        store()


def test_a_reader_sees_one_moment(database: Database) -> None:
    with database.read() as session:
        assert session.query(Patient).count() == 0
        with database.begin() as writer:
            writer.add(Patient(id="p", created_at=START, created_by="nurse"))
        assert session.query(Patient).count() == 0
    with database.read() as session:
        assert session.query(Patient).count() == 1


def test_sqlite_is_durable_and_lets_readers_read(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with database.read() as session:
        asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = {name: session.scalar(text(f"PRAGMA {name}")) for name in asked}
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
    database.close()


def test_a_database_that_cannot_be_reached_is_unavailable(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path / 'missing' / 'x.db'}", "postgresql://127.0.0.1:1/none"):
        database = Database(url)
        with pytest.raises(Unavailable):
            database.revision()


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///x.db", "sqlite"),
        ("postgresql://h/d", "postgresql+psycopg"),
        ("postgres://h/d", "postgresql+psycopg"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg"),
    ],
)
def test_an_engine_is_chosen_by_url(url: str, driver: str) -> None:
    assert Database(url).url.drivername == driver


@pytest.mark.parametrize("url", ["", "mainstay.db", "mysql://u:seeded@h/d", "postgresql://u:seeded@h:port/d"])
def test_another_url_is_refused_without_saying_it(url: str) -> None:
    with pytest.raises(ValueError, match="database URL") as refusal:
        Database(url)
    assert "seeded" not in str(refusal.value)
