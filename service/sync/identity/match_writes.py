"""Outcomes of matching written down: each change with a line of history, and what follows from it."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, inspect, select, update
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from service.store.statements import chunks, insert_into
from service.store.tables import (
    Link,
    MatchChange,
    OutboxRow,
    Patient,
    PatientLink,
    Record,
    ReferenceLink,
    Table,
    Watermark,
)
from service.sync import leases
from service.sync.identity import match_rows
from service.sync.identity.match_rows import Standing


def save(
    session: Session, connection_id: str, standings: Iterable[Standing], actor: str, now: datetime
) -> set[str]:
    """Write how matches stand by now, each change with a line of history.

    Return the patients of whom nothing was written, since what they were judged by has changed
    meanwhile: their identifiers, or what is kept of their match. Raises Conflict if somebody else
    was matched to one of these Patients at the same moment. Rows are taken in the order of their
    keys, so that two workers never wait for each other in a circle.
    """
    wanted = {one.patient_id: one for one in standings}
    rows: list[PatientLink] = []
    for chunk in chunks(sorted(wanted)):
        names = match_rows.names_here(session, chunk)
        rows += [
            row
            for row in _locked(session, connection_id, chunk, now)
            if match_rows.kept_in(row, tuple(names.get(row.patient_id, ()))) == wanted[row.patient_id].kept
        ]
    before = {row.patient_id: (row.server_id, row.state, row.reason) for row in rows}
    _let_go(session, rows, wanted)
    for row in rows:
        _write(row, wanted[row.patient_id], now)
    session.flush()
    changed = [row for row in rows if before[row.patient_id] != (row.server_id, row.state, row.reason)]
    _note(session, connection_id, changed, actor, now)
    matched = [row for row in changed if row.state == match_rows.MATCHED]
    _come_to_match(session, connection_id, matched, before, now)
    return wanted.keys() - before.keys()


def expire(session: Session, connection_id: str, patient_ids: Collection[str]) -> None:
    """Have matches be as old as can be; they stand until they are looked at."""
    for chunk in chunks(sorted(patient_ids)):
        which = (PatientLink.connection_id == connection_id, PatientLink.patient_id.in_(chunk))
        _hold(session, PatientLink, *which)
        session.execute(update(PatientLink).where(*which).values(checked_at=match_rows.NEVER))


def _let_go(session: Session, rows: Iterable[PatientLink], wanted: Mapping[str, Standing]) -> None:
    """Free the Patients whom somebody leaves: each is one patient's at a time, and may be another's next."""
    for row in rows:
        claim = wanted[row.patient_id].claim
        if row.server_id != claim.server_id or not claim.is_matched:
            row.state = match_rows.UNMATCHED
    session.flush()


def _locked(session: Session, connection_id: str, patient_ids: list[str], now: datetime) -> list[PatientLink]:
    """Return the rows of patients, made where there are none, held until the transaction ends.

    The patients come first, as for whoever changes their identifiers; one who was merged here has no row.
    """
    patient_ids = list(
        session.scalars(
            select(Patient.id)
            .where(Patient.id.in_(patient_ids), Patient.merged_into.is_(None))
            .order_by(Patient.id)
            .with_for_update(read=True, key_share=True)
        )
    )
    if not patient_ids:
        return []
    blank = {"connection_id": connection_id, "state": "", "is_stale": False, "checked_at": now}
    session.execute(
        insert_into(session, PatientLink).on_conflict_do_nothing(),
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
    row.state = match_rows.MATCHED if claim.is_matched else match_rows.UNMATCHED
    row.reason, row.claimed_id = standing.reason, standing.claimed_id
    row.is_stale, row.checked_at = claim.is_stale, now


def _note(session: Session, connection_id: str, rows: list[PatientLink], actor: str, now: datetime) -> None:
    table = MatchChange
    last: dict[str, int] = {}
    for chunk in chunks(sorted([row.patient_id for row in rows])):
        numbers = session.execute(
            select(table.patient_id, func.max(table.number))
            .where(table.connection_id == connection_id, table.patient_id.in_(chunk))
            .group_by(table.patient_id)
        )
        last |= {row[0]: row[1] for row in numbers}
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
    _delete(session, Watermark, Watermark.connection_id == connection_id, Watermark.scope.in_(scopes))
    known = [row for row in rows if before[row.patient_id][1]]
    for chunk in chunks(sorted(_records(session, OutboxRow, connection_id, known))):
        _hold(session, OutboxRow, OutboxRow.connection_id == connection_id, OutboxRow.record_id.in_(chunk))
        leases.wake(session, connection_id, chunk, now)
    elsewhere = [row for row in known if before[row.patient_id][0] not in (None, row.server_id)]
    patient_ids = [row.patient_id for row in elsewhere]
    link = ReferenceLink
    _delete(session, link, link.connection_id == connection_id, link.patient_id.in_(patient_ids))
    for chunk in chunks(sorted(_records(session, Link, connection_id, elsewhere))):
        leases.enqueue(session, connection_id, chunk, now)


def _delete(session: Session, table: type[Table], *which: ColumnElement[bool]) -> None:
    _hold(session, table, *which)
    session.execute(delete(table).where(*which))


def _hold(session: Session, table: type[Table], *which: ColumnElement[bool]) -> None:
    """Hold rows in the order of their key, as everybody does who takes several."""
    key = inspect(table).primary_key
    session.execute(select(*key).where(*which).order_by(*key).with_for_update()).all()


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
