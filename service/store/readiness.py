"""Whether the database can serve requests, looked at now and then, however often it is asked."""

import threading
import time
from collections.abc import Callable

from service.errors import ServiceError
from service.store import driver_errors, trial
from service.store.database import Database

#: Anyone may ask, so an answer serves this long.
_SECONDS = 5.0


class Readiness:
    """Remembers the last look, so that many who ask cost no more than one."""

    def __init__(
        self, look: Callable[[], str | None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._look, self._monotonic = look, monotonic
        self._looking = threading.Lock()
        self._looked_at: float | None = None
        self._problem: str | None = "The database is being looked at"

    def problem(self) -> str | None:
        """Say why requests cannot be served, None where they can. Nobody waits for another's look."""
        if self._is_old() and self._looking.acquire(blocking=False):
            try:
                self._problem, self._looked_at = self._look(), self._monotonic()
            finally:
                self._looking.release()
        return self._problem

    def _is_old(self) -> bool:
        return self._looked_at is None or self._monotonic() - self._looked_at >= _SECONDS


def look(database: Database) -> str | None:
    """Say what keeps a database from being read and written, None where nothing does."""
    try:
        if not database.is_current():
            return driver_errors.OUTDATED
        trial.require_writable(database)
    except ServiceError as error:
        return str(error)
    return None
