"""403: about one record, or about all that a connection may do."""

import pytest

from service.sync.server.permission import MOST_FORBIDDEN, Permission


def test_one_among_others_that_were_taken_counts_at_once() -> None:
    permission = Permission[int]()
    assert permission.granted() == []
    for number in range(2 * MOST_FORBIDDEN):
        assert permission.forbidden(number) == [number]
    assert not permission.is_denied


def test_all_of_them_are_no_records_fault() -> None:
    permission = Permission[int]()
    for number in range(MOST_FORBIDDEN - 1):
        assert permission.forbidden(number) == []
        assert not permission.is_denied
    assert permission.forbidden(MOST_FORBIDDEN - 1) == list(range(MOST_FORBIDDEN))
    assert permission.is_denied
    # What was answered together with them is told once.
    assert permission.forbidden(9) == [9]
    assert permission.held_back() == []


@pytest.mark.parametrize("first", range(1, MOST_FORBIDDEN))
def test_those_before_the_first_that_is_taken_count_then(first: int) -> None:
    permission = Permission[int]()
    for number in range(first):
        permission.forbidden(number)
    assert permission.granted() == list(range(first))
    assert permission.held_back() == []


def test_few_that_nothing_else_came_after_count_at_the_end() -> None:
    permission = Permission[int]()
    permission.forbidden(1)
    assert permission.held_back() == [1]
