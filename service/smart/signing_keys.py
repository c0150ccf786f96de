"""Fetches the public keys that an issuer signs its tokens with."""

from collections.abc import Iterator
from typing import Any

from fhir_mappings import exact_json
from service.timed_session import TimedSession

#: A key set is a few kilobytes; whatever is larger is none.
MAX_BYTES = 1_000_000


def fetch(url: str, timeout_seconds: float = 10.0) -> Any:
    """Return the JSON Web Key Set at a URL. Raises OSError or ValueError; redirects are not followed.

    timeout_seconds: to connect, and then for the whole answer.
    """
    with (
        TimedSession() as session,
        session.get(
            url,
            headers={"Accept": "application/json"},
            timeout=timeout_seconds,
            allow_redirects=False,
            stream=True,
        ) as response,
    ):
        if response.status_code != 200:
            raise OSError(f"the key set was answered with status {response.status_code}")
        return exact_json.parse(_body(response.iter_content(65_536)))


def _body(pieces: Iterator[bytes]) -> bytes:
    body = b""
    for piece in pieces:
        body += piece
        if len(body) > MAX_BYTES:
            raise ValueError("the key set is too large")
    return body
