"""Records found again: by id, by version, by what they are about."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from fhir_mappings.errors import Finding
from service.chart.trees import split_canonical
from service.chart.versions import Page, RecordVersion, version_of
from service.errors import InvalidInput, NotFound
from service.store.tables import Record, RecordIdentifier, Version


@dataclass(frozen=True, kw_only=True)
class RecordQuery:
    """Which records; what is None does not matter.

    identifier: system (None for any, "" for none) and value.
    questionnaire: ``url`` for any version of it, or ``url|version``.
    updated_since is included, updated_before is not. after: the id on which the page before ended.
    is_count_only: the total alone is of interest.
    """

    resource_type: str
    ids: Collection[str] | None = None
    patient: str | None = None
    status: str | None = None
    identifier: tuple[str | None, str] | None = None
    questionnaire: str | None = None
    updated_since: datetime | None = None
    updated_before: datetime | None = None
    limit: int = 50
    after: str | None = None
    is_count_only: bool = False

    def conditions(self) -> list[ColumnElement[bool]]:
        found = [Record.resource_type == self.resource_type, Record.set_aside.is_(None)]
        if self.ids is not None:
            found.append(Record.id.in_(self.ids))
        if self.patient is not None:
            found.append(Record.patient_id == self.patient)
        if self.status is not None:
            found.append(Record.status == self.status)
        if self.identifier is not None:
            found.append(_identified(*self.identifier))
        if self.questionnaire is not None:
            found.append(_of_questionnaire(self.questionnaire))
        if self.updated_since is not None:
            found.append(Record.updated_at >= self.updated_since)
        if self.updated_before is not None:
            found.append(Record.updated_at < self.updated_before)
        return found


def _identified(system: str | None, value: str) -> ColumnElement[bool]:
    found = select(RecordIdentifier.record_id).where(RecordIdentifier.value == value)
    if system is not None:
        found = found.where(RecordIdentifier.system == system)
    return Record.id.in_(found)


def _of_questionnaire(canonical: str) -> ColumnElement[bool]:
    url, version = split_canonical(canonical)
    of_url = Record.canonical_url == url
    return and_(of_url, Record.canonical_version == version) if version else of_url


def get(session: Session, resource_type: str, record_id: str, *, set_aside: bool = False) -> RecordVersion:
    """Return a record; set_aside: also one that is shown to nobody."""
    return _one(session, resource_type, record_id, None, set_aside)


def version(session: Session, resource_type: str, record_id: str, number: int) -> RecordVersion:
    return _one(session, resource_type, record_id, number, False)


def _one(
    session: Session, resource_type: str, record_id: str, number: int | None, set_aside: bool
) -> RecordVersion:
    wanted = Record.version if number is None else number
    query = (
        select(Record, Version)
        .join(Version, and_(Version.record_id == Record.id, Version.version == wanted))
        .where(Record.id == record_id, Record.resource_type == resource_type)
    )
    row = session.execute(query if set_aside else query.where(Record.set_aside.is_(None))).first()
    if row is None:
        raise missing(resource_type, version=number is not None)
    return version_of(*row)


def history(session: Session, resource_type: str, record_id: str) -> list[RecordVersion]:
    """Return all versions, newest first."""
    rows = session.execute(
        select(Record, Version)
        .join(Version, Version.record_id == Record.id)
        .where(Record.id == record_id, Record.resource_type == resource_type, Record.set_aside.is_(None))
        .order_by(Version.version.desc())
    ).all()
    if not rows:
        raise missing(resource_type)
    return [version_of(*row) for row in rows]


def search(session: Session, query: RecordQuery) -> Page[RecordVersion]:
    """Return records in the order in which they came."""
    conditions = query.conditions()
    total = session.scalar(select(func.count()).select_from(Record).where(*conditions)) or 0
    if query.after is not None:
        conditions.append(_beyond(session, query.after))
    rows = session.execute(
        select(Record, Version)
        .join(Version, and_(Version.record_id == Record.id, Version.version == Record.version))
        .where(*conditions)
        .order_by(Record.created_at, Record.id)
        .limit(query.limit + 1)
    ).all()
    entries = tuple(version_of(*row) for row in rows[: query.limit])
    return Page(entries, entries[-1].id if len(rows) > query.limit else None, total)


def _beyond(session: Session, after: str) -> ColumnElement[bool]:
    last = session.execute(select(Record.created_at).where(Record.id == after)).first()
    if last is None:
        raise InvalidInput(Finding("after", "is not where a page ended", "value"))
    return or_(Record.created_at > last[0], and_(Record.created_at == last[0], Record.id > after))


def missing(resource_type: str, *, version: bool = False) -> NotFound:
    return NotFound(f"There is no such {'version of this ' if version else ''}{resource_type} here")


def first_action(session: Session, record_id: str) -> str | None:
    """Return the act by which a record came to be."""
    return session.scalar(select(Version.action).where(Version.record_id == record_id, Version.version == 1))
