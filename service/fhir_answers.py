"""What comes of a request to a FHIR server, as values: see the four outcomes in fhir_client."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

from fhir_mappings.exact_json import Tree


class Cause(StrEnum):
    """Why an exchange has no usable answer."""

    UNREACHABLE = "unreachable"
    NO_TOKEN = "no-token"  # noqa: S105 - a cause, not a secret
    TIMEOUT = "timeout"
    DROPPED = "dropped"
    TOO_LARGE = "too-large"
    NOT_FHIR = "not-fhir"
    FOREIGN_LINK = "foreign-link"
    ENDLESS_PAGES = "endless-pages"


@dataclass(frozen=True)
class NotSent:
    """Nothing reached the server."""

    cause: Cause
    problem: str


@dataclass(frozen=True)
class Unknown:
    """The server may have done what was asked; no usable answer came."""

    cause: Cause
    problem: str


@dataclass(frozen=True)
class Refused:
    """The server answered with an error (or a redirect, which is never followed).

    outcome: its OperationOutcome. retry_after: as the header says it, seconds or a date. address: the
    resource to which a redirect leads, as to the Patient into whom another was merged.
    """

    status: int
    outcome: Tree | None = None
    retry_after: str | None = None
    address: "Address | None" = None


@dataclass(frozen=True)
class Address:
    """Where a resource is on its server: type, id, and the version if that was said."""

    resource_type: str
    server_id: str
    version: str | None = None


@dataclass(frozen=True)
class Answered:
    """The server did what was asked. body: None where the answer was empty."""

    status: int
    body: Tree | None = None
    version: str | None = None
    address: Address | None = None
    server_time: datetime | None = None


@dataclass(frozen=True)
class Found:
    """What a search found, or one page of it.

    server_time: the server's clock as the first page came. deleted: what a history says is gone.
    """

    resources: list[Tree]
    server_time: datetime | None = None
    deleted: frozenset[Address] = frozenset()
    next_url: str | None = field(default=None, compare=False)


Failure = NotSent | Refused | Unknown
Outcome = Answered | Failure

#: The tail of a Location: Type/id, with or without a version. Ids as in R4 (datatypes.html#id).
_ADDRESS = re.compile(
    r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?/?$"
)
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def answered(status: int, headers: Mapping[str, str], body: Tree | None) -> Answered:
    """Return an answer with what its headers say."""
    address = address_in(headers.get("Location") or headers.get("Content-Location"))
    version = version_in(headers.get("ETag")) or version_of(body) or (address.version if address else None)
    return Answered(status, body, version, address, _server_time(headers.get("Date")))


def refused(status: int, headers: Mapping[str, str], body: Tree | None) -> Refused:
    """Return a refusal; only an OperationOutcome is worth keeping of its body."""
    told = body if body is not None and body.get("resourceType") == "OperationOutcome" else None
    address = address_in(headers.get("Location")) if 300 <= status < 400 else None
    return Refused(status, told, headers.get("Retry-After"), address)


def address_in(location: Any) -> Address | None:
    """Read the address that a Location names, absolute or relative."""
    match = _ADDRESS.search(location) if isinstance(location, str) else None
    return Address(match[1], match[2], match[3]) if match else None


def version_in(etag: Any) -> str | None:
    """Read the version that an ETag names; servers write W/"3", "3" and 3."""
    if not isinstance(etag, str):
        return None
    return etag.strip().removeprefix("W/").strip('"') or None


def version_of(body: Tree | None) -> str | None:
    """Return the version that a resource itself names."""
    meta = body.get("meta") if body else None
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return version if isinstance(version, str) else None


def resources_in(bundle: Tree) -> list[Tree]:
    """Return the resources of a searchset that have a type and an id; outcomes are no matches."""
    entries = bundle.get("entry")
    return [
        entry["resource"]
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and _is_addressed(entry.get("resource"))
    ]


def deleted_in(bundle: Tree) -> frozenset[Address]:
    """Return what a history tells the deletion of; such an entry has no resource."""
    entries = bundle.get("entry")
    told = [
        address_in(request.get("url"))
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict)
        and isinstance(request := entry.get("request"), dict)
        and request.get("method") == "DELETE"
    ]
    return frozenset(Address(one.resource_type, one.server_id) for one in told if one)


def _is_addressed(resource: Any) -> bool:
    return (
        isinstance(resource, dict)
        and isinstance(resource.get("resourceType"), str)
        and resource["resourceType"] != "OperationOutcome"
        and isinstance(resource.get("id"), str)
        and _ID.fullmatch(resource["id"]) is not None
    )


def earliest(server_time: datetime | None, bundle: Tree) -> datetime | None:
    """Return when a search was made, by the clock that dates resources if the answer tells it.

    A gateway can have another clock than the server behind it; the earlier one misses nothing.
    """
    meta = bundle.get("meta")
    told = meta.get("lastUpdated") if isinstance(meta, dict) else None
    try:
        made = datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        return server_time
    if made is None or made.tzinfo is None:
        return server_time
    made = made.astimezone(UTC)
    return min(made, server_time) if server_time else made


def _server_time(date: str | None) -> datetime | None:
    try:
        told = parsedate_to_datetime(date) if date else None
    except ValueError:
        return None
    return told.astimezone(UTC) if told and told.tzinfo else None
