"""What one page of a search or a history says. Pure."""

from datetime import datetime
from typing import Any

from fhir_mappings.exact_json import Tree
from service.fhir_client.outcomes import (
    Address,
    Answered,
    Cause,
    Failure,
    Found,
    Outcome,
    Refused,
    Unknown,
    address_in,
    instant_in,
    is_addressed,
    names_error,
)


def page_of(outcome: Outcome) -> Found | Failure:
    """Read the answer to a search. An outcome that names an error refuses it, whatever the status."""
    if not isinstance(outcome, Answered):
        return outcome
    bundle = outcome.body
    if names_error(bundle):
        return Refused(outcome.status, outcome=bundle)
    if bundle is None or bundle.get("resourceType") != "Bundle":
        # Nor is nothing taken for a Bundle without entries: nobody said that there are none.
        return Unknown(Cause.OTHER_RESOURCE, "a search was answered with something else than a Bundle")
    entries = _entries(bundle)
    return Found(
        [entry["resource"] for entry in entries if is_addressed(_member(entry, "resource"))],
        server_time=_earliest(outcome.server_time, bundle),
        deleted=frozenset(address for entry in entries if (address := _deletion(entry))),
        unreadable=sum(_is_unreadable(entry) for entry in entries),
        next_url=_next_link(bundle),
    )


def _entries(bundle: Tree) -> list[Any]:
    entries = bundle.get("entry")
    if entries is None:
        return []
    # One thing in the place of a list is one entry, which nobody can read.
    return entries if isinstance(entries, list) else [None]


def _member(node: Any, name: str) -> Any:
    return node.get(name) if isinstance(node, dict) else None


def _deletion(entry: Any) -> Address | None:
    """Return what an entry of a history says was deleted; it has no resource."""
    request = _member(entry, "request")
    address = address_in(_member(request, "url")) if _member(request, "method") == "DELETE" else None
    return Address(address.resource_type, address.server_id) if address else None


def _is_unreadable(entry: Any) -> bool:
    resource = _member(entry, "resource")
    if is_addressed(resource) or _member(resource, "resourceType") == "OperationOutcome":
        return False
    return resource is not None or _member(_member(entry, "request"), "method") != "DELETE"


def _next_link(bundle: Tree) -> str | None:
    """Return where the next page is; an empty text where that cannot be read."""
    links = bundle.get("link")
    for link in links if isinstance(links, list) else []:
        if _member(link, "relation") == "next":
            url = link.get("url")
            return url if isinstance(url, str) else ""
    return None


def _earliest(server_time: datetime | None, bundle: Tree) -> datetime | None:
    """Return when a search was made, by the clock that dates resources if the answer tells it.

    A gateway can have another clock than the server behind it; the earlier one misses nothing.
    """
    moments = [one for one in (server_time, instant_in(_member(bundle.get("meta"), "lastUpdated"))) if one]
    return min(moments, default=None)
