"""A backup is whole, of one moment, and comes back as it was, on either engine."""

import gzip
import hashlib
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fhir_mappings import exact_json
from service.chart import Chart
from service.chart.audit import require_lawful
from service.chart.queries import RecordQuery
from service.errors import Conflict, InvalidInput
from service.store.backup import backup, restore
from service.store.database import Database
from tests import builders
from tests.clock import Clock
from tests.databases import connect, contents, opened, patient


@pytest.fixture
def filled(chart: Chart, database: Database) -> Database:
    """A database with a row in the tables that acts write, numbers and letters of all sorts in them."""
    connect(database)
    person = patient(chart)
    entry = chart.create(builders.goal(person, statusReason='é\u2028"\\\U0001f98a'), "nurse")
    chart.withdraw(entry.id, "jo")
    chart.create(builders.questionnaire(), "nurse")
    return database


@pytest.fixture
def file(filled: Database, tmp_path: Path) -> Path:
    path = tmp_path / "backup.gz"
    backup(filled, path)
    return path


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_a_backup_restores_into_either_engine(
    filled: Database, file: Path, tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    if engine == "sqlite":
        url = f"sqlite:///{tmp_path / 'other.db'}"
    else:
        postgres = request.getfixturevalue("postgres")
        empty = postgres.empty_database()
        url = empty.__enter__()
        request.addfinalizer(lambda: empty.__exit__(None, None, None))
    other = Database(url)
    summary = restore(other, file, check=require_lawful)
    assert contents(other) == contents(filled)
    assert summary.counts["history"] == 3
    chart = Chart(other, Clock())
    assert chart.find(RecordQuery(resource_type="Goal")).total == 1
    other.close()


def test_only_the_owner_can_read_a_backup(file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_database_that_is_not_empty_is_left_as_it_is(filled: Database, file: Path) -> None:
    before = contents(filled)
    with pytest.raises(Conflict, match="empty"):
        restore(filled, file, check=require_lawful)
    assert contents(filled) == before


def lines_of(raw: bytes) -> list[bytes]:
    return gzip.decompress(raw).splitlines(keepends=True)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda raw: raw[:-30],
    "empty": lambda raw: raw[:0],
    "not gzip": lambda raw: b"records" + raw,
    "some bytes": lambda raw: raw[:400] + bytes(20) + raw[420:],
    "a letter": lambda raw: gzip.compress(gzip.decompress(raw).replace(b"vegetable", b"vegetables")),
    "a row less": lambda raw: gzip.compress(b"".join(lines_of(raw)[:-3] + lines_of(raw)[-2:])),
    "no trailer": lambda raw: gzip.compress(b"".join(lines_of(raw)[:-1])),
    "another file": lambda raw: gzip.compress(b'{"format":"x"}\n{}\n'),
    "another version": lambda raw: gzip.compress(
        gzip.decompress(raw).replace(b'"version":1', b'"version":2', 1)
    ),
}


MOMENTS = ["+19999-01-01T00:00:00+00:00", "0001-01-01T00:00:00+14:00", "2026-02-30T00:00:00Z", "2026-02-03"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_backup_with_a_moment_that_cannot_be_kept_is_refused_by_its_column(
    file: Path, tmp_path: Path, moment: str
) -> None:
    # With a checksum that holds: somebody wrote the file anew.
    lines = [exact_json.parse(line) for line in lines_of(file.read_bytes())[:-1]]
    at = lines[0]["columns"]["patients"].index("created_at") + 1
    for line in lines[1:]:
        if line[0] == "patients":
            line[at] = moment
    body = b"".join(exact_json.dump(line).encode() + b"\n" for line in lines)
    trailer = exact_json.dump({"sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n"
    file.write_bytes(gzip.compress(body + trailer))
    with opened(f"sqlite:///{tmp_path / 'other.db'}") as other:
        with pytest.raises(InvalidInput, match=r"patients\.created_at"):
            restore(other, file, check=require_lawful)
        assert contents(other)["patients"] == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_backup_is_refused_and_nothing_of_it_stays(file: Path, tmp_path: Path, damage: str) -> None:
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    with opened(f"sqlite:///{tmp_path / 'other.db'}") as other:
        before = contents(other)
        with pytest.raises(InvalidInput):
            restore(other, file, check=require_lawful)
        assert contents(other) == before


def test_a_backup_that_fails_leaves_the_last_one_and_nothing_else(
    filled: Database, file: Path, tmp_path: Path
) -> None:
    whole = file.read_bytes()

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(filled, file, interrupted)
    assert file.read_bytes() == whole
    assert [name for name in os.listdir(tmp_path) if "partial" in name] == []


def test_a_backup_shows_one_moment_while_others_write(filled: Database, chart: Chart, tmp_path: Path) -> None:
    person = patient(chart)
    wrote = threading.Event()

    def write_meanwhile(_: int) -> None:
        if not wrote.is_set():
            thread = threading.Thread(target=lambda: chart.create(builders.goal(person), "nurse"))
            thread.start()
            thread.join()
            wrote.set()

    for _ in range(600):
        chart.create(builders.goal(person), "nurse")
    before = contents(filled)
    backup(filled, tmp_path / "b.gz", write_meanwhile)
    assert contents(filled) != before
    with opened(f"sqlite:///{tmp_path / 'other.db'}") as other:
        restore(other, tmp_path / "b.gz", check=require_lawful)
        assert contents(other) == before
