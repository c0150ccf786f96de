"""Transactions and batches: what is asked, and which answer belongs to which question. Pure."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fhir_mappings.exact_json import Tree
from fhir_mappings.references import Name, names_of
from service.fhir_answers import (
    Address,
    Answered,
    Cause,
    Outcome,
    Unknown,
    address_in,
    is_addressed,
    refused,
    version_in,
    version_of,
)
from service.sync.identifiers import if_none_exist


@dataclass(frozen=True)
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


def reads(resource_type: str, server_ids: Sequence[str]) -> Tree:
    """Return the Bundle that reads resources."""
    requests = [{"request": {"method": "GET", "url": f"{resource_type}/{one}"}} for one in server_ids]
    return {"resourceType": "Bundle", "type": "batch", "entry": requests}


def readings(outcome: Outcome, count: int) -> list[Outcome] | None:
    """Return what came of each read of a batch, in order; None if that cannot be told."""
    if not isinstance(outcome, Answered) or outcome.body is None:
        return None
    entries: Any = outcome.body.get("entry")
    if not isinstance(entries, list) or len(entries) != count:
        return None
    return [_read(one if isinstance(one, dict) else {}) for one in entries]


def answers(entries: Sequence[Entry], response: Tree | None) -> list[Outcome]:
    """Return what came of each entry.

    A server may answer several entries that it found to be the same with one: then place in the
    list says nothing, and an answer is known by its address or its business identifier.
    """
    told: Any = response.get("entry") if response else None
    parts = [_read(one) for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    by_address = {_place(one): one for one in parts if _place(one)}
    by_name = {
        (one.body["resourceType"], name): one
        for one in parts
        if isinstance(one, Answered) and one.body
        for name in names_of(one.body)
    }
    same_length = len(parts) == len(entries)
    outcomes: list[Outcome] = []
    for index, entry in enumerate(entries):
        found = None
        if entry.replaces:
            found = by_address.get((entry.resource_type, entry.tree["id"]))
        elif entry.name:
            found = by_name.get((entry.resource_type, entry.name))
        if found is None and same_length and _may_be(entry, parts[index]):
            found = parts[index]
        outcomes.append(found or Unknown(Cause.DROPPED, "the answer does not tell what became of the entry"))
    return outcomes


def _read(entry: Tree) -> Outcome:
    response = entry.get("response")
    if not isinstance(response, dict):
        return Unknown(Cause.DROPPED, "an entry of the answer has no response")
    match = re.match(r"\s*([2-5]\d\d)", str(response.get("status")))
    if match is None:
        return Unknown(Cause.DROPPED, "an entry of the answer has no status")
    status = int(match[1])
    if status >= 300:
        place = response.get("location")
        headers = {"Location": place} if isinstance(place, str) else {}
        return replace(refused(status, headers, _tree(response.get("outcome"))), in_bundle=True)
    body = entry.get("resource") if is_addressed(entry.get("resource")) else None
    address = address_in(response.get("location"))
    if address is None and body:
        address = Address(body["resourceType"], body["id"])
    version = version_of(body) or version_in(response.get("etag")) or (address.version if address else None)
    return Answered(status, body, version, address)


def _tree(value: Any) -> Tree | None:
    return value if isinstance(value, dict) else None


def _place(outcome: Outcome) -> tuple[str, str] | None:
    if isinstance(outcome, Answered) and outcome.address:
        return outcome.address.resource_type, outcome.address.server_id
    return None


def _may_be(entry: Entry, outcome: Outcome) -> bool:
    """Tell whether nothing contradicts that an answer in an entry's place is its own."""
    if not isinstance(outcome, Answered):
        return True
    place = _place(outcome)
    if place is None:
        return False
    if entry.replaces:
        return place == (entry.resource_type, entry.tree["id"])
    named = not outcome.body or entry.name is None or entry.name in names_of(outcome.body)
    return place[0] == entry.resource_type and named
