"""The FHIR servers that are kept in step, and what each can do, as last asked."""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from service.errors import Conflict, NotFound
from service.fhir_client.client import FHIRClient
from service.fhir_client.outcomes import Answered, Failure
from service.record_types import SYNCED
from service.store.database import Database
from service.store.statements import chunks
from service.store.tables import Connection as Row
from service.store.tables import Record
from service.sync import leases
from service.sync.server import capabilities, connection_rules
from service.sync.server.capabilities import Capabilities

#: How long a CapabilityStatement is believed.
FRESH = timedelta(hours=1)

#: No server takes a header as long as this.
MOST_TOKEN_CHARACTERS = 65_536


#: What can be sent as a bearer token; RFC 6750 allows less.
_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A FHIR server. token_file: path of the file with the bearer token."""

    id: str
    name: str
    base_url: str
    token_file: str | None


def every(session: Session) -> list[Connection]:
    """Return all connections by name."""
    return [_told(row) for row in session.scalars(select(Row).order_by(Row.name))]


def named(session: Session, name: str) -> Connection:
    """Return one connection. Raises NotFound."""
    row = session.scalar(select(Row).where(Row.name == name))
    if row is None:
        raise NotFound("There is no connection of that name")
    return _told(row)


def add(
    session: Session,
    name: str,
    base_url: str,
    token_file: str | None,
    now: datetime,
    *,
    by_settings: bool = False,
) -> Connection:
    """Declare a server; all that is kept here is to be brought there. Raises InvalidContent, Conflict."""
    connection_rules.require_valid(name, base_url, by_settings=by_settings)
    base_url = base_url.rstrip("/")
    rows = session.execute(select(Row.name, Row.base_url)).all()
    if any(row.name == name or connection_rules.is_same(row.base_url, base_url) for row in rows):
        raise Conflict("A connection of that name or address is there already")
    row = Row(
        id=str(uuid.uuid4()),
        name=name,
        base_url=base_url,
        token_file=token_file,
        created_at=now,
        capabilities=None,
        capabilities_at=None,
    )
    session.add(row)
    session.flush()
    enqueue_all(session, row.id, now)
    return _told(row)


def enqueue_all(session: Session, connection_id: str, now: datetime) -> None:
    """Put every record in a connection's outbox; what is in step already costs no request."""
    ids = list(
        session.scalars(select(Record.id).where(Record.resource_type.in_(SYNCED)).order_by(Record.created_at))
    )
    for chunk in chunks(ids):
        leases.enqueue(session, connection_id, chunk, now)


def abilities(
    database: Database, connection: Connection, client: FHIRClient, clock: Callable[[], datetime]
) -> Capabilities | Failure:
    """Return what a server can do, asked anew when the last answer is old."""
    with database.read() as session:
        row = session.get_one(Row, connection.id)
    # A statement from the future is as old as the clock was wrong when it came.
    is_fresh = row.capabilities_at is not None and timedelta() <= clock() - row.capabilities_at < FRESH
    if row.capabilities and is_fresh:
        return capabilities.read(exact_json.parse(row.capabilities))
    return ask(database, connection, client, clock)


def ask(
    database: Database, connection: Connection, client: FHIRClient, clock: Callable[[], datetime]
) -> Capabilities | Failure:
    """Fetch and keep a server's CapabilityStatement."""
    outcome = client.capabilities()
    if not isinstance(outcome, Answered):
        return outcome
    statement = outcome.body or {}
    with database.begin() as session:
        session.execute(
            update(Row)
            .where(Row.id == connection.id)
            .values(capabilities=exact_json.dump(statement), capabilities_at=clock())
        )
    return capabilities.read(statement)


def token_in(path: str | None) -> Callable[[], str | None]:
    """Return what reads a token file at every call, so that a renewed token is used at once."""
    return lambda: token_of(Path(path)) if path else None


def token_of(file: Path) -> str:
    """Return the bearer token that a file holds. Raises OSError, or ValueError where it holds none."""
    if not file.is_file():
        # To read a pipe or a device could take for ever.
        raise FileNotFoundError("no file")
    with file.open(encoding="utf-8") as opened:
        token = opened.read(MOST_TOKEN_CHARACTERS + 1).strip()
    if len(token) > MOST_TOKEN_CHARACTERS or _TOKEN.fullmatch(token) is None:
        raise ValueError("not one token")
    return token


def _told(row: Row) -> Connection:
    return Connection(id=row.id, name=row.name, base_url=row.base_url, token_file=row.token_file)
