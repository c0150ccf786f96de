"""References to a patient said anew in every record and conflict that makes them; and that undone."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import Address, Name, Spot, name_of, references, rewritten
from service.chart import trees, writes
from service.chart.writes import Change
from service.store.tables import ConflictRow, Record

#: Says a Reference anew; returns it as it is where it has nothing to do with the matter.
Rewrite = Callable[[Tree], Tree]
#: The addresses that references said before they were said anew, by path.
Before = dict[str, str]
Side = InstrumentedAttribute[Any]

SIDES: tuple[Side, ...] = (ConflictRow.base, ConflictRow.here, ConflictRow.there)


def records(session: Session, needle: str, rewrite: Rewrite, change: Change) -> dict[str, Before]:
    """Write every record that a rewriting of references changes; return what they said before.

    needle: a text that every tree holds which is concerned.
    """
    rows = session.scalars(
        select(Record).where(_holds(Record.tree, needle)).order_by(Record.id).with_for_update()
    ).all()
    changed = {}
    for row in rows:
        before = exact_json.parse(row.tree)
        after = rewritten(before, rewrite)
        if not trees.same(before, after):
            changed[row.id] = addresses_before(before, after)
            writes.replace(session, row, after, change)
    return changed


def conflicts(
    session: Session, needle: str, rewrite: Rewrite, sides: Iterable[Side] = SIDES
) -> dict[str, dict[str, Before]]:
    """Say the sides of conflicts anew; return what they said before, by conflict and side."""
    sides = list(sides)
    concerned = or_(*[_holds(side, needle) for side in sides])
    changed: dict[str, dict[str, Before]] = {}
    for row in session.scalars(select(ConflictRow).where(concerned).with_for_update()).all():
        for side in sides:
            before = exact_json.parse(getattr(row, side.key) or "null")
            after = rewritten(before, rewrite)
            if before is not None and before != after:
                setattr(row, side.key, exact_json.dump(after))
                changed.setdefault(row.id, {})[side.key] = addresses_before(before, after)
    session.flush()
    return changed


def follow_records(session: Session, record_ids: Collection[str]) -> None:
    """Have open conflicts name the versions that their records have by now: nothing else was changed."""
    for record_id in record_ids:
        for row in session.scalars(
            select(ConflictRow).where(ConflictRow.record_id == record_id, ConflictRow.resolved_at.is_(None))
        ).all():
            row.here_version = session.get_one(Record, record_id).version
    session.flush()


def records_back(
    session: Session, before: Mapping[str, Before], patient_id: str, change: Change
) -> list[str]:
    """Write records as they were before a patient was named in another's place; return which.

    patient_id: who was named. What says something else by now is left alone.
    """
    changed = []
    for record_id, addresses in sorted(before.items()):
        row = session.get(Record, record_id, with_for_update=True, populate_existing=True)
        if row is None:
            continue
        tree = exact_json.parse(row.tree)
        after = as_before(tree, addresses, patient_id)
        if not trees.same(tree, after):
            writes.replace(session, row, after, change)
            changed.append(record_id)
    return changed


def conflicts_back(session: Session, before: Mapping[str, Mapping[str, Before]], patient_id: str) -> None:
    """Say the sides of conflicts as they were."""
    for conflict_id, sides in before.items():
        row = session.get(ConflictRow, conflict_id, with_for_update=True, populate_existing=True)
        if row is None:
            continue
        for name, addresses in sides.items():
            tree = as_before(exact_json.parse(getattr(row, name)), addresses, patient_id)
            setattr(row, name, exact_json.dump(tree))
    session.flush()


def patient(from_id: str, into_id: str) -> Rewrite:
    """Return what names one patient where another was named."""

    def renamed(reference: Tree) -> Tree:
        if _address(reference) != ("Patient", from_id):
            return reference
        return {**reference, "reference": f"Patient/{into_id}"}

    return renamed


def identifier(patient_id: str, old: Name, new: Name | None) -> Rewrite:
    """Return what says a patient's corrected identifier, or the patient's address where it was removed."""

    def renamed(reference: Tree) -> Tree:
        if name_of(reference.get("identifier")) != old or not _may_be(reference, patient_id):
            return reference
        if new is not None:
            system, value = new
            corrected = {**reference["identifier"], "system": system, "value": value}
            return {**reference, "identifier": corrected}
        rest = {key: value for key, value in reference.items() if key not in ("identifier", "_identifier")}
        return {"reference": f"Patient/{patient_id}", **rest}

    return renamed


def _may_be(reference: Tree, patient_id: str) -> bool:
    """Tell whether a reference may be to a patient, as far as it says: others may have the same number."""
    is_to_patient = reference.get("type", "Patient") == "Patient"
    return is_to_patient and _address(reference) in (None, ("Patient", patient_id))


def _address(reference: Tree) -> Address | None:
    return Spot("", "", reference).address


def addresses_before(before: Tree, after: Tree) -> Before:
    """Return the addresses that were said otherwise, by path."""
    was = {spot.path: spot.literal for spot in references(before)}
    return {
        spot.path: literal
        for spot in references(after)
        if (literal := was.get(spot.path)) is not None and literal != spot.literal
    }


def as_before(tree: Tree, addresses: Before, patient_id: str) -> Tree:
    """Return a tree that says addresses as before, where it names a patient in their place."""
    meant = {
        id(spot.reference): addresses[spot.path]
        for spot in references(tree)
        if spot.path in addresses and spot.address == ("Patient", patient_id)
    }

    def said(value: Any) -> Any:
        if isinstance(value, dict):
            members = {key: said(member) for key, member in value.items()}
            return {**members, "reference": meant[id(value)]} if id(value) in meant else members
        return [said(item) for item in value] if isinstance(value, list) else value

    whole: Tree = said(tree)
    return whole


def _holds(column: Side, text: str) -> Any:
    return column.contains(exact_json.dump(text)[1:-1], autoescape=True)
