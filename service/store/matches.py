"""What becomes of a patient's matches when somebody says here who is who: they are made anew."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.store.tables import OutboxRow, PatientLink, Record, Watermark

#: What a match rests on, and has to be kept to restore one.
_KEPT = ("server_id", "earlier", "basis", "shown")


def make_stale(session: Session, patient_id: str, now: datetime) -> None:
    """Have a patient looked for anew on every connection, before anything is written to them; soon.

    All that they have there is read again as well: whom it is about is seen otherwise by now, maybe.
    """
    read_again(session, [patient_id])
    session.execute(
        update(PatientLink)
        .where(PatientLink.patient_id == patient_id)
        .values(is_stale=True)
        .execution_options(synchronize_session="fetch")
    )
    theirs = select(Record.id).where(Record.patient_id == patient_id)
    session.execute(
        update(OutboxRow)
        .where(OutboxRow.record_id.in_(theirs), OutboxRow.next_attempt_at > now)
        .values(next_attempt_at=now)
        .execution_options(synchronize_session=False)
    )


def hand_over(session: Session, from_id: str, into_id: str) -> dict[str, dict[str, Any]]:
    """Leave the matches of a patient who is merged to the one who stays, where that one has none.

    Return what they were, by connection.
    """
    claims: dict[str, dict[str, Any]] = {}
    for row in session.scalars(select(PatientLink).where(PatientLink.patient_id == from_id)).all():
        claims[row.connection_id] = {name: getattr(row, name) for name in _KEPT}
        other = session.get(PatientLink, (into_id, row.connection_id))
        session.delete(row)
        session.flush()
        if row.server_id is not None and (other is None or other.server_id is None):
            if other is not None:
                session.delete(other)
                session.flush()
            session.add(_unverified(into_id, row.connection_id, claims[row.connection_id], row.checked_at))
    session.flush()
    return claims


def restore(
    session: Session, from_id: str, into_id: str, claims: dict[str, dict[str, Any]], now: datetime
) -> None:
    """Give a patient who is one again the matches they had; each is verified before it is used."""
    for connection_id, kept in claims.items():
        for patient_id in (from_id, into_id):
            other = session.get(PatientLink, (patient_id, connection_id))
            # A run that was on its way may have written one for who was merged already.
            if other is not None and (patient_id == from_id or other.server_id == kept["server_id"]):
                session.delete(other)
        session.flush()
        session.add(_unverified(from_id, connection_id, kept, now))
    session.flush()


def read_again(session: Session, patient_ids: Collection[str], connection_id: str | None = None) -> None:
    """Have all that patients have there read as a whole at the next pull."""
    theirs = select(PatientLink.connection_id, PatientLink.server_id).where(
        PatientLink.patient_id.in_(patient_ids), PatientLink.server_id.is_not(None)
    )
    if connection_id is not None:
        theirs = theirs.where(PatientLink.connection_id == connection_id)
    for connection, server_id in session.execute(theirs).all():
        mark = session.get(Watermark, (connection, f"Patient/{server_id}"))
        if mark is not None:
            session.delete(mark)
    session.flush()


def _unverified(
    patient_id: str, connection_id: str, kept: dict[str, Any], checked_at: datetime
) -> PatientLink:
    return PatientLink(
        patient_id=patient_id,
        connection_id=connection_id,
        state="unmatched",
        reason=None,
        claimed_id=None,
        is_stale=True,
        checked_at=checked_at,
        **kept,
    )
