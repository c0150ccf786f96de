"""What a window of records is sent with: drafts, a look before what is not safe, results written down."""

from collections.abc import Iterable, Mapping

from fhir_mappings.exact_json import Tree
from service.sync.context import RunContext
from service.sync.identity.links import Job
from service.sync.identity.references import ReferencesThere
from service.sync.push.drafts import Draft
from service.sync.push.lookup import ServerLookup
from service.sync.push.ready_records import Readiness
from service.sync.push.responses import ResponseReader
from service.sync.push.results import PushResult, ResultWriter
from service.sync.push.second_look import SecondLook


class Window:
    """The records that are put in order together; every way of sending works on it."""

    def __init__(
        self,
        *,
        context: RunContext,
        writer: ResultWriter,
        lookup: ServerLookup,
        system: str,
        addresses: ReferencesThere,
        bases: Mapping[str, Tree],
        second_look: SecondLook,
    ) -> None:
        """bases: our trees in the versions that the copies there correspond to, by record."""
        self.context = context
        self.system = system
        self.reader = ResponseReader(context, lookup)
        self.readiness = Readiness(context, writer, lookup, system, addresses, bases)
        self._writer = writer
        self._lookup = lookup
        self._addresses = addresses
        self._second_look = second_look

    @property
    def is_pausing(self) -> bool:
        return self.context.report.problem is not None or self.context.stopping()

    def write(self, results: Iterable[PushResult]) -> None:
        """Write results down, and learn the addresses that come of them."""
        judged = [self._second_look.judge(one, self._addresses) for one in results]
        self._writer.write(judged)
        self.readiness.learn(judged)

    def release(self, jobs: Iterable[Job]) -> None:
        """Give records back that are not sent now."""
        self._writer.release(jobs)

    def still_right(self, drafted: list[Draft | PushResult]) -> list[Draft | PushResult]:
        """Look first where the server cannot make a write conditional."""
        drafts = [one for one in drafted if isinstance(one, Draft)]
        creates = [one.job for one in drafts if not one.entry.replaces and not one.entry.conditional]
        absent = {job.record_id for job in self._lookup.absent(creates)} if creates else set()
        skipped = {job.record_id for job in creates} - absent
        return self.as_seen([one for one in drafted if one.job.record_id not in skipped])

    def as_seen(self, drafted: list[Draft | PushResult]) -> list[Draft | PushResult]:
        """Leave out updates without a version whose copy is no longer what we saw of it."""
        kept = []
        for one in drafted:
            is_blind = isinstance(one, Draft) and one.entry.replaces and one.entry.version is None
            result = self._lookup.refresh(one.job) if is_blind else None
            if result is None:
                kept.append(one)
            else:
                self.write([result])
        return kept
