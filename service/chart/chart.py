"""Chart: what may be done to a person's record. Each act happens whole, or not at all."""

import dataclasses
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from fhir_mappings.mappings import BY_RECORD_TYPE
from fhir_mappings.records import Record
from service.chart import finding, patients, rules, trees, writing
from service.chart.conditions import (
    another_patient,
    as_findings,
    current_of,
    free_id,
    is_withdrawn,
    kept_identity,
    placed,
    require_not_anothers,
    require_record_type,
    require_same_owner,
    require_valid,
    same_questionnaire,
    type_of,
    withdrawn_tree,
)
from service.chart.entries import Entry, Page, Patient
from service.chart.finding import Wanted
from service.chart.writing import Act
from service.errors import Conflict, InvalidContent
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
    ) -> Entry:
        """Store a new record under record_id, or under a new id; the tree's own id is not ours.

        The same Questionnaire (url and version) with the same content is the one that is here.
        """
        require_record_type(tree)
        require_valid(tree)
        with self._writing(session) as session:
            record_id = free_id(session, record_id)
            tree, patient_id = placed(session, tree)
            if patient_id is None and (known := same_questionnaire(session, tree)):
                return known
            system = identifier_system(session)
            require_not_anothers(tree, system, record_id)
            whole = trees.with_identifier(trees.with_id(tree, record_id), system, record_id)
            return writing.add(session, whole, patient_id, Act(actor, "create", self._clock()))

    def edit(
        self,
        record_id: str,
        record: Record,
        actor: str,
        *,
        if_version: int | None = None,
        session: Session | None = None,
    ) -> Entry:
        """Change what the record says; all else in its resource stays as it is."""
        mapping = BY_RECORD_TYPE[type(record).__name__]
        with self._writing(session) as session:
            row, current = current_of(session, mapping.resource_type, record_id, if_version)
            if record.id not in (None, record_id):
                raise InvalidContent(Finding(f"{mapping.resource_type}.id", "is another record's", "value"))
            after = dataclasses.replace(record, id=record_id)
            with as_findings():
                after = rules.follow(mapping.read(current.tree), after, self._today())
                tree = mapping.write(after, onto=current.tree)
            if tree is not current.tree:
                require_valid(tree)
            return self._next(session, row, current, tree, actor, "update")

    def replace(
        self,
        record_id: str,
        tree: Tree,
        actor: str,
        *,
        if_version: int | None = None,
        action: str = "update",
        session: Session | None = None,
    ) -> Entry:
        """Put a whole resource in the place of the record's; its identity stays."""
        require_record_type(tree)
        require_valid(tree)
        with self._writing(session) as session:
            row, current = current_of(session, tree["resourceType"], record_id, if_version)
            return self._next(session, row, current, tree, actor, action)

    def withdraw(
        self, record_id: str, actor: str, *, if_version: int | None = None, session: Session | None = None
    ) -> Entry:
        """Say that a record was entered in error; a questionnaire is retired. Nothing is deleted."""
        with self._writing(session) as session:
            kind = type_of(session, record_id)
            row, current = current_of(session, kind, record_id, if_version, withdrawn=True)
            if is_withdrawn(current):
                return current
            tree = withdrawn_tree(current.tree, self._today())
            return self._next(session, row, current, tree, actor, "withdraw")

    def absorb(
        self,
        session: Session,
        tree: Tree,
        *,
        record_id: str | None,
        patient_id: str | None,
        actor: str,
        action: str,
        enqueue: bool = False,
        but: str | None = None,
    ) -> Entry:
        """Take in what a server holds, in the caller's transaction. Nothing is added to it.

        record_id: None for a record that is new here. enqueue: whether other servers are to be
        told, all ``but`` the connection that it came from.
        """
        require_record_type(tree)
        require_valid(tree)
        act = Act(actor, action, self._clock(), told=enqueue, but=but)
        if record_id is None:
            return writing.add(session, trees.with_id(tree, str(uuid.uuid4())), patient_id, act)
        row, current = current_of(session, tree["resourceType"], record_id, None, withdrawn=True)
        if row.patient_id != patient_id:
            raise another_patient(tree)
        whole = trees.with_id(tree, record_id)
        return current if trees.same(whole, current.tree) else writing.change(session, row, whole, act)

    def get(self, resource_type: str, record_id: str) -> Entry:
        with self._database.read() as session:
            return finding.get(session, resource_type, record_id)

    def version(self, resource_type: str, record_id: str, number: int) -> Entry:
        with self._database.read() as session:
            return finding.version(session, resource_type, record_id, number)

    def history(self, resource_type: str, record_id: str) -> list[Entry]:
        """Return all versions, newest first."""
        with self._database.read() as session:
            return finding.history(session, resource_type, record_id)

    def search(
        self,
        resource_type: str,
        *,
        ids: Collection[str] | None = None,
        patient: str | None = None,
        status: str | None = None,
        identifier: tuple[str | None, str] | None = None,
        questionnaire: str | None = None,
        updated_since: datetime | None = None,
        updated_before: datetime | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page[Entry]:
        """Return records in the order in which they came; see ``Wanted`` for what may be asked."""
        wanted = Wanted(
            resource_type=resource_type,
            ids=ids,
            patient=patient,
            status=status,
            identifier=identifier,
            questionnaire=questionnaire,
            updated_since=updated_since,
            updated_before=updated_before,
        )
        with self._database.read() as session:
            return finding.search(session, wanted, limit, after)

    def register_patient(self, identifiers: Iterable[tuple[str, str]], actor: str) -> Patient:
        """Return the patient who is called so, registered if need be; pairs of system and value."""
        pairs = list(identifiers)
        try:
            with self._database.begin() as session:
                return patients.find_or_register(session, pairs, actor, self._clock())
        except Conflict:
            # Somebody may have registered the same person at the same moment: then they are found now.
            with self._database.begin() as session:
                return patients.find_or_register(session, pairs, actor, self._clock())

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
        self, session: Session, row: tables.Record, current: Entry, tree: Tree, actor: str, action: str
    ) -> Entry:
        """Store the next version, if it says anything else than this one."""
        system = identifier_system(session)
        whole = kept_identity(tree, current.tree, system)
        if trees.same(whole, current.tree):
            return current
        require_not_anothers(whole, system, row.id)
        whole, patient_id = placed(session, whole)
        require_same_owner(row, whole, patient_id)
        if trees.same(whole, current.tree):
            return current
        return writing.change(session, row, whole, Act(actor, action, self._clock()))

    def _today(self) -> date:
        return self._clock().astimezone(UTC).date()
