"""How a request reaches a FHIR server: the one place that sends, and whom the token is shown to."""

import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.exceptions import ConnectTimeout, ProxyError, RequestException
from urllib3.exceptions import (
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ReadTimeoutError,
)
from urllib3.util import parse_url

from service.fhir_client.outcomes import Cause, NotSent, Unknown
from service.timed_session import TimedSession, Untrusted

#: A host that is there takes a connection within this.
CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Reply:
    """What came back, read to its end and within the limit."""

    status: int
    headers: Mapping[str, str]
    text: bytes


class Transport:
    """Sends requests below one base URL, and to no other host."""

    def __init__(
        self,
        base_url: str,
        token: Callable[[], str | None] | None,
        timeout_seconds: float,
        session: requests.Session | None,
        max_body_bytes: int,
    ) -> None:
        self._base_url = base_url
        self._token = token
        self._timeouts = (min(CONNECT_SECONDS, timeout_seconds), timeout_seconds)
        self._session = session or TimedSession()
        self._max_body_bytes = max_body_bytes

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
    ) -> Reply | NotSent | Unknown:
        """Send one request and read its answer; path: what follows the base URL."""
        try:
            authorization = self._authorization()
        except (OSError, ValueError):
            return NotSent(Cause.NO_TOKEN, "the token file cannot be read, or does not hold one token")
        try:
            request, settings = self._prepared(method, path, body, headers, params)
        except (RequestException, HTTPError, ValueError):
            return NotSent(Cause.UNREACHABLE, "the address or a header of the request is not valid")
        request.headers.update(authorization)
        try:
            with self._session.send(
                request, timeout=self._timeouts, allow_redirects=False, **settings
            ) as response:
                return self._read_to_end(response)
        except (RequestException, HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            # ValueError: what libraries raise for a header that they cannot read. By now it is the answer's.
            return _failure(error)

    def _prepared(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None,
    ) -> tuple[requests.PreparedRequest, Mapping[str, Any]]:
        url = self._base_url + path
        request = self._session.prepare_request(
            requests.Request(method, url, headers=headers, data=body, params=params, auth=_as_it_is)
        )
        if not self._is_ours(str(request.url)):
            raise ValueError("the request would leave the connection's host")
        settings = self._session.merge_environment_settings(str(request.url), {}, True, None, None)
        return request, settings

    def _is_ours(self, url: str) -> bool:
        """Tell whether both parsers that a URL passes on its way see the base URL's own host in it."""
        return _by_standard_library(url) == _by_urllib3(url) == self._own_host

    @cached_property
    def _own_host(self) -> tuple[str, str, int | None]:
        return _by_standard_library(str(requests.Request("GET", self._base_url).prepare().url))

    def _authorization(self) -> dict[str, str]:
        token = self._token() if self._token else None
        if token is None:
            return {}
        if not token or not all("!" <= character <= "~" for character in token):
            raise ValueError("not one token")
        return {"Authorization": f"Bearer {token}"}

    def _read_to_end(self, response: requests.Response) -> Reply | Unknown:
        pieces: list[bytes] = []
        size = 0
        for piece in response.iter_content(65_536):
            pieces.append(piece)
            size += len(piece)
            if size > self._max_body_bytes:
                return Unknown(Cause.TOO_LARGE, "the answer is larger than is read")
        return Reply(response.status_code, response.headers, b"".join(pieces))


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave the request's own Authorization; without this a ~/.netrc would replace it."""
    return request


def _failure(error: Exception) -> NotSent | Unknown:
    """Tell apart what cannot have reached the server from what may have."""
    reason: Any = error.args[0] if error.args else None
    if isinstance(reason, MaxRetryError):
        reason = reason.reason
    if isinstance(reason, Untrusted):
        return NotSent(Cause.UNREACHABLE, "no trusted connection: the certificate or TLS was refused")
    if isinstance(error, ConnectTimeout):
        return NotSent(Cause.UNREACHABLE, "no connection within the time allowed")
    if isinstance(reason, NewConnectionError) or isinstance(error, ProxyError):
        return NotSent(Cause.UNREACHABLE, "the server cannot be reached")
    if isinstance(error, requests.Timeout) or isinstance(reason, ReadTimeoutError):
        return Unknown(Cause.TIMEOUT, "no whole answer within the time allowed")
    return Unknown(Cause.DROPPED, "the connection ended before the answer did")


def _by_standard_library(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port


def _by_urllib3(url: str) -> tuple[str, str, int | None]:
    parts = parse_url(url)
    return parts.scheme or "", (parts.host or "").strip("[]"), parts.port
