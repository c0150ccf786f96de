"""Which records of a window may go, and what they need to know of the server for that."""

from collections.abc import Iterable, Mapping

from fhir_mappings.exact_json import Tree
from service.chart.targets import named_patients
from service.fhir_client.outcomes import Failure, Refused
from service.sync import policy
from service.sync.context import RunContext
from service.sync.identity import links
from service.sync.identity.links import Job
from service.sync.identity.matching import Match
from service.sync.identity.reference_matching import FOUND_BY_IDENTIFIER
from service.sync.identity.references import Logical, ReferencesThere, Wanted, all_wanted, named, wanted
from service.sync.identity.subject_policy import subject_there
from service.sync.policy import Method, Next, Step
from service.sync.push import absentees
from service.sync.push.lookup import ServerLookup
from service.sync.push.results import PushResult, Requeue, ResultWriter, after_failure
from service.sync.states import Reason, State


class Selection:
    """Leaves out of the jobs of one window what cannot go now, each with its result."""

    def __init__(self, context: RunContext, writer: ResultWriter, lookup: ServerLookup, system: str) -> None:
        self._context = context
        self._system = system
        self._writer = writer
        self._lookup = lookup

    def undisputed(self, jobs: list[Job]) -> list[Job]:
        """Leave out what waits for a person's decision; deciding puts it in the outbox again."""
        disputed = [job for job in jobs if job.known.state in _DECIDED_BY_PEOPLE]
        self._writer.write(
            PushResult(
                job, state=job.known.state, when=Requeue.NEVER, reason=_DECIDED_BY_PEOPLE[job.known.state]
            )
            for job in disputed
        )
        return [job for job in jobs if job.known.state not in _DECIDED_BY_PEOPLE]

    def people(self, jobs: list[Job], registered: Mapping[Logical, str]) -> dict[str, Match] | None:
        """Return the matches of all patients to whom something is about to be written, or who are named."""
        subjects = {job.patient_id for job in jobs if job.patient_id}
        referred = {address.partition("/") for job in jobs for address in job.references}
        named_too = {patient_id for kind, _, patient_id in referred if kind == "Patient"}
        matcher = self._context.matcher()
        people = matcher.patients(subjects | named_too | set(registered.values()))
        if not isinstance(people, dict):
            self._pause(jobs, policy.next_step(Method.SEARCH, people).reason or Reason.NOT_FHIR, people)
        elif matcher.shows_nobody(people.values()):
            self._pause(jobs, Reason.PATIENT_NOT_READABLE_THERE, Refused(403))
        else:
            return people
        return None

    def _pause(self, jobs: list[Job], reason: Reason, failure: Failure) -> None:
        """Put off what keeps us from all Patients: the connection's problem, and no fault of a record's."""
        self._context.report.problem = reason
        following = Next(Step.RETRY, reason=reason, pause=True)
        self._writer.write(after_failure(job, following, failure) for job in jobs)

    def of_matched_patients(self, jobs: list[Job], people: Mapping[str, Match]) -> list[Job]:
        """Leave out what is about a patient who is not matched, or could not be verified just now."""
        results, matched = [], []
        for job in jobs:
            match = people.get(job.patient_id, _NOBODY) if job.patient_id else _NOBODY
            if match.server_id:
                matched.append(job)
            else:
                results.append(_unmatched(job, match, match.sought))
        self._writer.write(results)
        return matched

    def registered(self, jobs: list[Job]) -> dict[Logical, str]:
        """Return whom of our patients the records name by identifier alone."""
        names = {name for job in jobs for name in named(job.tree) if name[0] == "Patient"}
        with self._context.database.read() as session:
            owners = named_patients(session, {(system, value) for _, system, value in names})
        return {name: owners[name[1:]] for name in names if name[1:] in owners}

    def names(
        self, jobs: list[Job], people: Mapping[str, Match], registered: Mapping[Logical, str]
    ) -> dict[Wanted, Match]:
        """Return the matches of what the records refer to by identifier alone."""
        names = {one for job in jobs for one in _wanted(job) if one[1] not in registered}
        patients = {patient_id: match.server_id for patient_id, match in people.items() if match.server_id}
        matches = self._context.reference_matcher().references(names, patients)
        if not isinstance(matches, dict):
            self._put_off([job for job in jobs if named(job.tree)], Method.SEARCH, matches)
            return {}
        return matches | {wanted("", name): people[here] for name, here in registered.items()}

    def of_matched_names(self, jobs: list[Job], names: Mapping[Wanted, Match]) -> list[Job]:
        """Leave out what refers to a person or condition that is not there, or there more than once."""
        results, matched = [], []
        for job in jobs:
            there = _named_there(job)
            sought = {one for one in _wanted(job) if one[1] not in there and one[1][0] in FOUND_BY_IDENTIFIER}
            missing = sorted(one for one in sought if not names.get(one, _UNASKED).server_id)
            if not missing:
                matched.append(job)
            elif all(one in names for one in missing):
                results.append(_unmatched(job, names[missing[0]], [name for _, name in missing]))
        self._writer.write(results)
        return matched

    def addresses(
        self,
        jobs: list[Job],
        people: Mapping[str, Match],
        names: Mapping[Wanted, Match],
        registered: Mapping[Logical, str],
    ) -> ReferencesThere:
        """Return where there all is to which records refer."""
        logical = {one: f"{one[1][0]}/{match.server_id}" for one, match in names.items() if match.server_id}
        references = {reference for job in jobs for reference in job.references}
        references |= {job.local for job in jobs}
        with self._context.database.read() as session:
            there = links.addresses(session, self._context.connection_id, references)
            coming = {job.local for job in jobs}
            without = {one for one in references - there.keys() - coming if not one.startswith("Patient/")}
            nameable = absentees.nameable(session, self._context.connection_id, without, self._system)
        # People are where they were just found to be, whatever has been written down since.
        there |= {
            f"Patient/{patient_id}": f"Patient/{match.server_id}"
            for patient_id, match in people.items()
            if match.server_id
        }
        return ReferencesThere(
            self._context.base_url,
            there=there,
            logical=logical,
            believed={one for one, match in names.items() if match.is_believed},
            believed_people={patient_id for patient_id, match in people.items() if match.is_believed},
            nameable=nameable,
            registered=registered,
        )

    def not_left_behind(self, jobs: list[Job], people: Mapping[str, Match]) -> list[Job]:
        """Leave out what was written there and stayed somebody else's when the patient's match changed."""
        base_url = self._context.base_url
        results, ours = [], []
        for job in jobs:
            known = job.known.tree if job.known.body is not None else {}
            there = subject_there(known, base_url).server_id
            is_elsewhere = there not in (None, people.get(str(job.patient_id), _NOBODY).server_id)
            result = self._lookup.left_behind(job) if is_elsewhere else None
            if result is None:
                ours.append(job)
            else:
                results.append(result)
        self._writer.write(results)
        return ours

    def certain(self, jobs: list[Job]) -> list[Job]:
        """Find out first what became of what was sent without an answer; return what is to be sent."""
        unsure = {job.record_id for job in jobs if job.known.state is State.UNKNOWN}
        absent = self._lookup.absent([job for job in jobs if job.record_id in unsure and job.is_create])
        unchanged = []
        results = []
        for job in jobs:
            if not job.is_create and (job.record_id in unsure or job.known.body is None):
                result = self._lookup.refresh(job)
                if result is None:
                    unchanged.append(job)
                else:
                    results.append(result)
                unsure.add(job.record_id)
        self._writer.write(results)
        sendable = {job.record_id for job in absent + unchanged}
        return [job for job in jobs if job.record_id not in unsure or job.record_id in sendable]

    def bases(self, jobs: list[Job]) -> dict[str, Tree]:
        """Return our trees in the versions that the copies there correspond to, by record."""
        versions = [
            (job.record_id, job.known.synced_version)
            for job in jobs
            if not job.is_create and job.known.synced_version is not None
        ]
        with self._context.database.read() as session:
            return links.trees_of(session, versions)

    def _put_off(self, jobs: list[Job], method: Method, outcome: Failure) -> None:
        self._writer.write(self._lookup.failed(jobs, method, outcome))


_NOBODY = Match(reason=Reason.NO_PATIENT_HERE)
_UNASKED = Match()

#: States that a person ends, and why.
_DECIDED_BY_PEOPLE = {
    State.CONFLICT: Reason.CHANGED_ON_BOTH_SIDES,
    State.MOVED: Reason.OTHER_PATIENT_THERE,
    State.HELD: Reason.LET_GO,
}


def _unmatched(job: Job, match: Match, sought: Iterable[Logical]) -> PushResult:
    state = State.PENDING if match.waits else State.UNMATCHED
    return PushResult(job, state=state, when=Requeue.LATER, reason=match.reason, sought=tuple(sought))


def _wanted(job: Job) -> set[Wanted]:
    return all_wanted(job.patient_id or "", job.tree)


def _named_there(job: Job) -> set[Logical]:
    """Return what the copy there names by identifier too: that is how the server has it."""
    return set() if job.known.body is None else named(job.known.tree)
