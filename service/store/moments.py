"""The latest moment that the database holds of what has happened: never after now, by a right clock."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.store.tables import Connection, Link, OutboxRow, PatientLink, Record, ReferenceLink, Watermark

#: What was noted as it happened. Not what is to happen: a next attempt, the end of a lease.
_HAPPENED = (
    Record.updated_at,
    Link.updated_at,
    OutboxRow.enqueued_at,
    PatientLink.checked_at,
    ReferenceLink.checked_at,
    Connection.created_at,
    Connection.capabilities_at,
)


def latest(session: Session) -> datetime | None:
    """Return the latest moment, None of an empty database."""
    moments = [session.scalar(select(func.max(column))) for column in _HAPPENED]
    read_up_to = session.scalar(select(func.max(Watermark.since)))
    if read_up_to is not None:
        moments.append(datetime.fromisoformat(read_up_to))
    return max((one for one in moments if one is not None), default=None)
