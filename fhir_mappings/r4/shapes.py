"""What an element of R4 may hold: the compiled form of the specification that the guard walks with."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fhir_mappings.errors import Finding
from fhir_mappings.r4.primitives import Check

#: An invariant: the element and its path in, what is wrong out.
Rule = Callable[[dict[str, Any], str], Iterator[Finding]]


def words(text: str) -> frozenset[str]:
    """Return the words of a text: long lists of names stay readable this way."""
    return frozenset(text.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One element that an element may hold.

    type_name: its FHIR type; check: how a value of it is checked, when it is a primitive.
    codes: all that a required binding allows. targets: what a Reference may point at.
    has_sibling: whether id and extensions may stand in ``_name``.
    """

    type_name: str
    many: bool
    check: Check | None = None
    codes: frozenset[str] | None = None
    targets: frozenset[str] | None = None
    has_sibling: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One type: its members, which of them must be there, and its invariants.

    choices: the names of each ``value[x]`` group, by stem, with whether one must be there.
    is_open: a type that R4B (all that we have a definition of) changed or dropped; only its JSON is checked.
    """

    name: str
    members: dict[str, Member]
    required: tuple[str, ...] = ()
    choices: tuple[tuple[str, frozenset[str], bool], ...] = ()
    rules: tuple[Rule, ...] = ()
    is_resource: bool = False
    is_open: bool = False
