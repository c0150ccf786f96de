"""What changed there, taken in here: carried over, merged, or recorded as a conflict."""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from fhir_mappings import exact_json, r4
from fhir_mappings.exact_json import Tree
from service.chart import Chart
from service.chart.ownership import Origin
from service.chart.writes import Change
from service.fhir_client.outcomes import version_of
from service.store.tables import ConflictRow, OutboxRow, Record
from service.sync import leases, moved
from service.sync.conflicts import close, here_before, open_conflict
from service.sync.identity import links
from service.sync.identity.links import LinkState
from service.sync.identity.references import ReferencesHere, to_here
from service.sync.merge.resources import reconcile, unreadable
from service.sync.merge.three_way import Merged
from service.sync.states import Reason, State

#: Versions that say that a resource was not changed since it was created; none says nothing.
FIRST = {"0", "1"}


@dataclass(frozen=True, kw_only=True)
class LocalRecord:
    """A record of ours as it stands in the database at this moment."""

    record_id: str
    resource_type: str
    patient_id: str | None
    version: int
    tree: Tree


@dataclass(frozen=True)
class Applied:
    """What became of a newer version there. changed: whether our record was."""

    state: State
    changed: bool = False


class Incoming:
    """Takes the versions of one connection in, within the caller's transaction."""

    def __init__(
        self, chart: Chart, connection_id: str, name: str, base_url: str, clock: Callable[[], datetime]
    ) -> None:
        self._chart = chart
        self._connection_id = connection_id
        self._base_url = base_url
        self._actor = f"connection:{name}"
        self._clock = clock

    def apply(self, session: Session, record_id: str, body: Tree) -> Applied:
        """Take in a version of a linked record that is newer than the one we know, and about its patient."""
        ours = local_record(session, record_id)
        known = links.known(session, self._connection_id, [record_id])[record_id]
        moved.come_back(session, self._connection_id, record_id)
        seen = [body, known.tree] if known.body else [body]
        places = self._places(session, ours, seen)
        conflict = open_conflict(session, record_id, self._connection_id)
        there = to_here(body, places, record_id)
        if conflict is not None:
            there_before = exact_json.parse(conflict.base) if conflict.base else {}
        elif known.body is not None:
            there_before = to_here(known.tree, places, record_id)
        else:
            there_before = {}
        before = here_before(session, ours.record_id, known, there_before)
        merged = reconcile(before, ours.tree, there_before, there)
        problems = merged.conflicts or [
            finding.path for finding in r4.check(merged.here) or unreadable(merged.here)
        ]
        if problems:
            self._disagree(session, ours, conflict, there_before, there, body, problems)
            return Applied(State.CONFLICT)
        if conflict is not None:
            close(conflict, "merged", self._actor, self._clock())
        return self._agree(session, ours, known, merged, there, body, edited=ours.tree != before)

    def adopt(self, session: Session, ours: LocalRecord, body: Tree) -> Applied:
        """Take a resource that carries a record's identifier for its copy.

        As it was created it is ours, in some version: what differs here is sent on top. One that
        was changed since holds somebody's work: the two are merged without a common base.
        """
        if version_of(body) in FIRST:
            self._save(session, ours, body, None, State.PENDING, None)
            leases.enqueue(session, self._connection_id, [ours.record_id], self._clock())
            return Applied(State.PENDING)
        row = links.to_unseen_copy(ours.record_id, body)
        links.save(session, self._connection_id, self._clock(), [row])
        return self.apply(session, ours.record_id, body)

    def moved(self, session: Session, record_id: str, body: Tree, there: str | None) -> Applied:
        """Set a copy aside that is another patient's there by now; there: that Patient's id."""
        moved.set_aside(session, self._connection_id, record_id, body, there, self._clock())
        return Applied(State.MOVED)

    def _places(self, session: Session, ours: LocalRecord, bodies: Iterable[Tree]) -> ReferencesHere:
        assert ours.patient_id is not None
        return links.places(session, self._connection_id, self._base_url, ours.patient_id, bodies)

    def _agree(
        self,
        session: Session,
        ours: LocalRecord,
        known: LinkState,
        merged: Merged,
        there: Tree,
        body: Tree,
        *,
        edited: bool,
    ) -> Applied:
        version, changed = ours.version, merged.here != ours.tree
        if changed:
            assert ours.patient_id is not None
            change = Change(
                actor=self._actor,
                action="merge" if edited else "pull",
                at=self._clock(),
                origin=Origin.SERVER,
                except_connection=self._connection_id,
            )
            entry = self._chart.save_from_server(
                session, merged.here, ours.patient_id, change, record_id=ours.record_id
            )
            version = entry.version
        settled = merged.there == there
        state = State.SYNCED if settled else State.PENDING
        # Still to be sent: what changed here since the version that both had.
        base = version if settled else known.synced_version
        self._save(session, ours, body, base, state, None)
        if not settled:
            leases.enqueue(session, self._connection_id, [ours.record_id], self._clock())
        return Applied(state, changed)

    def _disagree(
        self,
        session: Session,
        ours: LocalRecord,
        conflict: ConflictRow | None,
        there_before: Tree,
        there: Tree,
        body: Tree,
        paths: list[str],
    ) -> None:
        """Record a conflict, or bring the open one up to date; a person decides."""
        if conflict is None:
            conflict = ConflictRow(
                id=str(uuid.uuid4()),
                record_id=ours.record_id,
                connection_id=self._connection_id,
                base=exact_json.dump(there_before) if there_before else None,
                opened_at=self._clock(),
            )
            session.add(conflict)
        conflict.here_version, conflict.here = ours.version, exact_json.dump(ours.tree)
        conflict.there, conflict.server_version = exact_json.dump(there), version_of(body)
        conflict.paths = exact_json.dump(paths)
        known = links.known(session, self._connection_id, [ours.record_id])[ours.record_id]
        self._save(session, ours, body, known.synced_version, State.CONFLICT, Reason.CHANGED_ON_BOTH_SIDES)
        row = session.get(OutboxRow, (ours.record_id, self._connection_id))
        if row is not None:
            session.delete(row)
        session.flush()

    def _save(
        self,
        session: Session,
        ours: LocalRecord,
        body: Tree,
        synced_version: int | None,
        state: State,
        reason: Reason | None,
    ) -> None:
        row = {**links.to_copy(ours.record_id, body, synced_version), **links.explained(state, reason)}
        links.save(session, self._connection_id, self._clock(), [row])


def local_record(session: Session, record_id: str) -> LocalRecord:
    """Return a record as it is now."""
    record = session.get_one(Record, record_id, populate_existing=True)
    tree = exact_json.parse(record.tree)
    return LocalRecord(
        record_id=record.id,
        resource_type=record.resource_type,
        patient_id=record.patient_id,
        version=record.version,
        tree=tree,
    )
