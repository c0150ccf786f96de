"""Records that are shown to nobody: until a person has decided whose they are, or because one has."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.store.tables import Record

#: Its copy is another patient's there; it was handed over to another patient.
MOVED, HANDED_OVER = "moved", "handed-over"


def hide(session: Session, record_id: str) -> None:
    """Show a record to nobody until a person has decided about it."""
    _set(session, record_id, None, MOVED)


def show_again(session: Session, record_id: str) -> None:
    """Show a record that waited for a decision; what was handed over stays out of sight."""
    _set(session, record_id, MOVED, None)


def count(session: Session, patient_id: str) -> int:
    """Count a patient's records that wait for a decision."""
    waiting = select(func.count()).select_from(Record)
    return session.scalar(waiting.where(Record.patient_id == patient_id, Record.set_aside == MOVED)) or 0


def _set(session: Session, record_id: str, before: str | None, after: str | None) -> None:
    row = session.get_one(Record, record_id)
    if row.set_aside == before:
        row.set_aside = after
        session.flush()
