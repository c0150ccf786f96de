"""What a connection may be called and where it may lead: one rule for settings, command line and HTTP."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from fhir_mappings.errors import Finding
from service import base_urls
from service.errors import Forbidden, InvalidContent

#: The connection that the settings declare, and nobody else.
DEFAULT = "default"

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
NAME_PROBLEM = "must be of small letters, digits, - and _"
BASE_URL_PROBLEM = "must be http(s)://host/path, without user, password, query or fragment"


def require_valid(name: str, base_url: str, *, by_settings: bool = False) -> None:
    """Raise InvalidContent for a connection that cannot be, with every finding."""
    findings = []
    if NAME.fullmatch(name) is None:
        findings.append(Finding("name", NAME_PROBLEM))
    elif name == DEFAULT and not by_settings:
        findings.append(
            Finding("name", f"{DEFAULT} is the server of MAINSTAY_FHIR_BASE_URL", "business-rule")
        )
    if base_urls.parse(base_url) is None:
        findings.append(Finding("base_url", BASE_URL_PROBLEM))
    if findings:
        raise InvalidContent(findings)


def require_allowed(base_url: str, allowed: Iterable[str]) -> None:
    """Raise Forbidden for an address that the operator did not open to those who ask over HTTP.

    Whoever may send us to any address could have us ask, and send records, wherever we can reach.
    """
    asked = base_urls.parse(base_url)
    if asked is None or not any(_is_below(asked, base) for base in allowed):
        problem = (
            "is not at or below an address in MAINSTAY_CONNECTION_ALLOWED_URLS; "
            "who runs the service adds others by `mainstay connection add`"
        )
        raise Forbidden(Finding("base_url", problem, Forbidden.code))


def is_same(one: str, other: str) -> bool:
    """Tell whether two base URLs lead to one place."""
    parsed = base_urls.parse(one)
    return one == other or (parsed is not None and parsed == base_urls.parse(other))


def shown(base_url: str) -> str:
    """Return a base URL without user and password, which older versions took."""
    address = urlsplit(base_url)
    return address._replace(netloc=address.netloc.rpartition("@")[2]).geturl()


def _is_below(asked: base_urls.BaseURL, base: str) -> bool:
    parsed = base_urls.parse(base)
    return parsed is not None and asked.below(parsed) is not None
