"""What became of a record there, asked before it is sent again: search, adopt, catch up."""

from collections.abc import Iterable

import structlog

from fhir_mappings.exact_json import Tree
from fhir_mappings.references import names_of
from service.errors import InvalidContent, ServiceError, to_operation_outcome
from service.fhir_answers import Answered, Failure, Found, Outcome, version_of
from service.sync import plan
from service.sync.desk import Desk
from service.sync.drafting import identity
from service.sync.identifiers import any_of, chunked
from service.sync.links import Job
from service.sync.plan import Method, Step
from service.sync.reasons import Reason, State
from service.sync.subject_policy import About, Moved
from service.sync.subject_policy import Verdict as SubjectVerdict
from service.sync.subjects import Copy, Later, Subjects
from service.sync.taking import FIRST, current
from service.sync.verdict import Book, Seen, Verdict, When, after_failure, rejected

log = structlog.get_logger(__name__)


class Resolver:
    """Asks one server what it holds of ours. Nothing is asked of a cache (FHIRClient.search)."""

    def __init__(self, desk: Desk, book: Book, system: str) -> None:
        self._desk = desk
        self._book = book
        self._system = system
        self._subjects = Subjects(desk.matcher())

    def absent(self, jobs: Iterable[Job]) -> list[Job]:
        """Return the records that surely are not there; the others are settled or put off."""
        jobs = list(jobs)
        told = self.told(jobs)
        self._book.settle(told.values())
        return [job for job in jobs if job.record_id not in told]

    def told(self, jobs: Iterable[Job]) -> dict[str, Verdict]:
        """Search for records by business identifier; return what that says, by record.

        What is there is taken for the record's copy. A record that surely is not there has no verdict.
        """
        verdicts: dict[str, Verdict] = {}
        by_type: dict[str, list[Job]] = {}
        for job in jobs:
            by_type.setdefault(job.resource_type, []).append(job)
        for resource_type, some in by_type.items():
            for chunk in chunked(some):
                found = self._search(resource_type, chunk)
                if isinstance(found, dict):
                    for job in chunk:
                        if copies := found.get(job.record_id):
                            verdicts[job.record_id] = self._on_copies(job, copies)
                else:
                    failed = self.failed(chunk, Method.SEARCH, found)
                    verdicts.update({one.job.record_id: one for one in failed})
        return verdicts

    def _on_copies(self, job: Job, copies: list[Tree]) -> Verdict:
        if len(copies) > 1:
            return rejected(job, Reason.SEVERAL_COPIES_THERE)
        return self.adopt(job, copies[0])

    def _search(self, resource_type: str, jobs: list[Job]) -> dict[str, list[Tree]] | Failure:
        names = {job.record_id: name for job in jobs if (name := identity(job.tree, self._system))}
        if not names:
            return {}
        params = {"identifier": any_of(names.values()), "_count": "200"}
        result = self._desk.client.search(resource_type, params)
        if not isinstance(result, Found):
            return result
        return {
            record_id: [tree for tree in result.resources if name in names_of(tree)]
            for record_id, name in names.items()
        }

    def adopt(self, job: Job, body: Tree) -> Verdict:
        """Take a resource that carries a record's identifier for its copy."""
        subject = self._subject(job, body)
        if subject is Later.NOT_VERIFIED:
            return _unverified(job)
        if subject != About(str(job.patient_id)):
            return rejected(job, Reason.IDENTIFIER_TAKEN)
        if version_of(body) in FIRST:
            return Verdict(job, State.PENDING, When.NOW, seen=Seen(body["id"], version_of(body), body, None))
        return self._take_in(job, body)

    def catch_up(self, job: Job, refusal: Outcome | None = None) -> Verdict | None:
        """Read the copy; None if it still is at the version that we know.

        refusal: the server's answer to an update that it took for stale. If the copy has not
        changed after all, that is the last word.
        """
        assert job.known.server_id is not None
        outcome = self._desk.client.read(job.resource_type, job.known.server_id)
        following = plan.next_step(Method.READ, outcome, job.row.attempts)
        if following.step is not Step.DONE:
            return after_failure(job, following, outcome)
        assert isinstance(outcome, Answered)
        if outcome.body is None or outcome.body.get("id") != job.known.server_id:
            return rejected(job, Reason.NOT_FHIR)
        if job.known.body is None:
            seen = Seen(job.known.server_id, version_of(outcome.body), outcome.body, None)
            return Verdict(job, State.PENDING, When.NOW, seen=seen)
        if version_of(outcome.body) == job.known.server_version:
            return None if refusal is None else after_failure(job, _LAST_WORD, refusal)
        return self._take_in(job, outcome.body)

    def failed(self, jobs: Iterable[Job], method: Method, outcome: Outcome) -> list[Verdict]:
        """Return the verdicts on records whose common request failed."""
        verdicts = []
        for job in jobs:
            following = plan.next_step(method, outcome, job.row.attempts)
            if following.pause and following.reason:
                self._desk.report.problem = following.reason
            verdicts.append(after_failure(job, following, outcome))
        return verdicts

    def _take_in(self, job: Job, body: Tree) -> Verdict:
        """Merge the copy as it is now into the record, and say how that leaves the push."""
        subject = self._subject(job, body)
        if subject is Later.NOT_VERIFIED:
            return _unverified(job)
        taking = self._desk.taking()
        try:
            with self._desk.database.begin() as session:
                if isinstance(subject, Moved):
                    taken = taking.moved(session, job.record_id, body, subject.there)
                elif job.is_create:
                    taken = taking.adopt(session, current(session, job.record_id), body)
                else:
                    taken = taking.newer(session, job.record_id, body)
        except InvalidContent as error:
            return rejected(job, Reason.NOT_VALID_THERE, to_operation_outcome(error.findings))
        except (ServiceError, ValueError) as error:
            log.error("a version could not be taken in", record_id=job.record_id, kind=type(error).__name__)
            return rejected(job, Reason.FAILED_HERE)
        if taken.state is State.CONFLICT:
            self._desk.report.conflicts += 1
            return Verdict(job, State.CONFLICT, When.NEVER, Reason.CHANGED_ON_BOTH_SIDES)
        if taken.state is State.MOVED:
            self._desk.report.moved += 1
            return Verdict(job, State.MOVED, When.NEVER, Reason.OTHER_PATIENT_THERE)
        self._desk.report.merged += taken.changed
        return Verdict(job, State.PENDING, When.NOW)

    def _subject(self, job: Job, body: Tree) -> SubjectVerdict | Later:
        # A copy that is to be taken back was last seen as another patient's.
        is_seen = job.known.body is not None and not job.known.is_taken_back
        last_seen = job.known.tree if is_seen else None
        return self._subjects.judge({job.record_id: Copy(body, job.patient_id, last_seen)})[job.record_id]


def _unverified(job: Job) -> Verdict:
    return Verdict(job, State.PENDING, When.LATER, Reason.PATIENT_NOT_VERIFIED)


_LAST_WORD = plan.Next(Step.REJECT, Reason.REFUSED)
