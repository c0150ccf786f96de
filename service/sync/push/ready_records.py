"""Which records can go now, and as what: those whose references can all be said there."""

from collections.abc import Iterable, Mapping

import structlog

from fhir_mappings.exact_json import Tree
from service.sync.context import RunContext
from service.sync.identity.links import Job
from service.sync.identity.references import ReferencesThere
from service.sync.push import bundles
from service.sync.push.drafts import Draft, draft
from service.sync.push.lookup import ServerLookup
from service.sync.push.results import PushResult, Requeue, ResultWriter, rejected
from service.sync.states import Reason, State

log = structlog.get_logger(__name__)


class Readiness:
    """Drafts what can go, and notes that it is about to; learns the addresses that come of it."""

    def __init__(
        self,
        context: RunContext,
        writer: ResultWriter,
        lookup: ServerLookup,
        system: str,
        addresses: ReferencesThere,
        bases: Mapping[str, Tree],
    ) -> None:
        """bases: our trees in the versions that the copies there correspond to, by record."""
        self._context = context
        self._writer = writer
        self._lookup = lookup
        self._system = system
        self._addresses = addresses
        self._bases = bases
        self.there = dict(addresses.there)
        #: Records that refer to what is not there yet.
        self.waiting: set[str] = set()

    def learn(self, results: Iterable[PushResult]) -> None:
        """Keep where records turned out to be."""
        for one in results:
            if one.seen:
                self.there[one.job.local] = f"{one.job.resource_type}/{one.seen.server_id}"

    def ready(self, jobs: list[Job]) -> list[Job]:
        """Return the records whose references all have addresses, or never will; the others wait."""
        results = []
        while True:
            coming = {job.local for job in jobs}
            sayable = self.there.keys() | self._addresses.nameable.keys() | coming
            stuck = [job for job in jobs if job.references - sayable]
            if not stuck:
                break
            results += [
                PushResult(job, state=State.PENDING, when=Requeue.LATER, reason=Reason.WAITING_FOR_REFERENCE)
                for job in stuck
            ]
            self.waiting |= {job.record_id for job in stuck}
            jobs = [job for job in jobs if job.record_id not in self.waiting]
        self._writer.write(results)
        return jobs

    def drafted(self, jobs: list[Job], *, together: bool) -> list[Draft | PushResult]:
        """Draft records; together: in one transaction, where they can refer to each other."""
        coming = {job.local: bundles.placeholder(job.record_id) for job in jobs if job.is_create}
        there = self.there | (coming if together else {})
        addresses = ReferencesThere(
            self._context.base_url,
            there=there,
            logical=self._addresses.logical,
            nameable=self._addresses.nameable,
        )
        return [self._draft(job, addresses) for job in jobs]

    def noted(self, drafted: list[Draft | PushResult], *, together: bool) -> list[Draft]:
        """Note that drafts are about to be sent, and return them; what needs no sending is settled."""
        while drafted:
            results = [self._looked_at(one) for one in drafted if isinstance(one, PushResult)]
            drafts = [one for one in drafted if isinstance(one, Draft)]
            self._writer.write(results)
            jobs = self._writer.mark_in_flight([one.job for one in drafts], self._addresses)
            kept = {job.record_id for job in jobs}
            if not together:
                # None has another's address from this request.
                return [one for one in drafts if one.job.record_id in kept]
            if len(kept) == len(drafts) and not any(one.job.is_create for one in results):
                return drafts
            # Somebody may have referred to what does not travel after all.
            jobs = self.ready([one.job for one in drafts if one.job.record_id in kept])
            drafted = self.drafted(jobs, together=together)
        return []

    def _looked_at(self, result: PushResult) -> PushResult:
        """Read the copy once before an edit is set aside that cannot be put onto what we know of it."""
        if result.job.is_create or result.reason not in _OF_THE_COPY or self._context.report.problem:
            return result
        return self._lookup.base_anew(result.job) or result

    def _draft(self, job: Job, addresses: ReferencesThere) -> Draft | PushResult:
        base = self._bases.get(job.record_id)
        try:
            return draft(job, addresses, base, self._context.capabilities, self._system)
        except Exception as error:
            # A defect of ours with this record; the others have nothing to do with it.
            log.error("a record could not be drafted", record_id=job.record_id, exc_info=error)
            return rejected(job, Reason.FAILED_HERE)


#: Why an update could not be drafted, where the copy as we know it can be the cause.
_OF_THE_COPY = {Reason.NOT_VALID, Reason.EDIT_NOT_SAFE, Reason.FAILED_HERE}
