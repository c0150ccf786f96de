"""A request on its way, so that what needs no answer is done while the server works on it."""

from collections.abc import Callable
from threading import Thread

from service.fhir_client.outcomes import Outcome


class InFlight:
    """Asks in a thread of its own. Nobody else may speak to the server before it has landed.

    A daemon: who interrupts the process is not kept waiting for a slow server.
    """

    def __init__(self, ask: Callable[[], Outcome]) -> None:
        self._ask = ask
        self._outcome: Outcome | None = None
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="request", daemon=True)
        self._thread.start()

    def result(self) -> Outcome:
        """Wait for the answer. Raises what asking raised."""
        self.wait()
        if self._error is not None:
            raise self._error
        assert self._outcome is not None
        return self._outcome

    def wait(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        try:
            self._outcome = self._ask()
        except BaseException as error:  # handed on to who waits for the answer
            self._error = error
