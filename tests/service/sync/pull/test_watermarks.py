"""Whose clock says up to where was read, and how far it is believed."""

from datetime import UTC, datetime, timedelta

import pytest

from service.store.database import Database
from service.store.tables import Watermark
from service.sync.pull.watermarks import MOST_AHEAD, OVERLAP, Watermarks, is_skewed, since
from tests.clock import START, Clock
from tests.databases import connect

NOW = START.astimezone(UTC)


@pytest.mark.parametrize(
    ("server_time", "moment"),
    [
        (NOW, NOW - OVERLAP),
        (NOW + MOST_AHEAD, NOW + MOST_AHEAD - OVERLAP),
        (NOW + MOST_AHEAD + timedelta(seconds=1), NOW - OVERLAP),
        (datetime(2100, 1, 1, tzinfo=UTC), NOW - OVERLAP),
        (datetime.max.replace(tzinfo=UTC), NOW - OVERLAP),
        # A clock that is behind dates what changes there, so to believe it misses nothing.
        (NOW - timedelta(days=400), NOW - timedelta(days=400) - OVERLAP),
        (datetime.min.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)),
        (None, NOW - OVERLAP),
    ],
)
def test_a_servers_time_is_believed_unless_it_is_far_ahead(
    server_time: datetime | None, moment: datetime
) -> None:
    assert since(server_time, START) == moment


@pytest.mark.parametrize(
    ("minutes", "skewed"), [(0, False), (5, False), (-5, False), (6, True), (-6, True), (1e6, True)]
)
def test_clocks_far_apart_are_noticed_either_way(minutes: float, skewed: bool) -> None:
    assert is_skewed(NOW + timedelta(minutes=minutes), START) is skewed


@pytest.fixture
def marks(database: Database, clock: Clock) -> Watermarks:
    return Watermarks(database, connect(database), clock)


def test_a_mark_moves_forward_only(marks: Watermarks, clock: Clock) -> None:
    marks.move(["Goal"], clock())
    before = marks.read()
    marks.move(["Goal", "CarePlan"], clock() - timedelta(days=1))
    assert marks.read() == {**before, "CarePlan": "2026-03-01T08:28:00Z"}
    marks.move(["Goal"], clock() + timedelta(minutes=1))
    assert marks.read()["Goal"] == "2026-03-02T08:29:00Z"


@pytest.mark.parametrize("future", ["2099-12-31T23:58:00Z", "2026-03-02T08:36:00Z", "9999-12-31T23:59:59Z"])
def test_a_mark_in_the_future_says_nothing_and_is_brought_back(
    marks: Watermarks, database: Database, clock: Clock, future: str
) -> None:
    with database.begin() as session:
        session.add(Watermark(connection_id="id-clinic", scope="Goal", since=future))
    assert marks.read() == {}
    marks.move(["Goal"], clock())
    assert marks.read() == {"Goal": "2026-03-02T08:28:00Z"}


def test_a_mark_that_was_dropped_says_nothing(marks: Watermarks, clock: Clock) -> None:
    marks.move(["Goal", "CarePlan"], clock())
    marks.drop(["Goal"])
    assert marks.read().keys() == {"CarePlan"}


def test_marks_of_another_connection_stay_theirs(marks: Watermarks, database: Database, clock: Clock) -> None:
    others = Watermarks(database, connect(database, "other"), clock)
    others.move(["Goal"], clock())
    marks.drop(["Goal"])
    assert marks.read() == {}
    assert others.read().keys() == {"Goal"}
