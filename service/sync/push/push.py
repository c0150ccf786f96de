"""Here to there: the outbox of one connection, each record exactly once."""

from service.record_types import SYNCED
from service.store.deployment import identifier_system
from service.sync import leases
from service.sync.context import RunContext
from service.sync.identity import links
from service.sync.identity.links import Job
from service.sync.ordering import in_order
from service.sync.push import absentees
from service.sync.push.lookup import ServerLookup
from service.sync.push.results import ResultWriter
from service.sync.push.second_look import SecondLook
from service.sync.push.selection import Selection
from service.sync.push.sender import Sender
from service.sync.push.window import Window
from service.sync.states import State

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
            created = [job for job in jobs if job.is_create and job.known.state is not State.UNKNOWN]
            strangers = absentees.strangers(
                session, self._context.connection_id, [job.record_id for job in created]
            )
        self._drop(rows, jobs, strangers)
        jobs = [job for job in jobs if job.record_id not in strangers and job.resource_type in SYNCED]
        lookup = ServerLookup(self._context, self._writer, self._system)
        selection = Selection(self._context, self._writer, lookup, self._system)
        jobs = selection.undisputed(jobs)
        registered = selection.registered(jobs)
        people = selection.people(jobs, registered)
        if people is None:
            return set()
        jobs = selection.of_matched_patients(jobs, people)
        jobs = selection.not_left_behind(jobs, people)
        names = selection.names(jobs, people, registered)
        jobs = selection.of_matched_names(jobs, names)
        addresses = selection.addresses(jobs, people, names, registered)
        jobs = selection.certain(jobs)
        window = Window(
            context=self._context,
            writer=self._writer,
            lookup=lookup,
            system=self._system,
            addresses=addresses,
            bases=selection.bases(jobs),
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


def _groups(jobs: list[Job]) -> list[list[Job]]:
    by_local = {job.local: job for job in jobs}
    references = {job.local: sorted(job.references & by_local.keys()) for job in jobs}
    return [[by_local[local] for local in group] for group in in_order(references)]
