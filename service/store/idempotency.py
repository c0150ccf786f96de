"""Creates that were asked for with a key: the same key again gets the same answer.

Used in the transaction of the create itself::

    with database.begin() as session:
        if (answer := idempotency.begin(session, key, now)) is None:
            entry = chart.create(tree, actor, session=session)
            answer = Answer(201, ...)
            idempotency.finish(session, key, answer)
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from service.errors import Conflict
from service.store.tables import IdempotencyKey


@dataclass(frozen=True)
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
    Raises Conflict when the key was used for another request.
    """
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    taken = session.scalar(
        insert(IdempotencyKey)
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
    row = session.get_one(IdempotencyKey, (key.principal, key.route, key.key))
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


def forget(session: Session, before: datetime) -> None:
    """Drop keys that are older than anybody repeats a request."""
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < before))
