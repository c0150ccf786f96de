"""Business identifiers as FHIR servers are asked for them, and as they show them. Pure."""

import re
from collections.abc import Collection, Iterable
from functools import cache
from typing import Any
from urllib.parse import quote

from fhir_mappings.references import Name

#: How many identifiers one search asks for; a URL has its limits.
CHUNK = 25

#: Systems that are one (MAINSTAY_SAME_IDENTIFIER_SYSTEMS), as written: a server may find no other form.
SameSystems = tuple[frozenset[str], ...]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:(?://[^/?#]*)?")
_OID = re.compile(r"urn:oid:", re.IGNORECASE)


def token(system: str, value: str) -> str:
    """Return an identifier as a search token (https://hl7.org/fhir/R4/search.html#escaping)."""
    escaped = [part.replace("\\", "\\\\").replace("$", "\\$").replace(",", "\\,") for part in (system, value)]
    return "|".join(part.replace("|", "\\|") for part in escaped)


def chunked(items: list[Any]) -> Iterable[list[Any]]:
    """Cut a list into what one search can ask for."""
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))


def if_none_exist(name: Name) -> str:
    """Return the condition under which a create may create."""
    return f"identifier={quote(token(*name), safe='')}"


def canonical_system(system: str) -> str:
    """Return a system without what servers change about it on their own.

    The scheme and host of a URI have no case (RFC 3986, 6.2.2.1), an OID is written with and
    without ``urn:oid:``, and a last slash says nothing.
    """
    plain = system.strip()
    oid = _OID.match(plain)
    plain = plain[oid.end() if oid else 0 :].rstrip("/")
    scheme = _SCHEME.match(plain)
    end = scheme.end() if scheme else 0
    return plain[:end].lower() + plain[end:]


def canonical(name: Name, same_systems: SameSystems = ()) -> Name:
    """Return an identifier in the form in which two of one meaning are equal; values keep their case."""
    system = canonical_system(name[0])
    groups = map(_in_one_form, same_systems)
    system = next((min(group) for group in groups if system in group), system)
    return system, name[1].strip()


def carried(names: Iterable[Name], ours: Collection[Name], same_systems: SameSystems = ()) -> list[Name]:
    """Return which of a resource's identifiers mean one of ours, as the resource shows them."""
    wanted = {canonical(name, same_systems) for name in ours}
    return [name for name in names if canonical(name, same_systems) in wanted]


def spellings(name: Name, same_systems: SameSystems) -> list[Name]:
    """Return an identifier in every system that people say is the same, its own first."""
    system = canonical_system(name[0])
    groups = [group for group in same_systems if system in _in_one_form(group)]
    others = {other for group in groups for other in group if other != name[0]}
    return [name, *((other, name[1]) for other in sorted(others))]


@cache
def _in_one_form(group: frozenset[str]) -> frozenset[str]:
    return frozenset(map(canonical_system, group))


def same_systems(text: str | None) -> SameSystems:
    """Read the setting: pairs ``one|other`` with blanks between them. Raises ValueError."""
    groups: list[set[str]] = []
    for pair in (text or "").split():
        systems = set(pair.split("|"))
        forms = set(map(canonical_system, systems))
        if len(forms) < 2 or "" in forms:
            raise ValueError("has to be pairs of systems, one|other, with blanks between them")
        for group in [group for group in groups if forms & set(map(canonical_system, group))]:
            groups.remove(group)
            systems |= group
        groups.append(systems)
    return tuple(map(frozenset, groups))
