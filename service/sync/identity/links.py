"""How records stand with one server: the rows that say so, read and written many at a time."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import select, tuple_, update
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.fhir_client.outcomes import version_of
from service.store.statements import chunks, upsert
from service.store.tables import Link, MovedCopy, PatientLink, Record, ReferenceLink, Version
from service.sync.identity import match_rows
from service.sync.identity.references import Logical, ReferencesHere, literals, referred, relative
from service.sync.leases import Leased
from service.sync.states import NEXT_STEPS, Reason, State


@dataclass(frozen=True)
class LinkState:
    """What is known of a record's copy there.

    body: the copy as last seen, in its version server_version. synced_version: our version that
    it corresponds to, None where that is not known. is_taken_back: it is another patient's there, and
    a person has decided that it is to be the record's again, as the record is here.
    """

    state: State = State.PENDING
    _: KW_ONLY
    server_id: str | None = None
    server_version: str | None = None
    body: str | None = None
    synced_version: int | None = None
    reason: str | None = None
    is_taken_back: bool = False

    @cached_property
    def tree(self) -> Tree:
        assert self.body is not None
        tree: Tree = exact_json.parse(self.body)
        return tree


@dataclass(frozen=True, kw_only=True)
class Job:
    """A record as it is now, to be brought to one server."""

    row: Leased
    resource_type: str
    patient_id: str | None
    version: int
    tree: Tree
    known: LinkState

    @property
    def record_id(self) -> str:
        return self.row.record_id

    @property
    def local(self) -> str:
        return f"{self.resource_type}/{self.record_id}"

    @property
    def is_create(self) -> bool:
        return self.known.server_id is None

    @cached_property
    def references(self) -> set[str]:
        """What it refers to here, as ``Type/id``."""
        return referred(self.tree)


def jobs(session: Session, connection_id: str, rows: Iterable[Leased]) -> list[Job]:
    """Return what is to be brought there, in the order of the rows."""
    by_id = {row.record_id: row for row in rows}
    found: dict[str, Job] = {}
    for chunk in chunks(list(by_id)):
        links = known(session, connection_id, chunk)
        links |= _taken_back(session, connection_id, chunk, links)
        for record in session.execute(
            select(Record.id, Record.resource_type, Record.patient_id, Record.version, Record.tree).where(
                Record.id.in_(chunk)
            )
        ):
            found[record.id] = Job(
                row=by_id[record.id],
                resource_type=record.resource_type,
                patient_id=record.patient_id,
                version=record.version,
                tree=exact_json.parse(record.tree),
                known=links.get(record.id, LinkState()),
            )
    return [found[record_id] for record_id in by_id if record_id in found]


def known(session: Session, connection_id: str, record_ids: Collection[str]) -> dict[str, LinkState]:
    """Return what is known of the copies of records."""
    rows = session.execute(
        select(
            Link.record_id,
            Link.state,
            Link.server_id,
            Link.server_version,
            Link.body,
            Link.synced_version,
            Link.reason,
        ).where(Link.connection_id == connection_id, Link.record_id.in_(record_ids))
    )
    return {
        row.record_id: LinkState(
            State(row.state),
            server_id=row.server_id,
            server_version=row.server_version,
            body=row.body,
            synced_version=row.synced_version,
            reason=row.reason,
        )
        for row in rows
    }


def _taken_back(
    session: Session, connection_id: str, record_ids: Collection[str], links: Mapping[str, LinkState]
) -> dict[str, LinkState]:
    """Return the copies that are to be taken back from another patient, as they are there by now."""
    rows = session.scalars(
        select(MovedCopy).where(
            MovedCopy.connection_id == connection_id,
            MovedCopy.record_id.in_(record_ids),
            MovedCopy.decision.is_not(None),
        )
    )
    return {
        row.record_id: replace(
            links[row.record_id],
            server_version=row.server_version,
            body=row.body,
            synced_version=None,
            is_taken_back=True,
        )
        for row in rows
    }


def addresses(session: Session, connection_id: str, references: Collection[str]) -> dict[str, str]:
    """Return where there the records are that are referred to here, both as ``Type/id``.

    A copy that became another patient's is no place to refer to. Where people are the match says.
    """
    ids = [reference.split("/")[1] for reference in references]
    there: dict[str, str] = {}
    for chunk in chunks(ids):
        for row in session.execute(
            select(Link.record_id, Link.resource_type, Link.server_id).where(
                Link.connection_id == connection_id,
                Link.record_id.in_(chunk),
                Link.server_id.is_not(None),
                Link.state != State.MOVED,
            )
        ):
            there[f"{row.resource_type}/{row.record_id}"] = f"{row.resource_type}/{row.server_id}"
    return there


def places(
    session: Session, connection_id: str, base_url: str, patient_id: str, bodies: Iterable[Tree]
) -> ReferencesHere:
    """Return what the things are called here to which a server's resources about a patient refer.

    What is in another patient's chart is none of ours here: it stays an address of the server's.
    """
    referred_to = {relative(one, base_url) for body in bodies for one in literals(body)}
    ids = [one.split("/")[1] for one in referred_to if one.count("/") == 1]
    here: dict[str, str] = {}
    logical: dict[str, Logical] = {}
    for chunk in chunks(ids):
        for row in session.execute(
            select(Link.record_id, Link.resource_type, Link.server_id)
            .join(Record, Record.id == Link.record_id)
            .where(
                Link.connection_id == connection_id,
                Link.server_id.in_(chunk),
                Record.patient_id == patient_id,
            )
        ):
            here[f"{row.resource_type}/{row.server_id}"] = f"{row.resource_type}/{row.record_id}"
        for patient in session.execute(
            select(PatientLink.patient_id, PatientLink.server_id).where(
                PatientLink.connection_id == connection_id,
                PatientLink.server_id.in_(chunk),
                PatientLink.state == match_rows.MATCHED,
            )
        ):
            here[f"Patient/{patient.server_id}"] = f"Patient/{patient.patient_id}"
        for named in session.scalars(
            select(ReferenceLink).where(
                ReferenceLink.connection_id == connection_id,
                ReferenceLink.server_id.in_(chunk),
                ReferenceLink.patient_id.in_(("", patient_id)),
            )
        ):
            logical[f"{named.resource_type}/{named.server_id}"] = (
                named.resource_type,
                named.system,
                named.value,
            )
    return ReferencesHere(base_url, here=here, logical=logical, patient=f"Patient/{patient_id}")


def trees_of(session: Session, versions: Collection[tuple[str, int]]) -> dict[str, Tree]:
    """Return the trees of records as they were in a version."""
    found: dict[str, Tree] = {}
    for chunk in chunks(list(versions)):
        for row in session.execute(
            select(Version.record_id, Version.tree).where(
                tuple_(Version.record_id, Version.version).in_(chunk)
            )
        ):
            found[row.record_id] = exact_json.parse(row.tree)
    return found


def explained(
    state: State,
    reason: Reason | None = None,
    outcome: Tree | None = None,
    sought: Collection[Logical] = (),
) -> Mapping[str, Any]:
    """Return the columns that tell a person how it stands. sought: what was looked for there, in vain."""
    return {
        "state": state,
        "reason": reason,
        "outcome": exact_json.dump(outcome) if outcome else None,
        "next_step": NEXT_STEPS[reason] if reason else None,
        "sought": exact_json.dump([list(name) for name in sought]) if sought else None,
    }


def to_copy(record_id: str, body: Tree, synced_version: int | None) -> dict[str, Any]:
    """Return the columns of a link to a copy as it was just seen."""
    return {
        **to_unseen_copy(record_id, body),
        "server_version": version_of(body),
        "body": exact_json.dump(body),
        "synced_version": synced_version,
    }


def to_unseen_copy(record_id: str, body: Tree) -> dict[str, Any]:
    """Return the columns of a link to a copy of which nothing counts as known but where it is."""
    return {
        "record_id": record_id,
        "resource_type": body["resourceType"],
        "server_id": body["id"],
        "body": None,
        "synced_version": None,
        "state": State.PENDING,
    }


def save(session: Session, connection_id: str, now: datetime, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write link rows; each names record_id, resource_type and the columns to set, the others stay."""
    shapes: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        whole = {**row, "connection_id": connection_id, "updated_at": now}
        shapes.setdefault(tuple(sorted(whole)), []).append(whole)
    for shaped in shapes.values():
        upsert(session, Link, _KEY, shaped)


def unmark(session: Session, connection_id: str, jobs: Iterable[Job]) -> None:
    """Take back the note that records may have reached the server: they stand as they did before it."""
    before: dict[State, list[str]] = {}
    for job in jobs:
        before.setdefault(job.known.state, []).append(job.record_id)
    for state, record_ids in before.items():
        session.execute(
            update(Link)
            .where(
                Link.connection_id == connection_id,
                Link.record_id.in_(record_ids),
                # What somebody else has said of it since stays.
                Link.state == State.UNKNOWN,
            )
            .values(state=state)
            .execution_options(synchronize_session=False)
        )


_KEY = ("record_id", "connection_id")
