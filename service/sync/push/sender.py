"""Records on their way: one transaction for many, a batch, or one by one, as the server allows."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from fhir_mappings.exact_json import Tree
from service.errors import Unavailable
from service.fhir_client.outcomes import Answered, Outcome
from service.sync import policy
from service.sync.context import RunContext
from service.sync.identity.identifiers import if_none_exist
from service.sync.identity.links import Job
from service.sync.identity.references import ReferencesThere
from service.sync.policy import Method, Step
from service.sync.push import bundles
from service.sync.push.drafts import Draft, without_cycle
from service.sync.push.in_flight import InFlight
from service.sync.push.lookup import ServerLookup
from service.sync.push.packs import Group, jobs_of, packed
from service.sync.push.readiness import Readiness
from service.sync.push.responses import ResponseReader, method_of
from service.sync.push.results import PushResult, ResultWriter, rejected
from service.sync.push.second_look import SecondLook
from service.sync.states import Reason

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Sent:
    """A transaction that is on its way. places: what it brings there."""

    flight: InFlight
    groups: list[Group]
    drafts: list[Draft]
    places: frozenset[str]


class Sender:
    """Sends what a window holds, in order; keeps the addresses that come of it."""

    def __init__(
        self,
        context: RunContext,
        writer: ResultWriter,
        lookup: ServerLookup,
        system: str,
        addresses: ReferencesThere,
        bases: Mapping[str, Tree],
        second_look: SecondLook,
    ) -> None:
        """bases: our trees in the versions that the copies there correspond to, by record."""
        self._context = context
        self._writer = writer
        self._lookup = lookup
        self._reader = ResponseReader(context, lookup)
        self._system = system
        self._readiness = Readiness(context, writer, system, addresses, bases)
        self._addresses = addresses
        self._second_look = second_look
        self._sent: _Sent | None = None
        #: Whether the server takes several records in one request, as far as it has not refused it.
        self._takes_bundles = True

    @property
    def waiting(self) -> set[str]:
        """Records that refer to what is not there yet."""
        return self._readiness.waiting

    def send(self, groups: list[Group]) -> None:
        """Bring groups there that may refer to one another, those referred to first."""
        in_transaction = self._context.capabilities.has_transaction
        try:
            for pack in packed(groups, self._context.batch_size, in_transaction=in_transaction):
                self._send(pack)
            self._settle(self._landed())
            self._settle(self._context.permission.settled())
        except Exception:
            # Leases are given back after this; nothing of ours may be on its way by then.
            if self._sent:
                self._sent.flight.wait()
            raise

    def _send(self, pack: list[Group]) -> None:
        if self._pausing():
            self._writer.release(jobs_of(pack))
        elif len(jobs_of(pack)) == 1:
            self._alone(pack[0])
        elif not self._context.capabilities.has_transaction:
            self._one_level(jobs_of(pack))
        elif self._takes_bundles:
            self._transaction(pack)
        else:
            self._one_by_one(pack)

    def _alone(self, group: Group) -> None:
        """Send a single record; what goes wrong with it that nobody foresaw is no other's matter."""
        self._settle(self._landed())
        if self._pausing():
            self._writer.release(group)
            return
        try:
            self._one_level(group)
        except Unavailable:
            raise
        except Exception as error:
            log.error("a record could not be sent", record_id=group[0].record_id, exc_info=error)
            self._settle([rejected(group[0], Reason.FAILED_HERE)])

    def _pausing(self) -> bool:
        return self._context.report.problem is not None or self._context.stopping()

    def _transaction(self, groups: list[Group]) -> None:
        """Send groups as one transaction, and leave it on its way.

        While the one before is on its way, this one is drafted; while this one is, what came of
        the one before is written down. Only the note that this one is about to be sent waits for
        the answer to the one before: a pause that the server asks for holds for this one too.
        """
        if self._sent and any(job.references & self._sent.places for job in jobs_of(groups)):
            # The addresses come with the answer.
            self._settle(self._landed())
        jobs = self._readiness.ready(jobs_of(groups))
        drafted = self._readiness.drafted(jobs, together=True)
        told = self._landed()
        if not self._takes_bundles:
            self._settle(told)
            self._one_by_one(groups)
            return
        try:
            drafts = self._take_off(groups, jobs, drafted)
        finally:
            self._settle(told)
        if drafts:
            self._single(drafts[0])

    def _take_off(
        self, groups: list[Group], jobs: list[Job], drafted: list[Draft | PushResult]
    ) -> list[Draft]:
        """Send what was drafted; return it if it is a single record, which needs no transaction."""
        if self._pausing():
            self._writer.release(jobs)
            return []
        drafts = self._readiness.noted(drafted, together=True)
        if len(drafts) < 2:
            return drafts
        drafts = self._as_seen(drafts)
        if not drafts:
            return []
        request = bundles.request("transaction", [one.entry for one in drafts])
        flight = InFlight(lambda: self._context.client.bundle(request))
        self._sent = _Sent(flight, groups, drafts, frozenset(one.job.local for one in drafts))
        return []

    def _landed(self) -> list[PushResult]:
        """Wait for what is on its way; return what came of it.

        If it was refused, it is halved until the bad one stands alone.
        """
        sent = self._sent
        if sent is None:
            return []
        outcome = sent.flight.result()
        self._sent = None
        drafts = sent.drafts
        self._context.report.sent += len(drafts)
        following = policy.next_step(Method.BUNDLE, outcome, max(one.job.row.attempts for one in drafts))
        if following.step is Step.DONE:
            assert isinstance(outcome, Answered)
            return self._reader.results(drafts, bundles.answers([one.entry for one in drafts], outcome.body))
        if following.step is Step.SPLIT:
            self._halve(_kept(sent.groups, drafts))
            return []
        if following.step is Step.ONE_BY_ONE:
            self._takes_bundles = False
            self._one_by_one(_kept(sent.groups, drafts))
            return []
        return self._reader.failed(drafts, Method.BUNDLE, outcome)

    def _halve(self, groups: list[Group]) -> None:
        if len(groups) == 1:
            # A circle of records that is refused as a whole: one by one shows which is at fault.
            self._one_level(groups[0])
            return
        middle = len(groups) // 2
        for half in (groups[:middle], groups[middle:]):
            if self._context.report.problem:
                self._writer.release(jobs_of(half))
            else:
                self._transaction(half)
                self._settle(self._landed())

    def _one_by_one(self, groups: list[Group]) -> None:
        for group in groups:
            if self._pausing():
                self._writer.release(group)
            else:
                self._one_level(group)

    def _one_level(self, jobs: list[Job]) -> None:
        """Send records of which none needs another's address: as a batch, or one by one."""
        cycle = {job.record_id: job for job in jobs}
        loose = [without_cycle(job, cycle, self._system, self._readiness.there.keys()) for job in jobs]
        again = {job.record_id for job, cut in loose if cut}
        ready = self._readiness.ready([job for job, _ in loose])
        drafts = [
            Draft(one.job, one.entry, one.job.record_id in again)
            for one in self._readiness.drafts(ready, together=False)
        ]
        able = self._context.capabilities
        if len(drafts) > 1 and self._takes_bundles and able.has_batch and not able.has_transaction:
            self._batch(drafts)
            return
        self._each(drafts)

    def _each(self, drafts: list[Draft]) -> None:
        for one in drafts:
            if self._context.report.problem:
                self._writer.release([one.job])
            else:
                self._single(one)

    def _batch(self, drafts: list[Draft]) -> None:
        drafts = self._still_right(drafts)
        if not drafts:
            return
        outcome = self._context.client.bundle(bundles.request("batch", [one.entry for one in drafts]))
        self._context.report.sent += len(drafts)
        following = policy.next_step(Method.BUNDLE, outcome, max(one.job.row.attempts for one in drafts))
        if following.step is Step.DONE:
            assert isinstance(outcome, Answered)
            self._settle(
                self._reader.results(drafts, bundles.answers([one.entry for one in drafts], outcome.body))
            )
        elif following.step in (Step.SPLIT, Step.ONE_BY_ONE):
            # The batch itself was refused, not an entry of it.
            self._takes_bundles = following.step is Step.SPLIT
            self._each(drafts)
        else:
            self._settle(self._reader.failed(drafts, Method.BUNDLE, outcome))

    def _single(self, one: Draft) -> None:
        if not self._still_right([one]):
            return
        for tried in range(policy.MAX_AGAIN + 1):
            outcome = self._write(one)
            following = policy.next_step(method_of(one), outcome, max(tried, one.job.row.attempts))
            if following.step is not Step.RETRY_NOW:
                break
        self._context.report.sent += 1
        self._settle(self._reader.results([one], [outcome]))

    def _write(self, one: Draft) -> Outcome:
        entry = one.entry
        if entry.replaces:
            return self._context.client.update(entry.tree, version=entry.version)
        condition = if_none_exist(entry.name) if entry.conditional and entry.name else None
        return self._context.client.create(entry.tree, if_none_exist=condition)

    def _still_right(self, drafts: list[Draft]) -> list[Draft]:
        """Look first where the server cannot make a write conditional."""
        creates = [one.job for one in drafts if not one.entry.replaces and not one.entry.conditional]
        absent = {job.record_id for job in self._lookup.absent(creates)} if creates else set()
        skipped = {job.record_id for job in creates} - absent
        return self._as_seen([one for one in drafts if one.job.record_id not in skipped])

    def _as_seen(self, drafts: list[Draft]) -> list[Draft]:
        """Leave out updates without a version whose copy is no longer what we saw of it."""
        kept = []
        for one in drafts:
            is_blind = one.entry.replaces and one.entry.version is None
            result = self._lookup.refresh(one.job) if is_blind else None
            if result is None:
                kept.append(one)
            else:
                self._settle([result])
        return kept

    def _settle(self, results: list[PushResult]) -> None:
        results = [self._second_look.judge(one, self._addresses) for one in results]
        self._writer.write(results)
        self._readiness.learn(results)


def _kept(groups: list[Group], drafts: list[Draft]) -> list[Group]:
    """Return the groups as far as they were sent."""
    sent = {one.job.record_id for one in drafts}
    kept = [[job for job in group if job.record_id in sent] for group in groups]
    return [group for group in kept if group]
