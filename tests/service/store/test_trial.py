"""Whether a database takes what is written: found out by trying, with nothing left behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from service.chart import Chart
from service.errors import InsufficientStorage, ServiceError, Unavailable
from service.store import trial
from service.store.database import BUSY_SECONDS, Database
from service.store.readiness import look
from tests import builders
from tests.clock import Clock
from tests.databases import contents, opened, patient
from tests.service.store.full import fill, no_larger_files, set_for_all


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Database]:
    with opened(f"sqlite:///{tmp_path / 'mainstay.db'}") as database:
        yield database


@pytest.fixture
def on_postgres(postgres_database: str) -> Iterator[Database]:
    with opened(postgres_database) as database:
        yield database


def keep_a_large_goal(database: Database) -> None:
    chart = Chart(database, Clock())
    chart.create(builders.goal(patient(chart), note=[{"text": "x" * 300_000}]), "nurse")


def test_a_trial_leaves_nothing_behind(database: Database, tmp_path: Path) -> None:
    keep_a_large_goal(database)
    before, files = contents(database), {path.name for path in tmp_path.iterdir()}
    for _ in range(3):
        trial.require_writable(database)
    assert contents(database) == before
    assert {path.name for path in tmp_path.iterdir()} == files


def test_a_trial_costs_a_database_no_room(on_sqlite: Database) -> None:
    with on_sqlite.read() as session:
        pages = session.scalar(text("PRAGMA page_count"))
    for _ in range(3):
        trial.require_writable(on_sqlite)
    with on_sqlite.read() as session:
        assert session.scalar(text("PRAGMA page_count")) == pages
        assert session.scalar(text("PRAGMA busy_timeout")) == BUSY_SECONDS * 1000


def test_a_database_that_is_full_is_told_so_by_a_write_and_by_a_trial(on_sqlite: Database) -> None:
    fill(on_sqlite)
    with pytest.raises(InsufficientStorage, match="full"):
        keep_a_large_goal(on_sqlite)
    with pytest.raises(InsufficientStorage, match="full"):
        trial.require_writable(on_sqlite)
    assert "full" in (look(on_sqlite) or "")


def test_a_disk_that_is_full_is_found_though_the_database_still_takes_a_little(on_sqlite: Database) -> None:
    def on_a_full_disk(directory: Path) -> Any:
        assert (directory / "mainstay.db").exists()
        return open("/dev/full", "wb")

    with pytest.raises(InsufficientStorage, match="full"):
        trial.require_writable(on_sqlite, on_a_full_disk)


def test_a_disk_that_fails_is_told_so_by_a_write_and_by_a_trial(on_sqlite: Database) -> None:
    with no_larger_files(100_000):
        with pytest.raises(Unavailable, match="disk of the database reports an error"):
            keep_a_large_goal(on_sqlite)
        with pytest.raises(Unavailable, match="disk of the database reports an error"):
            trial.require_writable(on_sqlite)
    trial.require_writable(on_sqlite)
    keep_a_large_goal(on_sqlite)


def test_a_database_that_somebody_writes_right_now_can_be_written(on_sqlite: Database) -> None:
    with on_sqlite.begin() as session:
        session.execute(text("UPDATE deployment SET id = id"))
        trial.require_writable(on_sqlite)


@contextmanager
def only_to_be_read(database: Database) -> Iterator[Database]:
    """The same database, as one who may not write it sees it."""
    if not database.is_sqlite:
        set_for_all(database, "default_transaction_read_only = on")
        yield database
        return
    database.close()
    reader = Database(f"sqlite:///file:{database.url.database}?mode=ro&uri=true")
    yield reader
    reader.close()


def test_a_database_that_can_only_be_read_is_told_so(database: Database) -> None:
    with only_to_be_read(database) as reader:
        with pytest.raises(Unavailable, match="only be read"):
            keep_a_large_goal(reader)
        with pytest.raises(Unavailable, match="only be read"):
            trial.require_writable(reader)


def test_a_file_that_is_no_database_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database at all, but long enough for one" * 100)
    assert "damaged" in (look(Database(f"sqlite:///{tmp_path / 'x.db'}")) or "")


def test_a_postgres_that_cannot_write_files_is_found_by_a_trial(on_postgres: Database) -> None:
    trial.require_writable(on_postgres)
    set_for_all(on_postgres, "temp_file_limit = 0")
    with pytest.raises(Unavailable, match="a limit of its own"):
        trial.require_writable(on_postgres)
    assert look(on_postgres) == "The database has reached a limit of its own"


def test_a_postgres_that_is_being_migrated_is_not_waited_for(on_postgres: Database) -> None:
    with on_postgres.begin() as session:
        session.execute(text("LOCK TABLE deployment IN ACCESS EXCLUSIVE MODE"))
        trial.require_writable(on_postgres)


def test_a_database_that_is_away_or_of_another_version_is_told_so(tmp_path: Path) -> None:
    assert look(Database("postgresql://127.0.0.1:1/none")) == "The database cannot be reached"
    assert "cannot be opened" in (look(Database(f"sqlite:///{tmp_path / 'none' / 'x.db'}")) or "")
    assert "db upgrade" in (look(Database(f"sqlite:///{tmp_path / 'x.db'}")) or "")


def test_a_table_that_is_missing_is_told_as_another_version(database: Database) -> None:
    with database.begin() as session:
        session.execute(text("DROP TABLE idempotency_keys"))

    def read() -> None:
        with database.read() as session:
            session.execute(text("SELECT * FROM idempotency_keys"))

    with pytest.raises(ServiceError, match="db upgrade"):
        read()
