"""Three-way merge of two resources that were one: pure.

Here and there each have a *before*, what the two sides last agreed on, in the words of each:
a server may have said our 1E2 as 100, and that is a change of nobody's. What changed on one
side only is carried to the other. What changed on both, and not to the same, is a conflict.

An element is one value, unless the mappings declare parts of it: then it is merged within.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any, NamedTuple

from fhir_mappings.exact_json import Tree
from service.sync.merge.alignment import aligned
from service.sync.merge.grain import Grain

#: Never compared: the identity is a matter of addresses, and the narrative is made anew.
_APART = frozenset({"resourceType", "id"})


class Side(StrEnum):
    """Whose version counts where both changed."""

    HERE = "here"
    THERE = "there"


class Versions(NamedTuple):
    """One element in its four versions; None where it is absent."""

    here_before: Any
    here: Any
    there_before: Any
    there: Any

    @property
    def changed_here(self) -> bool:
        return bool(self.here_before != self.here)

    @property
    def changed_there(self) -> bool:
        return bool(self.there_before != self.there)

    def member(self, name: str) -> "Versions":
        return Versions(*[one.get(name) if one else None for one in self])


@dataclass(frozen=True)
class Merged:
    """Both sides after the merge, each still in its own words.

    conflicts: the elements that changed on both sides, by path; each side keeps its own of these,
        unless a side was preferred.
    """

    here: Tree
    there: Tree
    conflicts: list[str] = field(default_factory=list)


def merge(
    here_before: Tree,
    here: Tree,
    there_before: Tree,
    there: Tree,
    grain: Grain,
    *,
    prefer: Side | None = None,
    apart: Iterable[str] = (),
) -> Merged:
    """Merge two versions of one resource; apart: further members that each side keeps as they are."""
    weaver = _Weaver(prefer)
    aside = _APART.union(apart)
    merged_here, merged_there = weaver.object(
        Versions(here_before, here, there_before, there), grain, str(here.get("resourceType", "")), aside
    )
    return Merged(merged_here, merged_there, weaver.conflicts)


class _Weaver:
    """Goes through four trees at once and notes what conflicts."""

    def __init__(self, prefer: Side | None) -> None:
        self.prefer = prefer
        self.conflicts: list[str] = []

    def object(
        self, four: Versions, grain: Grain, path: str, aside: frozenset[str] = frozenset()
    ) -> tuple[Tree, Tree]:
        """Merge the members of an object that is there on both sides."""
        here, there = dict(four.here), dict(four.there)
        for name, members in _units(four, grain):
            if name in aside:
                continue
            units = Versions(*[_unit(one, members) for one in four])
            for_here, for_there = self.unit(units, name, members, grain, f"{path}.{name}")
            _set(here, members, for_here)
            _set(there, members, for_there)
        return here, there

    def unit(
        self, units: Versions, name: str, members: list[str], grain: Grain, path: str
    ) -> tuple[Tree | None, Tree | None]:
        """Merge the members that say one element."""
        if not (units.changed_here or units.changed_there) or units.here == units.there:
            return units.here, units.there
        if len(members) == 1 and units.here and units.there:
            values = units.member(name)
            inside = grain.parts.get(name)
            if isinstance(values.here, list) and isinstance(values.there, list):
                here, there = self.list(Versions(*[one or [] for one in values]), name, grain, path)
                return {name: here} if here else None, {name: there} if there else None
            if inside and all(isinstance(one, dict) for one in values):
                objects = self.object(values, inside(), path)
                return {name: objects[0]}, {name: objects[1]}
        return self.value(units, path)

    def value(self, row: Versions, path: str) -> tuple[Any, Any]:
        """Merge what is one value: the side that changed it counts."""
        if not row.changed_there:
            return row.here, row.here
        if not row.changed_here:
            return row.there, row.there
        return self.conflict(row.here, row.there, path)

    def conflict(self, here: Any, there: Any, path: str) -> tuple[Any, Any]:
        self.conflicts.append(path)
        if self.prefer is Side.HERE:
            return here, here
        if self.prefer is Side.THERE:
            return there, there
        return here, there

    def list(self, lists: Versions, name: str, grain: Grain, path: str) -> tuple[list[Any], list[Any]]:
        """Merge two lists item by item."""
        slots = Versions(*aligned(*lists, lambda item: grain.natural(name, item)))
        rows = {slot: Versions(*[items.get(slot) for items in slots]) for items in slots for slot in items}
        if _reordered(slots) or _both_replaced(rows.values()):
            return self.value(lists, path)
        for_here: dict[Any, Any] = {}
        for_there: dict[Any, Any] = {}
        places = {slot: index for index, slot in enumerate(slots.here)}
        for slot, row in rows.items():
            spot = f"{path}[{places[slot]}]" if slot in places else path
            for_here[slot], for_there[slot] = self.item(row, grain.parts.get(name), spot)
        return _placed(for_here, slots.here, slots.there), _placed(for_there, slots.there, slots.here)

    def item(self, row: Versions, inside: Any, path: str) -> tuple[Any, Any]:
        """Merge one item of a list."""
        if not (row.changed_here or row.changed_there) or row.here == row.there:
            return row.here, row.there
        if inside and all(isinstance(one, dict) for one in row):
            return self.object(row, inside(), path)
        return self.value(row, path)


def _units(four: Versions, grain: Grain) -> list[tuple[str, list[str]]]:
    """Return the elements of an object by name, each with the members that say it."""
    units: dict[str, list[str]] = {}
    for tree in four:
        for key in tree or ():
            plain = key.removeprefix("_")
            members = units.setdefault(grain.choices.get(key) or grain.choices.get(plain) or plain, [])
            if key not in members:
                members.append(key)
    return list(units.items())


def _unit(tree: Tree | None, members: list[str]) -> Tree | None:
    return {key: tree[key] for key in members if key in tree} or None if tree else None


def _set(tree: Tree, members: list[str], unit: Tree | None) -> None:
    for key in members:
        if unit is not None and key in unit:
            tree[key] = unit[key]
        else:
            tree.pop(key, None)


def _reordered(slots: Versions) -> bool:
    """Tell whether the order of what stayed changed on either side, which is a value of its own."""
    return _order_differs(slots.here_before, slots.here) or _order_differs(slots.there_before, slots.there)


def _order_differs(before: Iterable[Any], after: Iterable[Any]) -> bool:
    was, now = dict.fromkeys(before), dict.fromkeys(after)
    return [slot for slot in was if slot in now] != [slot for slot in now if slot in was]


def _both_replaced(rows: Iterable[Versions]) -> bool:
    """Tell whether both sides put something of their own in the place of the same nameless item."""
    gone = [row for row in rows if row.here_before is not None and row.here is None and row.there is None]
    added_here = [
        row for row in rows if row.here_before is None and row.here is not None and row.there is None
    ]
    added_there = [
        row for row in rows if row.there_before is None and row.there is not None and row.here is None
    ]
    return bool(gone and added_here and added_there)


def _placed(items: dict[Any, Any], own: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    """Put the items in their own order; what came from the other side follows what it followed there."""
    # Each slot and the one after it, None being before the first: so nothing moves when one is put between.
    after = dict(pairwise((None, *own, None)))
    previous = None
    for slot in other:
        if slot not in after:
            after[slot], after[previous] = after[previous], slot
        previous = slot
    placed = []
    slot = after[None]
    while slot is not None:
        if items.get(slot) is not None:
            placed.append(items[slot])
        slot = after[slot]
    return placed
