"""The worker goes on until it is told to stop, whatever a round brings."""

import threading

from service.errors import Unavailable
from service.sync.engine import Sync
from service.sync.report import Report
from service.sync.worker import Worker
from tests.service.sync.office import Office


class Rounds(Sync):
    """Sync as the worker sees it: fails once, and asks for the end after the third round."""

    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop
        self.count = 0
        self.stopping = lambda: False

    def run(self, connection: str | None = None) -> Report:
        self.count += 1
        if self.count == 1:
            raise Unavailable("the database is away")
        if self.count == 3:
            self.stop.set()
        return Report()


def test_a_failed_round_is_not_the_last() -> None:
    stop = threading.Event()
    rounds = Rounds(stop)
    Worker(rounds, 0.001).run_forever(stop)
    assert rounds.count == 3
    assert rounds.stopping()


def test_one_round_brings_everything_there(office: Office) -> None:
    office.goal()
    report = Worker(office.sync, 30).once()
    assert (report.synced, report.problem) == (1, None)
    assert office.states() == {"synced": 1}
