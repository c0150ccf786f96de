"""Answers that were kept for repeated creates: whose they are and whom they name, after a merge."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.references import rewritten
from service.chart import renames
from service.store.tables import IdempotencyKey


def hand_over(session: Session, from_id: str, into_id: str) -> list[dict[str, Any]]:
    """Have answers name a patient by another id, and be the same asker's; return which they were.

    An asker who is confined to a patient is known by actor and patient (``routes.idempotency``).
    Where they asked as both with one key, each answer stays with whom it was given to.
    """
    renamed = renames.patient(from_id, into_id)
    tail, named = f" {from_id}", f"Patient/{from_id}"
    handed: list[dict[str, Any]] = []
    for row in session.scalars(
        select(IdempotencyKey)
        .where(
            or_(IdempotencyKey.principal.endswith(tail, autoescape=True), IdempotencyKey.body.contains(named))
        )
        .order_by(IdempotencyKey.principal, IdempotencyKey.route, IdempotencyKey.key)
    ).all():
        before = {"principal": row.principal, "route": row.route, "key": row.key}
        body = exact_json.parse(row.body) if row.body else None
        after = rewritten(body, renamed)
        if body is not None:
            row.body = exact_json.dump(after)
        row.principal = _principal(session, row, tail, into_id)
        addresses = renames.addresses_before(body, after) if body is not None else {}
        if row.principal != before["principal"] or addresses:
            handed.append({**before, "by": row.principal, "addresses": addresses})
        session.flush()
    return handed


def give_back(session: Session, handed: Iterable[dict[str, Any]], into_id: str) -> None:
    """Undo that, as far as the answers are still kept."""
    for one in handed:
        row = session.get(IdempotencyKey, (one["by"], one["route"], one["key"]))
        if row is None:
            continue
        if row.body:
            body = renames.as_before(exact_json.parse(row.body), one["addresses"], into_id)
            row.body = exact_json.dump(body)
        if session.get(IdempotencyKey, (one["principal"], one["route"], one["key"])) is None:
            row.principal = one["principal"]
        session.flush()


def _principal(session: Session, row: IdempotencyKey, tail: str, into_id: str) -> str:
    if not row.principal.endswith(tail):
        return row.principal
    renamed = f"{row.principal.removesuffix(tail)} {into_id}"
    taken = session.get(IdempotencyKey, (renamed, row.route, row.key)) is not None
    return row.principal if taken else renamed
