"""Which items of four lists are the same item: by element id, by content, by what names it. Pure.

Never by position, with one exception: what we sent and what the server made of it are the
same list, item by item, as long as they have the same length.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from fhir_mappings import exact_json

#: What stands for one item in all of the lists.
Slot = tuple[str, Any]
Slots = dict[Slot, Any]


def aligned(
    here_before: list[Any],
    here: list[Any],
    there_before: list[Any],
    there: list[Any],
    natural: Callable[[Any], Any],
) -> "tuple[Slots, Slots, Slots, Slots]":
    """Return the four lists as slots and items, the same slot where it is the same item."""
    base: Slots = {("old", index): item for index, item in enumerate(here_before)}
    if len(there_before) == len(here_before):
        base_there: Slots = {("old", index): item for index, item in enumerate(there_before)}
    else:
        base_there = _after(base, there_before, natural)
    return base, _after(base, here, natural), base_there, _after(base_there, there, natural)


def _after(before: Slots, items: list[Any], natural: Callable[[Any], Any]) -> Slots:
    """Return items with the slots that they had before; new ones get slots by what they are."""
    slots: list[Slot | None] = [None] * len(items)
    free = dict(before)
    for key in (_content, _element_id, natural):
        _match(free, items, slots, key, unique=key is not _content)
    fresh = _Fresh(slots, natural)
    return {slot or fresh.slot(item): item for slot, item in zip(slots, items, strict=True)}


def _match(
    free: Slots, items: list[Any], slots: list[Slot | None], key: Callable[[Any], Any], *, unique: bool
) -> None:
    """Give each item without a slot a free one of the same key; unique: only where that is beyond doubt."""
    held: dict[Any, list[Slot]] = {}
    for slot, item in free.items():
        held.setdefault(_hashable(key(item)), []).append(slot)
    wanted: dict[Any, list[int]] = {}
    for index, item in enumerate(items):
        if slots[index] is None:
            wanted.setdefault(_hashable(key(item)), []).append(index)
    for name, indices in wanted.items():
        candidates = held.get(name, [])
        if name is None or (unique and (len(indices) > 1 or len(candidates) > 1)):
            continue
        for index, slot in zip(indices, candidates, strict=False):
            slots[index] = slot
            del free[slot]


class _Fresh:
    """Slots for what is new: the same addition on both sides gets the same one, a repeated one another."""

    def __init__(self, taken: Iterable[Slot | None], natural: Callable[[Any], Any]) -> None:
        self._taken = set(taken)
        self._natural = natural
        self._counts: Counter[Any] = Counter()

    def slot(self, item: Any) -> Slot:
        name = _hashable(_element_id(item)) or _hashable(self._natural(item)) or _content(item)
        # One that an item has had since before is its own, wherever in the list it stands.
        while (slot := ("new", (name, self._counts[name]))) in self._taken:
            self._counts[name] += 1
        self._counts[name] += 1
        return slot


def _content(item: Any) -> Any:
    return exact_json.dump(item)


def _element_id(item: Any) -> Any:
    return item.get("id") if isinstance(item, dict) else None


def _hashable(key: Any) -> Any:
    try:
        hash(key)
    except TypeError:
        return exact_json.dump(key)
    return key
