"""What we answer: exact JSON, ETags, pages."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from fhir_mappings import exact_json
from service.routes import addresses

JSON = "application/json"
FHIR_JSON = "application/fhir+json"


def answer(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None, media_type: str = JSON
) -> Response:
    """Return a JSON response; numbers are printed as they were written."""
    return text_answer(exact_json.dump(body), status, headers, media_type)


def text_answer(
    text: str, status: int = 200, headers: Mapping[str, str] | None = None, media_type: str = JSON
) -> Response:
    """Return a response whose JSON text is at hand already."""
    response = Response(text, status, headers, content_type=media_type)
    # Health data must not stay in a shared cache, nor be guessed to be a page with scripts.
    response.headers["Cache-Control"] = "no-store"
    return response


def etag(version: int) -> str:
    return f'W/"{version}"'


def page(items: list[Any], next_after: str | None) -> Response:
    """Return a page of a list, with the link to the next one, if there is more."""
    body: dict[str, Any] = {"items": items}
    if next_after is not None:
        body["next"] = addresses.relative(next_url(after=next_after))
    return answer(body)


def next_url(**changed: str) -> str:
    """Return this request's path and query with other values."""
    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in changed]
    return f"{request.path}?{urlencode([*kept, *changed.items()])}"
