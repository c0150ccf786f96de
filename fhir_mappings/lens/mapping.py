"""Lenses: what is declared once here is read, written, overlaid, accounted for and merged.

A ``Mapping`` ties the fields of a record to elements of a JSON object. Reading never
looks at what no field declares; writing touches a field only where reading the original
gives another value. So an unedited record gives back its original exactly, and an edit
changes that element alone.

Laws (Foster et al. 2007, TOPLAS 29(3)): write(read(s), s) == s; read(write(r, s)) == r.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from fhir_mappings.errors import MappingError
from fhir_mappings.exact_json import Tree

R = TypeVar("R")

#: A reading adds to it when it passes something that no field declares.
Unread = list[bool]


class Type(Protocol):
    """How the values of one FHIR type are read and written, each as a whole."""

    def read(self, node: Any, unread: Unread) -> Any:
        """Return the value that the JSON says."""

    def write(self, value: Any) -> Any:
        """Return the JSON that says the value."""

    def leaves(self, node: Any, path: str) -> Iterator[str]:
        """Yield the path of every leaf that reading depends on."""


class Field(Protocol):
    """Where in an object one record field lives."""

    #: The place, for people: ``description.text``, ``due[x]``.
    where: str
    #: Members of the object that it reads.
    keys: frozenset[str]
    #: Whether it shares them with other fields, so that it owns but a part of each.
    shared: bool
    #: Its value where there is nothing: None or ().
    nothing: Any

    @property
    def ambiguous(self) -> bool:
        """Whether what it holds could be taken for a neighbour's."""

    def reader(self, key: str) -> Callable[[Any, Unread], Any]:
        """Return how the field is read from that member; the path of an error starts below it."""

    def add(self, node: Tree, value: Any) -> None:
        """Set the field in an object that is being made."""

    def put(self, node: Tree, value: Any) -> None:
        """Set the field in an object that the caller has just copied."""

    def leaves(self, node: Tree, path: str) -> Iterator[str]:
        """Yield the path of every leaf that reading depends on."""


def read(field: Field, node: Tree) -> Any:
    """Return the value of one field of an object."""
    for key in field.keys:
        if node.get(key) is not None:
            try:
                return field.reader(key)(node[key], [])
            except MappingError as error:
                raise error.under(key) from None
    return field.nothing


class Mapping(Generic[R]):
    """A record class and the fields that express it in one kind of JSON object."""

    def __init__(
        self,
        record: type[R],
        fields: dict[str, Field] | Callable[[], dict[str, Field]],
        start: Tree | None = None,
    ) -> None:
        """Declare a mapping; start: the members that every object of this kind begins with."""
        self.record = record
        self.start = start or {}
        self._declared = fields

    @cached_property
    def fields(self) -> dict[str, Field]:
        # Types that contain themselves are declared by a function, called at first use.
        return self._declared() if callable(self._declared) else self._declared

    @cached_property
    def _blank(self) -> dict[str, Any]:
        return {name: field.nothing for name, field in self.fields.items()}

    @cached_property
    def _readers(self) -> dict[str, list[tuple[str, Callable[[Any, Unread], Any]]]]:
        """How each member of an object is read, for each field that it speaks to."""
        readers: dict[str, list[tuple[str, Callable[[Any, Unread], Any]]]] = {key: [] for key in self.start}
        for name, field in self.fields.items():
            for key in field.keys:
                readers.setdefault(key, []).append((name, field.reader(key)))
        return readers

    @cached_property
    def _shares(self) -> bool:
        return any(field.shared for field in self.fields.values())

    @cached_property
    def _ambiguous(self) -> dict[str, Field]:
        return {name: field for name, field in self.fields.items() if field.ambiguous}

    def read(self, node: Any, unread: Unread) -> R:
        """Return the record that an object says. Raises MappingError for another structure."""
        if type(node) is not dict:
            raise MappingError("", "is not an object")
        if not (node.keys() <= self._readers.keys() and (not self._shares or self._all_read(node))):
            unread.append(True)
        return self._reading(node, unread)

    def _reading(self, node: Tree, unread: Unread) -> R:
        values = self._blank.copy()
        readers = self._readers
        key = ""
        try:
            for key, member in node.items():
                if member is not None and key in readers:
                    for name, read_member in readers[key]:
                        values[name] = read_member(member, unread)
        except MappingError as error:
            raise error.under(key) from None
        record = object.__new__(self.record)
        # A frozen dataclass sets its fields one by one through object.__setattr__, which
        # takes most of the time of a reading; all at once is the same.
        record.__dict__.update(values)
        return record

    def write(self, value: R) -> Tree:
        """Return a new object that says the record."""
        node = dict(self.start)
        parts = value.__dict__
        for name, field in self.fields.items():
            part = parts[name]
            if part is not None and part is not _NO_ITEMS:
                field.add(node, part)
        if not node:
            raise MappingError("", "is empty")
        self._refuse_ambiguity(value, node)
        return node

    def overlay(self, value: R, onto: Tree) -> Tree:
        """Return ``onto`` with only those fields touched whose reading differs."""
        current = self.read(onto, [])
        if current == value:
            return onto
        refuse_unknown_modifier(onto)
        node = dict(onto)
        for name, field in self.fields.items():
            wanted = getattr(value, name)
            if getattr(current, name) != wanted:
                field.put(node, wanted)
        self._refuse_ambiguity(value, node)
        return node

    def leaves(self, node: Any, path: str) -> Iterator[str]:
        """Yield the path of every leaf that reading the object depends on."""
        for key in self.start:
            yield f"{path}.{key}"
        for field in self.fields.values():
            yield from field.leaves(node, path)

    def _refuse_ambiguity(self, value: R, node: Tree) -> None:
        """Raise MappingError where a neighbour's value would be read as this field's."""
        for name, field in self._ambiguous.items():
            if read(field, node) != getattr(value, name):
                raise MappingError(field.where, "cannot be told from its neighbours in the same list")

    def _all_read(self, node: Tree) -> bool:
        return set(all_leaves(node, "")) == set(self.leaves(node, ""))


#: What a list field has that has no items; there is only one empty tuple.
_NO_ITEMS: tuple[()] = ()


def all_leaves(node: Any, path: str) -> Iterator[str]:
    """Yield the path of every leaf: every value that is no object, no list and no null."""
    if isinstance(node, dict):
        for key, member in node.items():
            yield from all_leaves(member, f"{path}.{key}")
    elif isinstance(node, list):
        for index, member in enumerate(node):
            yield from all_leaves(member, f"{path}[{index}]")
    elif node is not None:
        yield path


def refuse_unknown_modifier(node: Any) -> None:
    """Raise MappingError if something that we do not know changes the object's meaning.

    To edit what one does not understand could say the opposite of what was meant
    (https://hl7.org/fhir/R4/extensibility.html#modifierExtension).
    """
    if not isinstance(node, dict):
        return
    if node.get("modifierExtension"):
        raise MappingError(
            "modifierExtension[0]", "is unknown here and changes the meaning, so no edit is safe", "extension"
        )
    if "implicitRules" in node or "_implicitRules" in node:
        raise MappingError("implicitRules", "is unknown here, so no edit is safe", "not-supported")
