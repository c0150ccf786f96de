"""However many ask, the database is looked at once in a while."""

import threading

from service.store.readiness import Readiness


class Looks:
    """Counts how often somebody looked, and says what is wrong."""

    def __init__(self) -> None:
        self.count = 0
        self.problem: str | None = None
        self.now = 100.0

    def __call__(self) -> str | None:
        self.count += 1
        return self.problem


def test_many_who_ask_cost_one_look_and_a_while_later_another() -> None:
    looks = Looks()
    readiness = Readiness(looks, lambda: looks.now)
    assert [readiness.problem() for _ in range(100)] == [None] * 100
    assert looks.count == 1
    looks.problem = "full"
    looks.now += 6
    assert [readiness.problem() for _ in range(100)] == ["full"] * 100
    assert looks.count == 2


def test_nobody_waits_for_a_look_that_takes_long() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        assert may_end.wait(60)

    readiness = Readiness(slow)
    looking = threading.Thread(target=readiness.problem)
    looking.start()
    assert begun.wait(60)
    assert readiness.problem() == "The database is being looked at"
    may_end.set()
    looking.join(60)
    assert readiness.problem() is None
