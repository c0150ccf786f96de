"""Whatever a server does with its Patients, nothing is written to one whom the table does not give."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import sqlalchemy
from hypothesis import strategies as st

from service.errors import ServiceError
from service.store.database import Database
from service.store.tables import Deployment, Table
from tests.service.sync.world import NUMBERS, THERE, World


def step(act: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.just(act), *arguments)


PATIENT, NUMBER, WHO, EITHER = (
    st.sampled_from(THERE),
    st.sampled_from(NUMBERS),
    st.integers(0, 2),
    st.booleans(),
)
WHAT = st.sampled_from(["is_active", "is_gone", "is_hidden", "is_forbidden", "fails"])
STEPS = st.one_of(
    step("merge", PATIENT, PATIENT, EITHER, EITHER),
    step("part", PATIENT),
    step("give", NUMBER, PATIENT, EITHER),
    step("swap", PATIENT, PATIENT),
    step("turn", PATIENT, PATIENT),
    step("switch", PATIENT, WHAT),
    step("switch_search"),
    step("is_born", PATIENT),
    step("add_patient", st.sets(NUMBER, min_size=1, max_size=2)),
    step("correct", WHO, NUMBER),
    step("add_number", WHO, NUMBER),
    step("remove_number", WHO),
    step("name", WHO, PATIENT),
    step("wait", st.sampled_from([60, 1800, 4000])),
)
SYNC = st.sampled_from(["push", "push", "pull", "run", "compare"])
#: Something happens a few times, then somebody says something, and all is synchronised.
ROUND = st.tuples(st.lists(STEPS, max_size=4), st.lists(WHO, max_size=2), SYNC)


@pytest.fixture
def careless(tmp_path: Path) -> Iterator[Database]:
    """A database that need not survive anything, and so is quick."""
    database = Database(f"sqlite:///{tmp_path / 'mainstay.db'}")
    sqlalchemy.event.listen(database.engine, "connect", lambda one, _: one.execute("PRAGMA synchronous=OFF"))
    with contextlib.closing(database):
        database.upgrade()
        yield database


def emptied(database: Database) -> Database:
    """Return a database with nothing in it but what it is called."""
    with database.begin() as session:
        for table in reversed(Table.metadata.sorted_tables):
            if table.name != Deployment.__tablename__:
                session.execute(sqlalchemy.delete(table))
    return database


def played(careless: Database, scripts: int, *, to_the_end: bool) -> Counter[str]:
    """Play scripts, and return what came of them; to_the_end: until all has come to rest."""
    tally: Counter[str] = Counter()

    @hypothesis.settings(max_examples=scripts, print_blob=True)
    @hypothesis.given(st.lists(ROUND, min_size=1, max_size=5), st.sampled_from([0, 0, 3600]), st.booleans())
    def play(rounds: list[Any], bound: int, bundles: bool) -> None:
        world = World(emptied(careless), bound, bundles)
        for steps, sayings, how in rounds:
            for act, *arguments in steps:
                try:
                    getattr(world, act)(*arguments)
                except ServiceError:
                    world.tally["refused here"] += 1
            for who in sayings:
                world.say(who)
            world.synchronise(how)
            world.wait(61)
        if to_the_end:
            world.calm_down()
        tally.update(world.tally)
        assert not world.wrong, world.wrong

    play()
    return tally


def test_nothing_is_written_to_whom_the_table_does_not_give(careless: Database) -> None:
    tally = played(careless, 200, to_the_end=False)
    # It would be easy to write nothing.
    assert tally["writes"] > 400


def test_whom_the_table_gives_is_matched_in_the_end(careless: Database) -> None:
    tally = played(careless, 30, to_the_end=True)
    assert tally["given"] > 30
