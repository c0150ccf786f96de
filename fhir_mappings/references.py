"""What a resource is called and what it refers to: identifiers and references, read in one place. Pure.

A Reference can say its target twice, by address and by identifier
(https://hl7.org/fhir/R4/references.html); who reads only one of the two can be told two stories.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from fhir_mappings.exact_json import Tree

#: System and value of an identifier; a system that is not said is empty.
Name = tuple[str, str]

#: https://hl7.org/fhir/R4/datatypes.html#id
FHIR_ID = r"[A-Za-z0-9\-.]{1,64}"
#: Type/id, with or without a version.
_LOCAL = re.compile(rf"([A-Z][A-Za-z]+)/({FHIR_ID})(?:/_history/{FHIR_ID})?")


class Address(NamedTuple):
    """Where a resource is on the server that speaks."""

    resource_type: str
    id: str

    def __str__(self) -> str:
        return f"{self.resource_type}/{self.id}"


@dataclass(frozen=True)
class Spot:
    """A Reference where it stands. element: the name of the element that holds it."""

    path: str
    element: str
    reference: Tree

    @property
    def literal(self) -> str | None:
        text = self.reference.get("reference")
        return text if isinstance(text, str) else None

    @property
    def address(self) -> Address | None:
        """Its target, where that is said relative to the server that speaks."""
        return address_in(self.literal)

    @property
    def name(self) -> Name | None:
        """The identifier of its target, where that is said."""
        return name_of(self.reference.get("identifier"))

    @property
    def is_search(self) -> bool:
        """Tell whether a server that it is sent to would search for the target: ``Type?identifier=…``.

        Transactions alone may say so (https://hl7.org/fhir/R4/http.html#trules); some servers take it always.
        """
        head, mark, _ = (self.literal or "").partition("?")
        return bool(mark) and head.rstrip("/").rpartition("/")[2].isalpha()

    @property
    def is_to_patient(self) -> bool:
        """Tell whether it is about a patient, as far as it says."""
        if self.address is not None:
            return self.address.resource_type == "Patient"
        return self.reference.get("type") == "Patient" or self.element in ("subject", "patient")


def references(tree: Any, path: str | None = None) -> Iterator[Spot]:
    """Yield every Reference of a resource, those in contained resources and extensions too."""
    if path is None:
        path = str(tree.get("resourceType"))
    for name, value in tree.items():
        for step, item in _objects(name, value):
            where = f"{path}.{step}"
            if _is_reference(item):
                yield Spot(where, name, item)
            yield from references(item, where)


def rewritten(node: Any, rewrite: Callable[[Tree], Tree]) -> Any:
    """Return a tree with every Reference rewritten; parts without one are shared, not copied."""
    if isinstance(node, dict):
        members = {key: rewritten(value, rewrite) for key, value in node.items()}
        return rewrite(members) if _is_reference(members) else members
    if isinstance(node, list):
        return [rewritten(item, rewrite) for item in node]
    return node


def with_literals(node: Any, renamed: Callable[[str], str]) -> Any:
    """Return a tree or record with each of its literal references as ``renamed`` says it."""

    def rename(reference: Tree) -> Tree:
        literal = reference.get("reference")
        return {**reference, "reference": renamed(literal)} if isinstance(literal, str) else reference

    return rewritten(node, rename)


def address_in(text: str | None) -> Address | None:
    """Return the address that a relative reference gives; None for one of another form."""
    match = _LOCAL.fullmatch(text) if text else None
    return Address(match[1], match[2]) if match else None


def name_of(identifier: Any) -> Name | None:
    """Return system and value of an Identifier; None where it has no value."""
    if not isinstance(identifier, dict) or not isinstance(identifier.get("value"), str):
        return None
    system = identifier.get("system")
    return (system if isinstance(system, str) else "", identifier["value"])


def names_of(resource: Tree) -> list[Name]:
    """Return the business identifiers of a resource, each once; some types have one, most a list."""
    identifiers: Any = resource.get("identifier")
    listed = identifiers if isinstance(identifiers, list) else [identifiers]
    return list(dict.fromkeys(name for one in listed if (name := name_of(one)) is not None))


def subject_of(resource: Tree) -> Spot | None:
    """Return the subject of a resource, if it is there at all."""
    subject = resource.get("subject")
    path = f"{resource.get('resourceType')}.subject"
    return Spot(path, "subject", subject) if isinstance(subject, dict) else None


def _objects(name: str, value: Any) -> Iterator[tuple[str, Tree]]:
    if isinstance(value, dict):
        yield name, value
    elif isinstance(value, list):
        yield from ((f"{name}[{index}]", item) for index, item in enumerate(value) if isinstance(item, dict))


def _is_reference(node: Tree) -> bool:
    # A Reference is known by its members; only it has a text called reference, or an
    # identifier that is an object (a QuestionnaireResponse has one too, and a type of its own).
    if isinstance(node.get("reference"), str):
        return True
    return isinstance(node.get("identifier"), dict) and "resourceType" not in node
