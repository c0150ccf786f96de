"""Many records in one transaction; while one is on its way, the next is drafted."""

from dataclasses import dataclass

from service.fhir_client.outcomes import Answered
from service.sync import policy
from service.sync.identity.links import Job
from service.sync.policy import Method, Step
from service.sync.push import bundles
from service.sync.push.drafts import Draft
from service.sync.push.in_flight import InFlight
from service.sync.push.levels import Levels
from service.sync.push.packs import Group, jobs_of
from service.sync.push.results import PushResult
from service.sync.push.single_requests import SingleRequests
from service.sync.push.window import Window


@dataclass(frozen=True, kw_only=True)
class _Sent:
    """A transaction that is on its way. places: what it brings there."""

    in_flight: InFlight
    groups: list[Group]
    drafts: list[Draft]
    places: frozenset[str]


class Transactions:
    """A way of sending: whole packs, which may refer to each other; halved where one is refused."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._levels = Levels(window)
        self._singles = SingleRequests(window)
        self._sent: _Sent | None = None
        #: Whether the server takes several records in one request, as far as it has not refused it.
        self._is_taken = True

    def send(self, groups: list[Group]) -> None:
        """Bring groups there together, as long as the server takes transactions."""
        if self._is_taken:
            self._send(groups)
        else:
            self._one_by_one(groups)

    def _send(self, groups: list[Group]) -> None:
        """Send groups as one transaction, and leave it on its way.

        While the one before is on its way, this one is drafted; while this one is, what came of
        the one before is written down. Only the note that this one is about to be sent waits for
        the answer to the one before: a pause that the server asks for holds for this one too.
        """
        if self._sent and any(job.references & self._sent.places for job in jobs_of(groups)):
            # The addresses come with the answer.
            self.finish()
        jobs = self._window.readiness.ready(jobs_of(groups))
        drafted = self._window.readiness.drafted(jobs, together=True)
        results = self._results()
        if not self._is_taken:
            self._window.write(results)
            self._one_by_one(groups)
            return
        try:
            drafts = self._take_off(groups, jobs, drafted)
        finally:
            self._window.write(results)
        self._singles.send(drafts)

    def finish(self) -> None:
        """Wait for what is on its way, and write down what came of it."""
        self._window.write(self._results())

    def abandon(self) -> None:
        """Wait until nothing is on its way any more, whatever came of it."""
        if self._sent:
            self._sent.in_flight.wait()

    def _take_off(
        self, groups: list[Group], jobs: list[Job], drafted: list[Draft | PushResult]
    ) -> list[Draft]:
        """Send what was drafted; return it if it is a single record, which needs no transaction."""
        if self._window.is_pausing:
            self._window.release(jobs)
            return []
        if len(drafted) > 1:
            # A look takes time: the note that they are about to be sent comes after it.
            drafted = self._window.as_seen(drafted)
        drafts = self._window.readiness.noted(drafted, together=True)
        if len(drafts) < 2:
            return drafts
        request = bundles.request("transaction", [one.entry for one in drafts])
        self._sent = _Sent(
            in_flight=InFlight(lambda: self._window.context.client.bundle(request)),
            groups=groups,
            drafts=drafts,
            places=frozenset(one.job.local for one in drafts),
        )
        return []

    def _results(self) -> list[PushResult]:
        """Wait for what is on its way; return what came of it.

        If it was refused, it is halved until the bad one stands alone.
        """
        sent = self._sent
        if sent is None:
            return []
        outcome = sent.in_flight.result()
        self._sent = None
        drafts = sent.drafts
        self._window.context.report.sent += len(drafts)
        following = policy.next_step(Method.BUNDLE, outcome, max(one.job.row.attempts for one in drafts))
        if following.step is Step.DONE:
            assert isinstance(outcome, Answered)
            answers = bundles.answers([one.entry for one in drafts], outcome.body)
            return self._window.reader.results(drafts, answers)
        if following.step is Step.SPLIT:
            self._halve(_kept(sent.groups, drafts))
            return []
        if following.step is Step.ONE_BY_ONE:
            self._is_taken = False
            self._one_by_one(_kept(sent.groups, drafts))
            return []
        return self._window.reader.failed(drafts, Method.BUNDLE, outcome)

    def _halve(self, groups: list[Group]) -> None:
        if len(groups) == 1:
            # A circle of records that is refused as a whole: one by one shows which is at fault.
            self._levels.send(groups)
            return
        middle = len(groups) // 2
        for half in (groups[:middle], groups[middle:]):
            if self._window.context.report.problem:
                self._window.release(jobs_of(half))
            else:
                self._send(half)
                self.finish()

    def _one_by_one(self, groups: list[Group]) -> None:
        for group in groups:
            if self._window.is_pausing:
                self._window.release(group)
            else:
                self._levels.send([group])


def _kept(groups: list[Group], drafts: list[Draft]) -> list[Group]:
    """Return the groups as far as they were sent."""
    sent = {one.job.record_id for one in drafts}
    kept = [[job for job in group if job.record_id in sent] for group in groups]
    return [group for group in kept if group]
