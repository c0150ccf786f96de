"""Creates that were asked for with a key: the same key again gets the same answer.

Used in the transaction of the create itself::

    with database.begin() as session:
        if (answer := idempotency.begin(session, key, now)) is None:
            entry = chart.create(tree, actor, session=session)
            answer = Answer(201, ...)
            idempotency.finish(session, key, answer)
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from service.errors import Conflict
from service.store.statements import insert_into
from service.store.tables import IdempotencyKey

#: How long a key is kept; nobody repeats a request later. Its answer holds a record, and goes with it.
KEPT = timedelta(days=7)

#: Old keys dropped whenever one is taken: more than come, so that what has gathered melts away.
_AT_ONCE = 100


@dataclass(frozen=True, kw_only=True)
class Key:
    """Who asked for what under which key. request_hash: of everything that the request says."""

    principal: str
    route: str
    key: str
    request_hash: str


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    body: str
    headers: dict[str, str]


def begin(session: Session, key: Key, now: datetime) -> Answer | None:
    """Take a key, and return None; or return what was answered under it.

    Somebody who sends the same key at the same moment waits here until this transaction ends.
    Drops some of the keys that are older than ``KEPT``, each of which counts as never used.
    Raises Conflict when the key was used for another request.
    """
    forget(session, now - KEPT)
    taken = session.scalar(
        insert_into(session, IdempotencyKey)
        .values(
            principal=key.principal,
            route=key.route,
            key=key.key,
            request_hash=key.request_hash,
            created_at=now,
        )
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    if taken is not None:
        return None
    row = session.get(
        IdempotencyKey, (key.principal, key.route, key.key), with_for_update=True, populate_existing=True
    )
    if row is None:
        # It was old, and somebody else dropped it a moment ago.
        return begin(session, key, now)
    if row.created_at < now - KEPT:
        row.request_hash, row.created_at = key.request_hash, now
        row.status = row.body = row.headers = None
        return None
    if row.request_hash != key.request_hash:
        raise Conflict("This Idempotency-Key was used for another request")
    if row.status is None:
        raise Conflict("The request with this Idempotency-Key was not finished")
    return Answer(row.status, row.body or "", exact_json.parse(row.headers or "{}"))


def finish(session: Session, key: Key, answer: Answer) -> None:
    """Keep what is answered under a key that was taken in this transaction."""
    row = session.get_one(IdempotencyKey, (key.principal, key.route, key.key))
    row.status, row.body, row.headers = answer.status, answer.body, exact_json.dump(answer.headers)
    session.flush()


def forget(session: Session, before: datetime, most: int = _AT_ONCE) -> None:
    """Drop the oldest of the keys that were taken before a moment, but those that others are dropping."""
    key = (IdempotencyKey.principal, IdempotencyKey.route, IdempotencyKey.key)
    oldest = (
        select(*key)
        .where(IdempotencyKey.created_at < before)
        .order_by(IdempotencyKey.created_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    if old := session.execute(oldest).all():
        session.execute(delete(IdempotencyKey).where(tuple_(*key).in_([tuple(row) for row in old])))
