"""START HERE for sync: what can be asked of it. A run is push, pull, push for each connection."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from fhir_mappings.records import Record
from service.chart import Chart
from service.errors import NotFound
from service.fhir_client.client import FHIRClient
from service.record_types import SYNCED
from service.store.database import Database
from service.sync import conflicts, moved_decision, policy, resolution, set_aside, status
from service.sync.conflicts import Conflict
from service.sync.context import RunContext
from service.sync.identity import match_history
from service.sync.identity.match_history import PatientMatch
from service.sync.identity.matching import Matcher, MatchRules
from service.sync.lease_holder import LeaseHolder
from service.sync.merge.three_way import Side
from service.sync.moved_decision import MovedDecision
from service.sync.policy import Method
from service.sync.report import Report
from service.sync.round import Direction, Round
from service.sync.server import connections
from service.sync.server.capabilities import Capabilities
from service.sync.server.connections import Connection
from service.sync.set_aside import Invalid, Moved
from service.sync.states import NEXT_STEPS, Reason
from service.sync.status import Missing, Status, Summary

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Check:
    """What a connection answers when asked. problem, next_step: why it cannot be used as it is."""

    name: str
    base_url: str
    problem: str | None = None
    next_step: str | None = None
    transaction: bool = False
    batch: bool = False
    writable: tuple[str, ...] = ()


class Sync:
    """Keeps the records here and those on FHIR servers in step."""

    def __init__(
        self,
        database: Database,
        chart: Chart,
        client_for: Callable[[Connection], FHIRClient],
        clock: Callable[[], datetime],
        rng: random.Random | None = None,
        *,
        batch_size: int = 50,
        match_rules: MatchRules | None = None,
    ) -> None:
        self._database = database
        self._chart = chart
        self._client_for = client_for
        self._clock = clock
        self._rng = rng or random.Random()
        self._batch_size = batch_size
        self._match_rules = match_rules or MatchRules()
        #: Asked between connections and directions: whether to come to an end.
        self.stopping: Callable[[], bool] = lambda: False

    def push(self, connection: str | None = None) -> Report:
        """Bring there what changed here."""
        return self._all(connection, ("push",))

    def pull(self, connection: str | None = None) -> Report:
        """Bring here what changed there."""
        return self._all(connection, ("pull",))

    def run(self, connection: str | None = None) -> Report:
        """Push, pull, and push what the pull left to send."""
        return self._all(connection, ("push", "pull", "push"))

    def status(
        self,
        connection: str | None = None,
        state: str | None = None,
        patient: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> tuple[list[Status], str | None]:
        """Return a page of states, and where the next begins."""
        with self._database.read() as session:
            return status.statuses(
                session, connection=connection, state=state, patient=patient, limit=limit, after=after
            )

    def summary(self, connection: str | None = None) -> Summary:
        """Count the records in each state."""
        with self._database.read() as session:
            if connection:
                connections.named(session, connection)
            return status.summary(session, connection, self._clock())

    def missing(self, connection: str | None = None) -> list[Missing]:
        """Return who and what is looked for there in vain, with the number of records that name them."""
        with self._database.read() as session:
            return status.missing(session, connection)

    def invalid(self, connection: str | None = None) -> list[Invalid]:
        """Return what servers hold that is not valid R4."""
        with self._database.read() as session:
            return set_aside.invalid(session, connection)

    def retry(self, record_id: str, connection: str | None = None, actor: str = "operator") -> None:
        """Send a record again, now."""
        with self._database.begin() as session:
            if connection:
                connections.named(session, connection)
            resolution.retry(session, self._clock(), record_id, connection)
        log.info("retry asked for", record_id=record_id, connection=connection, actor=actor)

    def conflicts(
        self,
        connection: str | None = None,
        resolved: bool = False,
        limit: int = 50,
        after: str | None = None,
    ) -> tuple[list[Conflict], str | None]:
        """Return a page of conflicts, and where the next begins."""
        with self._database.read() as session:
            return conflicts.conflicts(
                session, connection=connection, resolved=resolved, limit=limit, after=after
            )

    def conflict(self, conflict_id: str) -> Conflict:
        """Return one conflict. Raises NotFound."""
        with self._database.read() as session:
            found = conflicts.conflict(session, conflict_id)
        if found is None:
            raise NotFound("There is no such conflict")
        return found

    def resolve(
        self, conflict_id: str, keep: str = "here", actor: str = "operator", record: Record | None = None
    ) -> None:
        """Decide a conflict, for one side or for a record made of both; it is sent at the next push."""
        with self._database.begin() as session:
            resolution.resolve(session, self._chart, self._clock, conflict_id, Side(keep), actor, record)

    def moved(self, connection: str | None = None) -> list[Moved]:
        """Return the copies that are another patient's there by now, and wait for a decision."""
        with self._database.read() as session:
            return set_aside.moved(session, connection)

    def decide_moved(
        self, record_id: str, connection: str, decision: MovedDecision, actor: str = "operator"
    ) -> None:
        """Decide about a copy that moved: write it back, let it go, or hand it over to whose it is there."""
        with self._database.read() as session:
            one = connections.named(session, connection)
            parties = moved_decision.parties(session, record_id, one.id)
        if decision is MovedDecision.HAND_OVER:
            # Nobody's words become another's by a match that has had its time.
            self._matcher(one).patients(parties)
        with self._database.begin() as session:
            since = self._clock() - self._match_rules.patients_for
            moved_decision.decide_moved(
                session, self._chart, self._clock, record_id, one.id, decision, actor, believed_since=since
            )

    def matches(self, patient_id: str) -> list[PatientMatch]:
        """Return how a patient is matched on each connection, with the history of it."""
        with self._database.read() as session:
            return match_history.matches(session, patient_id)

    def match_patient(
        self, patient_id: str, server_id: str, connection: str, actor: str = "operator"
    ) -> None:
        """Match a patient to the Patient whom a person names. Raises InvalidContent."""
        with self._database.read() as session:
            one = connections.named(session, connection)
        self._matcher(one).accept(patient_id, server_id, actor)

    def add_connection(self, name: str, base_url: str, token_file: str | None = None) -> Connection:
        """Declare a FHIR server and put all records in its outbox."""
        with self._database.begin() as session:
            return connections.add(session, name, base_url, token_file, self._clock())

    def enqueue_all(self, connection: str) -> None:
        """Have all records looked through again at the next push; what is in step costs no request."""
        with self._database.begin() as session:
            connections.enqueue_all(session, connections.named(session, connection).id, self._clock())

    def compare(self, connection: str | None = None) -> Report:
        """Read every copy there by its id, take in what changed, and push what differs: both sides whole."""
        with self._database.read() as session:
            chosen = [connections.named(session, connection)] if connection else connections.every(session)
        for one in chosen:
            self.enqueue_all(one.name)
        return self._all(connection, ("compare", "push"))

    def connections(self) -> list[Connection]:
        with self._database.read() as session:
            return connections.every(session)

    def require_connection(self, name: str | None) -> None:
        """Raise NotFound unless a connection of that name is kept; None is all of them."""
        if name is not None:
            with self._database.read() as session:
                connections.named(session, name)

    def check_connection(self, name: str) -> Check:
        """Ask a server what it can do."""
        with self._database.read() as session:
            one = connections.named(session, name)
        able = connections.ask(self._database, one, self._client_for(one), self._clock)
        if not isinstance(able, Capabilities):
            reason = policy.next_step(Method.CAPABILITIES, able).reason or Reason.NOT_FHIR
            return Check(name=name, base_url=one.base_url, problem=reason, next_step=NEXT_STEPS[reason])
        writable = tuple(kind for kind in SYNCED if able.of(kind).can_create)
        return Check(
            name=name,
            base_url=one.base_url,
            problem=None,
            next_step=None,
            transaction=able.has_transaction,
            batch=able.has_batch,
            writable=writable,
        )

    def _matcher(self, connection: Connection) -> Matcher:
        return Matcher(
            database=self._database,
            connection_id=connection.id,
            base_url=connection.base_url,
            client=self._client_for(connection),
            takes_bundles=False,
            rules=self._match_rules,
            clock=self._clock,
            rng=self._rng,
        )

    def _all(self, name: str | None, directions: tuple[Direction, ...]) -> Report:
        with self._database.read() as session:
            chosen = [connections.named(session, name)] if name else connections.every(session)
        total = Report(connection=name or "")
        for connection in chosen:
            report = Report(connection=connection.name)
            try:
                self._one(connection, directions, report)
            except Exception as error:
                # Whatever it is, the next connection has nothing to do with it.
                log.error("a connection failed", connection=connection.name, exc_info=error)
                report.problem = Reason.FAILED_HERE
            log.info("sync", connection=connection.name, **report.as_fields())
            total.add(report)
        return total

    def _one(self, connection: Connection, directions: tuple[Direction, ...], report: Report) -> None:
        client = self._client_for(connection)
        able = connections.abilities(self._database, connection, client, self._clock)
        if not isinstance(able, Capabilities):
            report.problem = policy.next_step(Method.CAPABILITIES, able).reason or Reason.NOT_FHIR
            return
        with LeaseHolder() as lease_holder:
            Round(self._context(connection, client, able, lease_holder, report)).run(directions)

    def _context(
        self,
        connection: Connection,
        client: FHIRClient,
        able: Capabilities,
        lease_holder: LeaseHolder,
        report: Report,
    ) -> RunContext:
        return RunContext(
            connection_id=connection.id,
            name=connection.name,
            base_url=connection.base_url,
            client=client,
            capabilities=able,
            database=self._database,
            chart=self._chart,
            clock=self._clock,
            rng=self._rng,
            lease_holder=lease_holder,
            batch_size=self._batch_size,
            stopping=self.stopping,
            match_rules=self._match_rules,
            report=report,
        )
