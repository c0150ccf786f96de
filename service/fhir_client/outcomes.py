"""What comes of a request to a FHIR server, as values: see the four outcomes in fhir_client."""

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
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
    OTHER_RESOURCE = "other-resource"
    UNREADABLE = "unreadable"
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
    """The server answered with an error, or a redirect.

    outcome: its OperationOutcome. retry_after: as the header says it, seconds or a date. address: the
    resource to which a redirect leads, as to the Patient into whom another was merged.
    location: where it leads, as it says. in_bundle: whether an entry of a Bundle says so.
    """

    status: int
    _: KW_ONLY
    outcome: Tree | None = None
    retry_after: str | None = None
    address: "Address | None" = None
    location: str | None = None
    in_bundle: bool = False

    @property
    def is_fhir(self) -> bool:
        """Whether a FHIR server said so; else it can be anything that speaks HTTP."""
        return self.outcome is not None or self.in_bundle


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
    _: KW_ONLY
    body: Tree | None = None
    version: str | None = None
    address: Address | None = None
    server_time: datetime | None = None


@dataclass(frozen=True)
class Found:
    """What a search found, or one page of it.

    server_time: the server's clock as the first page came. deleted: what a history says is gone.
    unreadable: how many entries show something that cannot be told to be a resource.
    """

    resources: list[Tree]
    _: KW_ONLY
    server_time: datetime | None = None
    deleted: frozenset[Address] = frozenset()
    unreadable: int = 0
    next_url: str | None = field(default=None, compare=False)


Failure = NotSent | Refused | Unknown
Outcome = Answered | Failure

#: The tail of a Location: Type/id, with or without a version. Ids as in R4 (datatypes.html#id).
_ADDRESS = re.compile(
    r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?/?$"
)
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
#: What can be sent back in If-Match (RFC 9110, 8.8.3); anything else is no version that is known.
_VERSION = re.compile(r"[!#-~]{1,256}")


def answered(status: int, headers: Mapping[str, str], body: Tree | None) -> Answered:
    """Return an answer with what its headers say."""
    address = address_in(headers.get("Location") or headers.get("Content-Location"))
    version = version_in(headers.get("ETag")) or version_of(body) or (address.version if address else None)
    return Answered(
        status, body=body, version=version, address=address, server_time=moment_in(headers.get("Date"))
    )


def refused(status: int, headers: Mapping[str, str], body: Tree | None) -> Refused:
    """Return a refusal; only an OperationOutcome is worth keeping of its body."""
    outcome = body if body is not None and body.get("resourceType") == "OperationOutcome" else None
    location = headers.get("Location") if 300 <= status < 400 else None
    return Refused(
        status,
        outcome=outcome,
        retry_after=headers.get("Retry-After"),
        address=address_in(location),
        location=location,
    )


def address_in(location: Any) -> Address | None:
    """Read the address that a Location names, absolute or relative."""
    match = _ADDRESS.search(location) if isinstance(location, str) else None
    return Address(match[1], match[2], match[3]) if match else None


def version_in(etag: Any) -> str | None:
    """Read the version that an ETag names; servers write W/"3", "3" and 3."""
    if not isinstance(etag, str):
        return None
    return _version(etag.strip().removeprefix("W/").strip('"'))


def version_of(body: Tree | None) -> str | None:
    """Return the version that a resource itself names."""
    meta = body.get("meta") if body else None
    return _version(meta.get("versionId")) if isinstance(meta, dict) else None


def _version(text: Any) -> str | None:
    return text if isinstance(text, str) and _VERSION.fullmatch(text) else None


def is_addressed(resource: Any) -> bool:
    """Tell whether this is a resource with a type and an id; an outcome is none."""
    return (
        isinstance(resource, dict)
        and isinstance(resource.get("resourceType"), str)
        and resource["resourceType"] != "OperationOutcome"
        and isinstance(resource.get("id"), str)
        and _ID.fullmatch(resource["id"]) is not None
    )


def names_error(body: Tree | None) -> bool:
    """Tell whether this is an OperationOutcome that says that something went wrong."""
    issues = body.get("issue") if body and body.get("resourceType") == "OperationOutcome" else None
    return isinstance(issues, list) and any(
        isinstance(one, dict) and one.get("severity") in ("error", "fatal") for one in issues
    )


def moment_in(date: str | None) -> datetime | None:
    """Read an HTTP date; None for what is no moment that a calendar has."""
    try:
        moment = parsedate_to_datetime(date) if date else None
        return moment and _in_utc(moment)
    except (ValueError, OverflowError):
        return None


def instant_in(text: Any) -> datetime | None:
    """Read a FHIR instant; None for what is none."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
        return _in_utc(moment) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _in_utc(moment: datetime) -> datetime:
    # Near the ends of the calendar an offset leads out of it: OverflowError.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
