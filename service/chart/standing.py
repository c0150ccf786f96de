"""Whether a reference still stands where it stood, by what its record said then and says now. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from fhir_mappings.references import Spot, rewritten
from service.chart import trees


def unmoved(then: Tree, now: Tree, paths: Iterable[str]) -> set[str]:
    """Return the paths at which stands now what stood there then.

    Which patient a reference names does not count: two that differ by that alone may be exchanged, and
    so may two that are equal. Then nothing but an equal list tells that neither was taken out.
    """
    before, after = rewritten(then, _nameless), rewritten(now, _nameless)
    by_place: dict[str, list[str]] = {}
    for path in paths:
        # What stands below an equal item of a list stands where it stood, and below another one nothing does.
        by_place.setdefault(path.partition("[")[0], []).append(path)
    return {path for place, listed in by_place.items() for path in _standing(place, listed, before, after)}


def _standing(place: str, paths: list[str], then: Tree, now: Tree) -> list[str]:
    was, by_now = _at(place, then), _at(place, now)
    if trees.same(was, by_now):
        return paths
    if not isinstance(was, list) or not isinstance(by_now, list):
        return []
    indices = _single_in_place(was, by_now)
    return [path for path in paths if int(path.removeprefix(f"{place}[").partition("]")[0]) in indices]


def _at(place: str, tree: Tree) -> Any:
    value: Any = tree
    for name in place.split(".")[1:]:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _single_in_place(then: Sequence[Any], now: Sequence[Any]) -> set[int]:
    """Return the indices of the items that are where they were, and like no other one."""
    before, after = list(map(exact_json.dump, then)), list(map(exact_json.dump, now))
    counts = Counter(before) | Counter(after)
    pairs = enumerate(zip(before, after, strict=False))
    return {index for index, (was, by_now) in pairs if was == by_now and counts[was] == 1}


def _nameless(reference: Tree) -> Tree:
    address = Spot("", "", reference).address
    is_patient = address is not None and address.resource_type == "Patient"
    return {**reference, "reference": "Patient"} if is_patient else reference
