"""Records that were changed on both sides: as people and programs ask for them, and how they end."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.store.tables import (
    ConflictRow,
    Connection,
    Record,
)
from service.sync.identity import links
from service.sync.identity.links import LinkState


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """A record changed on both sides; base, here and there are trees in our own words."""

    id: str
    record_id: str
    resource_type: str
    connection: str
    here_version: int
    server_version: str | None
    paths: list[str]
    opened_at: datetime
    resolved_at: datetime | None
    resolution: str | None
    resolved_by: str | None
    base: Tree | None
    here: Tree
    there: Tree


def conflicts(
    session: Session, *, connection: str | None, resolved: bool, limit: int, after: str | None
) -> tuple[list[Conflict], str | None]:
    """Return one page of conflicts, the open ones or those that were decided."""
    query = _conflicts().where(
        Record.set_aside.is_(None),
        ConflictRow.resolved_at.is_not(None) if resolved else ConflictRow.resolved_at.is_(None),
    )
    if connection:
        query = query.where(Connection.name == connection)
    if after:
        query = query.where(ConflictRow.id > after)
    rows = session.execute(query.order_by(ConflictRow.id).limit(limit + 1)).all()
    page = [_conflict(*row) for row in rows[:limit]]
    return page, page[-1].id if len(rows) > limit else None


def conflict(session: Session, conflict_id: str) -> Conflict | None:
    """Return one conflict, open or decided."""
    query = _conflicts().where(ConflictRow.id == conflict_id, Record.set_aside.is_(None))
    row = session.execute(query).first()
    return _conflict(*row) if row else None


def _conflicts() -> Select[*tuple[Any, ...]]:
    return (
        select(ConflictRow, Record.resource_type, Connection.name)
        .join(Record, Record.id == ConflictRow.record_id)
        .join(Connection, Connection.id == ConflictRow.connection_id)
    )


def _conflict(row: ConflictRow, resource_type: str, connection: str) -> Conflict:
    return Conflict(
        id=row.id,
        record_id=row.record_id,
        resource_type=resource_type,
        connection=connection,
        here_version=row.here_version,
        server_version=row.server_version,
        paths=exact_json.parse(row.paths),
        opened_at=row.opened_at,
        resolved_at=row.resolved_at,
        resolution=row.resolution,
        resolved_by=row.resolved_by,
        base=exact_json.parse(row.base) if row.base else None,
        here=exact_json.parse(row.here),
        there=exact_json.parse(row.there),
    )


def open_conflict(session: Session, record_id: str, connection_id: str) -> ConflictRow | None:
    """Return the conflict of a record that nobody has decided yet."""
    return session.scalar(
        select(ConflictRow).where(
            ConflictRow.record_id == record_id,
            ConflictRow.connection_id == connection_id,
            ConflictRow.resolved_at.is_(None),
        )
    )


def close(row: ConflictRow, resolution: str, actor: str, now: datetime) -> None:
    """Note how a conflict was decided."""
    row.resolved_at, row.resolved_by, row.resolution = now, actor, resolution


def here_before(session: Session, record_id: str, link: LinkState, there_before: Tree) -> Tree:
    """Return our tree in the version that both sides had; else what there was there in our words."""
    if link.synced_version is None:
        return there_before
    return links.trees_of(session, [(record_id, link.synced_version)]).get(record_id, there_before)
