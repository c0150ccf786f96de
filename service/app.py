"""START HERE: create_app puts the service together: what exists, and how it is wired.

::

    forms, apps, FHIR clients, through service/http_server/, which hands on whole requests
      └─ middleware  host, origin, token, request id  service/routes/middleware.py
          └─ routes    records as JSON, FHIR R4     service/routes/
              ├─ schemas   JSON ↔ records           service/schemas/
              ├─ chart     what may be done to a record, each act whole
              │    └─ store    tree, history and outbox row in one transaction
              └─ sync      what goes to and comes from FHIR servers
"""

from collections.abc import Callable
from typing import Any

import flask_smorest
from flask import Flask, Response
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from service import logs
from service.auth import KeySource, TokenVerifier
from service.config import Config
from service.metrics import Metrics, queue_gauges
from service.routes import blueprints, error_handlers, middleware, openapi_parts
from service.routes.blueprint import REFUSALS, refused
from service.routes.middleware import require_safe_binding
from service.routes.openapi import INFO, choice2properties, complete
from service.routes.services import Services
from service.smart import signing_keys
from service.store.database import Database
from service.store.readiness import Readiness, look
from service.sync.engine import Sync
from service.wiring import Clock, utc_now, wired

__all__ = ["create_app", "prepared", "require_safe_binding"]

VERSION = "0.1.0"


def create_app(
    config: Config,
    *,
    database: Database | None = None,
    clock: Clock | None = None,
    sync: Sync | None = None,
    fetch_keys: Callable[[str], Any] = signing_keys.fetch,
) -> Flask:
    """Return the WSGI app. fetch_keys: returns the JSON Web Key Set at a URL."""
    logs.configure(config.log_level, config.log_format)
    components = wired(config, database=database, clock=clock or utc_now, sync=sync)
    app = Flask("service", template_folder=None, static_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=config.max_body_bytes,
        API_TITLE="Mainstay",
        API_VERSION=VERSION,
        OPENAPI_VERSION="3.1.0",
    )
    app.url_map.converters["fhir_id"] = FHIRId
    app.extensions["mainstay"] = Services(
        **vars(components),
        readiness=Readiness(lambda: look(components.database)),
        metrics=Metrics(lambda: queue_gauges(components.sync)),
        verifier=_verifier(config, components.clock, fetch_keys),
    )
    middleware.install(app)
    error_handlers.install(app)
    app.extensions["openapi"] = _documented(app)
    return app


def prepared(app: Flask) -> Flask:
    """Begin what the first request would have to wait for: the issuer is asked for its keys."""
    services: Services = app.extensions["mainstay"]
    if services.verifier is not None:
        services.verifier.prepare()
    return app


class FHIRId(BaseConverter):
    """The id of a resource, as FHIR lets it be; anything else is found nowhere."""

    regex = r"[A-Za-z0-9.\-]{1,64}"


class Api(flask_smorest.Api):
    """flask-smorest, answering with OperationOutcomes."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def handle_http_exception(self, error: HTTPException) -> Response:
        return error_handlers.http_error(error)


def _verifier(config: Config, clock: Clock, fetch_keys: Callable[[str], Any]) -> TokenVerifier | None:
    if not (config.auth_issuer and config.auth_audience and config.auth_jwks_url):
        return None
    keys = KeySource(config.auth_jwks_url, fetch_keys, clock)
    return TokenVerifier(config.auth_issuer, config.auth_audience, keys, clock)


def _documented(app: Flask) -> dict[str, Any]:
    """Register all routes; return the OpenAPI document that they make."""
    api = Api(app, spec_kwargs={"info": INFO})
    api.ma_plugin.converter.add_attribute_function(choice2properties)
    api.register_converter(FHIRId, lambda _: {"type": "string", "pattern": f"^{FHIRId.regex}$"})
    api.spec.components.schema("OperationOutcome", openapi_parts.OPERATION_OUTCOME)
    for status in REFUSALS:
        api.spec.components.response(f"Refused{status}", refused(status))
    for blueprint in blueprints():
        api.register_blueprint(blueprint)
    return complete(api.spec)
