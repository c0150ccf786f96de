"""Records on their way: one transaction for many, a batch, or one by one, as the server allows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog

from fhir_mappings.exact_json import Tree
from service.fhir_answers import Answered, Outcome
from service.sync import bundles, plan
from service.sync.desk import Desk
from service.sync.drafting import Draft, draft, without_cycle
from service.sync.flight import Flight
from service.sync.hearing import Hearing, method_of
from service.sync.identifiers import if_none_exist
from service.sync.links import Job
from service.sync.plan import Method, Step
from service.sync.project import Addresses
from service.sync.reasons import Reason, State
from service.sync.resolving import Resolver
from service.sync.second_look import SecondLook
from service.sync.verdict import Book, Verdict, When, rejected

log = structlog.get_logger(__name__)

#: Records that refer to each other in a circle go together; all others are groups of one.
Group = list[Job]


@dataclass(frozen=True)
class _Sent:
    """A transaction that is on its way. places: what it brings there."""

    flight: Flight
    groups: list[Group]
    drafts: list[Draft]
    places: frozenset[str]


class Sender:
    """Sends what a window holds, in order; keeps the addresses that come of it."""

    def __init__(
        self,
        desk: Desk,
        book: Book,
        resolver: Resolver,
        system: str,
        addresses: Addresses,
        bases: Mapping[str, Tree],
        second_look: SecondLook,
    ) -> None:
        """bases: our trees in the versions that the copies there correspond to, by record."""
        self._desk = desk
        self._book = book
        self._resolver = resolver
        self._hearing = Hearing(desk, resolver)
        self._system = system
        self._there = dict(addresses.there)
        self._bases = bases
        self._addresses = addresses
        self._second_look = second_look
        #: Records that refer to what is not there yet.
        self.waiting: set[str] = set()
        self._sent: _Sent | None = None

    def send(self, groups: list[Group]) -> None:
        """Bring groups there that may refer to one another, those referred to first."""
        try:
            for pack in self._packs(groups):
                self._send(pack)
            self._settle(self._landed())
        except Exception:
            # Leases are given back after this; nothing of ours may be on its way by then.
            if self._sent:
                self._sent.flight.wait()
            raise

    def _send(self, pack: list[Group]) -> None:
        if self._pausing():
            self._book.put_back(_jobs(pack))
        elif self._desk.capabilities.has_transaction:
            self._transaction(pack)
        else:
            self._one_level(_jobs(pack))

    def _pausing(self) -> bool:
        return self._desk.report.problem is not None or self._desk.stopping()

    def _packs(self, groups: list[Group]) -> Iterable[list[Group]]:
        pack: list[Group] = []
        held: set[str] = set()
        for group in groups:
            locals_ = {job.local for job in group}
            alone = any(job.row.attempts >= plan.ALONE_AFTER for job in group)
            # Outside a transaction nothing can refer to what the same bundle creates.
            level = not self._desk.capabilities.has_transaction and any(
                job.references & held for job in group
            )
            if pack and (alone or level or sum(map(len, pack)) + len(group) > self._desk.batch_size):
                yield pack
                pack, held = [], set()
            pack.append(group)
            held |= locals_
            if alone:
                yield pack
                pack, held = [], set()
        if pack:
            yield pack

    def _transaction(self, groups: list[Group]) -> None:
        """Send groups as one transaction, and leave it on its way.

        While the one before is on its way, this one is drafted; while this one is, what came of
        the one before is written down. Only the note that this one is about to be sent waits for
        the answer to the one before: a pause that the server asks for holds for this one too.
        """
        if self._sent and any(job.references & self._sent.places for job in _jobs(groups)):
            # The addresses come with the answer.
            self._settle(self._landed())
        jobs = self._ready(_jobs(groups))
        drafted = self._drafted(jobs, together=True)
        told = self._landed()
        try:
            drafts = self._take_off(groups, jobs, drafted)
        finally:
            self._settle(told)
        if drafts:
            self._single(drafts[0])

    def _take_off(self, groups: list[Group], jobs: list[Job], drafted: list[Draft | Verdict]) -> list[Draft]:
        """Send what was drafted; return it if it is a single record, which needs no transaction."""
        if self._pausing():
            self._book.put_back(jobs)
            return []
        drafts = self._noted(drafted, together=True)
        if len(drafts) < 2:
            return drafts
        request = bundles.request("transaction", [one.entry for one in drafts])
        flight = Flight(lambda: self._desk.client.bundle(request))
        self._sent = _Sent(flight, groups, drafts, frozenset(one.job.local for one in drafts))
        return []

    def _landed(self) -> list[Verdict]:
        """Wait for what is on its way; return what came of it.

        If it was refused, it is halved until the bad one stands alone.
        """
        sent = self._sent
        if sent is None:
            return []
        outcome = sent.flight.land()
        self._sent = None
        drafts = sent.drafts
        self._desk.report.sent += len(drafts)
        following = plan.next_step(Method.BUNDLE, outcome, max(one.job.row.attempts for one in drafts))
        if following.step is Step.DONE:
            assert isinstance(outcome, Answered)
            return self._hearing.told(drafts, bundles.answers([one.entry for one in drafts], outcome.body))
        if following.step is Step.SPLIT:
            self._halve(sent.groups, {one.job.record_id for one in drafts})
            return []
        return self._hearing.failed(drafts, Method.BUNDLE, outcome)

    def _halve(self, groups: list[Group], sent: set[str]) -> None:
        kept = [[job for job in group if job.record_id in sent] for group in groups]
        kept = [group for group in kept if group]
        if len(kept) == 1:
            # A circle of records that is refused as a whole: one by one shows which is at fault.
            self._one_level(kept[0])
            return
        middle = len(kept) // 2
        for half in (kept[:middle], kept[middle:]):
            if self._desk.report.problem:
                self._book.put_back(_jobs(half))
            else:
                self._transaction(half)
                self._settle(self._landed())

    def _one_level(self, jobs: list[Job]) -> None:
        """Send records of which none needs another's address: as a batch, or one by one."""
        cycle = {job.record_id: job for job in jobs}
        loose = [without_cycle(job, cycle, self._system, self._there.keys()) for job in jobs]
        again = {job.record_id for job, cut in loose if cut}
        drafts = [
            Draft(one.job, one.entry, one.job.record_id in again)
            for one in self._drafts(self._ready([job for job, _ in loose]), together=False)
        ]
        if (
            len(drafts) > 1
            and self._desk.capabilities.has_batch
            and not self._desk.capabilities.has_transaction
        ):
            self._batch(drafts)
            return
        for one in drafts:
            if self._desk.report.problem:
                self._book.put_back([one.job])
            else:
                self._single(one)

    def _batch(self, drafts: list[Draft]) -> None:
        drafts = self._not_yet_there(drafts)
        if not drafts:
            return
        outcome = self._desk.client.bundle(bundles.request("batch", [one.entry for one in drafts]))
        self._desk.report.sent += len(drafts)
        following = plan.next_step(Method.BUNDLE, outcome, max(one.job.row.attempts for one in drafts))
        if following.step is Step.DONE:
            assert isinstance(outcome, Answered)
            self._settle(
                self._hearing.told(drafts, bundles.answers([one.entry for one in drafts], outcome.body))
            )
        elif following.step is Step.SPLIT:
            # The batch itself was refused, not an entry of it.
            for one in drafts:
                self._single(one)
        else:
            self._settle(self._hearing.failed(drafts, Method.BUNDLE, outcome))

    def _single(self, one: Draft) -> None:
        drafts = self._not_yet_there([one])
        if not drafts:
            return
        for tried in range(plan.MAX_AGAIN + 1):
            outcome = self._write(one)
            following = plan.next_step(method_of(one), outcome, max(tried, one.job.row.attempts))
            if following.step is not Step.AGAIN:
                break
        self._desk.report.sent += 1
        self._settle(self._hearing.told([one], [outcome]))

    def _write(self, one: Draft) -> Outcome:
        entry = one.entry
        if entry.version is not None:
            return self._desk.client.update(entry.tree, version=entry.version)
        condition = if_none_exist(entry.name) if entry.conditional and entry.name else None
        return self._desk.client.create(entry.tree, if_none_exist=condition)

    def _not_yet_there(self, drafts: list[Draft]) -> list[Draft]:
        """Search before a create where the server cannot make it conditional."""
        unsafe = [one.job for one in drafts if one.entry.version is None and not one.entry.conditional]
        absent = {job.record_id for job in self._resolver.absent(unsafe)} if unsafe else set()
        skipped = {job.record_id for job in unsafe} - absent
        return [one for one in drafts if one.job.record_id not in skipped]

    def _ready(self, jobs: list[Job]) -> list[Job]:
        """Return the records whose references all have addresses; the others wait."""
        verdicts = []
        while True:
            coming = {job.local for job in jobs}
            stuck = [job for job in jobs if job.references - self._there.keys() - coming]
            if not stuck:
                break
            verdicts += [
                Verdict(job, State.PENDING, When.LATER, Reason.WAITING_FOR_REFERENCE) for job in stuck
            ]
            self.waiting |= {job.record_id for job in stuck}
            jobs = [job for job in jobs if job.record_id not in self.waiting]
        self._book.settle(verdicts)
        return jobs

    def _drafts(self, jobs: list[Job], *, together: bool) -> list[Draft]:
        return self._noted(self._drafted(jobs, together=together), together=together)

    def _drafted(self, jobs: list[Job], *, together: bool) -> list[Draft | Verdict]:
        coming = {job.local: bundles.placeholder(job.record_id) for job in jobs if job.is_create}
        there = self._there | (coming if together else {})
        addresses = Addresses(self._desk.base_url, there, self._addresses.logical)
        return [self._draft(job, addresses) for job in jobs]

    def _noted(self, drafted: list[Draft | Verdict], *, together: bool) -> list[Draft]:
        """Note that drafts are about to be sent, and return them; what needs no sending is settled."""
        while drafted:
            verdicts = [one for one in drafted if isinstance(one, Verdict)]
            drafts = [one for one in drafted if isinstance(one, Draft)]
            self._book.settle(verdicts)
            kept = {job.record_id for job in self._book.about_to_send([one.job for one in drafts])}
            if len(kept) == len(drafts) and not any(one.job.is_create for one in verdicts):
                return drafts
            # Somebody may have referred to what does not travel after all.
            jobs = self._ready([one.job for one in drafts if one.job.record_id in kept])
            drafted = self._drafted(jobs, together=together)
        return []

    def _draft(self, job: Job, addresses: Addresses) -> Draft | Verdict:
        base = self._bases.get(job.record_id)
        try:
            return draft(job, addresses, base, self._desk.capabilities, self._system)
        except Exception as error:
            # A defect of ours with this record; the others have nothing to do with it.
            log.error("a record could not be drafted", record_id=job.record_id, kind=type(error).__name__)
            return rejected(job, Reason.FAILED_HERE)

    def _settle(self, verdicts: list[Verdict]) -> None:
        verdicts = [self._second_look.judge(one, self._addresses) for one in verdicts]
        self._book.settle(verdicts)
        for one in verdicts:
            if one.seen:
                self._there[one.job.local] = f"{one.job.resource_type}/{one.seen.server_id}"


def _jobs(groups: list[Group]) -> list[Job]:
    return [job for group in groups for job in group]
