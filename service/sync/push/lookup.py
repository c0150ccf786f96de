"""What became of a record there, asked before it is sent again: search, adopt, catch up."""

from collections.abc import Iterable, Set

import structlog

from fhir_mappings.exact_json import Tree
from fhir_mappings.references import Name, names_of
from service.errors import InvalidContent, Unavailable, to_operation_outcome
from service.fhir_client.outcomes import Answered, Cause, Failure, Found, Outcome, Unknown, version_of
from service.sync.context import RunContext
from service.sync.identity import links
from service.sync.identity.identifiers import token
from service.sync.identity.links import Job, LinkState
from service.sync.identity.references import ReferencesHere, to_here
from service.sync.identity.subject_policy import About, Moved, SubjectJudgement
from service.sync.identity.subjects import Copy, Later, Subjects
from service.sync.incoming import FIRST, local_record
from service.sync.merge.resources import not_to_be_taken
from service.sync.policy import Method, Next, Step
from service.sync.push.drafts import identity
from service.sync.push.results import PushResult, Requeue, ResultWriter, ServerCopy, after_failure, rejected
from service.sync.states import Reason, State

log = structlog.get_logger(__name__)


class ServerLookup:
    """Asks one server what it holds of ours. Nothing is asked of a cache (FHIRClient.search)."""

    def __init__(self, context: RunContext, writer: ResultWriter, system: str) -> None:
        self._context = context
        self._writer = writer
        self._system = system
        self._subjects = Subjects(context.matcher())

    def absent(self, jobs: Iterable[Job]) -> list[Job]:
        """Return the records that surely are not there; the others are settled or put off."""
        jobs = list(jobs)
        told = self.find_copies(jobs)
        self._writer.write(told.values())
        return [job for job in jobs if job.record_id not in told]

    def find_copies(self, jobs: Iterable[Job]) -> dict[str, PushResult]:
        """Search for records by business identifier; return what that says, by record.

        What is there is taken for the record's copy. A record that surely is not there has no result.
        """
        results: dict[str, PushResult] = {}
        by_type: dict[str, list[Job]] = {}
        for job in jobs:
            by_type.setdefault(job.resource_type, []).append(job)
        for resource_type, same in by_type.items():
            names = {job.record_id: name for job in same if (name := identity(job.tree, self._system))}
            answers = self._search(resource_type, set(names.values()))
            for job in same:
                copies = answers.get(names.get(job.record_id, _NAMELESS), [])
                if not isinstance(copies, list):
                    results[job.record_id] = self.failed([job], Method.SEARCH, copies)[0]
                elif copies:
                    results[job.record_id] = self._on_copies(job, copies)
        return results

    def _on_copies(self, job: Job, copies: list[Tree]) -> PushResult:
        if len(copies) > 1:
            return rejected(job, Reason.SEVERAL_COPIES_THERE)
        return self.adopt(job, copies[0])

    def _search(self, resource_type: str, names: Set[Name]) -> dict[Name, list[Tree] | Failure]:
        """Return what carries each name there, or why that cannot be told."""
        tokens = {token(*name): name for name in sorted(names)}
        copies: dict[Name, dict[str, Tree]] = {name: {} for name in names}
        failures: dict[Name, Failure] = {}
        for values, page in self._context.client.pages_of_any(resource_type, "identifier", list(tokens)):
            mine = [tokens[value] for value in values]
            if not isinstance(page, Found):
                failures.update(dict.fromkeys(mine, page))
                continue
            if page.unreadable:
                # It may be one of ours; what is not seen here cannot be said to be absent.
                failures.update(dict.fromkeys(mine, _UNREADABLE))
            for body in page.resources:
                for name in copies.keys() & set(names_of(body)):
                    copies[name][body["id"]] = body
        return {
            name: list(bodies.values()) if bodies or name not in failures else failures[name]
            for name, bodies in copies.items()
        }

    def adopt(self, job: Job, body: Tree) -> PushResult:
        """Take a resource that carries a record's identifier for its copy."""
        subject = self._subject(job, body)
        if subject is Later.NOT_VERIFIED:
            return _unverified(job)
        if subject != About(str(job.patient_id)):
            return rejected(job, Reason.IDENTIFIER_TAKEN)
        if problems := not_to_be_taken(body):
            return rejected(job, Reason.NOT_VALID_THERE, to_operation_outcome(problems))
        version = version_of(body)
        if version in FIRST:
            return PushResult(
                job,
                state=State.PENDING,
                when=Requeue.NOW,
                seen=ServerCopy(server_id=body["id"], server_version=version, body=body, synced_version=None),
            )
        # Without a version nothing tells that it is as we created it: what differs is for a person.
        return self.take_in(job, body)

    def refresh(self, job: Job, refusal: Outcome | None = None) -> PushResult | None:
        """Read the copy; None if it still is what we know, or if nothing is to be asked at the moment.

        refusal: the server's answer to an update that it took for stale. If the copy has not
        changed after all, that is the last word.
        """
        assert job.known.server_id is not None
        if self._context.report.problem and refusal is None:
            return None
        outcome = self._read(job)
        if not isinstance(outcome, Answered):
            return self.failed([job], Method.READ, outcome)[0]
        assert outcome.body is not None
        if job.known.body is None:
            return _seen_as_base(job, outcome)
        if is_as_seen(job.known, outcome.body, outcome.version):
            return None if refusal is None else after_failure(job, _LAST_WORD, refusal)
        return self.take_in(job, outcome.body)

    def left_behind(self, job: Job) -> PushResult | None:
        """Return what becomes of a record whose copy, as it was last seen, is somebody else's; else None."""
        if job.is_create or job.known.body is None or job.known.is_taken_back:
            return None
        subject = self._subject(job, job.known.tree)
        if subject is Later.NOT_VERIFIED:
            return _unverified(job)
        return self.take_in(job, job.known.tree) if isinstance(subject, Moved) else None

    def base_anew(self, job: Job) -> PushResult | None:
        """Read the copy that an edit cannot be put onto; None if it is what we know of it, to the letter.

        What we know can be wrong though the version is right: a server may show another than it stored.
        """
        outcome = self._read(job)
        if not isinstance(outcome, Answered):
            result = self.failed([job], Method.READ, outcome)[0]
            is_final = result.state is State.REJECTED and result.reason is not Reason.GONE_THERE
            return None if is_final else result
        assert outcome.body is not None
        if job.known.body is not None and not is_as_seen(job.known, outcome.body, outcome.version):
            return self.take_in(job, outcome.body)
        result = _seen_as_base(job, outcome)
        is_known = job.known.body is not None and outcome.body == job.known.tree
        return None if is_known and result.state is State.PENDING else result

    def _read(self, job: Job) -> Outcome:
        assert job.known.server_id is not None
        outcome = self._context.client.read(job.resource_type, job.known.server_id)
        if isinstance(outcome, Answered) and (outcome.body or {}).get("id") != job.known.server_id:
            return Unknown(Cause.OTHER_RESOURCE, "another resource was shown than the one asked for")
        return outcome

    def failed(self, jobs: Iterable[Job], method: Method, outcome: Outcome) -> list[PushResult]:
        """Return the results on records whose common request failed."""
        results = []
        for job in jobs:
            following = self._context.next_step(method, outcome, job.row.attempts)
            if following.pause and following.reason:
                self._context.report.problem = following.reason
            results.append(after_failure(job, following, outcome))
        return results

    def take_in(self, job: Job, body: Tree) -> PushResult:
        """Merge the copy as it is now into the record, and say how that leaves the push."""
        subject = self._subject(job, body)
        if subject is Later.NOT_VERIFIED:
            return _unverified(job)
        problems = [] if isinstance(subject, Moved) else not_to_be_taken(body)
        if problems:
            return rejected(job, Reason.NOT_VALID_THERE, to_operation_outcome(problems))
        incoming = self._context.incoming()
        try:
            with self._context.database.begin() as session:
                if isinstance(subject, Moved):
                    taken = incoming.moved(session, job.record_id, body, subject.there)
                elif job.is_create and version_of(body) is not None:
                    taken = incoming.adopt(session, local_record(session, job.record_id), body)
                else:
                    if job.is_create:
                        unseen = links.to_unseen_copy(job.record_id, body)
                        links.save(session, self._context.connection_id, self._context.clock(), [unseen])
                    taken = incoming.apply(session, job.record_id, body)
        except InvalidContent as error:
            return rejected(job, Reason.NOT_VALID_THERE, to_operation_outcome(error.findings))
        except Unavailable:
            raise
        except Exception as error:
            # Whatever it is, the next record has nothing to do with it.
            log.error("a version could not be taken in", record_id=job.record_id, exc_info=error)
            return rejected(job, Reason.FAILED_HERE)
        if taken.state is State.CONFLICT:
            self._context.report.conflicts += 1
            return PushResult(
                job, state=State.CONFLICT, when=Requeue.NEVER, reason=Reason.CHANGED_ON_BOTH_SIDES
            )
        if taken.state is State.MOVED:
            self._context.report.moved += 1
            return PushResult(job, state=State.MOVED, when=Requeue.NEVER, reason=Reason.OTHER_PATIENT_THERE)
        self._context.report.merged += taken.changed
        return PushResult(job, state=State.PENDING, when=Requeue.NOW)

    def _subject(self, job: Job, body: Tree) -> SubjectJudgement | Later:
        # A copy that is to be taken back was last seen as another patient's.
        is_seen = job.known.body is not None and not job.known.is_taken_back
        last_seen = job.known.tree if is_seen else None
        copy = Copy(body, owner=job.patient_id, record_id=job.record_id, last_seen=last_seen)
        return self._subjects.judge({job.record_id: copy})[job.record_id]


def _unverified(job: Job) -> PushResult:
    return PushResult(job, state=State.PENDING, when=Requeue.LATER, reason=Reason.PATIENT_NOT_VERIFIED)


def _seen_as_base(job: Job, outcome: Answered) -> PushResult:
    """Take a copy as it was read for what the next draft is put onto."""
    body = outcome.body
    assert body is not None
    if problems := not_to_be_taken(body):
        return rejected(job, Reason.NOT_VALID_THERE, to_operation_outcome(problems))
    seen = ServerCopy(
        server_id=body["id"],
        server_version=outcome.version,
        body=body,
        synced_version=job.known.synced_version if job.known.body is not None else None,
    )
    return PushResult(job, state=State.PENDING, when=Requeue.NOW, seen=seen)


def is_as_seen(known: LinkState, body: Tree, etag: str | None = None) -> bool:
    """Tell whether a copy is what the server last showed us: of that version, or the same as it was.

    etag: the version that the answer itself names. Of a server that names none only the whole
    tells, but for what it notes of its own in meta.
    """
    version = version_of(body)
    if known.server_version is not None and known.server_version in (version, etag):
        return True
    if version is not None or (etag is not None and known.server_version is not None):
        return False
    return to_here(body, _NO_PLACES, "") == to_here(known.tree, _NO_PLACES, "")


_NO_PLACES = ReferencesHere("")


_LAST_WORD = Next(Step.REJECT, reason=Reason.REFUSED)
_NAMELESS: Name = ("", "")
_UNREADABLE = Unknown(Cause.UNREADABLE, "a search shows what cannot be read")
