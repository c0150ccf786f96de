"""Resources as they arrive from a server: known, newer, ours by identifier, new, or not valid R4."""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence

import structlog
from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import names_of
from service.chart.ownership import Origin
from service.chart.trees import FHIR_ID
from service.chart.writes import Change
from service.errors import InvalidContent
from service.fhir_client.outcomes import Answered, Failure, Refused
from service.record_types import BY_RESOURCE_TYPE
from service.store.deployment import identifier_system
from service.store.tables import Record, RecordIdentifier
from service.sync.context import RunContext
from service.sync.identity import links
from service.sync.identity.links import LinkState
from service.sync.identity.references import literals, relative, to_here
from service.sync.identity.subject_policy import About, Moved, Nobody, NotTaken, SubjectJudgement
from service.sync.identity.subjects import Later, Subjects
from service.sync.incoming import LocalRecord, local_record
from service.sync.merge.resources import not_to_be_taken
from service.sync.ordering import in_order
from service.sync.policy import Method, Step
from service.sync.pull import invalid_resources
from service.sync.pull.linked_copies import Held, copy_of, is_echo, read_held
from service.sync.states import Reason, State

log = structlog.get_logger(__name__)


class Ingest:
    """Takes pages in, each resource on its own: what cannot be taken does not stop the others."""

    def __init__(
        self, context: RunContext, subjects: Subjects, patients: Mapping[str, str], asked: Collection[str]
    ) -> None:
        """patients: server id -> our id, of those who are matched. asked: of these, whom was searched for."""
        self._context = context
        self._subjects = subjects
        self._people = set(patients.values())
        self._asked = asked
        self._incoming = context.incoming()
        #: Our ids of patients of whom something could not be judged now; all of theirs is read again.
        self.unsettled: set[str] = set()

    def take(self, resources: list[Tree]) -> None:
        """Take in one page of one resource type."""
        bodies = {one["id"]: one for one in resources}
        if not bodies:
            return
        resource_type = next(iter(bodies.values()))["resourceType"]
        with self._context.database.read() as session:
            held = read_held(session, self._context.connection_id, resource_type, list(bodies))
        # What is listed as not to be taken is judged again: why it was not may lie with what is here.
        unknown = {
            server_id: body for server_id, body in bodies.items() if not is_echo(body, held.get(server_id))
        }
        if unknown:
            self._take_unknown(unknown, held)

    def _take_unknown(self, bodies: dict[str, Tree], held: Mapping[str, Held]) -> None:
        judgements = self._subjects.judge(
            {server_id: copy_of(body, held.get(server_id)) for server_id, body in bodies.items()}, self._asked
        )
        ours = {server_id: bodies[server_id] for server_id in bodies if self._concerns(judgements[server_id])}
        problems = {
            server_id: not_to_be_taken(body)
            for server_id, body in ours.items()
            if isinstance(judgements[server_id], About)
        }
        with self._context.database.begin() as session:
            for server_id in self._referred_first(ours):
                try:
                    with session.begin_nested():
                        self._take_one(
                            session,
                            bodies[server_id],
                            judgements[server_id],
                            problems.get(server_id, []),
                            held.get(server_id),
                        )
                except InvalidContent as error:
                    self._list(session, bodies[server_id], error.findings, held.get(server_id))
                except Exception as error:
                    # Whatever it is, the next resource has nothing to do with it.
                    log.error("a resource could not be taken in", exc_info=error)
                    self._context.report.problems.append(Reason.FAILED_HERE)

    def _concerns(self, judgement: SubjectJudgement | Later) -> bool:
        """Tell whether a resource is, or should be, about somebody of ours."""
        if isinstance(judgement, About):
            return judgement.patient_id in self._people
        if isinstance(judgement, NotTaken):
            # Of all that a server has, a resource about a group or a device is none of our business.
            return bool(self._asked) or judgement.patient_id is not None
        return judgement is not Nobody.STRANGER

    def ask_after(self, resource_type: str, missing: Iterable[tuple[str, str]]) -> Failure | None:
        """Read directly what a search did not show: only that tells a deletion from a gap.

        missing: record and server ids. What is there still is taken in. Return what stopped it.
        """
        gone, shown = [], []
        stopped: Failure | None = None
        for record_id, server_id in missing:
            outcome = self._context.client.read(resource_type, server_id)
            if isinstance(outcome, Answered):
                shown += [outcome.body] if outcome.body and outcome.body.get("id") == server_id else []
                continue
            following = self._context.next_step(Method.READ, outcome)
            if following.step is Step.GONE and isinstance(outcome, Refused):
                why = links.explained(State.REJECTED, Reason.GONE_THERE, outcome.outcome)
                gone.append({"record_id": record_id, "resource_type": resource_type, **why})
            elif following.pause or not isinstance(outcome, Refused):
                stopped = outcome
                break
            # Else this one alone is not shown to us, which says nothing of whether it is there.
        if gone:
            self._context.report.rejected += len(gone)
            with self._context.database.begin() as session:
                links.save(session, self._context.connection_id, self._context.clock(), gone)
        self.take(shown)
        return stopped

    def _referred_first(self, bodies: Mapping[str, Tree]) -> list[str]:
        by_address = {f"{body['resourceType']}/{server_id}": server_id for server_id, body in bodies.items()}
        references = {
            address: {relative(one, self._context.base_url) for one in literals(bodies[server_id])}
            for address, server_id in by_address.items()
        }
        return [by_address[address] for group in in_order(references) for address in group]

    def _take_one(
        self,
        session: Session,
        body: Tree,
        judgement: SubjectJudgement | Later,
        problems: list[Finding],
        held: Held | None,
    ) -> None:
        if isinstance(judgement, Later):
            if held is not None:
                self.unsettled.add(held.patient_id)
        elif isinstance(judgement, Moved):
            assert held is not None
            self._incoming.moved(session, held.record_id, body, judgement.there)
            invalid_resources.forget(session, self._context.connection_id, body)
            self._context.report.moved += 1
        elif isinstance(judgement, NotTaken):
            self._list(session, body, [judgement.finding], held)
        elif problems:
            self._list(session, body, problems, held)
        elif held is not None:
            self._newer(session, held.record_id, body)
        elif isinstance(judgement, About):
            self._new(session, body, judgement.patient_id)

    def _newer(self, session: Session, record_id: str, body: Tree) -> None:
        taken = self._incoming.apply(session, record_id, body)
        invalid_resources.forget(session, self._context.connection_id, body)
        if taken.state is State.CONFLICT:
            self._context.report.conflicts += 1
        elif taken.changed:
            self._context.report.merged += 1

    def _new(self, session: Session, body: Tree, patient_id: str) -> None:
        ours = self._ours(session, body, patient_id)
        if ours is not None:
            self._adopt(session, ours, body)
            return
        places = links.places(
            session, self._context.connection_id, self._context.base_url, patient_id, [body]
        )
        change = Change(
            actor=f"connection:{self._context.name}",
            action="pull",
            at=self._context.clock(),
            origin=Origin.SERVER,
        )
        tree = to_here(body, places, self._new_id(session, body))
        entry = self._context.chart.save_from_server(session, tree, patient_id, change)
        self._link(session, entry.id, body, entry.version)
        invalid_resources.forget(session, self._context.connection_id, body)
        self._context.report.pulled += 1

    def _new_id(self, session: Session, body: Tree) -> str:
        """Return a new record's id: the one it had here, if it was ours before a restored backup."""
        system = identifier_system(session)
        own = next((value for known, value in names_of(body) if known == system), None)
        if own is not None and FHIR_ID.fullmatch(own) and session.get(Record, own) is None:
            return own
        return str(uuid.uuid4())

    def _adopt(self, session: Session, ours: LocalRecord, body: Tree) -> None:
        """Take a resource with an identifier of ours for the record's copy."""
        known = links.known(session, self._context.connection_id, [ours.record_id]).get(
            ours.record_id, LinkState()
        )
        if known.server_id is not None and known.server_id != body["id"]:
            problem = "is that of another resource, which is our copy"
            self._list(session, body, [Finding(f"{ours.resource_type}.identifier", problem)], None)
            return
        taken = self._incoming.adopt(session, ours, body)
        self._context.report.adopted += 1
        self._context.report.conflicts += taken.state is State.CONFLICT

    def _ours(self, session: Session, body: Tree, patient_id: str) -> LocalRecord | None:
        """Return the record of ours that a resource says to be; several or another patient's is none."""
        resource_type = body["resourceType"]
        system = identifier_system(session)
        # The one identifier of a form's answers can be its own; all else of ours has one that we gave.
        may_be_its_own = BY_RESOURCE_TYPE[resource_type].has_one_identifier
        names = [name for name in names_of(body) if may_be_its_own or name[0] == system]
        found = session.scalars(
            select(RecordIdentifier.record_id)
            .join(Record, Record.id == RecordIdentifier.record_id)
            .where(
                tuple_(RecordIdentifier.system, RecordIdentifier.value).in_(names),
                RecordIdentifier.value.in_([value for _, value in names]),
                Record.resource_type == resource_type,
                Record.patient_id == patient_id,
                Record.set_aside.is_(None),
            )
        ).all()
        return local_record(session, found[0]) if len(set(found)) == 1 else None

    def _list(self, session: Session, body: Tree, findings: Sequence[Finding], held: Held | None) -> None:
        if not invalid_resources.keep(
            session, self._context.connection_id, body, findings, self._context.clock()
        ):
            return
        self._context.report.invalid += 1
        if held is not None:
            why = links.explained(State.REJECTED, Reason.NOT_VALID_THERE)
            row = {"record_id": held.record_id, "resource_type": body["resourceType"], **why}
            links.save(session, self._context.connection_id, self._context.clock(), [row])

    def _link(self, session: Session, record_id: str, body: Tree, synced_version: int) -> None:
        row = {**links.to_copy(record_id, body, synced_version), **links.explained(State.SYNCED)}
        links.save(session, self._context.connection_id, self._context.clock(), [row])
