"""FHIR REST over requests: the only file that speaks HTTP to a FHIR server.

Nothing here raises for what a server does. Every exchange ends in one of four outcomes:

    NotSent    nothing reached the server
    Refused    the server answered with an error status
    Unknown    it may have done what was asked; no usable answer came
    Answered   it did, and said so
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.exceptions import ConnectTimeout, RequestException, SSLError
from urllib3.exceptions import MaxRetryError, NewConnectionError, ReadTimeoutError

from fhir_mappings import exact_json
from fhir_mappings.exact_json import JSONTextError, Tree
from service.fhir_answers import (
    Address,
    Answered,
    Cause,
    Failure,
    Found,
    NotSent,
    Outcome,
    Refused,
    Unknown,
    answered,
    deleted_in,
    earliest,
    refused,
    resources_in,
)

FHIR_JSON = "application/fhir+json"
#: More pages than any honest answer has; a server that never ends is a cause, not a hang.
MAX_PAGES = 10_000
#: An expired page (410) starts the search again, at most this often.
MAX_RESTARTS = 2


@dataclass(frozen=True)
class _Reply:
    """What came back, read to its end and within the limit."""

    status: int
    headers: Mapping[str, str]
    text: bytes


class FHIRClient:
    """One FHIR server, spoken to by one thread at a time."""

    def __init__(
        self,
        base_url: str,
        *,
        token: Callable[[], str | None] | None = None,
        timeout_seconds: float = 30.0,
        session: requests.Session | None = None,
        max_body_bytes: int = 50_000_000,
    ) -> None:
        """token: gives the bearer token, asked for at every request so that a renewed one is used."""
        self.base_url = base_url.rstrip("/")
        self._token = token
        self._timeout_seconds = timeout_seconds
        self._session = session or requests.Session()
        self._max_body_bytes = max_body_bytes

    def capabilities(self) -> Outcome:
        return self._exchange("GET", "/metadata")

    def read(self, resource_type: str, server_id: str) -> Outcome:
        return self._exchange("GET", f"/{resource_type}/{server_id}", headers=_UNCACHED)

    def create(self, tree: Tree, *, if_none_exist: str | None = None) -> Outcome:
        """Create a resource; if_none_exist: the search that must find nothing, else its one match answers."""
        condition = {"If-None-Exist": if_none_exist} if if_none_exist else {}
        return self._exchange("POST", f"/{tree['resourceType']}", tree, _WHOLE | condition)

    def update(self, tree: Tree, *, version: str) -> Outcome:
        """Replace a resource, if it is still at that version."""
        path = f"/{tree['resourceType']}/{tree['id']}"
        return self._exchange("PUT", path, tree, _WHOLE | {"If-Match": f'W/"{version}"'})

    def bundle(self, tree: Tree) -> Outcome:
        """Send a transaction or batch."""
        return self._exchange("POST", "", tree, _WHOLE)

    def search(self, resource_type: str, params: Mapping[str, str]) -> Found | Failure:
        """Return all that a search finds, each resource once. Answers from a cache are not wanted."""
        found: dict[tuple[str, str], Tree] = {}
        server_time = None
        for page in self.pages(resource_type, params):
            if not isinstance(page, Found):
                return page
            server_time = server_time or page.server_time
            for resource in page.resources:
                found[resource["resourceType"], resource["id"]] = resource
        return Found(list(found.values()), server_time)

    def deletions(self, resource_type: str, since: str) -> Found | Failure:
        """Return what a type's history says since a moment: what was deleted, all else as it is by now."""
        newest: dict[tuple[str, str], Tree] = {}
        deleted: set[Address] = set()
        server_time = None
        for page in self.pages(f"{resource_type}/_history", {"_since": since, "_count": "200"}):
            if not isinstance(page, Found):
                return page
            server_time = server_time or page.server_time
            deleted |= page.deleted
            for resource in page.resources:
                # The newest version comes first.
                newest.setdefault((resource["resourceType"], resource["id"]), resource)
        return Found(list(newest.values()), server_time, frozenset(deleted))

    def pages(self, resource_type: str, params: Mapping[str, str]) -> Iterator[Found | Failure]:
        """Yield a search page by page; a failure is the last thing yielded.

        The same resource can come on several pages, and all again after an expired page.
        """
        first = f"/{resource_type}"
        restarts = 0
        seen: set[str] = set()
        outcome = self._exchange("GET", first, params=params, headers=_UNCACHED)
        while True:
            if isinstance(outcome, Refused) and outcome.status == 410 and seen and restarts < MAX_RESTARTS:
                restarts += 1
                seen.clear()
                outcome = self._exchange("GET", first, params=params, headers=_UNCACHED)
                continue
            page = self._page(outcome)
            yield page
            if not isinstance(page, Found) or page.next_url is None:
                return
            if page.next_url in seen or len(seen) >= MAX_PAGES:
                yield Unknown(Cause.ENDLESS_PAGES, "the next page is one that was read before")
                return
            seen.add(page.next_url)
            outcome = self._exchange("GET", page.next_url, headers=_UNCACHED)

    def _page(self, outcome: Outcome) -> Found | Failure:
        if not isinstance(outcome, Answered):
            return outcome
        bundle = outcome.body
        if bundle is None or bundle.get("resourceType") != "Bundle":
            return Unknown(Cause.NOT_FHIR, "a search was answered with something else than a Bundle")
        next_url = _next_link(bundle)
        if next_url is not None:
            next_url = urljoin(f"{self.base_url}/", next_url)
            if not self._is_here(next_url):
                return Unknown(Cause.FOREIGN_LINK, "the link to the next page leads to another host")
        moment = earliest(outcome.server_time, bundle)
        return Found(resources_in(bundle), moment, deleted_in(bundle), next_url)

    def _is_here(self, url: str) -> bool:
        return _origin(url) == _origin(self.base_url)

    def _exchange(
        self,
        method: str,
        path: str,
        tree: Tree | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Outcome:
        url = path if "://" in path else self.base_url + path
        sent = self._send(method, url, tree, headers or {}, params)
        if not isinstance(sent, _Reply):
            return sent
        body, problem = _tree_of(sent)
        if sent.status >= 300:
            return refused(sent.status, sent.headers, body)
        if problem is not None:
            return problem
        return answered(sent.status, sent.headers, body)

    def _send(
        self,
        method: str,
        url: str,
        tree: Tree | None,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None,
    ) -> _Reply | NotSent | Unknown:
        content = {"Content-Type": FHIR_JSON} if tree is not None else {}
        try:
            authorization = self._authorization()
        except OSError:
            return NotSent(Cause.NO_TOKEN, "the token file cannot be read")
        try:
            with self._session.request(
                method,
                url,
                params=params,
                data=None if tree is None else exact_json.dump(tree).encode(),
                headers={"Accept": FHIR_JSON, **content, **headers, **authorization},
                timeout=(min(10.0, self._timeout_seconds), self._timeout_seconds),
                auth=_as_it_is,
                allow_redirects=False,
                stream=True,
            ) as response:
                return self._read_to_end(response)
        except (RequestException, OSError) as error:
            return _failure(error)

    def _authorization(self) -> dict[str, str]:
        token = self._token() if self._token else None
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _read_to_end(self, response: requests.Response) -> _Reply | Unknown:
        # The read timeout counts per piece; a server that drips would hold us for hours.
        deadline = time.monotonic() + 2 * self._timeout_seconds
        pieces: list[bytes] = []
        size = 0
        for piece in response.iter_content(65_536):
            pieces.append(piece)
            size += len(piece)
            if size > self._max_body_bytes:
                return Unknown(Cause.TOO_LARGE, "the answer is larger than is read")
            if time.monotonic() > deadline:
                return Unknown(Cause.TIMEOUT, "the answer did not end in time")
        return _Reply(response.status_code, response.headers, b"".join(pieces))


_UNCACHED = {"Cache-Control": "no-cache"}
_WHOLE = {"Prefer": "return=representation"}


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave the request's own Authorization; without this a ~/.netrc would replace it."""
    return request


def _tree_of(reply: _Reply) -> tuple[Tree | None, Unknown | None]:
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


def _failure(error: Exception) -> NotSent | Unknown:
    """Tell apart what cannot have reached the server from what may have."""
    if isinstance(error, ConnectTimeout):
        return NotSent(Cause.UNREACHABLE, "no connection within the time allowed")
    if isinstance(error, SSLError):
        return NotSent(Cause.UNREACHABLE, "no trusted connection: the certificate or TLS was refused")
    if isinstance(error, ValueError) and isinstance(error, RequestException):
        return NotSent(Cause.UNREACHABLE, "the address or a header of the request is not valid")
    reason: Any = error.args[0] if error.args else None
    if isinstance(reason, MaxRetryError):
        reason = reason.reason
    if isinstance(reason, NewConnectionError):
        return NotSent(Cause.UNREACHABLE, "the server cannot be reached")
    if isinstance(error, requests.Timeout) or isinstance(reason, ReadTimeoutError):
        return Unknown(Cause.TIMEOUT, "no answer within the time allowed")
    return Unknown(Cause.DROPPED, "the connection ended before the answer did")


def _next_link(bundle: Tree) -> str | None:
    links = bundle.get("link")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("relation") == "next" and isinstance(link.get("url"), str):
            return str(link["url"])
    return None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return parts.scheme, None, None
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)
