"""Who is waited for, how long, and who has to go: a table."""

from dataclasses import dataclass

import pytest

from service.http_server.patience import Patience, Wait, first_to_go, is_over

PATIENCE = Patience(idle=40, head=10, body=20, answer=30)


@dataclass(frozen=True)
class Client:
    waits_for: Wait | None
    since: float


@pytest.mark.parametrize(
    ("wait", "seconds"), [(Wait.IDLE, 40), (Wait.HEAD, 10), (Wait.BODY, 20), (Wait.ANSWER, 30)]
)
def test_each_wait_has_its_own_end(wait: Wait, seconds: float) -> None:
    assert not is_over(PATIENCE, Client(wait, 1000), 1000 + seconds)
    assert is_over(PATIENCE, Client(wait, 1000), 1000 + seconds + 0.1)


def test_a_request_that_is_worked_on_takes_as_long_as_it_takes() -> None:
    assert not is_over(PATIENCE, Client(None, 0), 1_000_000)


def test_who_was_waited_for_longest_goes_first_and_never_one_whose_request_is_worked_on() -> None:
    at_work, slow, slower = Client(None, 1), Client(Wait.BODY, 3), Client(Wait.HEAD, 2)
    assert first_to_go([at_work, slow, slower]) == slower
    assert first_to_go([at_work]) is None
    assert first_to_go([]) is None
