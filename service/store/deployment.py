"""What this database calls the records that are made in it."""

import uuid
from typing import cast

from sqlalchemy import Table, exists, select
from sqlalchemy.orm import Session

from service.errors import Conflict
from service.store.tables import Deployment, Record

_ONLY = 1
_INFO = "identifier_system"
_TABLE = cast("Table", Deployment.__table__)
_SYSTEM = select(_TABLE.c.identifier_system).where(_TABLE.c.id == _ONLY)


def identifier_system(session: Session) -> str:
    """Return the system of the identifiers that we give to records."""
    # Asked in every write: once a transaction, and not through the session, which adds its own time.
    if _INFO not in session.info:
        session.info[_INFO] = session.connection().scalars(_SYSTEM).one()
    system: str = session.info[_INFO]
    return system


def settle_identifier_system(session: Session, wanted: str | None) -> None:
    """Take the system that is wanted, else keep the one that is here, else make one.

    Raises Conflict for another system than the one that records already carry: servers know them by it.
    """
    row = session.get(Deployment, _ONLY)
    if row is None:
        session.add(Deployment(id=_ONLY, identifier_system=wanted or f"urn:uuid:{uuid.uuid4()}"))
    elif wanted is not None and wanted != row.identifier_system:
        if session.scalar(select(exists().select_from(Record))):
            raise Conflict("The identifier system cannot change once there are records; restore the setting")
        row.identifier_system = wanted
    session.info.pop(_INFO, None)
    session.flush()
