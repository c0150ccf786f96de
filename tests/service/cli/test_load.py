"""Lines that wait for others: loaded in whatever order, and each read again once."""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from service.chart import Chart
from service.cli.deferred_lines import Waiting
from service.cli.inputs import Item
from service.cli.load import Loading
from service.cli.said_names import SaidNames
from service.cli.terminal import Refusals
from service.store.database import Database
from tests.clock import Clock
from tests.databases import opened

Line = dict[str, Any]
#: A course of its own for each example: one store serves them all.
COURSES = itertools.count()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    path: Path = tmp_path_factory.mktemp("load") / "mainstay.db"
    with opened(f"sqlite:///{path}") as database:
        yield database


class Course:
    """A patient and steps of which each follows the one before it; ids as where they were exported."""

    def __init__(self, count: int) -> None:
        self.name = f"course-{next(COURSES)}"
        self.identifier = {"system": "urn:test:patients", "value": self.name}
        self.patient: Line = {"type": "Patient", "id": self.name, "identifiers": [self.identifier]}
        self.steps = [self._step(number) for number in range(count)]

    def _step(self, number: int) -> Line:
        # Some name the patient as the place where they come from did, some as everybody does.
        subject: Line = (
            {"identifier": self.identifier} if number % 2 else {"reference": f"Patient/{self.name}"}
        )
        step = {"type": "Activity", "id": f"{self.name}-{number}", "status": "active", "subject": subject}
        before = [{"reference": f"ServiceRequest/{self.name}-{number - 1}"}] if number else []
        return {**step, "code": {"text": f"Step {number}"}, **({"based_on": before} if before else {})}


def load(database: Database, lines: list[Line]) -> tuple[dict[str, int], int]:
    """Load lines; return how many were new and here already, and how many were refused."""
    refusals = Refusals()
    with tempfile.TemporaryFile() as spool, closing(SaidNames()) as names:
        loading = Loading(Chart(database, Clock()), Waiting(spool), names)
        loading.take((Item(f"line {number}", line) for number, line in enumerate(lines, 1)), refusals)
        loading.give_up(refusals)
    return dict(loading.counts), refusals.count


@settings(max_examples=25)
@given(data=st.data())
def test_in_whatever_order_lines_come_all_are_loaded(database: Database, data: st.DataObject) -> None:
    course = Course(5)
    lines = data.draw(st.permutations([course.patient, *course.steps]))
    assert load(database, lines) == ({"new": 6}, 0)
    assert load(database, lines) == ({"here": 6}, 0)


def test_what_waits_for_a_line_that_never_comes_is_refused_by_path(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    course = Course(5)
    del course.steps[2]
    assert load(database, [*course.steps[::-1], course.patient]) == ({"new": 3}, 2)
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(": no such")[0] for line in said] == [
        "line 1: ServiceRequest.basedOn[0]",
        "line 2: ServiceRequest.basedOn[0]",
    ]


def test_a_circle_waits_for_itself_and_is_refused(database: Database) -> None:
    course = Course(3)
    course.steps[0]["based_on"] = [{"reference": f"ServiceRequest/{course.name}-2"}]
    assert load(database, [course.patient, *course.steps]) == ({"new": 1}, 3)


def test_a_line_that_lacks_several_others_waits_for_all_of_them(database: Database) -> None:
    course = Course(4)
    names = [f"ServiceRequest/{step['id']}" for step in course.steps]
    plan = {
        "type": "CarePlan",
        "status": "active",
        "subject": {"reference": f"Patient/{course.name}"},
        "activities": [{"reference": {"reference": name}} for name in names + names[:1]],
    }
    assert load(database, [plan, *course.steps, course.patient]) == ({"new": 6}, 0)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_long_chain_is_loaded_in_time_with_its_length(database: Database, backwards: bool) -> None:
    def statements(count: int) -> int:
        course, executed = Course(count), []

        def note(*_: object) -> None:
            executed.append(1)

        event.listen(database.engine, "before_cursor_execute", note)
        lines = [course.patient, *course.steps[:: -1 if backwards else 1]]
        assert load(database, lines) == ({"new": count + 1}, 0)
        event.remove(database.engine, "before_cursor_execute", note)
        return len(executed)

    assert statements(80) < 5 * statements(20)
