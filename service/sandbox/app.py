"""START HERE: a small FHIR R4 server in memory, to practise and to test against."""

import logging
import traceback
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, NotFound

from service.sandbox import faults as misbehaviour
from service.sandbox.listings import Listings
from service.sandbox.outcomes import FHIRError
from service.sandbox.reads import Reading
from service.sandbox.replies import error_reply
from service.sandbox.routes import fhir_routes
from service.sandbox.store import Clock, Store

log = logging.getLogger(__name__)


class Logged(NamedTuple):
    """One request that was answered; no query and no body, which may speak of people."""

    method: str
    path: str
    status: int


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a test may look at: `app.extensions["mainstay_sandbox"]`."""

    store: Store
    requests: deque[Logged] = field(default_factory=lambda: deque(maxlen=100_000))


def create_sandbox(
    *,
    clock: Clock = lambda: datetime.now(UTC),
    page_expiry_seconds: float = 300,
    max_body_bytes: int = 20_000_000,
    faults: misbehaviour.Before = misbehaviour.none_before,
    after_commit: misbehaviour.AfterCommit = misbehaviour.none_after,
) -> Flask:
    """Make an empty server under /fhir; `faults` and `after_commit` make it misbehave (see faults.py)."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes
    sandbox = Sandbox(Store(clock))
    app.extensions["mainstay_sandbox"] = sandbox
    app.register_blueprint(
        fhir_routes(sandbox.store, Reading(sandbox.store, Listings(sandbox.store, page_expiry_seconds)))
    )
    app.register_error_handler(FHIRError, error_reply)
    app.register_error_handler(Exception, _any_other)

    @app.before_request
    def misbehave() -> Response | None:
        # A body left unread would keep the connection open that a fault wants closed.
        request.get_data(cache=True)
        return faults(request)

    @app.after_request
    def finish(response: Response) -> Response:
        sandbox.requests.append(Logged(request.method, request.path, response.status_code))
        return after_commit(request, response) or response

    return app


def _any_other(error: Exception) -> Response:
    if isinstance(error, NotFound):
        return error_reply(FHIRError(400, "Invalid request: unknown kind of URL", "not-supported"))
    if isinstance(error, HTTPException):
        return error_reply(FHIRError(error.code or 500, f"Invalid request: {error.name}"))
    # Where, and of which type; an exception's own text might speak of a person.
    place = traceback.extract_tb(error.__traceback__)[-1]
    log.error("unexpected %s in %s line %s", type(error).__name__, place.name, place.lineno)
    return error_reply(FHIRError(500, "Internal error", "exception"))
