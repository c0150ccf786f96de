"""Bundles as FHIR has them: batches of reads, and what came of each entry. Pure."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fhir_mappings.exact_json import Tree
from service.fhir_client.outcomes import (
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

#: The number of ``201 Created``; the words after it are the server's own.
_STATUS = re.compile(r"\s*([2-5][0-9]{2})(?![0-9])")


def reads(resource_type: str, server_ids: Sequence[str]) -> Tree:
    """Return the Bundle that reads resources."""
    requests = [{"request": {"method": "GET", "url": f"{resource_type}/{one}"}} for one in server_ids]
    return {"resourceType": "Bundle", "type": "batch", "entry": requests}


def readings(outcome: Outcome, resource_type: str, server_ids: Sequence[str]) -> list[Outcome | None] | None:
    """Return what came of each read of a batch, in the order asked; None if that cannot be told.

    An answer is known by the id that it shows: some servers answer in an order of their own. Place
    counts only where nothing shows another order, and never for what shows another of those asked for.
    """
    if not isinstance(outcome, Answered) or outcome.body is None:
        return None
    entries: Any = outcome.body.get("entry")
    if not isinstance(entries, list) or len(entries) != len(server_ids):
        return None
    parts = [outcome_of(one) for one in entries]
    asked = [Address(resource_type, one) for one in server_ids]
    shown = {_shown(part): part for part in reversed(parts)}
    in_order = all(one not in shown or _shown(part) == one for one, part in zip(asked, parts, strict=True))
    return [
        shown.get(one) or (part if in_order and _shown(part) not in asked else None)
        for one, part in zip(asked, parts, strict=True)
    ]


def _shown(outcome: Outcome) -> Address | None:
    """Return which resource an answer shows to be, in whatever version."""
    address = outcome.address if isinstance(outcome, Answered) else None
    return address and Address(address.resource_type, address.server_id)


def outcome_of(entry: Any) -> Outcome:
    """Return what came of the request that an entry of a response answers."""
    response = entry.get("response") if isinstance(entry, dict) else None
    if not isinstance(response, dict):
        return Unknown(Cause.DROPPED, "an entry of the answer has no response")
    match = _STATUS.match(str(response.get("status")))
    if match is None:
        return Unknown(Cause.DROPPED, "an entry of the answer has no status")
    status = int(match[1])
    if status >= 300:
        place = response.get("location")
        headers = {"Location": place} if isinstance(place, str) else {}
        return replace(refused(status, headers, _tree(response.get("outcome"))), in_bundle=True)
    body = entry.get("resource") if is_addressed(entry.get("resource")) else None
    address = address_in(response.get("location"))
    if body and address and (address.resource_type, address.server_id) != (body["resourceType"], body["id"]):
        # What is shown is not what was written; that is read where the answer says that it is.
        body = None
    if body and address is None:
        address = Address(body["resourceType"], body["id"])
    version = version_of(body) or version_in(response.get("etag")) or (address.version if address else None)
    return Answered(status, body=body, version=version, address=address)


def _tree(value: Any) -> Tree | None:
    return value if isinstance(value, dict) else None
