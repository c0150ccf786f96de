"""What servers hold and nobody is shown: copies that moved to another patient, and what is not valid."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from fhir_mappings import exact_json
from service.store.tables import (
    Connection,
    InvalidResource,
    Link,
    MovedCopy,
    PatientLink,
    Record,
    Version,
)
from service.sync.identity import match_rows


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A record's copy that is another patient's there by now; what it says is shown to nobody.

    there: the server's id of that patient; patient_there: our id of them, if they are a patient here.
    """

    record_id: str
    resource_type: str
    patient_id: str | None
    connection: str
    server_id: str | None
    there: str | None
    patient_there: str | None
    was_born_there: bool
    found_at: datetime


@dataclass(frozen=True, kw_only=True)
class Invalid:
    """A resource of a server that is not valid R4, kept as it came."""

    connection: str
    resource_type: str
    server_id: str
    server_version: str | None
    findings: list[dict[str, str]]
    seen_at: datetime


def moved(session: Session, connection: str | None) -> list[Moved]:
    """Return the copies that are another patient's by now and wait for a decision."""
    there = aliased(PatientLink)
    first = aliased(Version)
    query = (
        select(
            Record.id.label("record_id"),
            Record.resource_type,
            Record.patient_id,
            Connection.name.label("connection"),
            Link.server_id,
            MovedCopy.there,
            there.patient_id.label("patient_there"),
            (first.action == "pull").label("was_born_there"),
            MovedCopy.found_at,
        )
        .join(MovedCopy, MovedCopy.record_id == Record.id)
        .join(Connection, Connection.id == MovedCopy.connection_id)
        .join(Link, (Link.record_id == Record.id) & (Link.connection_id == MovedCopy.connection_id))
        .join(first, (first.record_id == Record.id) & (first.version == 1))
        .outerjoin(
            there,
            (there.connection_id == MovedCopy.connection_id)
            & (there.server_id == MovedCopy.there)
            & (there.state == match_rows.MATCHED),
        )
        .where(MovedCopy.decision.is_(None))
        .order_by(MovedCopy.found_at, Record.id)
    )
    if connection:
        query = query.where(Connection.name == connection)
    return [Moved(**row) for row in session.execute(query).mappings()]


def invalid(session: Session, connection: str | None) -> list[Invalid]:
    """Return what servers hold that is not valid R4."""
    query = select(InvalidResource, Connection.name).join(
        Connection, Connection.id == InvalidResource.connection_id
    )
    if connection:
        query = query.where(Connection.name == connection)
    order = (Connection.name, InvalidResource.resource_type, InvalidResource.server_id)
    return [
        Invalid(
            connection=name,
            resource_type=row.resource_type,
            server_id=row.server_id,
            server_version=row.server_version,
            findings=exact_json.parse(row.findings),
            seen_at=row.seen_at,
        )
        for row, name in session.execute(query.order_by(*order))
    ]
