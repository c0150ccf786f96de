"""Record JSON is read and written in time with its length."""

from collections.abc import Callable
from typing import Any

import pytest

from service import schemas
from service.errors import InvalidInput
from tests.growth import Growth, Work, growths

ITEMS = 1_000
Act = Callable[[], object]


def goal(**members: Any) -> dict[str, Any]:
    return {"type": "Goal", "status": "active", "subject": {"reference": "Patient/1"}, **members}


def targets(size: int) -> list[Any]:
    return [{"measure": {"text": f"steps {number}"}, "detail": {"integer": number}} for number in range(size)]


def loaded(record: Any) -> Act:
    return lambda: schemas.load(record)


def refused(record: Any) -> Act:
    def act() -> None:
        with pytest.raises(InvalidInput):
            schemas.load(record)

    return act


def targets_read(size: int) -> Act:
    return loaded(goal(targets=targets(size)))


def targets_written(size: int) -> Act:
    record = schemas.load(goal(targets=targets(size)))
    return lambda: schemas.dump(record)


def targets_that_are_all_wrong(size: int) -> Act:
    return refused(goal(targets=[{"wish": 1, "due": {}}] * size))


def fields_that_are_none(size: int) -> Act:
    return refused(goal(**{f"wish{number}": 1 for number in range(size)}))


WORKS: list[Work] = [targets_read, targets_written, targets_that_are_all_wrong, fields_that_are_none]


@pytest.fixture(scope="module")
def measured() -> dict[str, Growth]:
    return growths([(work, ITEMS) for work in WORKS])


@pytest.mark.parametrize("work", WORKS)
def test_time_grows_with_the_length_of_a_list_and_no_faster(work: Work, measured: dict[str, Growth]) -> None:
    assert measured[work.__name__].is_linear, measured[work.__name__]
