"""What we are called from outside: where every link of ours begins, and which references lead here.

Never of X-Forwarded headers: whoever sends a request could write them. Nor of Host, where it is
configured what we are called.
"""

from urllib.parse import urlsplit

from flask import request

from service import base_urls
from service.base_urls import BaseURL
from service.routes.services import services

FHIR = "/fhir"


def absolute(path: str) -> str:
    """Return the whole address of a path of ours."""
    return (services().config.public_url or request.host_url).rstrip("/") + path


def relative(path: str) -> str:
    """Return a path of ours as it is from outside, without a host: a proxy may put something before it."""
    return urlsplit(services().config.public_url or "").path.rstrip("/") + path


def of_this_request() -> str:
    """Return the whole address that was asked for."""
    query = request.query_string.decode("latin-1")
    return absolute(request.path) + (f"?{query}" if query else "")


def own_origin() -> BaseURL | None:
    """Return scheme, host and port that pages of ours have."""
    whole = base_urls.parse(absolute(""))
    return whole and whole._replace(path=())


def as_ours(reference: str) -> str:
    """Return a reference below our own FHIR base as the relative one that it equals, any other as it is.

    https://hl7.org/fhir/R4/references.html#literal
    """
    if not reference.lower().startswith(("http://", "https://")):
        return reference
    asked, base = base_urls.parse(reference), base_urls.parse(absolute(FHIR))
    return (asked and base and asked.below(base)) or reference
