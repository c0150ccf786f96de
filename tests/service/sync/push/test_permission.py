"""403: about one record, or about all that a connection may do."""

import pytest

from service.sync.identity.links import Job, Known
from service.sync.leases import Leased
from service.sync.push.permission import MOST_FORBIDDEN, Permission
from service.sync.push.results import Verdict, rejected
from service.sync.states import Reason, State


def forbidden(number: int) -> Verdict:
    job = Job(Leased(f"record-{number}", 1, 0), "Goal", "patient", 1, {}, Known())
    return rejected(job, Reason.FORBIDDEN, {"resourceType": "OperationOutcome"})


def settled(verdicts: list[Verdict]) -> list[tuple[str, State]]:
    assert {one.reason for one in verdicts} <= {Reason.FORBIDDEN}
    assert all(one.outcome for one in verdicts)
    return [(one.job.record_id, one.state) for one in verdicts]


def test_one_among_others_that_were_taken_is_set_aside() -> None:
    permission = Permission()
    assert permission.granted() == []
    for number in range(2 * MOST_FORBIDDEN):
        assert settled(permission.forbidden(forbidden(number))) == [(f"record-{number}", State.REJECTED)]
    assert not permission.is_denied


def test_all_of_them_are_no_records_fault() -> None:
    permission = Permission()
    for number in range(MOST_FORBIDDEN - 1):
        assert permission.forbidden(forbidden(number)) == []
        assert not permission.is_denied
    last = settled(permission.forbidden(forbidden(MOST_FORBIDDEN - 1)))
    assert last == [(f"record-{number}", State.PENDING) for number in range(MOST_FORBIDDEN)]
    assert permission.is_denied
    # What was answered together with them is told once, and the same way.
    assert settled(permission.forbidden(forbidden(9))) == [("record-9", State.PENDING)]
    assert permission.settled() == []


@pytest.mark.parametrize("first", range(1, MOST_FORBIDDEN))
def test_those_before_the_first_that_is_taken_are_set_aside_then(first: int) -> None:
    permission = Permission()
    for number in range(first):
        permission.forbidden(forbidden(number))
    assert settled(permission.granted()) == [(f"record-{number}", State.REJECTED) for number in range(first)]
    assert permission.settled() == []


def test_few_that_nothing_else_came_after_are_set_aside_at_the_end() -> None:
    permission = Permission()
    permission.forbidden(forbidden(1))
    assert settled(permission.settled()) == [("record-1", State.REJECTED)]
