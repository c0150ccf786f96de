"""mainstay doctor looks at clocks and token files before they cost anybody a change."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from service.chart import Chart
from service.store import moments
from service.store.tables import Connection, Link, OutboxRow, Watermark
from tests import builders
from tests.clock import Clock
from tests.databases import connect, opened, patient
from tests.service.cli.running import mainstay

AHEAD = datetime.now(UTC) + timedelta(days=900)


def clock_line(database_url: str) -> dict[str, Any]:
    examined = mainstay("doctor", "--json", env={"MAINSTAY_DATABASE_URL": database_url})
    (line,) = (one for one in examined.lines if one["what"] == "clock")
    return dict(line)


@pytest.fixture
def by(database_url: str) -> Any:
    """Write a goal by a clock, with a connection that it waits for."""

    def write(now: datetime) -> None:
        with opened(database_url) as database:
            connect(database)
            with database.begin() as session:
                session.execute(update(Connection).values(base_url="http://127.0.0.1:9/fhir"))
            chart = Chart(database, Clock(now))
            chart.create(builders.goal(patient(chart)), "nurse")

    return write


def test_a_right_clock_is_well(by: Any, database_url: str) -> None:
    by(datetime.now(UTC))
    assert clock_line(database_url)["ok"]


def test_an_empty_database_says_nothing_of_clocks(database_url: str) -> None:
    with opened(database_url):
        pass
    assert clock_line(database_url)["ok"]


def test_a_clock_that_was_or_is_off_is_named(by: Any, database_url: str) -> None:
    by(AHEAD)
    line = clock_line(database_url)
    assert not line["ok"]
    assert f"{AHEAD:%Y-%m-%d}" in line["seen"]
    assert "900 days ahead" in line["seen"]
    assert "NTP" in line["to_do"]


@pytest.mark.parametrize(
    "written",
    [
        update(Link).values(updated_at=AHEAD),
        update(OutboxRow).values(enqueued_at=AHEAD),
        update(Connection).values(capabilities_at=AHEAD),
    ],
    ids=["link", "outbox", "capabilities"],
)
def test_each_thing_that_happened_in_the_future_is_seen(by: Any, database_url: str, written: Any) -> None:
    by(datetime.now(UTC))
    with opened(database_url) as database, database.begin() as session:
        session.execute(written)
    assert not clock_line(database_url)["ok"]


def test_a_watermark_in_the_future_is_seen(by: Any, database_url: str) -> None:
    by(datetime.now(UTC))
    with opened(database_url) as database, database.begin() as session:
        session.add(Watermark(connection_id="id-clinic", scope="Goal", since="2099-12-31T23:58:00Z"))
    assert "2099-12-31" in clock_line(database_url)["seen"]


def test_what_is_to_happen_is_no_sign_of_a_wrong_clock(by: Any, database_url: str) -> None:
    now = datetime.now(UTC)
    by(now)
    later = now + timedelta(hours=20)
    with opened(database_url) as database:
        with database.begin() as session:
            session.execute(update(OutboxRow).values(next_attempt_at=later, leased_until=later, attempts=4))
        with database.read() as session:
            assert moments.latest(session) == now
    assert clock_line(database_url)["ok"]


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (b"\xff\xfe", "does not hold one token"),
        (b"two\nlines", "does not hold one token"),
        (b"", "does not hold one token"),
        (None, "cannot be read"),
        (b"a-token\n", "readable"),
    ],
)
def test_a_token_file_is_looked_into(
    database_url: str, tmp_path: Path, content: bytes | None, seen: str
) -> None:
    file = tmp_path / "token"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
        file.chmod(0o600)
    env = {"MAINSTAY_DATABASE_URL": database_url}
    with opened(database_url):
        pass
    mainstay("connection", "add", "away", "http://127.0.0.1:9/fhir", "--token-file", file, env=env)
    lines = mainstay("doctor", "--json", env=env).lines
    (line,) = (one for one in lines if one["what"] == "connection away, token")
    assert (line["seen"], line["ok"]) == (seen, seen == "readable")
