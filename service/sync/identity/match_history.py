"""How patients are matched, and how that came: as people and programs ask for it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store.tables import (
    Connection,
    MatchChange,
    PatientLink,
)
from service.sync.states import NEXT_STEPS, Reason


@dataclass(frozen=True, kw_only=True)
class MatchEvent:
    """One line of the history of a match."""

    server_id: str | None
    state: str
    reason: str | None
    basis: str | None
    actor: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class PatientMatch:
    """Which Patient there a patient is on one connection, or why none; newest line of the history first."""

    connection: str
    server_id: str | None
    state: str
    reason: str | None
    next_step: str | None
    basis: str | None
    checked_at: datetime
    history: list[MatchEvent]


def matches(session: Session, patient_id: str) -> list[PatientMatch]:
    """Return how a patient is matched on each connection."""
    rows = session.execute(
        select(PatientLink, Connection.name)
        .join(Connection, Connection.id == PatientLink.connection_id)
        .where(PatientLink.patient_id == patient_id)
        .order_by(Connection.name)
    )
    return [
        PatientMatch(
            connection=name,
            server_id=row.server_id,
            state=row.state,
            reason=row.reason,
            next_step=NEXT_STEPS[Reason(row.reason)] if row.reason else None,
            basis=row.basis,
            checked_at=row.checked_at,
            history=_match_history(session, patient_id, row.connection_id),
        )
        for row, name in rows.all()
    ]


def _match_history(session: Session, patient_id: str, connection_id: str) -> list[MatchEvent]:
    table = MatchChange
    rows = session.scalars(
        select(table)
        .where(table.patient_id == patient_id, table.connection_id == connection_id)
        .order_by(table.number.desc())
    )
    return [
        MatchEvent(
            server_id=row.server_id,
            state=row.state,
            reason=row.reason,
            basis=row.basis,
            actor=row.actor,
            at=row.at,
        )
        for row in rows
    ]
