"""References to a patient said anew in every record and conflict that makes them; and that undone."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import Address, Name, Spot, name_of, references, rewritten
from service.chart import trees, writes
from service.chart.ownership import SUBJECTS
from service.chart.standing import unmoved
from service.chart.writes import Change
from service.store.statements import chunks
from service.store.tables import ConflictRow, Record, Version

#: Says a Reference anew; returns it as it is where it has nothing to do with the matter.
Rewrite = Callable[[Tree], Tree]
#: The addresses that references said before they were said anew, by path.
Before = dict[str, str]
Side = InstrumentedAttribute[Any]

#: Acts that say anew who somebody is, and nothing else.
_WHO_IS_WHO = ("identify", "merge-patient", "unmerge-patient")
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


@dataclass(frozen=True)
class Parting:
    """Two patients who were one, and are two again.

    undo: what was kept when they were merged. corrected: identifiers then, and what they are by now.
    own: the records that go back to who was merged.
    """

    from_id: str
    into_id: str
    undo: Mapping[str, Any]
    corrected: Mapping[Name, Name]
    own: Collection[str]

    def as_corrected(self, tree: Tree) -> Tree:
        """Return a tree of then with the identifiers of now."""
        for old, new in self.corrected.items():
            tree = rewritten(tree, identifier(self.into_id, old, new))
        return tree

    def before(self, record_id: str, tree: Tree, then: Tree | None, addresses: Before) -> Before:
        """Return the addresses that may be said as before: where nobody has edited anything since.

        Whom a record is about goes with the record, wherever in it that is said.
        """
        standing: set[str] = set()
        if then is not None:
            # Of a conflict our side alone was corrected.
            standing = unmoved(self.as_corrected(then), self.as_corrected(tree), addresses)
        before = {path: address for path, address in addresses.items() if path in standing}
        if record_id in self.own:
            before |= {
                spot.path: addresses.get(spot.path, f"Patient/{self.from_id}")
                for spot in references(tree)
                if spot.element in SUBJECTS
            }
        return before


def records_back(session: Session, parting: Parting, change: Change) -> tuple[list[str], list[str]]:
    """Write records as they were before a patient was named in another's place.

    Return which were written, and which a person has to look at: what names who stayed was moved in them
    since, or they go back with what was said in them meanwhile.
    """
    changed, edited = [], []
    for record_id, addresses in sorted(parting.undo["references"].items()):
        row = session.get(Record, record_id, with_for_update=True, populate_existing=True)
        if row is None:
            continue
        tree = exact_json.parse(row.tree)
        number = parting.undo.get("versions", {}).get(record_id)
        then = session.get(Version, (record_id, number)) if number is not None else None
        before = parting.before(record_id, tree, exact_json.parse(then.tree) if then else None, addresses)
        after = as_before(tree, before, parting.into_id)
        is_left = not addresses.keys() <= before.keys() and _names(after, parting.into_id)
        if is_left or (record_id in parting.own and _is_edited(session, record_id, number)):
            edited.append(record_id)
        if not trees.same(tree, after):
            writes.replace(session, row, after, change)
            changed.append(record_id)
    return changed, edited


def _names(tree: Tree, patient_id: str) -> bool:
    return any(spot.address == ("Patient", patient_id) for spot in references(tree))


def _is_edited(session: Session, record_id: str, since: int | None) -> bool:
    """Tell whether anything was said in a record since a version, but who is who."""
    query = select(Version.version).where(Version.record_id == record_id, Version.version > (since or 0))
    return session.scalar(query.where(Version.action.not_in(_WHO_IS_WHO)).limit(1)) is not None


def conflicts_back(session: Session, parting: Parting) -> None:
    """Say the sides of conflicts as they were."""
    for conflict_id, sides in parting.undo["conflicts"].items():
        row = session.get(ConflictRow, conflict_id, with_for_update=True, populate_existing=True)
        if row is None:
            continue
        kept = parting.undo.get("sides", {}).get(conflict_id, {})
        for name, addresses in sides.items():
            tree = exact_json.parse(getattr(row, name))
            before = parting.before(row.record_id, tree, kept.get(name), addresses)
            setattr(row, name, exact_json.dump(as_before(tree, before, parting.into_id)))
    session.flush()


def versions(session: Session, record_ids: Collection[str]) -> dict[str, int]:
    """Return which version each record has by now."""
    found: dict[str, int] = {}
    for chunk in chunks(sorted(record_ids)):
        rows = session.execute(select(Record.id, Record.version).where(Record.id.in_(chunk)))
        found.update({row.id: row.version for row in rows})
    return found


def sides(session: Session, changed: Mapping[str, Mapping[str, Before]]) -> dict[str, dict[str, Tree]]:
    """Return what the sides of conflicts say by now that were said anew."""
    return {
        row.id: {name: exact_json.parse(getattr(row, name)) for name in changed[row.id]}
        for chunk in chunks(sorted(changed))
        for row in session.scalars(select(ConflictRow).where(ConflictRow.id.in_(chunk)))
    }


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
