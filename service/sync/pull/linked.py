"""Who and what is linked to a server, as a pull asks for it."""

from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from service.store.statements import chunks
from service.store.tables import Link, Patient, PatientLink, Record
from service.sync.identity.match_rows import MATCHED
from service.sync.identity.matching import RECHECK
from service.sync.states import Reason

#: A record's id here, and that of its copy there.
Copy = tuple[str, str]


def unlinked(session: Session, connection_id: str, now: datetime) -> list[str]:
    """Return the patients that have to be looked for (again); nobody was looked for in the future."""
    link = PatientLink
    return list(
        session.scalars(
            select(Patient.id)
            .outerjoin(link, (link.patient_id == Patient.id) & (link.connection_id == connection_id))
            .where(
                Patient.merged_into.is_(None),
                or_(
                    link.patient_id.is_(None),
                    (link.state == MATCHED) & link.is_stale,
                    (link.state != MATCHED) & ~link.checked_at.between(now - RECHECK, now),
                ),
            )
        )
    )


def copies_of(session: Session, connection_id: str, resource_type: str, server_ids: list[str]) -> list[Copy]:
    """Return the linked copies among some ids there, but for those that are known to be gone."""
    copies: list[Copy] = []
    for chunk in chunks(server_ids):
        rows = session.execute(
            select(Link.record_id, Link.server_id).where(
                Link.connection_id == connection_id,
                Link.resource_type == resource_type,
                Link.server_id.in_(chunk),
                or_(Link.reason.is_(None), Link.reason != Reason.GONE_THERE),
            )
        )
        copies += [(row.record_id, row.server_id) for row in rows if row.server_id]
    return copies


def copies_not_in(
    session: Session, connection_id: str, resource_type: str, patient_ids: list[str], seen: set[str]
) -> list[Copy]:
    """Return the linked copies of some patients that are not among those seen."""
    rows = session.execute(
        select(Link.record_id, Link.server_id)
        .join(Record, Record.id == Link.record_id)
        .where(
            Link.connection_id == connection_id,
            Link.resource_type == resource_type,
            Link.server_id.is_not(None),
            or_(Link.reason.is_(None), Link.reason != Reason.GONE_THERE),
            Record.patient_id.in_(patient_ids),
        )
    )
    return [(row.record_id, row.server_id) for row in rows if row.server_id and row.server_id not in seen]
