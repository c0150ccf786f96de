"""Which records a server has still to be told of: leased, so that any number of workers share them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, delete, or_, select, tuple_, update
from sqlalchemy.orm import Session

from service.store.statements import insert_into
from service.store.tables import OutboxRow
from service.sync.policy import LONGEST_WAIT_SECONDS

#: Longer than any request may take: a lease is renewed right before each one.
LEASE = timedelta(minutes=5)
#: How far apart the clocks of our own machines may be; a lease that ends later than by both was never given.
MOST_APART = timedelta(minutes=5)


@dataclass(frozen=True)
class Leased:
    """One row, ours until the lease ends. generation: of the record's change that was leased."""

    record_id: str
    generation: int
    attempts: int


def lease(session: Session, connection_id: str, owner: str, now: datetime, limit: int) -> list[Leased]:
    """Take rows that are due, the oldest first.

    On PostgreSQL the rows of others are skipped; SQLite knows no such clause, but there the
    caller's transaction holds the only write lock from its beginning (BEGIN IMMEDIATE).
    """
    free = or_(
        OutboxRow.leased_until.is_(None),
        OutboxRow.leased_until <= now,
        OutboxRow.leased_until > now + LEASE + MOST_APART,
    )
    due = (
        select(OutboxRow.record_id)
        .where(OutboxRow.connection_id == connection_id, OutboxRow.next_attempt_at <= now, free)
        .order_by(OutboxRow.next_attempt_at, OutboxRow.enqueued_at, OutboxRow.record_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        # As a subquery PostgreSQL may evaluate it once per row, and the limit would limit nothing.
        .cte("due")
    )
    taken = session.execute(
        update(OutboxRow)
        .where(
            OutboxRow.connection_id == connection_id, OutboxRow.record_id.in_(select(due.c.record_id)), free
        )
        .values(lease_owner=owner, leased_until=now + LEASE)
        .returning(OutboxRow.record_id, OutboxRow.generation, OutboxRow.attempts)
        .execution_options(synchronize_session=False)
    )
    return [Leased(*row) for row in taken]


def renew(
    session: Session, connection_id: str, owner: str, now: datetime, record_ids: Collection[str]
) -> set[str]:
    """Renew leases; return which are still ours. One that ran out may be another's by now."""
    kept = session.scalars(
        update(OutboxRow)
        .where(
            OutboxRow.connection_id == connection_id,
            OutboxRow.record_id.in_(record_ids),
            OutboxRow.lease_owner == owner,
        )
        .values(leased_until=now + LEASE)
        .returning(OutboxRow.record_id)
        .execution_options(synchronize_session=False)
    )
    return set(kept)


def finish(session: Session, connection_id: str, owner: str, rows: Iterable[Leased]) -> None:
    """Remove rows that are done with; one whose record has changed since stays, due at once."""
    rows = list(rows)
    if not rows:
        return
    done = [(row.record_id, row.generation) for row in rows]
    session.execute(
        delete(OutboxRow)
        .where(
            OutboxRow.connection_id == connection_id,
            OutboxRow.lease_owner == owner,
            tuple_(OutboxRow.record_id, OutboxRow.generation).in_(done),
        )
        .execution_options(synchronize_session=False)
    )
    release(session, connection_id, owner, [row.record_id for row in rows])


def holders(session: Session, connection_id: str) -> list[str]:
    """Return who holds leases."""
    return list(
        session.scalars(
            select(OutboxRow.lease_owner)
            .where(OutboxRow.connection_id == connection_id, OutboxRow.lease_owner.is_not(None))
            .distinct()
        )
    )


def take_over(session: Session, connection_id: str, owners: Collection[str]) -> None:
    """Free what the dead hold."""
    session.execute(
        update(OutboxRow)
        .where(OutboxRow.connection_id == connection_id, OutboxRow.lease_owner.in_(owners))
        .values(lease_owner=None, leased_until=None)
        .execution_options(synchronize_session=False)
    )


def release(session: Session, connection_id: str, owner: str, record_ids: Collection[str]) -> None:
    """Give leases back without an attempt having been made."""
    session.execute(
        update(OutboxRow)
        .where(
            OutboxRow.connection_id == connection_id,
            OutboxRow.record_id.in_(record_ids),
            OutboxRow.lease_owner == owner,
        )
        .values(lease_owner=None, leased_until=None)
        .execution_options(synchronize_session=False)
    )


def postpone(session: Session, connection_id: str, owner: str, row: Leased, until: datetime) -> None:
    """Give a lease back after a failed attempt; a change of the record since then makes it due at once."""
    session.execute(
        update(OutboxRow)
        .where(
            OutboxRow.connection_id == connection_id,
            OutboxRow.record_id == row.record_id,
            OutboxRow.generation == row.generation,
            OutboxRow.lease_owner == owner,
        )
        .values(lease_owner=None, leased_until=None, attempts=row.attempts + 1, next_attempt_at=until)
        .execution_options(synchronize_session=False)
    )
    release(session, connection_id, owner, [row.record_id])


def leased(session: Session, connection_id: str, owner: str) -> list[Leased]:
    """Return what a holder still has."""
    rows = session.execute(
        select(OutboxRow.record_id, OutboxRow.generation, OutboxRow.attempts).where(
            OutboxRow.connection_id == connection_id, OutboxRow.lease_owner == owner
        )
    )
    return [Leased(*row) for row in rows]


def bring_back(session: Session, connection_id: str, now: datetime) -> int:
    """Make due what no wait can have put off so far, and return how much that is.

    What was never tried was due as it was written; and no wait is longer than the longest.
    """
    longest = timedelta(seconds=LONGEST_WAIT_SECONDS)
    far = or_(
        and_(OutboxRow.attempts == 0, OutboxRow.next_attempt_at > now),
        OutboxRow.next_attempt_at > now + longest,
    )
    return len(
        session.scalars(
            update(OutboxRow)
            .where(OutboxRow.connection_id == connection_id, OutboxRow.next_attempt_at > now, far)
            .values(next_attempt_at=now)
            .returning(OutboxRow.record_id)
            .execution_options(synchronize_session=False)
        ).all()
    )


def rest(
    session: Session, connection_id: str, owner: str, record_ids: Collection[str], until: datetime
) -> None:
    """Give leases back until a moment, whatever has changed since."""
    session.execute(
        update(OutboxRow)
        .where(
            OutboxRow.connection_id == connection_id,
            OutboxRow.record_id.in_(record_ids),
            OutboxRow.lease_owner == owner,
        )
        .values(lease_owner=None, leased_until=None, next_attempt_at=until)
        .execution_options(synchronize_session=False)
    )


def wake(session: Session, connection_id: str, record_ids: Collection[str], now: datetime) -> None:
    """Make waiting rows due now."""
    session.execute(
        update(OutboxRow)
        .where(
            and_(OutboxRow.connection_id == connection_id, OutboxRow.record_id.in_(record_ids)),
            OutboxRow.next_attempt_at > now,
        )
        .values(next_attempt_at=now)
        .execution_options(synchronize_session=False)
    )


def enqueue(session: Session, connection_id: str, record_ids: Collection[str], now: datetime) -> None:
    """Put records in the outbox, due now; what is in it already moves a generation on."""
    if not record_ids:
        return
    statement = insert_into(session, OutboxRow)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["record_id", "connection_id"],
            set_={"generation": OutboxRow.generation + 1, "attempts": 0, "next_attempt_at": now},
        ),
        [
            {
                "record_id": record_id,
                "connection_id": connection_id,
                "generation": 1,
                "enqueued_at": now,
                "attempts": 0,
                "next_attempt_at": now,
                "lease_owner": None,
                "leased_until": None,
            }
            for record_id in record_ids
        ],
    )
