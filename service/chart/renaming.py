"""References to a patient said anew in every record that makes them, each as a version of its own."""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import Name, Spot, name_of, references, rewritten
from service.chart import trees, writes
from service.chart.writes import Change
from service.store.tables import ConflictRow, IdempotencyKey, Record

#: Says a Reference anew; returns it as it is where it has nothing to do with the matter.
Rewrite = Callable[[Tree], Tree]


def everywhere(session: Session, needle: str, rewrite: Rewrite, change: Change) -> dict[str, list[str]]:
    """Write every record that a rewriting of references changes; return the paths, by record.

    needle: a text that every tree holds which is concerned.
    """
    held = exact_json.dump(needle)[1:-1]
    rows = session.scalars(
        select(Record)
        .where(Record.tree.contains(held, autoescape=True))
        .order_by(Record.id)
        .with_for_update()
    ).all()
    changed = {}
    for row in rows:
        before = exact_json.parse(row.tree)
        after = rewritten(before, rewrite)
        if not trees.same(before, after):
            changed[row.id] = _paths(before, after)
            writes.replace(session, row, after, change)
    _conflicts(session, held, rewrite, changed)
    return changed


def at_paths(
    session: Session, record_ids: Mapping[str, Collection[str]], rewrite: Rewrite, change: Change
) -> None:
    """Write records whose references at some paths are said anew; what is no more there is left alone."""
    for record_id, paths in sorted(record_ids.items()):
        row = session.get(Record, record_id, with_for_update=True, populate_existing=True)
        if row is None:
            continue
        before = exact_json.parse(row.tree)
        after = _at_paths(before, paths=paths, rewrite=rewrite)
        if not trees.same(before, after):
            writes.replace(session, row, after, change)
        for conflict in session.scalars(select(ConflictRow).where(ConflictRow.record_id == record_id)):
            _say_anew(session, conflict, partial(_at_paths, paths=paths, rewrite=rewrite), True)
    session.flush()


def patient(from_id: str, into_id: str) -> Rewrite:
    """Return what names one patient where another was named."""

    def renamed(reference: Tree) -> Tree:
        address = Spot("", "", reference).address
        if address != ("Patient", from_id):
            return reference
        return {**reference, "reference": f"Patient/{into_id}"}

    return renamed


def identifier(patient_id: str, old: Name, new: Name | None) -> Rewrite:
    """Return what says a patient's corrected identifier, or the patient's address where it was removed."""

    def renamed(reference: Tree) -> Tree:
        if name_of(reference.get("identifier")) != old:
            return reference
        if new is not None:
            system, value = new
            corrected = {**reference["identifier"], "system": system, "value": value}
            return {**reference, "identifier": corrected}
        rest = {key: value for key, value in reference.items() if key not in ("identifier", "_identifier")}
        return {"reference": f"Patient/{patient_id}", **rest}

    return renamed


def _paths(before: Tree, after: Tree) -> list[str]:
    was = {spot.path: spot.reference for spot in references(before)}
    return [spot.path for spot in references(after) if was.get(spot.path) != spot.reference]


def _at_paths(tree: Tree, *, paths: Collection[str], rewrite: Rewrite) -> Tree:
    """Return a tree with the references at some paths rewritten."""
    meant = {id(spot.reference) for spot in references(tree) if spot.path in paths}

    def said_anew(value: Any) -> Any:
        if isinstance(value, dict):
            members = {key: said_anew(member) for key, member in value.items()}
            return rewrite(members) if id(value) in meant else members
        if isinstance(value, list):
            return [said_anew(item) for item in value]
        return value

    whole: Tree = said_anew(tree)
    return whole


def _conflicts(session: Session, held: str, rewrite: Rewrite, changed: Iterable[str]) -> None:
    """Say the sides of conflicts anew, as their records are; each names our side by its version."""
    concerned = or_(*[column.contains(held, autoescape=True) for column in _SIDES])
    for conflict in session.scalars(select(ConflictRow).where(concerned).with_for_update()):
        _say_anew(session, conflict, lambda tree: rewritten(tree, rewrite), conflict.record_id in changed)
    session.flush()


def _say_anew(
    session: Session, conflict: ConflictRow, said_anew: Callable[[Tree], Tree], has_new_version: bool
) -> None:
    for side in _SIDES:
        text = getattr(conflict, side.key)
        if text is not None:
            setattr(conflict, side.key, exact_json.dump(said_anew(exact_json.parse(text))))
    if has_new_version and conflict.resolved_at is None:
        conflict.here_version = session.get_one(Record, conflict.record_id).version


_SIDES = (ConflictRow.base, ConflictRow.here, ConflictRow.there)


def answers(session: Session, from_id: str, into_id: str) -> None:
    """Have answers that were kept for repeated creates name a patient by another id, and be the same asker's.

    An asker who is confined to a patient is known by actor and patient (``routes.idempotency``).
    """
    renamed = patient(from_id, into_id)
    tail, named = f" {from_id}", f"Patient/{from_id}"
    for key in session.scalars(
        select(IdempotencyKey).where(
            or_(IdempotencyKey.principal.endswith(tail, autoescape=True), IdempotencyKey.body.contains(named))
        )
    ).all():
        body = key.body and exact_json.dump(rewritten(exact_json.parse(key.body), renamed))
        principal = (
            key.principal.removesuffix(tail) + f" {into_id}"
            if key.principal.endswith(tail)
            else key.principal
        )
        taken = session.get(IdempotencyKey, (principal, key.route, key.key)) is not None
        if principal != key.principal and taken:
            session.delete(key)
        else:
            key.principal, key.body = principal, body
    session.flush()
