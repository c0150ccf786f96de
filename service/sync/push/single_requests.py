"""A record, a request: what every FHIR server takes."""

from collections.abc import Iterable

from service.fhir_client.outcomes import Outcome
from service.sync import policy
from service.sync.identity.identifiers import if_none_exist
from service.sync.policy import Step
from service.sync.push.bundles import Entry
from service.sync.push.drafts import Draft
from service.sync.push.responses import method_of
from service.sync.push.results import PushResult
from service.sync.push.window import Window


class SingleRequests:
    """Sends drafts one by one."""

    def __init__(self, window: Window) -> None:
        self._window = window

    def send(self, drafted: Iterable[Draft | PushResult]) -> None:
        """Send drafts that need no other's address; none after one that shows a problem of the connection.

        Each is noted right before its own request: much may be said here while the others travel.
        """
        for one in drafted:
            if isinstance(one, Draft) and self._window.context.report.problem:
                self._window.release([one.job])
                continue
            for draft in self._window.readiness.noted(self._window.still_right([one]), together=False):
                self._send(draft)

    def _send(self, one: Draft) -> None:
        for tried in range(policy.MAX_AGAIN + 1):
            outcome = self._written(one.entry)
            following = policy.next_step(method_of(one), outcome, max(tried, one.job.row.attempts))
            if following.step is not Step.RETRY_NOW:
                break
        self._window.context.report.sent += 1
        self._window.write(self._window.reader.results([one], [outcome]))

    def _written(self, entry: Entry) -> Outcome:
        client = self._window.context.client
        if entry.replaces:
            return client.update(entry.tree, version=entry.version)
        condition = if_none_exist(entry.name) if entry.conditional and entry.name else None
        return client.create(entry.tree, if_none_exist=condition)
