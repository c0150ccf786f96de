"""Resources as they arrive from a server: known, newer, ours by identifier, new, or not valid R4."""

from collections.abc import Mapping

import structlog
from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session

from fhir_mappings import exact_json, r4
from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from service.fhir_answers import version_of
from service.store.deployment import identifier_system
from service.store.tables import InvalidResource, Link, Record, RecordIdentifier
from service.sync import links
from service.sync.desk import Desk
from service.sync.links import Known
from service.sync.match import names_in
from service.sync.order import in_order
from service.sync.project import references as references_of
from service.sync.project import relative, subject_of, to_here
from service.sync.reasons import Reason, State
from service.sync.reconcile import unreadable
from service.sync.taking import Ours, current

log = structlog.get_logger(__name__)


class Arrivals:
    """Takes pages in, each resource on its own: what cannot be taken does not stop the others."""

    def __init__(self, desk: Desk, patients: Mapping[str, str]) -> None:
        """patients: server id -> our id, of those that are linked."""
        self._desk = desk
        self._patients = patients
        self._taking = desk.taking()

    def take(self, resources: list[Tree]) -> None:
        """Take in one page of one resource type."""
        mine = {one["id"]: one for one in resources if self._patient_of(one)}
        if not mine:
            return
        resource_type = next(iter(mine.values()))["resourceType"]
        with self._desk.database.read() as session:
            held = _held(session, self._desk.connection_id, resource_type, list(mine))
            refused = _refused(session, self._desk.connection_id, resource_type, list(mine))
        unknown = {
            server_id: body
            for server_id, body in mine.items()
            if not _is_echo(body, held.get(server_id)) and refused.get(server_id) != exact_json.dump(body)
        }
        if unknown:
            self._take_unknown(unknown, held)

    def _take_unknown(self, bodies: dict[str, Tree], held: Mapping[str, tuple[str, Known]]) -> None:
        problems = {server_id: r4.check(body) or unreadable(body) for server_id, body in bodies.items()}
        with self._desk.database.begin() as session:
            for server_id in self._referred_first(bodies):
                try:
                    with session.begin_nested():
                        self._take_one(session, bodies[server_id], problems[server_id], held.get(server_id))
                except Exception as error:
                    # Whatever it is, the next resource has nothing to do with it.
                    log.error("a resource could not be taken in", exc_info=error)
                    self._desk.report.problems.append(Reason.FAILED_HERE)

    def _referred_first(self, bodies: Mapping[str, Tree]) -> list[str]:
        by_address = {f"{body['resourceType']}/{server_id}": server_id for server_id, body in bodies.items()}
        references = {
            address: {relative(one, self._desk.base_url) for one in references_of(bodies[server_id])}
            for address, server_id in by_address.items()
        }
        return [by_address[address] for group in in_order(references) for address in group]

    def _take_one(
        self, session: Session, body: Tree, problems: list[Finding], held: tuple[str, Known] | None
    ) -> None:
        if problems:
            self._refuse(session, body, problems, held)
        elif held is not None:
            self._newer(session, held[0], body)
        else:
            self._new(session, body)

    def _newer(self, session: Session, record_id: str, body: Tree) -> None:
        taken = self._taking.newer(session, record_id, body)
        self._forget_refusal(session, body)
        if taken.state is State.CONFLICT:
            self._desk.report.conflicts += 1
        elif taken.changed:
            self._desk.report.merged += 1

    def _new(self, session: Session, body: Tree) -> None:
        ours = self._ours(session, body)
        if ours is not None:
            self._adopt(session, ours, body)
            return
        places = links.places(session, self._desk.connection_id, self._desk.base_url, [body])
        entry = self._desk.chart.absorb(
            session,
            to_here(body, places, body["id"]),
            record_id=None,
            patient_id=self._patient_of(body),
            actor=f"connection:{self._desk.name}",
            action="pull",
        )
        self._link(session, entry.id, body, entry.version)
        self._forget_refusal(session, body)
        self._desk.report.pulled += 1

    def _adopt(self, session: Session, ours: Ours, body: Tree) -> None:
        """Take a resource with an identifier of ours for the record's copy."""
        known = links.known(session, self._desk.connection_id, [ours.record_id]).get(ours.record_id, Known())
        if known.server_id is not None and known.server_id != body["id"]:
            told = Finding(
                f"{ours.resource_type}.identifier", "is that of another resource, which is our copy"
            )
            self._refuse(session, body, [told], None)
            return
        taken = self._taking.adopt(session, ours, body)
        self._desk.report.adopted += 1
        self._desk.report.conflicts += taken.state is State.CONFLICT

    def _ours(self, session: Session, body: Tree) -> Ours | None:
        """Return the record of ours that a resource says to be; several or another patient's is none."""
        resource_type = body["resourceType"]
        system = identifier_system(session)
        # The one identifier of a form's answers can be its own; all else of ours has one that we gave.
        is_form = resource_type == "QuestionnaireResponse"
        names = [name for name in names_in(body) if is_form or name[0] == system]
        found = session.scalars(
            select(RecordIdentifier.record_id)
            .join(Record, Record.id == RecordIdentifier.record_id)
            .where(
                tuple_(RecordIdentifier.system, RecordIdentifier.value).in_(names),
                Record.resource_type == resource_type,
                Record.patient_id == self._patient_of(body),
            )
        ).all()
        return current(session, found[0]) if len(set(found)) == 1 else None

    def _refuse(
        self, session: Session, body: Tree, findings: list[Finding], held: tuple[str, Known] | None
    ) -> None:
        """Keep what is not valid as it came, with what is wrong; it is never written."""
        self._forget_refusal(session, body)
        told = [{"path": one.path, "problem": one.problem, "code": one.code} for one in findings]
        session.add(
            InvalidResource(
                connection_id=self._desk.connection_id,
                resource_type=body["resourceType"],
                server_id=body["id"],
                server_version=version_of(body),
                body=exact_json.dump(body),
                findings=exact_json.dump(told),
                seen_at=self._desk.clock(),
            )
        )
        session.flush()
        self._desk.report.invalid += 1
        if held is not None:
            told_why = links.explained(State.REJECTED, Reason.NOT_VALID_THERE)
            row = {"record_id": held[0], "resource_type": body["resourceType"], **told_why}
            links.save(session, self._desk.connection_id, self._desk.clock(), [row])

    def _forget_refusal(self, session: Session, body: Tree) -> None:
        session.execute(
            delete(InvalidResource).where(
                InvalidResource.connection_id == self._desk.connection_id,
                InvalidResource.resource_type == body["resourceType"],
                InvalidResource.server_id == body["id"],
            )
        )

    def _link(self, session: Session, record_id: str, body: Tree, synced_version: int) -> None:
        row = {
            "record_id": record_id,
            "resource_type": body["resourceType"],
            "server_id": body["id"],
            "server_version": version_of(body),
            "body": exact_json.dump(body),
            "synced_version": synced_version,
            **links.explained(State.SYNCED),
        }
        links.save(session, self._desk.connection_id, self._desk.clock(), [row])

    def _patient_of(self, body: Tree) -> str | None:
        """Return our patient that a resource is about, if it is one that is linked."""
        reference = relative(subject_of(body) or "", self._desk.base_url)
        kind, _, server_id = reference.partition("/")
        return self._patients.get(server_id) if kind == "Patient" else None


def _held(
    session: Session, connection_id: str, resource_type: str, server_ids: list[str]
) -> dict[str, tuple[str, Known]]:
    held: dict[str, tuple[str, Known]] = {}
    for some in links.chunks(server_ids):
        for row in session.execute(
            select(Link.server_id, Link.record_id, Link.state, Link.server_version, Link.body).where(
                Link.connection_id == connection_id,
                Link.resource_type == resource_type,
                Link.server_id.in_(some),
            )
        ):
            known = Known(State(row.state), row.server_id, row.server_version, row.body)
            held[str(row.server_id)] = (row.record_id, known)
    return held


def _refused(
    session: Session, connection_id: str, resource_type: str, server_ids: list[str]
) -> dict[str, str]:
    refused: dict[str, str] = {}
    for some in links.chunks(server_ids):
        for row in session.execute(
            select(InvalidResource.server_id, InvalidResource.body).where(
                InvalidResource.connection_id == connection_id,
                InvalidResource.resource_type == resource_type,
                InvalidResource.server_id.in_(some),
            )
        ):
            refused[row.server_id] = row.body
    return refused


def _is_echo(body: Tree, held: tuple[str, Known] | None) -> bool:
    """Tell whether this is what we have seen already; our own writes come back so."""
    if held is None or held[1].body is None:
        return False
    version = version_of(body)
    if version is not None and version == held[1].server_version:
        return True
    return version is None and held[1].tree == body
