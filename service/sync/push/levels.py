"""Records of which none needs another's address: as a batch where the server takes one, else one by one."""

from dataclasses import replace

from service.fhir_client.outcomes import Answered
from service.sync import policy
from service.sync.identity.links import Job
from service.sync.policy import Method, Step
from service.sync.push import bundles
from service.sync.push.drafts import Draft, without_cycle
from service.sync.push.packs import Group, jobs_of
from service.sync.push.results import PushResult
from service.sync.push.single_requests import SingleRequests
from service.sync.push.window import Window


class Levels:
    """A way of sending: what refers to each other goes without those references first, and follows."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._singles = SingleRequests(window)
        capabilities = window.context.capabilities
        #: Where there are transactions, a batch would say less.
        self._takes_batches = capabilities.has_batch and not capabilities.has_transaction

    def send(self, groups: list[Group]) -> None:
        """Bring groups there of which none refers to another."""
        drafted = self._drafted(jobs_of(groups))
        if len(drafted) > 1 and self._takes_batches:
            self._batch(drafted)
        else:
            self._singles.send(drafted)

    def finish(self) -> None:
        """Nothing is ever on its way."""

    def abandon(self) -> None:
        """Nothing is ever on its way."""

    def _drafted(self, jobs: list[Job]) -> list[Draft | PushResult]:
        readiness = self._window.readiness
        cycle = {job.record_id: job for job in jobs}
        loose = [without_cycle(job, cycle, self._window.system, readiness.there.keys()) for job in jobs]
        again = {job.record_id for job, is_cut in loose if is_cut}
        ready = readiness.ready([job for job, _ in loose])
        return [
            replace(one, again=one.job.record_id in again) if isinstance(one, Draft) else one
            for one in readiness.drafted(ready, together=False)
        ]

    def _batch(self, drafted: list[Draft | PushResult]) -> None:
        drafts = self._window.readiness.noted(self._window.still_right(drafted), together=False)
        if not drafts:
            return
        entries = [one.entry for one in drafts]
        outcome = self._window.context.client.bundle(bundles.request("batch", entries))
        self._window.context.report.sent += len(drafts)
        following = policy.next_step(Method.BUNDLE, outcome, max(one.job.row.attempts for one in drafts))
        if following.step is Step.DONE:
            assert isinstance(outcome, Answered)
            self._window.write(self._window.reader.results(drafts, bundles.answers(entries, outcome.body)))
        elif following.step in (Step.SPLIT, Step.ONE_BY_ONE):
            # The batch itself was refused, not an entry of it.
            self._takes_batches = following.step is Step.SPLIT
            self._singles.send(drafts)
        else:
            self._window.write(self._window.reader.failed(drafts, Method.BUNDLE, outcome))
