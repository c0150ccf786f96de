"""Matches of patients as they are kept: claims read, outcomes written, each change with its history."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.references import Name
from service.store.tables import (
    Link,
    MatchChange,
    OutboxRow,
    PatientIdentifier,
    PatientLink,
    Record,
    ReferenceLink,
    Watermark,
)
from service.sync import outbox
from service.sync.match_policy import Basis, Claim
from service.sync.reasons import Reason

MATCHED, UNMATCHED = "matched", "unmatched"

#: Fewer than SQLite's limit of variables in one statement.
_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a patient's match is to stand. claimed_id: another patient's match that it leads to as well."""

    patient_id: str
    claim: Claim
    reason: Reason | None = None
    claimed_id: str | None = None


@dataclass(frozen=True)
class Kept:
    """A claim, since when it has stood so, and why it is no match, if it is none."""

    claim: Claim
    checked_at: datetime
    reason: Reason | None = None
    claimed_id: str | None = None


def read(session: Session, connection_id: str, patient_ids: Collection[str]) -> dict[str, Kept]:
    """Return what is known of patients; those who were never looked for have a claim without a Patient."""
    kept: dict[str, Kept] = {}
    for chunk in _chunks(patient_ids):
        names = _names(session, chunk)
        rows = {
            row.patient_id: row
            for row in session.scalars(
                select(PatientLink).where(
                    PatientLink.connection_id == connection_id, PatientLink.patient_id.in_(chunk)
                )
            )
        }
        for patient_id in chunk:
            kept[patient_id] = _kept(rows.get(patient_id), tuple(names.get(patient_id, ())))
    return kept


def matched_patients(session: Session, connection_id: str) -> dict[str, str]:
    """Return who is matched: server id -> our id."""
    rows = session.execute(
        select(PatientLink.server_id, PatientLink.patient_id).where(
            PatientLink.connection_id == connection_id, PatientLink.state == MATCHED
        )
    )
    return {row.server_id: row.patient_id for row in rows if row.server_id}


def rivals(session: Session, connection_id: str, server_ids: Collection[str]) -> set[str]:
    """Return the patients here whose matches are, or lead to, one of these Patients."""
    found: set[str] = set()
    for chunk in _chunks(server_ids):
        holds = PatientLink.server_id.in_(chunk) & or_(
            PatientLink.state == MATCHED, PatientLink.reason == Reason.TWO_HERE_ONE_THERE
        )
        found.update(
            session.scalars(
                select(PatientLink.patient_id).where(
                    PatientLink.connection_id == connection_id, holds | PatientLink.claimed_id.in_(chunk)
                )
            )
        )
    return found


def save(
    session: Session, connection_id: str, standings: Iterable[Standing], actor: str, now: datetime
) -> None:
    """Write how matches stand by now, each change with a line of history.

    Rows are taken in the order of their keys, so that two workers never wait for each other in a circle.
    """
    wanted = {one.patient_id: one for one in standings}
    for chunk in _chunks(wanted):
        rows = _locked(session, connection_id, chunk, now)
        before = {row.patient_id: (row.server_id, row.state, row.reason) for row in rows}
        # Who lets go of a Patient is written before who takes them: one Patient is one patient's at a time.
        for row in sorted(rows, key=lambda row: wanted[row.patient_id].claim.is_matched):
            _write(row, wanted[row.patient_id], now)
            session.flush()
        changed = [row for row in rows if before[row.patient_id] != (row.server_id, row.state, row.reason)]
        _note(session, connection_id, changed, actor, now)
        _come_to_match(session, connection_id, [row for row in changed if row.state == MATCHED], before, now)


def _kept(row: PatientLink | None, names: tuple[Name, ...]) -> Kept:
    if row is None:
        return Kept(Claim(names), datetime.min.replace(tzinfo=UTC))
    claim = Claim(
        names,
        row.server_id,
        earlier_ids(row),
        Basis(row.basis) if row.basis else None,
        tuple((system, value) for system, value in exact_json.parse(row.shown)) if row.shown else (),
        row.state == MATCHED,
        row.is_stale,
    )
    return Kept(claim, row.checked_at, Reason(row.reason) if row.reason else None, row.claimed_id)


def earlier_ids(row: PatientLink) -> tuple[str, ...]:
    """Return the Patients there who were merged into the one who is matched."""
    return tuple(exact_json.parse(row.earlier)) if row.earlier else ()


def _locked(session: Session, connection_id: str, patient_ids: list[str], now: datetime) -> list[PatientLink]:
    """Return the rows of patients, made where there are none, held until the transaction ends."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    blank = {"connection_id": connection_id, "state": "", "is_stale": False, "checked_at": now}
    session.execute(
        insert(PatientLink).on_conflict_do_nothing(),
        [{**blank, "patient_id": patient_id} for patient_id in patient_ids],
    )
    return list(
        session.scalars(
            select(PatientLink)
            .where(PatientLink.connection_id == connection_id, PatientLink.patient_id.in_(patient_ids))
            .order_by(PatientLink.patient_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )


def _write(row: PatientLink, standing: Standing, now: datetime) -> None:
    claim = standing.claim
    row.server_id, row.basis = claim.server_id, claim.basis
    row.earlier = exact_json.dump(list(claim.earlier)) if claim.earlier else None
    row.shown = exact_json.dump([list(name) for name in claim.shown]) if claim.shown else None
    row.state = MATCHED if claim.is_matched else UNMATCHED
    row.reason, row.claimed_id = standing.reason, standing.claimed_id
    row.is_stale, row.checked_at = claim.is_stale, now


def _note(session: Session, connection_id: str, rows: list[PatientLink], actor: str, now: datetime) -> None:
    table = MatchChange
    patient_ids = [row.patient_id for row in rows]
    numbers = session.execute(
        select(table.patient_id, func.max(table.number))
        .where(table.connection_id == connection_id, table.patient_id.in_(patient_ids))
        .group_by(table.patient_id)
    )
    last = {row[0]: row[1] for row in numbers}
    session.add_all(
        table(
            patient_id=row.patient_id,
            connection_id=connection_id,
            number=last.get(row.patient_id, 0) + 1,
            server_id=row.server_id,
            state=row.state,
            reason=row.reason,
            basis=row.basis,
            actor=actor,
            at=now,
        )
        for row in rows
    )
    session.flush()


def _come_to_match(
    session: Session,
    connection_id: str,
    rows: list[PatientLink],
    before: Mapping[str, tuple[str | None, str, str | None]],
    now: datetime,
) -> None:
    """Have all that these Patients have there read anew, and let the patients' records follow."""
    scopes = [f"Patient/{row.server_id}" for row in rows]
    session.execute(
        delete(Watermark).where(Watermark.connection_id == connection_id, Watermark.scope.in_(scopes))
    )
    known = [row for row in rows if before[row.patient_id][1]]
    for chunk in _chunks(_records(session, OutboxRow, connection_id, known)):
        outbox.wake(session, connection_id, chunk, now)
    elsewhere = [row for row in known if before[row.patient_id][0] not in (None, row.server_id)]
    session.execute(
        delete(ReferenceLink).where(
            ReferenceLink.connection_id == connection_id,
            ReferenceLink.patient_id.in_([row.patient_id for row in elsewhere]),
        )
    )
    for chunk in _chunks(_records(session, Link, connection_id, elsewhere)):
        outbox.enqueue(session, connection_id, chunk, now)


def _records(
    session: Session, table: type[OutboxRow] | type[Link], connection_id: str, rows: list[PatientLink]
) -> list[str]:
    """Return the patients' records that have a row for the connection."""
    patient_ids = [row.patient_id for row in rows]
    if not patient_ids:
        return []
    query = (
        select(table.record_id)
        .join(Record, Record.id == table.record_id)
        .where(table.connection_id == connection_id, Record.patient_id.in_(patient_ids))
    )
    return list(session.scalars(query))


def _names(session: Session, patient_ids: Collection[str]) -> dict[str, list[Name]]:
    names: dict[str, list[Name]] = {}
    rows = session.scalars(
        select(PatientIdentifier)
        .where(PatientIdentifier.patient_id.in_(patient_ids))
        .order_by(PatientIdentifier.system, PatientIdentifier.value)
    )
    for row in rows:
        names.setdefault(row.patient_id, []).append((row.system, row.value))
    return names


def _chunks(items: Collection[str]) -> Iterable[list[str]]:
    listed = sorted(items)
    return (listed[start : start + _CHUNK] for start in range(0, len(listed), _CHUNK))
