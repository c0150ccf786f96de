"""Here to there: the outbox of one connection, each record exactly once."""

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from fhir_mappings.exact_json import Tree
from service.chart import aside
from service.chart.targets import named_patients
from service.fhir_client.outcomes import Failure, Refused
from service.record_types import SYNCED
from service.store.deployment import identifier_system
from service.store.statements import chunks
from service.store.tables import Link, Record, Version
from service.sync import leases, policy
from service.sync.context import RunContext
from service.sync.identity import links
from service.sync.identity.links import Job
from service.sync.identity.matching import Match
from service.sync.identity.reference_matching import FOUND_BY_IDENTIFIER
from service.sync.identity.references import Logical, ReferencesThere, Wanted, named, wanted
from service.sync.ordering import in_order
from service.sync.policy import Method, Next, Step
from service.sync.push.lookup import ServerLookup
from service.sync.push.results import PushResult, Requeue, ResultWriter, after_failure
from service.sync.push.second_look import SecondLook
from service.sync.push.sender import Sender
from service.sync.push.window import Window
from service.sync.states import Reason, State

#: How many bundles' worth of rows are leased and put in order at once.
WINDOW = 10


class Push:
    """One run over what is due."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._writer = ResultWriter(
            context.database, context.connection_id, context.owner, context.clock, context.rng, context.report
        )
        self._second_look = SecondLook(context)
        with context.database.read() as session:
            self._system = identifier_system(session)

    def run(self) -> None:
        """Send until nothing is due, or the server needs a pause."""
        self._take_over()
        waiting: set[str] = set()
        done_at_wake = self._done()
        while not (self._context.report.problem or self._context.stopping()):
            rows = self._lease()
            if rows:
                waiting |= self._window(rows)
            elif waiting and self._done() > done_at_wake:
                # What others waited for may be there by now.
                done_at_wake = self._done()
                with self._context.database.begin() as session:
                    leases.wake(session, self._context.connection_id, waiting, self._context.clock())
                waiting = set()
            else:
                break
        self._context.report.waiting += len(waiting)

    def _done(self) -> int:
        return self._context.report.synced + self._context.report.adopted

    def _take_over(self) -> None:
        """Free the leases of processes of this machine that died; others' have to run out."""
        context = self._context
        with context.database.read() as session:
            holders = leases.holders(session, context.connection_id)
        gone = [owner for owner in holders if context.lease_holder.is_gone(owner)]
        if gone:
            with context.database.begin() as session:
                leases.take_over(session, context.connection_id, gone)
        for owner in gone:
            context.lease_holder.forget(owner)

    def _lease(self) -> list[leases.Leased]:
        context = self._context
        with context.database.begin() as session:
            return leases.lease(
                session, context.connection_id, context.owner, context.clock(), context.batch_size * WINDOW
            )

    def _window(self, rows: list[leases.Leased]) -> set[str]:
        """Bring a window of rows there; return the records that wait for others."""
        with self._context.database.read() as session:
            jobs = links.jobs(session, self._context.connection_id, rows)
            strangers = _strangers(session, self._context.connection_id, jobs)
        self._drop(rows, jobs, strangers)
        jobs = [job for job in jobs if job.record_id not in strangers and job.resource_type in SYNCED]
        jobs = self._undisputed(jobs)
        registered = self._registered(jobs)
        people = self._people(jobs, registered)
        if people is None:
            return set()
        jobs = self._of_matched_patients(jobs, people)
        names = self._names(jobs, people, registered)
        jobs = self._of_matched_names(jobs, names)
        addresses = self._addresses(jobs, people, names)
        lookup = ServerLookup(self._context, self._writer, self._system)
        jobs = self._certain(jobs, lookup)
        bases = self._bases(jobs)
        window = Window(
            context=self._context,
            writer=self._writer,
            lookup=lookup,
            system=self._system,
            addresses=addresses,
            bases=bases,
            second_look=self._second_look,
        )
        Sender(window).send(_groups(jobs))
        return window.readiness.waiting

    def _drop(self, rows: list[leases.Leased], jobs: list[Job], strangers: set[str]) -> None:
        """Take out of the outbox what is not for this server: copies of another server's resources."""
        mine = {job.record_id for job in jobs if job.resource_type in SYNCED} - strangers
        gone = [row for row in rows if row.record_id not in mine]
        if gone:
            with self._context.database.begin() as session:
                leases.finish(session, self._context.connection_id, self._context.owner, gone)

    def _undisputed(self, jobs: list[Job]) -> list[Job]:
        """Leave out what waits for a person's decision; deciding puts it in the outbox again."""
        disputed = [job for job in jobs if job.known.state in _DECIDED_BY_PEOPLE]
        self._writer.write(
            PushResult(
                job, state=job.known.state, when=Requeue.NEVER, reason=_DECIDED_BY_PEOPLE[job.known.state]
            )
            for job in disputed
        )
        return [job for job in jobs if job.known.state not in _DECIDED_BY_PEOPLE]

    def _people(self, jobs: list[Job], registered: Mapping[Logical, str]) -> dict[str, Match] | None:
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

    def _of_matched_patients(self, jobs: list[Job], people: Mapping[str, Match]) -> list[Job]:
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

    def _registered(self, jobs: list[Job]) -> dict[Logical, str]:
        """Return whom of our patients the records name by identifier alone."""
        names = {name for job in jobs for name in named(job.tree) if name[0] == "Patient"}
        with self._context.database.read() as session:
            owners = named_patients(session, {(system, value) for _, system, value in names})
        return {name: owners[name[1:]] for name in names if name[1:] in owners}

    def _names(
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

    def _of_matched_names(self, jobs: list[Job], names: Mapping[Wanted, Match]) -> list[Job]:
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

    def _addresses(
        self, jobs: list[Job], people: Mapping[str, Match], names: Mapping[Wanted, Match]
    ) -> ReferencesThere:
        logical = {one: f"{one[1][0]}/{match.server_id}" for one, match in names.items() if match.server_id}
        references = {reference for job in jobs for reference in job.references}
        references |= {job.local for job in jobs}
        with self._context.database.read() as session:
            there = links.addresses(session, self._context.connection_id, references)
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
        )

    def _certain(self, jobs: list[Job], lookup: ServerLookup) -> list[Job]:
        """Find out first what became of what was sent without an answer; return what is to be sent."""
        unsure = {job.record_id for job in jobs if job.known.state is State.UNKNOWN}
        absent = lookup.absent([job for job in jobs if job.record_id in unsure and job.is_create])
        unchanged = []
        results = []
        for job in jobs:
            if not job.is_create and (job.record_id in unsure or job.known.body is None):
                result = lookup.refresh(job)
                if result is None:
                    unchanged.append(job)
                else:
                    results.append(result)
                unsure.add(job.record_id)
        self._writer.write(results)
        sendable = {job.record_id for job in absent + unchanged}
        return [job for job in jobs if job.record_id not in unsure or job.record_id in sendable]

    def _bases(self, jobs: list[Job]) -> dict[str, Tree]:
        versions = [
            (job.record_id, job.known.synced_version)
            for job in jobs
            if not job.is_create and job.known.synced_version is not None
        ]
        with self._context.database.read() as session:
            return links.trees_of(session, versions)

    def _put_off(self, jobs: list[Job], method: Method, outcome: Failure) -> None:
        lookup = ServerLookup(self._context, self._writer, self._system)
        self._writer.write(lookup.failed(jobs, method, outcome))


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
    return {wanted(job.patient_id or "", name) for name in named(job.tree)}


def _named_there(job: Job) -> set[Logical]:
    """Return what the copy there names by identifier too: that is how the server has it."""
    return set() if job.known.body is None else named(job.known.tree)


def _groups(jobs: list[Job]) -> list[list[Job]]:
    by_local = {job.local: job for job in jobs}
    references = {job.local: sorted(job.references & by_local.keys()) for job in jobs}
    return [[by_local[local] for local in group] for group in in_order(references)]


def _strangers(session: Session, connection_id: str, jobs: Iterable[Job]) -> set[str]:
    """Return the records that are not for this server: another one made them, or they were handed over.

    One that this server made, and a person let go of, has a link still.
    """
    created = [job.record_id for job in jobs if job.is_create and job.known.state is not State.UNKNOWN]
    linked = select(Link.record_id).where(Link.connection_id == connection_id)
    pulled = (Version.action == "pull") & Version.record_id.not_in(linked)
    strangers: set[str] = set()
    for some in chunks(created):
        strangers.update(
            session.scalars(
                select(Version.record_id)
                .join(Record, Record.id == Version.record_id)
                .where(
                    Version.record_id.in_(some),
                    Version.version == 1,
                    pulled | (Record.set_aside == aside.HANDED_OVER),
                )
            )
        )
    return strangers
