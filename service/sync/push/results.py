"""What became of a record in a push, and how that is written down: all of a bundle in one transaction."""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from datetime import datetime, timedelta
from enum import StrEnum, auto
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.fhir_client.outcomes import Outcome, Refused
from service.store.database import Database
from service.store.statements import chunks
from service.store.tables import Link
from service.sync import leases, moved
from service.sync.identity import links
from service.sync.identity.links import Job
from service.sync.identity.references import Logical, ReferencesThere
from service.sync.policy import BACKOFF_SECONDS, Next, Step, backoff_seconds, retry_after_seconds
from service.sync.push import ground_rows
from service.sync.report import Report
from service.sync.states import Reason, State

#: So often a record is dealt with in one pass; one that never comes to rest waits for the next.
MOST_AT_ONCE = 8


class Requeue(StrEnum):
    """What becomes of the outbox row."""

    NEVER = auto()
    LATER = auto()
    NOW = auto()


@dataclass(frozen=True, kw_only=True)
class ServerCopy:
    """A record's copy as the server showed it. synced_version: ours that it corresponds to."""

    server_id: str
    server_version: str | None
    body: Tree
    synced_version: int | None


@dataclass(frozen=True)
class PushResult:
    """How a record stands after it was dealt with."""

    job: Job
    _: KW_ONLY
    state: State
    when: Requeue
    reason: Reason | None = None
    outcome: Tree | None = None
    seen: ServerCopy | None = None
    retry_after: str | None = None
    sought: tuple[Logical, ...] = ()


def synced(job: Job, seen: ServerCopy) -> PushResult:
    return PushResult(job, state=State.SYNCED, when=Requeue.NEVER, seen=seen)


def rejected(job: Job, reason: Reason, outcome: Tree | None = None) -> PushResult:
    return PushResult(job, state=State.REJECTED, when=Requeue.NEVER, reason=reason, outcome=outcome)


def after_failure(job: Job, following: Next, outcome: Outcome) -> PushResult:
    """Return the result on a record whose request did not succeed."""
    outcome_body = outcome.outcome if isinstance(outcome, Refused) else None
    retry_after = outcome.retry_after if isinstance(outcome, Refused) else None
    if following.step in (Step.REJECT, Step.GONE):
        return PushResult(
            job, state=State.REJECTED, when=Requeue.NEVER, reason=following.reason, outcome=outcome_body
        )
    # What was unknown before stays so until the server has said what became of it.
    unsure = following.step is Step.LOOK_UP or job.known.state is State.UNKNOWN
    state = State.UNKNOWN if unsure else State.PENDING
    return PushResult(
        job,
        state=state,
        when=Requeue.LATER,
        reason=following.reason,
        outcome=outcome_body,
        retry_after=retry_after,
    )


class ResultWriter:
    """Writes results down for one connection and one lease owner."""

    def __init__(
        self,
        database: Database,
        connection_id: str,
        owner: str,
        clock: Callable[[], datetime],
        rng: random.Random,
        report: Report,
    ) -> None:
        self._database = database
        self._connection_id = connection_id
        self._owner = owner
        self._clock = clock
        self._rng = rng
        self._report = report
        self._at_once: Counter[str] = Counter()

    def mark_in_flight(self, jobs: Iterable[Job], addresses: ReferencesThere) -> list[Job]:
        """Note durably that these may reach the server from now on; return those that still may.

        Whoever finds this note after a crash asks the server before sending again. What somebody changed
        since it was leased, or whose people are others there by now, is given back, to be judged anew.
        """
        jobs = list(jobs)
        now = self._clock()
        with self._database.begin() as session:
            ours = leases.renew(
                session, self._connection_id, self._owner, now, [job.record_id for job in jobs]
            )
            leased = [job for job in jobs if job.record_id in ours]
            grounds = ground_rows.read(session, self._connection_id, leased, addresses.registered)
            kept = [job for job in leased if grounds.hold_for(job, addresses)]
            links.save(session, self._connection_id, now, [_mark(job) for job in kept])
            still = {job.record_id for job in kept}
            self._let_go(session, [job for job in leased if job.record_id not in still], now)
        return kept

    def _let_go(self, session: Session, jobs: list[Job], now: datetime) -> None:
        """Give back at once what somebody decided about; the note that it is about to be sent goes."""
        links.unmark(session, self._connection_id, jobs)
        self._again(session, [job.record_id for job in jobs], now)

    def release(self, jobs: Iterable[Job]) -> None:
        """Give leases back; nothing was tried. What was noted as about to be sent has not left after all."""
        jobs = list(jobs)
        with self._database.begin() as session:
            now = self._clock()
            ours = leases.renew(
                session, self._connection_id, self._owner, now, [job.record_id for job in jobs]
            )
            states = [{**_mark(job), "state": job.known.state} for job in jobs if job.record_id in ours]
            links.save(session, self._connection_id, now, states)
            leases.release(session, self._connection_id, self._owner, ours)

    def write(self, results: Iterable[PushResult]) -> None:
        """Write results down."""
        results = list(results)
        if not results:
            return
        now = self._clock()
        with self._database.begin() as session:
            ours = leases.renew(
                session, self._connection_id, self._owner, now, [one.job.record_id for one in results]
            )
            # A lease that ran out is another worker's by now, and so is the last word.
            kept = self._one_record_each(session, [one for one in results if one.job.record_id in ours])
            links.save(session, self._connection_id, now, [_columns(one) for one in kept])
            moved.forget(session, self._connection_id, [one.job for one in kept if _is_back(one)])
            self._dismiss(session, kept, now)
        for one in kept:
            self._count(one)

    def _dismiss(self, session: Session, results: list[PushResult], now: datetime) -> None:
        done = [one.job.row for one in results if one.when is Requeue.NEVER]
        leases.finish(session, self._connection_id, self._owner, done)
        self._again(session, [one.job.record_id for one in results if one.when is Requeue.NOW], now)
        for one in results:
            if one.when is Requeue.LATER:
                least = retry_after_seconds(one.retry_after, now)
                wait = backoff_seconds(one.job.row.attempts + 1, self._rng, least)
                until = now + timedelta(seconds=wait)
                leases.postpone(session, self._connection_id, self._owner, one.job.row, until)

    def _again(self, session: Session, record_ids: list[str], now: datetime) -> None:
        """Give leases back for the same pass, or for the next where a record never comes to rest."""
        self._at_once.update(record_ids)
        restless = [record_id for record_id in record_ids if self._at_once[record_id] > MOST_AT_ONCE]
        until = now + timedelta(seconds=BACKOFF_SECONDS)
        leases.rest(session, self._connection_id, self._owner, restless, until)
        leases.release(session, self._connection_id, self._owner, record_ids)

    def _one_record_each(self, session: Session, results: list[PushResult]) -> list[PushResult]:
        """Refuse a copy that is another record's already: two of ours cannot share one."""
        places = [(one.job.resource_type, one.seen.server_id) for one in results if one.seen]
        holders: dict[tuple[str, str | None], str] = {}
        for chunk in chunks(places):
            for row in session.execute(
                select(Link.resource_type, Link.server_id, Link.record_id).where(
                    Link.connection_id == self._connection_id,
                    tuple_(Link.resource_type, Link.server_id).in_(chunk),
                )
            ):
                holders[row.resource_type, row.server_id] = row.record_id
        kept: list[PushResult] = []
        for one in results:
            place = (one.job.resource_type, one.seen.server_id if one.seen else None)
            if one.seen and holders.setdefault(place, one.job.record_id) != one.job.record_id:
                one = rejected(one.job, Reason.IDENTIFIER_TAKEN)
            kept.append(one)
        return kept

    def _count(self, result: PushResult) -> None:
        if result.state is State.SYNCED:
            self._report.synced += 1
        elif result.state is State.REJECTED:
            self._report.rejected += 1
        elif result.state is State.UNKNOWN:
            self._report.unknown += 1
        elif result.state is State.UNMATCHED:
            self._report.unmatched += 1
        elif result.seen:
            self._report.adopted += 1


def _is_back(result: PushResult) -> bool:
    """Tell whether a copy that was another patient's was written back."""
    return result.job.known.is_taken_back and result.state is State.SYNCED


def _mark(job: Job) -> dict[str, Any]:
    return {"record_id": job.record_id, "resource_type": job.resource_type, "state": State.UNKNOWN}


def _columns(result: PushResult) -> dict[str, Any]:
    columns = {
        "record_id": result.job.record_id,
        "resource_type": result.job.resource_type,
        **links.explained(result.state, result.reason, result.outcome, result.sought),
    }
    seen = result.seen
    if seen is None:
        return columns
    return {
        **columns,
        "server_id": seen.server_id,
        "server_version": seen.server_version,
        "body": exact_json.dump(seen.body),
        "synced_version": seen.synced_version,
    }
