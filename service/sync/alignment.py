"""Which items of four lists are the same item: by element id, by content, by what names it. Pure.

Never by position, with one exception: what we sent and what the server made of it are the
same list, item by item, as long as they have the same length.
"""

from collections.abc import Callable
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
    taken: Slots = {}
    for slot, item in zip(slots, items, strict=True):
        taken[slot or _new(item, natural, taken)] = item
    return taken


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


def _new(item: Any, natural: Callable[[Any], Any], taken: Slots) -> Slot:
    # The same addition on both sides must get the same slot, and a repeated one another.
    name = _hashable(_element_id(item)) or _hashable(natural(item)) or _content(item)
    count = 0
    while ("new", (name, count)) in taken:
        count += 1
    return "new", (name, count)


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
