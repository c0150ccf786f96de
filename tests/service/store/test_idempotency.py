"""The same key again gets the same answer, and never another record."""

from datetime import timedelta

import pytest

from service.chart import Chart
from service.errors import Conflict
from service.store import idempotency
from service.store.database import Database
from service.store.idempotency import Answer, Key
from tests import builders
from tests.clock import START
from tests.databases import patient

KEY = Key("nurse", "goals", "k-1", "hash")
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
        Key("jo", "goals", "k-1", "hash"),
        Key("nurse", "care-plans", "k-1", "x"),
        Key("nurse", "goals", "k-2", "x"),
    ],
)
def test_a_key_counts_for_one_person_and_route(database: Database, other: Key) -> None:
    assert answered(database) is None
    assert answered(database, other) is None


def test_a_key_that_was_used_for_another_request_is_refused(database: Database) -> None:
    answered(database)
    with pytest.raises(Conflict, match="another request"):
        answered(database, Key("nurse", "goals", "k-1", "other hash"))


def test_a_create_that_fails_leaves_its_key_free(database: Database, chart: Chart) -> None:
    person = patient(chart)

    def fail() -> None:
        with database.begin() as session:
            idempotency.begin(session, KEY, START)
            chart.create(builders.goal(person), "nurse", session=session)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert chart.search("Goal").total == 0
    assert answered(database) is None


def test_old_keys_are_forgotten(database: Database) -> None:
    answered(database)
    for before, known in ((START, ANSWER), (START + timedelta(days=1), None)):
        with database.begin() as session:
            idempotency.forget(session, before)
        assert answered(database) == known
