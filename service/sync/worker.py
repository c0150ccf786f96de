"""The worker: a run at every interval, until it is asked to stop; then it ends what it is at."""

import threading

import structlog

from service.sync.engine import Sync
from service.sync.report import Report

log = structlog.get_logger(__name__)


class Worker:
    """Runs sync again and again. Any number of them, on any number of machines, share the work."""

    def __init__(self, sync: Sync, interval_seconds: float) -> None:
        self._sync = sync
        self._interval_seconds = interval_seconds

    def once(self) -> Report:
        """Run once over all connections."""
        return self._sync.run()

    def run_forever(self, stop: threading.Event) -> None:
        """Run until ``stop`` is set; a bundle on its way is waited for, no further one is begun."""
        self._sync.stopping = stop.is_set
        while not stop.is_set():
            try:
                self.once()
            except Exception as error:
                # The database may be away, or we have a defect: either way, the next round tries again.
                log.error("a round failed", exc_info=error)
            stop.wait(self._interval_seconds)
