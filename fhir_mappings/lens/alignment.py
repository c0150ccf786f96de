"""Which item of an edited list is which of the originals, in time with their number."""

from collections.abc import Callable, Iterable
from typing import Any


def align(
    items: list[Any],
    readings: list[Any],
    handles: dict[Any, int] | None = None,
    natural: Callable[[Any], Any] | None = None,
) -> list[int | None]:
    """Return for each item the index of its original among the readings, or None if it is new."""
    origins: list[int | None] = [None] * len(items)
    free = set(range(len(readings)))

    def settle(item: int, reading: int) -> None:
        origins[item] = reading
        free.discard(reading)

    if handles is not None:
        for index, item in enumerate(items):
            reading = handles.get(item.id if item.key is None else item.key)
            if reading is not None and reading in free:
                settle(index, reading)
    for index, reading in _equal_pairs(items, readings, origins, free):
        settle(index, reading)
    if natural is not None:
        for index, reading in _unique_pairs(items, readings, origins, free, natural):
            settle(index, reading)
    return origins


def _equal_pairs(
    items: list[Any], readings: list[Any], origins: list[int | None], free: set[int]
) -> list[tuple[int, int]]:
    new = _places((index, item) for index, item in enumerate(items) if origins[index] is None)
    old = _places((at, reading) for at, reading in enumerate(readings) if at in free)
    return [pair for item in new.keys() & old.keys() for pair in zip(new[item], old[item], strict=False)]


def _unique_pairs(
    items: list[Any],
    readings: list[Any],
    origins: list[int | None],
    free: set[int],
    natural: Callable[[Any], Any],
) -> list[tuple[int, int]]:
    named, known = _places(enumerate(map(natural, items))), _places(enumerate(map(natural, readings)))
    pairs = [
        (named[key][0], known[key][0])
        for key in named.keys() & known.keys()
        if key is not None and len(named[key]) == len(known[key]) == 1
    ]
    return [(index, reading) for index, reading in pairs if origins[index] is None and reading in free]


def _places(values: Iterable[tuple[int, Any]]) -> dict[Any, list[int]]:
    """Return where each value stands, in order. What has no hash equals no reading, and is left out."""
    places: dict[Any, list[int]] = {}
    for place, value in values:
        try:
            places.setdefault(value, []).append(place)
        except TypeError:
            continue
    return places
