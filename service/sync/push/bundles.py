"""Transactions and batches: what is asked, and which answer belongs to which question. Pure."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_mappings.exact_json import Tree
from fhir_mappings.references import Name, names_of
from service.fhir_client.bundles import outcome_of
from service.fhir_client.outcomes import Answered, Cause, Outcome, Unknown
from service.sync.identity.identifiers import if_none_exist

#: A type, and an id there or a business identifier.
Key = tuple[str, str | Name]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One resource to be written.

    name: the business identifier that it is known by. replaces: whether it is there already, then
    at that version if one is known. conditional: whether the server creates only what is not there.
    """

    record_id: str
    tree: Tree
    name: Name | None = None
    replaces: bool = False
    version: str | None = None
    conditional: bool = False

    @property
    def resource_type(self) -> str:
        return str(self.tree["resourceType"])

    def as_tree(self) -> Tree:
        request: Tree = {"method": "POST", "url": self.resource_type}
        if self.replaces:
            request = {"method": "PUT", "url": f"{self.resource_type}/{self.tree['id']}"}
            if self.version is not None:
                request["ifMatch"] = f'W/"{self.version}"'
        elif self.conditional and self.name:
            request["ifNoneExist"] = if_none_exist(self.name)
        return {"fullUrl": placeholder(self.record_id), "resource": self.tree, "request": request}


def placeholder(record_id: str) -> str:
    """Return the address of what has none yet, within one transaction."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, record_id)}"


def request(kind: str, entries: Sequence[Entry]) -> Tree:
    """Return the Bundle that asks for all entries; kind: transaction or batch."""
    return {"resourceType": "Bundle", "type": kind, "entry": [entry.as_tree() for entry in entries]}


def answers(entries: Sequence[Entry], response: Tree | None) -> list[Outcome]:
    """Return what came of each entry.

    An answer is known by its address or its business identifier: a server may answer several entries that
    it found to be the same with one, or in an order of its own. Place in the list counts only where there
    is an answer for each entry, and none of them stands in the place of another.
    """
    listed: Any = response.get("entry") if response else None
    parts = [outcome_of(one) for one in listed] if isinstance(listed, list) else []
    if len(parts) == len(entries):
        outcomes = _by_place(entries, parts)
    else:
        shown = _by_key(parts)
        outcomes = [_shown(entry, shown) for entry in entries]
    missing = Unknown(Cause.DROPPED, "the answer does not tell what became of the entry")
    return [outcome or missing for outcome in outcomes]


def _by_place(entries: Sequence[Entry], parts: list[Outcome]) -> list[Outcome | None]:
    """Return as many answers as entries, each to whom it shows to be, else to whom it stands beside."""
    sure = [_key(entry) in _keys(part) for entry, part in zip(entries, parts, strict=True)]
    elsewhere = _by_key(part for part, is_sure in zip(parts, sure, strict=True) if not is_sure)
    moved = [
        None if is_sure else _shown(entry, elsewhere) for entry, is_sure in zip(entries, sure, strict=True)
    ]
    in_order = not any(moved)
    return [
        part if is_sure or (in_order and _may_be(entry, part)) else other
        for entry, part, is_sure, other in zip(entries, parts, sure, moved, strict=True)
    ]


def _key(entry: Entry) -> Key | None:
    """Return by what an entry's answer is known, if by anything."""
    if entry.replaces:
        return entry.resource_type, entry.tree["id"]
    return (entry.resource_type, entry.name) if entry.name else None


def _keys(outcome: Outcome) -> set[Key | None]:
    """Return all by which an answer may be known."""
    if not isinstance(outcome, Answered) or outcome.address is None:
        return set()
    resource_type, body = outcome.address.resource_type, outcome.body
    names: list[Any] = list(names_of(body)) if body else []
    named: set[Key | None] = {(resource_type, name) for name in names if isinstance(name[0], str)}
    return named | {(resource_type, outcome.address.server_id)}


def _by_key(parts: Iterable[Outcome]) -> dict[Key | None, list[Answered]]:
    found: dict[Key | None, list[Answered]] = {}
    for part in parts:
        for key in _keys(part):
            if isinstance(part, Answered):
                found.setdefault(key, []).append(part)
    return found


def _shown(entry: Entry, shown: dict[Key | None, list[Answered]]) -> Outcome | None:
    """Return the answer that is known to be an entry's; what two resources answer to is no one's."""
    found = shown.get(_key(entry), [])
    return found[-1] if len({_place(one) for one in found}) == 1 else None


def _place(outcome: Answered) -> tuple[str, str] | None:
    return (outcome.address.resource_type, outcome.address.server_id) if outcome.address else None


def _may_be(entry: Entry, outcome: Outcome) -> bool:
    """Tell whether an answer that does not show whose it is can be that of the entry in its place."""
    if not isinstance(outcome, Answered):
        return True
    place = _place(outcome)
    shows_another = entry.replaces or (outcome.body is not None and entry.name is not None)
    return place is not None and place[0] == entry.resource_type and not shows_another
