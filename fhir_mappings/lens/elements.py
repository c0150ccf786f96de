"""Lenses on single elements: one at most, one of several types, or one within another."""

from collections.abc import Callable, Iterator
from typing import Any

from fhir_mappings.errors import MappingError
from fhir_mappings.exact_json import Tree
from fhir_mappings.lens.mapping import Field, Mapping, Type, Unread, read, refuse_unknown_modifier


class Element:
    """One element, at most once."""

    shared = ambiguous = False
    nothing = None

    def __init__(self, name: str, type_: Type) -> None:
        self.where = self.name = name
        self.keys = frozenset((name,))
        self.type = type_

    def reader(self, key: str) -> Callable[[Any, Unread], Any]:
        return self.type.read

    def add(self, node: Tree, value: Any) -> None:
        try:
            node[self.name] = self.type.write(value)
        except MappingError as error:
            raise error.under(self.name) from None

    def put(self, node: Tree, value: Any) -> None:
        # What spoke about the old value (data-absent-reason, a translation) goes with it.
        node.pop(f"_{self.name}", None)
        try:
            refuse_unknown_modifier(node.get(self.name))
        except MappingError as error:
            raise error.under(self.name) from None
        if value is None:
            del node[self.name]
        else:
            self.add(node, value)

    def leaves(self, node: Tree, path: str) -> Iterator[str]:
        value = node.get(self.name)
        if value is not None:
            yield from self.type.leaves(value, f"{path}.{self.name}")


class Part(Element):
    """One element that is edited within, not replaced whole."""

    type: Mapping[Any]

    def put(self, node: Tree, value: Any) -> None:
        if value is None or self.name not in node:
            super().put(node, value)
            return
        try:
            node[self.name] = self.type.overlay(value, node[self.name])
        except MappingError as error:
            raise error.under(self.name) from None


class ChoiceOf:
    """A ``stem[x]``: one field owns all its ``stem*`` members and what stands beside them."""

    shared = ambiguous = False
    nothing = None

    def __init__(self, stem: str, choice: type, types: dict[str, Type]) -> None:
        """choice: the record class of a choice; types: the allowed FHIR types by name."""
        self.where = f"{stem}[x]"
        self.choice = choice
        self.types = types
        self._member = {name: stem + name[0].upper() + name[1:] for name in types}
        self._chosen = {member: name for name, member in self._member.items()}
        self.keys = frozenset(self._chosen)
        self._siblings = self.keys | {f"_{member}" for member in self.keys}

    def reader(self, key: str) -> Callable[[Any, Unread], Any]:
        name, choice = self._chosen[key], self.choice
        read_value = self.types[name].read
        return lambda value, unread: choice(name, read_value(value, unread))

    def add(self, node: Tree, value: Any) -> None:
        if value.type not in self.types:
            raise MappingError(self.where, f"is one of {', '.join(self.types)}")
        member = self._member[value.type]
        try:
            node[member] = self.types[value.type].write(value.value)
        except MappingError as error:
            raise error.under(member) from None

    def put(self, node: Tree, value: Any) -> None:
        for member in self._siblings & node.keys():
            try:
                refuse_unknown_modifier(node.pop(member))
            except MappingError as error:
                raise error.under(member) from None
        if value is not None:
            self.add(node, value)

    def leaves(self, node: Tree, path: str) -> Iterator[str]:
        for member in self.keys & node.keys():
            yield from self.types[self._chosen[member]].leaves(node[member], f"{path}.{member}")


class Within:
    """A field one level further down, where its neighbours have other fields."""

    shared = True
    ambiguous = False

    def __init__(self, parent: str, field: Field) -> None:
        self.where = f"{parent}.{field.where}"
        self.parent = parent
        self.field = field
        self.keys = frozenset((parent,))
        self.nothing = field.nothing

    def reader(self, key: str) -> Callable[[Any, Unread], Any]:
        field = self.field

        def read_child(child: Any, unread: Unread) -> Any:  # noqa: ARG001
            if type(child) is not dict:
                raise MappingError("", "is not an object")
            return read(field, child)

        return read_child

    def add(self, node: Tree, value: Any) -> None:
        self.put(node, value)

    def put(self, node: Tree, value: Any) -> None:
        child = dict(node.get(self.parent, {}))
        try:
            self.field.put(child, value)
        except MappingError as error:
            raise error.under(self.parent) from None
        node[self.parent] = child
        if not child:
            del node[self.parent]

    def leaves(self, node: Tree, path: str) -> Iterator[str]:
        yield from self.field.leaves(node.get(self.parent, {}), f"{path}.{self.parent}")
