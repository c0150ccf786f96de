"""Fetches the public keys that an issuer signs its tokens with."""

from typing import Any

import requests

from fhir_mappings import exact_json

#: A key set is a few kilobytes; whatever is larger is none.
MAX_BYTES = 1_000_000


def fetch(url: str, timeout_seconds: float = 10.0) -> Any:
    """Return the JSON Web Key Set at a URL. Raises OSError or ValueError; redirects are not followed."""
    with requests.get(
        url,
        headers={"Accept": "application/json"},
        timeout=timeout_seconds,
        allow_redirects=False,
        stream=True,
    ) as response:
        if response.status_code != 200:
            raise OSError(f"the key set was answered with status {response.status_code}")
        text = response.raw.read(MAX_BYTES + 1, decode_content=True)
    if len(text) > MAX_BYTES:
        raise ValueError("the key set is too large")
    return exact_json.parse(text)
