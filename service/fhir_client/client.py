"""FHIR REST: what can be asked of one server, and what came of it.

Nothing here raises for what a server does. Every exchange ends in one of four outcomes:

    NotSent    nothing reached the server
    Refused    the server answered with an error status
    Unknown    it may have done what was asked; no usable answer came
    Answered   it did, and said so
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import requests

from fhir_mappings import exact_json
from fhir_mappings.exact_json import JSONTextError, Tree
from service.fhir_client import links
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
    answered,
    is_addressed,
    names_error,
    refused,
)
from service.fhir_client.pages import page_of
from service.fhir_client.search import Pieces, Values
from service.fhir_client.transport import Reply, Transport

FHIR_JSON = "application/fhir+json"
#: How many resources a page is to have. Only a wish: servers have limits of their own.
PAGE_SIZE = "200"
#: More pages than any honest answer has; a server that never ends is a cause, not a hang.
MAX_PAGES = 10_000
#: An expired page (410) starts the search again, at most this often.
MAX_RESTARTS = 2
#: How long all pages of one search may take: a hundred thousand resources, at a page a second.
LISTING_SECONDS = 900.0


class FHIRClient:
    """One FHIR server, spoken to by one thread at a time; remembers what the server refused in searches."""

    def __init__(
        self,
        base_url: str,
        *,
        token: Callable[[], str | None] | None = None,
        timeout_seconds: float = 30.0,
        listing_seconds: float = LISTING_SECONDS,
        session: requests.Session | None = None,
        max_body_bytes: int = 50_000_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """token: gives the bearer token, asked for at every request so that a renewed one is used."""
        self.base_url = base_url.rstrip("/")
        self._transport = Transport(self.base_url, token, timeout_seconds, session, max_body_bytes)
        self._listing_seconds = listing_seconds
        self._monotonic = monotonic
        self._bundle_path = ""
        self._takes_count: dict[str, bool] = {}
        self._pieces: dict[tuple[str, ...], Pieces] = {}
        self._is_fhir: bool | None = None

    def capabilities(self) -> Outcome:
        return _only("CapabilityStatement", self._exchange("GET", "/metadata"))

    def is_fhir(self) -> bool:
        """Tell whether a FHIR server answers at the base URL; asked once."""
        if self._is_fhir is None:
            self._is_fhir = isinstance(self.capabilities(), Answered)
        return self._is_fhir

    def read(self, resource_type: str, server_id: str) -> Outcome:
        """Read a resource; it may be another one that is shown, as the one into whom a Patient was merged."""
        return _only(resource_type, self._exchange("GET", f"/{resource_type}/{server_id}", headers=_UNCACHED))

    def create(self, tree: Tree, *, if_none_exist: str | None = None) -> Outcome:
        """Create a resource; if_none_exist: the search that must find nothing, else its one match answers."""
        resource_type = str(tree["resourceType"])
        condition = {"If-None-Exist": if_none_exist} if if_none_exist else {}
        return _written(resource_type, self._exchange("POST", f"/{resource_type}", tree, _WHOLE | condition))

    def update(self, tree: Tree, *, version: str | None) -> Outcome:
        """Replace a resource, if it is still at that version; None: whatever it is at."""
        address = Address(str(tree["resourceType"]), str(tree["id"]))
        condition = {"If-Match": f'W/"{version}"'} if version is not None else {}
        path = f"/{address.resource_type}/{address.server_id}"
        outcome = self._exchange("PUT", path, tree, _WHOLE | condition)
        return _written(address.resource_type, outcome, address)

    def bundle(self, tree: Tree) -> Outcome:
        """Send a transaction or batch; a redirect that leads to the same server's own is followed."""
        outcome = self._exchange("POST", self._bundle_path, tree, _WHOLE)
        # 307 and 308 alone say: the same request, there (RFC 9110, 15.4.8). Base URLs differ by a slash.
        if isinstance(outcome, Refused) and outcome.status in (307, 308) and outcome.location:
            path = links.below(outcome.location, self.base_url)
            if links.on_same_origin(outcome.location, self.base_url) and path is not None:
                outcome = self._exchange("POST", path, tree, _WHOLE)
                if isinstance(outcome, Answered):
                    self._bundle_path = path
        return outcome

    def search(self, resource_type: str, params: Mapping[str, str]) -> Found | Failure:
        """Return all that a search finds, each resource once. Answers from a cache are not wanted."""
        return _together(self.pages(resource_type, params))

    def search_any(
        self,
        resource_type: str,
        parameter: str,
        values: Sequence[str],
        more: Mapping[str, str] | None = None,
    ) -> Found | Failure:
        """Return all that a search for any of many values finds; a failure if one value was not answered."""
        return _together(page for _, page in self.pages_of_any(resource_type, parameter, values, more))

    def pages_of_any(
        self,
        resource_type: str,
        parameter: str,
        values: Sequence[str],
        more: Mapping[str, str] | None = None,
    ) -> Iterator[tuple[Values, Found | Failure]]:
        """Yield the pages of a search for any of many values, each with the values that it answers.

        Asked in pieces as small as the server wants them, down to one value. A failure is the last
        that comes of its values; a refusal says nothing of the others.
        """
        more = more or {}
        key = (resource_type, parameter, *sorted(more))
        if key not in self._pieces:
            self._pieces[key] = Pieces(lambda params: self.pages(resource_type, params), parameter)
        return self._pieces[key].ask(values, more)

    def history(self, resource_type: str, since: str) -> Found | Failure:
        """Return what a type's history says since a moment: what was deleted, all else as it is by now."""
        # The newest version comes first.
        return _together(self.pages(f"{resource_type}/_history", {"_since": since}), newest_first=True)

    def pages(self, resource_type: str, params: Mapping[str, str]) -> Iterator[Found | Failure]:
        """Yield a search page by page; a failure is the last thing yielded.

        The same resource can come on several pages, and all again after an expired page.
        """
        until = self._monotonic() + self._listing_seconds
        restarts = 0
        seen: set[str] = set()
        page = self._first_page(resource_type, params)
        while True:
            if isinstance(page, Refused) and page.status == 410 and seen and restarts < MAX_RESTARTS:
                restarts += 1
                seen.clear()
                page = self._first_page(resource_type, params)
                continue
            yield page
            if not isinstance(page, Found) or page.next_url is None:
                return
            path = links.below(page.next_url, self.base_url) if page.next_url else None
            if path is None:
                yield Unknown(Cause.FOREIGN_LINK, "the link to the next page leads outside the base URL")
                return
            if path in seen or len(seen) >= MAX_PAGES or self._monotonic() > until:
                yield Unknown(Cause.ENDLESS_PAGES, "the pages of a search do not come to an end")
                return
            seen.add(path)
            page = page_of(self._exchange("GET", path, headers=_UNCACHED))

    def _first_page(self, resource_type: str, params: Mapping[str, str]) -> Found | Failure:
        path = f"/{resource_type}"
        bare = {name: value for name, value in params.items() if name != "_count"}
        takes_count = self._takes_count.get(resource_type)
        counted = bare if takes_count is False else {**bare, "_count": PAGE_SIZE}
        page = page_of(self._exchange("GET", path, headers=_UNCACHED, params=counted))
        if takes_count is None and isinstance(page, Refused) and _may_be_for_count(page):
            page = page_of(self._exchange("GET", path, headers=_UNCACHED, params=bare))
            takes_count = False
        if isinstance(page, Found):
            self._takes_count[resource_type] = takes_count is not False
        return page

    def _exchange(
        self,
        method: str,
        path: str,
        tree: Tree | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Outcome:
        content = {"Content-Type": FHIR_JSON} if tree is not None else {}
        reply = self._transport.send(
            method,
            path,
            body=None if tree is None else exact_json.dump(tree).encode(),
            headers={"Accept": FHIR_JSON, **content, **(headers or {})},
            params=params,
        )
        if not isinstance(reply, Reply):
            return reply
        body, problem = _tree_of(reply)
        if reply.status >= 300:
            return refused(reply.status, reply.headers, body)
        if reply.status < 200:
            return Unknown(Cause.NOT_FHIR, "the last word of an answer has no such status")
        # A write that says where it is was done, whatever else its answer holds; that can be read back.
        if problem is not None and (tree is None or address_in(reply.headers.get("Location")) is None):
            return problem
        return answered(reply.status, reply.headers, body)


def _may_be_for_count(refusal: Refused) -> bool:
    return refusal.status in (400, 422) or refusal.status < 300


_UNCACHED = {"Cache-Control": "no-cache"}
_WHOLE = {"Prefer": "return=representation"}


def _together(pages: Iterator[Found | Failure], *, newest_first: bool = False) -> Found | Failure:
    """Return all that pages show, each resource once as shown last (or first); or why it is not all."""
    resources: dict[tuple[str, str], Tree] = {}
    deleted: set[Address] = set()
    server_time = None
    unreadable = 0
    for page in pages:
        if not isinstance(page, Found):
            return page
        server_time = server_time or page.server_time
        for one in page.resources:
            key = (one["resourceType"], one["id"])
            if not newest_first or key not in resources:
                resources[key] = one
        deleted |= page.deleted
        unreadable += page.unreadable
    return Found(
        list(resources.values()), server_time=server_time, deleted=frozenset(deleted), unreadable=unreadable
    )


def _only(resource_type: str, outcome: Outcome) -> Outcome:
    """Take nothing for the answer that is of another type than what was asked for."""
    if not isinstance(outcome, Answered) or (outcome.body or {}).get("resourceType") == resource_type:
        return outcome
    # Who has no statement to show is no FHIR server; a record that is not shown is a matter of its own.
    cause = Cause.NOT_FHIR if resource_type == "CapabilityStatement" else Cause.OTHER_RESOURCE
    return Unknown(cause, "the answer is something else than what was asked for")


def _written(resource_type: str, outcome: Outcome, address: Address | None = None) -> Outcome:
    """Return what came of a write; what does not show the written resource is an answer without a body.

    Servers answer with an OperationOutcome, whatever Prefer asks for. One that names an error, where
    nothing else says that something was stored, refuses, whatever the status. address: of what was replaced.
    """
    if not isinstance(outcome, Answered):
        return outcome
    body = outcome.body
    if names_error(body) and outcome.version is None and outcome.address is None:
        return Refused(outcome.status, outcome=body)
    shown = is_addressed(body) and body is not None and body["resourceType"] == resource_type
    if address is None and outcome.address and outcome.address.resource_type == resource_type:
        address = outcome.address
    if shown and body is not None and (address is None or body["id"] == address.server_id):
        return outcome if outcome.address else replace(outcome, address=Address(resource_type, body["id"]))
    return replace(outcome, body=None, address=address)


def _tree_of(reply: Reply) -> tuple[Tree | None, Unknown | None]:
    """Return the resource that an answer holds, or why there is none; an empty answer is neither."""
    if not reply.text.strip():
        return None, None
    kind = reply.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if "json" not in kind:
        return None, Unknown(Cause.NOT_FHIR, "the answer is not FHIR JSON")
    try:
        tree = exact_json.parse(reply.text)
    except JSONTextError as error:
        return None, Unknown(Cause.NOT_FHIR, f"the answer is {error.problem}")
    if not isinstance(tree, dict) or not isinstance(tree.get("resourceType"), str):
        return None, Unknown(Cause.NOT_FHIR, "the answer is not a FHIR resource")
    return tree, None
