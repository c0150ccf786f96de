"""Chart: what may be done to a person's record. Each act happens whole, or not at all."""

import dataclasses
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from fhir_mappings.records import Record
from fhir_mappings.references import Name
from fhir_mappings.resources import BY_RECORD_TYPE
from service.chart import aside, patients, queries, rules, subjects, trees, writes
from service.chart.ownership import Origin
from service.chart.preconditions import (
    as_findings,
    free_id,
    is_withdrawn,
    kept_identity,
    lock_current,
    require_record_type,
    require_same_questionnaire,
    require_valid,
    same_questionnaire,
    type_of,
    withdrawn_tree,
)
from service.chart.queries import RecordQuery
from service.chart.versions import Page, Patient, RecordVersion
from service.chart.writes import Change
from service.errors import Conflict, InvalidContent
from service.record_types import OF_PATIENT
from service.store import tables
from service.store.database import Database, Session
from service.store.deployment import identifier_system


class Chart:
    """All acts on records and patients.

    An act opens its own transaction, or is part of the caller's when ``session`` is given
    (one of ``Database.begin``). if_version: the version that the caller has seen.
    Raises the errors of service.errors, with every finding at once.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def create(
        self, tree: Tree, actor: str, *, record_id: str | None = None, session: Session | None = None
    ) -> RecordVersion:
        """Store a new record under record_id, or under a new id; the tree's own id is not ours.

        The same Questionnaire (url and version) with the same content is the one that is here.
        """
        require_record_type(tree)
        require_valid(tree)
        with self._writing(session) as session:
            record_id = free_id(session, record_id)
            tree, patient_id = _with_patient(session, tree)
            if patient_id is None and (known := same_questionnaire(session, tree)):
                return known
            system = identifier_system(session)
            whole = trees.with_identifier(trees.with_id(tree, record_id), system, record_id)
            return writes.add(session, whole, patient_id, self._change(actor, "create"))

    def edit(
        self,
        record_id: str,
        record: Record,
        actor: str,
        *,
        if_version: int | None = None,
        session: Session | None = None,
    ) -> RecordVersion:
        """Change what the record says; all else in its resource stays as it is."""
        resource_type = BY_RECORD_TYPE[type(record).__name__].resource_type
        with self._writing(session) as session:
            row, current = lock_current(session, resource_type, record_id, if_version)
            if record.id not in (None, record_id):
                raise InvalidContent(Finding(f"{resource_type}.id", "is another record's", "value"))
            tree = self.written(record, record_id, onto=current.tree)
            if tree is not current.tree:
                require_valid(tree)
            return self._next(session, row, current, tree, self._change(actor, "update"))

    def replace(
        self,
        record_id: str,
        tree: Tree,
        actor: str,
        *,
        if_version: int | None = None,
        action: str = "update",
        session: Session | None = None,
    ) -> RecordVersion:
        """Put a whole resource in the place of the record's; its identity stays."""
        require_record_type(tree)
        require_valid(tree)
        with self._writing(session) as session:
            row, current = lock_current(session, tree["resourceType"], record_id, if_version)
            return self._next(session, row, current, tree, self._change(actor, action))

    def withdraw(
        self, record_id: str, actor: str, *, if_version: int | None = None, session: Session | None = None
    ) -> RecordVersion:
        """Say that a record was entered in error; a questionnaire is retired. Nothing is deleted."""
        with self._writing(session) as session:
            kind = type_of(session, record_id)
            row, current = lock_current(session, kind, record_id, if_version, withdrawn=True)
            if is_withdrawn(current):
                return current
            tree = withdrawn_tree(current.tree, self._today())
            return self._next(session, row, current, tree, self._change(actor, "withdraw"))

    def written(self, record: Record, record_id: str, *, onto: Tree) -> Tree:
        """Return the resource that a record makes of another version of it, with what follows."""
        mapping = BY_RECORD_TYPE[type(record).__name__]
        after = dataclasses.replace(record, id=record_id)
        with as_findings():
            after = rules.follow(mapping.read(onto), after, self._today())
            tree: Tree = mapping.write(after, onto=onto)
        return tree

    def decide(
        self, session: Session, tree: Tree, actor: str, *, origin: Origin, except_connection: str
    ) -> RecordVersion:
        """Put in a record's place what was decided about a conflict; its id is in the tree."""
        require_record_type(tree)
        require_valid(tree)
        row, current = lock_current(session, tree["resourceType"], tree["id"], None, withdrawn=True)
        change = self._change(actor, "resolve", except_connection=except_connection)
        return self._next(session, row, current, tree, dataclasses.replace(change, origin=origin))

    def save_from_server(
        self, session: Session, tree: Tree, patient_id: str, change: Change, *, record_id: str | None = None
    ) -> RecordVersion:
        """Take in what a server holds about a patient, in the caller's transaction. Nothing is added to it.

        tree: in our words. record_id: of the record whose copy it is; None for a record that is new here.
        """
        require_record_type(tree)
        require_valid(tree)
        if record_id is None:
            return writes.add(session, tree, patient_id, change)
        row, current = lock_current(
            session, tree["resourceType"], record_id, None, withdrawn=True, set_aside=True
        )
        if row.patient_id != patient_id:
            raise Conflict("The record is another patient's by now")
        whole = trees.with_id(tree, record_id)
        return current if trees.same(whole, current.tree) else writes.replace(session, row, whole, change)

    def hand_over(
        self,
        session: Session,
        record_id: str,
        tree: Tree,
        patient_id: str,
        actor: str,
        *,
        except_connection: str,
    ) -> RecordVersion:
        """Make a new record of another patient out of what a record's copy became there.

        The record itself is withdrawn, and shown to nobody any more; its history stays for audit.
        """
        row, current = lock_current(
            session, tree["resourceType"], record_id, None, withdrawn=True, set_aside=True
        )
        was_pulled = queries.first_action(session, record_id) == "pull"
        row.set_aside = aside.HANDED_OVER
        change = self._change(actor, "hand-over", except_connection=except_connection)
        writes.replace(session, row, withdrawn_tree(current.tree, self._today()), change)
        require_valid(tree)
        new_id, system = str(uuid.uuid4()), identifier_system(session)
        without = trees.without_identifier(tree, system)
        whole = trees.with_id(without, new_id)
        if without != tree:
            whole = trees.with_identifier(whole, system, new_id)
        origin = dataclasses.replace(
            change, origin=Origin.SERVER, action="pull" if was_pulled else "hand-over"
        )
        return writes.add(session, whole, patient_id, origin)

    def get(self, resource_type: str, record_id: str) -> RecordVersion:
        with self._database.read() as session:
            return queries.get(session, resource_type, record_id)

    def version(self, resource_type: str, record_id: str, number: int) -> RecordVersion:
        with self._database.read() as session:
            return queries.version(session, resource_type, record_id, number)

    def history(self, resource_type: str, record_id: str) -> list[RecordVersion]:
        """Return all versions, newest first."""
        with self._database.read() as session:
            return queries.history(session, resource_type, record_id)

    def find(self, query: RecordQuery) -> Page[RecordVersion]:
        """Return a page of the records that a query asks for, in the order in which they came."""
        with self._database.read() as session:
            return queries.search(session, query)

    def register_patient(self, identifiers: Iterable[Name], actor: str, *, also: bool = False) -> Patient:
        """Return the patient who is called so, registered if need be; pairs of system and value.

        also: two values in one system are meant.
        """
        pairs = list(identifiers)
        try:
            with self._database.begin() as session:
                return patients.find_or_register(session, pairs, actor, self._clock(), also=also)
        except Conflict:
            # Somebody may have registered the same person at the same moment: then they are found now.
            with self._database.begin() as session:
                return patients.find_or_register(session, pairs, actor, self._clock(), also=also)

    def set_aside_count(self, patient_id: str) -> int:
        """Count a patient's records that wait, shown to nobody, for a person's decision."""
        with self._database.read() as session:
            return aside.count(session, patient_id)

    def patient_of(self, tree: Tree) -> str:
        """Return our id of the patient whom people say a record is about. Raises InvalidContent."""
        with self._database.read() as session:
            return subjects.with_subject(session, tree)[1]

    def patient(self, patient_id: str) -> Patient:
        with self._database.read() as session:
            return patients.get(session, patient_id)

    def find_patient(self, system: str, value: str) -> Patient | None:
        with self._database.read() as session:
            return patients.find(session, system, value)

    def patients(self, limit: int = 50, after: str | None = None) -> Page[Patient]:
        with self._database.read() as session:
            return patients.page(session, limit, after)

    @contextmanager
    def _writing(self, session: Session | None) -> Iterator[Session]:
        if session is not None:
            yield session
            return
        with self._database.begin() as own:
            yield own

    def _next(
        self, session: Session, row: tables.Record, current: RecordVersion, tree: Tree, change: Change
    ) -> RecordVersion:
        """Store the next version, if it says anything else than this one."""
        whole = kept_identity(tree, current.tree, identifier_system(session))
        if trees.same(whole, current.tree):
            return current
        whole, _ = _with_patient(session, whole)
        require_same_questionnaire(row, whole)
        if trees.same(whole, current.tree):
            return current
        return writes.replace(session, row, whole, change)

    def _change(self, actor: str, action: str, *, except_connection: str | None = None) -> Change:
        return Change(actor=actor, action=action, at=self._clock(), except_connection=except_connection)

    def _today(self) -> date:
        return self._clock().astimezone(UTC).date()


def _with_patient(session: Session, tree: Tree) -> tuple[Tree, str | None]:
    """Return the tree with its subject filled in, and our id of the patient; a questionnaire has none."""
    return subjects.with_subject(session, tree) if tree["resourceType"] in OF_PATIENT else (tree, None)
