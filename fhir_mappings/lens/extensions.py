"""Lenses on extensions: fields that share ``extension`` part it by URL (https://hl7.org/fhir/R4/extensibility.html)."""

from collections.abc import Iterator
from typing import Any

from fhir_mappings.errors import MappingError
from fhir_mappings.lens.lists import Each, First, Items, Pick
from fhir_mappings.lens.mapping import Mapping, Type, Unread


class _Valued:
    """An extension with one value, as a type."""

    def __init__(self, url: str, name: str, type_: Type) -> None:
        self.url = url
        self.member = "value" + name[0].upper() + name[1:]
        self.type = type_

    def read(self, node: Any, unread: Unread) -> Any:
        if len(node) > 2:
            unread.append(True)
        try:
            return self.type.read(node[self.member], unread)
        except MappingError as error:
            raise error.under(self.member) from None

    def write(self, value: Any) -> Any:
        return {"url": self.url, self.member: self.type.write(value)}

    def leaves(self, node: Any, path: str) -> Iterator[str]:
        yield f"{path}.url"
        yield from self.type.leaves(node[self.member], f"{path}.{self.member}")


def _with_url(url: str, member: str | None = None) -> Pick:
    def pick(elements: list[Any]) -> list[int]:
        return [
            index
            for index, element in enumerate(elements)
            if isinstance(element, dict)
            and element.get("url") == url
            and (member is None or element.get(member) is not None)
        ]

    return pick


class Extensions(Each):
    """The values of all extensions with a URL."""

    #: A URL tells an extension from its neighbours, whatever it holds.
    ambiguous = False

    def __init__(self, url: str, name: str, type_: Type) -> None:
        """name: the FHIR type of the value (``string``, ``date``, ``Reference``)."""
        valued = _Valued(url, name, type_)
        super().__init__("extension", valued, _with_url(url, valued.member))
        self.where = _place(url)


class Extension(Extensions, First):
    """The value of the first extension with a URL."""


class ExtensionItems(Items):
    """All extensions with a URL, each a record with parts of its own."""

    def __init__(self, url: str, mapping: Mapping[Any]) -> None:
        super().__init__("extension", mapping, _with_url(url))
        self.where = _place(url)


def _place(url: str) -> str:
    return f"extension({url.rsplit('/', 1)[-1]})"
