"""What every request passes before and after its view: host, origin, identity, log line, metrics."""

import time
from ipaddress import ip_address
from urllib.parse import urlsplit
from uuid import uuid4

from flask import Flask, Response, g, request

from fhir_mappings.errors import Finding
from service import base_urls, logs
from service.auth import LOCAL
from service.config import Config
from service.errors import Forbidden, Unauthorized
from service.routes import addresses
from service.routes.parsing import refuse_control_characters
from service.routes.services import services

_log = logs.get(__name__)

#: Open without a token: they say nothing of any person.
PUBLIC = frozenset(
    {
        "operations.healthz",
        "operations.readyz",
        "operations.metrics",
        "documents.openapi",
        "documents.docs",
        "fhir.metadata",
    }
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: They change nothing (https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1).
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def install(app: Flask) -> None:
    """Put the checks of every request around all views."""
    app.before_request(_begin)
    app.before_request(_check_host)
    app.before_request(_check_origin)
    app.before_request(_identify)
    app.before_request(_check_query)
    app.after_request(_end)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address can only mean this machine."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def require_safe_binding(config: Config) -> None:
    """Raise ValueError if anyone on the network could reach records without a token."""
    if not config.requires_token and not is_loopback(config.host):
        raise ValueError(
            "without authentication the server listens on loopback only: set MAINSTAY_HOST to 127.0.0.1, "
            "or set MAINSTAY_AUTH_ISSUER, MAINSTAY_AUTH_AUDIENCE and MAINSTAY_AUTH_JWKS_URL"
        )


def _begin() -> None:
    g.request_id = uuid4().hex
    g.started = time.perf_counter()


def _check_host() -> None:
    # A web page can point its own name at 127.0.0.1 and read what a browser here may read
    # (DNS rebinding); its requests still carry that name.
    if _is_for_this_machine() and not is_loopback(urlsplit(f"//{request.host}").hostname or ""):
        raise Forbidden("without authentication only requests to localhost are answered")


def _is_for_this_machine() -> bool:
    """Tell whether whoever is on this machine may do everything: nobody else can reach it."""
    return services().verifier is None and services().config.public_url is None


def _check_origin() -> None:
    # A page of another origin may send a plain POST, with what the browser knows of us and without
    # asking first; the browser says where it comes from.
    if request.method in _SAFE_METHODS:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site not in (None, "same-origin", "none"):
        raise Forbidden("pages of another site may change nothing here")
    # "null" is the origin of pages that have none, and is nobody's own. Where the browser itself compared
    # the origins there is no need to; it knows better than we do behind a proxy.
    if site != "same-origin" and origin is not None and not _is_own(origin):
        raise Forbidden("pages of another origin may change nothing here")


def _is_own(origin: str) -> bool:
    asked, own = base_urls.parse(origin), addresses.own_origin()
    return asked is not None and asked == own


def _identify() -> None:
    verifier = services().verifier
    if verifier is not None:
        if request.endpoint not in PUBLIC:
            g.principal = verifier.principal(request.headers.get("Authorization"))
    elif _is_for_this_machine():
        g.principal = LOCAL
    elif request.endpoint not in PUBLIC:
        raise Unauthorized([Finding("", "others reach this service, and no issuer of tokens is configured")])


def _check_query() -> None:
    refuse_control_characters(request.args)


def _end(response: Response) -> Response:
    seconds = time.perf_counter() - g.started
    # The pattern, not the path: ids do not belong into labels, nor queries into logs.
    route = request.url_rule.rule if request.url_rule else "unknown"
    method = request.method if request.method in _METHODS else "OTHER"
    services().metrics.count(method, route, response.status_code, seconds)
    _log.info(
        "request answered",
        method=method,
        route=route,
        status=response.status_code,
        duration_ms=round(seconds * 1000, 1),
        request_id=g.request_id,
    )
    response.headers["X-Request-Id"] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
