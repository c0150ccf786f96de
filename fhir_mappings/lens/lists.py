"""Lenses on lists: items keep to their originals by handle, reading or natural key, never by position."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fhir_mappings.errors import MappingError
from fhir_mappings.exact_json import Tree
from fhir_mappings.lens.alignment import align
from fhir_mappings.lens.mapping import Mapping, Type, Unread, refuse_unknown_modifier

#: Which of a list's elements belong to a field, by index, in order.
Pick = Callable[[list[Any]], Sequence[int]]


def every(elements: list[Any]) -> Sequence[int]:
    """Pick all elements."""
    return range(len(elements))


class Each:
    """A list of values; each is one value, replaced whole."""

    nothing: Any = ()

    def __init__(self, name: str, type_: Type, pick: Pick = every) -> None:
        self.where = self.name = name
        self.keys = frozenset((name,))
        self.shared = pick is not every
        self.type = type_
        self.pick = pick

    @property
    def ambiguous(self) -> bool:
        return self.shared

    def reader(self, key: str) -> Callable[[Any, Unread], Any]:
        return self._read

    def add(self, node: Tree, value: Any) -> None:
        node.setdefault(self.name, []).extend(self._written(value))

    def put(self, node: Tree, value: Any) -> None:
        elements = node.get(self.name) or []
        picked = self.pick(elements)
        origins = align(list(value), list(self._read(elements, [])))
        written = [
            self._write(position, item) if origin is None else elements[picked[origin]]
            for position, (item, origin) in enumerate(zip(value, origins, strict=True))
        ]
        _splice(node, self.name, elements, picked, written)

    def leaves(self, node: Tree, path: str) -> Iterator[str]:
        elements = node.get(self.name) or []
        for index in self.pick(elements):
            if elements[index] is not None:
                yield from self.type.leaves(elements[index], f"{path}.{self.name}[{index}]")

    def _read(self, elements: Any, unread: Unread) -> Any:
        if type(elements) is not list:
            raise MappingError("", "is not a list")
        read, index = self.type.read, 0
        values = []
        try:
            for index in self.pick(elements):
                element = elements[index]
                # A list of primitives has null where only a sibling says something.
                values.append(None if element is None else read(element, unread))
        except MappingError as error:
            raise error.under(f"[{index}]") from None
        return tuple(values)

    def _written(self, value: Any) -> list[Any]:
        return [self._write(position, item) for position, item in enumerate(value)]

    def _write(self, position: int, item: Any) -> Any:
        try:
            return None if item is None else self.type.write(item)
        except MappingError as error:
            raise error.under(f"{self.name}[{position}]") from None


class First(Each):
    """At most one value: the first element that is picked."""

    nothing = None

    def reader(self, key: str) -> Callable[[Any, Unread], Any]:
        return lambda elements, unread: next(iter(self._read(elements, unread)), None)

    def add(self, node: Tree, value: Any) -> None:
        super().add(node, (value,))

    def put(self, node: Tree, value: Any) -> None:
        if value is None:
            # All of them, or the reading would fall back to the next.
            super().put(node, ())
        else:
            elements = node.get(self.name) or []
            _splice(node, self.name, elements, self.pick(elements)[:1], self._written((value,)))

    def leaves(self, node: Tree, path: str) -> Iterator[str]:
        elements = node.get(self.name) or []
        for index in self.pick(elements)[:1]:
            yield from self.type.leaves(elements[index], f"{path}.{self.name}[{index}]")


class Items:
    """A list of elements that are edited within, each a record of its own.

    The record's ``id`` is the element's id; its ``key`` is the index in the original,
    given where the element has no id of its own alone and holds something that no field
    reads, for only there does it matter which original an edited item came from.
    natural: what names an item among its neighbours, where that is unique in the list.
    """

    nothing: Any = ()
    ambiguous = False

    def __init__(
        self,
        name: str,
        mapping: Mapping[Any],
        pick: Pick = every,
        natural: Callable[[Any], Any] | None = None,
    ) -> None:
        self.where = self.name = name
        self.keys = frozenset((name,))
        self.shared = pick is not every
        self.mapping = mapping
        self.pick = pick
        self.natural = natural

    def reader(self, key: str) -> Callable[[Any, Unread], Any]:
        return self._read

    def add(self, node: Tree, value: Any) -> None:
        written = [self._write(position, item) for position, item in enumerate(value)]
        node.setdefault(self.name, []).extend(written)

    def put(self, node: Tree, value: Any) -> None:
        originals = self.elements(node)
        readings = list(self._read(node.get(self.name) or [], []))
        times = Counter(item.id for item in readings)
        handles: dict[Any, int] = {
            item.id: at for at, item in enumerate(readings) if item.id and times[item.id] == 1
        }
        handles |= {index: at for at, (index, _) in enumerate(originals)}
        origins = align(list(value), readings, handles, self.natural)
        for lost in set(range(len(originals))) - set(origins):
            self._refuse_modifier(*originals[lost])
        written = [
            self._write(position, item) if origin is None else self._overlay(*originals[origin], item)
            for position, (item, origin) in enumerate(zip(value, origins, strict=True))
        ]
        _splice(node, self.name, node.get(self.name) or [], [index for index, _ in originals], written)

    def elements(self, node: Tree) -> list[tuple[int, Tree]]:
        """Return the elements of an object that belong to this field, with their indices."""
        elements = node.get(self.name) or []
        return [(index, elements[index]) for index in self.pick(elements)]

    def leaves(self, node: Tree, path: str) -> Iterator[str]:
        for index, element in self.elements(node):
            yield from self.mapping.leaves(element, f"{path}.{self.name}[{index}]")

    def _read(self, elements: Any, unread: Unread) -> Any:
        if type(elements) is not list:
            raise MappingError("", "is not a list")
        read, index = self.mapping.read, 0
        items: list[Any] = []
        marked: list[tuple[int, Any]] = []
        try:
            for index in self.pick(elements):
                passed: Unread = []
                item = read(elements[index], passed)
                if passed:
                    unread.append(True)
                    marked.append((index, item))
                items.append(item)
        except MappingError as error:
            raise error.under(f"[{index}]") from None
        times = Counter(item.id for item in items) if marked else {}
        for index, item in marked:
            if item.id is None or times[item.id] > 1:
                item.__dict__["key"] = index
        return tuple(items)

    def _write(self, position: int, item: Any) -> Tree:
        try:
            return self.mapping.write(item)
        except MappingError as error:
            raise error.under(f"{self.name}[{position}]") from None

    def _overlay(self, index: int, element: Tree, item: Any) -> Tree:
        try:
            return self.mapping.overlay(item, element)
        except MappingError as error:
            raise error.under(f"{self.name}[{index}]") from None

    def _refuse_modifier(self, index: int, element: Tree) -> None:
        try:
            refuse_unknown_modifier(element)
        except MappingError as error:
            raise error.under(f"{self.name}[{index}]") from None


def _splice(node: Tree, name: str, elements: list[Any], picked: Sequence[int], written: list[Any]) -> None:
    """Put the written elements in the places of the picked ones; the others keep theirs."""
    slots = iter(written)
    mine = set(picked)
    missing = object()
    merged = []
    for index, element in enumerate(elements):
        kept = next(slots, missing) if index in mine else element
        if kept is not missing:
            merged.append(kept)
    merged.extend(slots)
    node[name] = merged
    if not merged:
        del node[name]
    # Siblings of a list of primitives speak of positions that no longer hold.
    node.pop(f"_{name}", None)
