"""The same key again gets the same answer, and never another record."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from service.chart import Chart
from service.chart.queries import RecordQuery
from service.errors import Conflict
from service.store import idempotency
from service.store.database import Database
from service.store.idempotency import Answer, Key
from tests import builders
from tests.clock import START
from tests.databases import contents, opened, patient

KEY = Key(principal="nurse", route="goals", key="k-1", request_hash="hash")
ANSWER = Answer(201, '{"value":7.50}', {"Location": "/goals/1", "ETag": 'W/"1"'})


def answered(database: Database, key: Key = KEY) -> Answer | None:
    """Ask under a key, and answer if it is new."""
    with database.begin() as session:
        known = idempotency.begin(session, key, START)
        if known is None:
            idempotency.finish(session, key, ANSWER)
        return known


def test_a_repeated_request_gets_the_first_answer(database: Database) -> None:
    assert answered(database) is None
    assert answered(database) == ANSWER


@pytest.mark.parametrize(
    "other",
    [
        Key(principal="jo", route="goals", key="k-1", request_hash="hash"),
        Key(principal="nurse", route="care-plans", key="k-1", request_hash="x"),
        Key(principal="nurse", route="goals", key="k-2", request_hash="x"),
    ],
)
def test_a_key_counts_for_one_person_and_route(database: Database, other: Key) -> None:
    assert answered(database) is None
    assert answered(database, other) is None


def test_a_key_that_was_used_for_another_request_is_refused(database: Database) -> None:
    answered(database)
    with pytest.raises(Conflict, match="another request"):
        answered(database, Key(principal="nurse", route="goals", key="k-1", request_hash="other hash"))


def test_a_create_that_fails_leaves_its_key_free(database: Database, chart: Chart) -> None:
    person = patient(chart)

    def fail() -> None:
        with database.begin() as session:
            idempotency.begin(session, KEY, START)
            chart.create(builders.goal(person), "nurse", session=session)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert chart.find(RecordQuery(resource_type="Goal")).total == 0
    assert answered(database) is None


def keys_kept(database: Database) -> int:
    return len(contents(database)["idempotency_keys"])


def answered_at(database: Database, name: str, now: datetime, request_hash: str = "hash") -> Answer | None:
    """Ask under a key at a moment, and answer if it is new."""
    key = Key(principal="nurse", route="goals", key=name, request_hash=request_hash)
    with database.begin() as session:
        known = idempotency.begin(session, key, now)
        if known is None:
            idempotency.finish(session, key, ANSWER)
        return known


def test_a_key_is_remembered_for_seven_days_and_no_longer(database: Database) -> None:
    assert answered_at(database, "k", START) is None
    assert answered_at(database, "k", START + timedelta(days=7)) == ANSWER
    assert answered_at(database, "k", START + timedelta(days=7, seconds=1), "another hash") is None
    assert answered_at(database, "k", START + timedelta(days=8), "another hash") == ANSWER


def test_a_key_that_is_too_old_counts_for_nothing_also_before_it_is_dropped(database: Database) -> None:
    for number in range(130):
        answered_at(database, f"k-{number:03}", START + timedelta(seconds=number))
    later = START + timedelta(days=8)
    assert answered_at(database, "k-129", later, "another hash") is None
    assert answered_at(database, "k-129", later, "another hash") == ANSWER


def test_old_keys_go_some_at_a_time_as_others_come(database: Database) -> None:
    for number in range(230):
        answered_at(database, f"old-{number}", START)
    assert keys_kept(database) == 230
    kept = []
    for number in range(4):
        answered_at(database, f"new-{number}", START + timedelta(days=8))
        kept.append(keys_kept(database))
    assert kept == [131, 32, 3, 4]


def test_looking_for_old_keys_reads_an_index(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'x.db'}") as database, database.read() as session:
        asked = "SELECT key FROM idempotency_keys WHERE created_at < 'x' ORDER BY created_at LIMIT 100"
        (plan,) = session.execute(text(f"EXPLAIN QUERY PLAN {asked}")).all()
        assert "ix_idempotency_keys_created_at" in str(plan)
