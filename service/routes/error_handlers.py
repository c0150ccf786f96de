"""Every failure becomes an OperationOutcome, here and nowhere else."""

from collections.abc import Sequence

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from fhir_mappings.errors import Finding, InvalidResource, MappingError
from service import logs
from service.errors import (
    InvalidContent,
    InvalidInput,
    ServiceError,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedMedia,
    to_operation_outcome,
)
from service.routes.responses import FHIR_JSON, answer

_log = logs.get(__name__)

_CODES = {
    error.status: error.code
    for error in (InvalidInput, TooLarge, UnsupportedMedia, InvalidContent, Unavailable)
} | {404: "not-found", 405: "not-supported", 406: "not-supported"}


def install(app: Flask) -> None:
    """Register the one handler of each family of errors."""
    app.register_error_handler(ServiceError, _service_error)
    app.register_error_handler(MappingError, _mapping_error)
    app.register_error_handler(InvalidResource, _invalid_resource)
    app.register_error_handler(Exception, _unknown)


def http_error(error: HTTPException) -> Response:
    """Answer for what the framework refuses: unknown paths, methods, bodies that are too large."""
    status = error.code or 500
    # The description of the class is werkzeug's own fixed sentence; that of an instance may hold values.
    problem = type(error).description or error.name
    if status == 405 and request.method == "DELETE":
        problem = "nothing is deleted here; withdraw it: update its status to entered-in-error"
    finding = Finding("", problem, _CODES.get(status, "processing"))
    response = _outcome(status, [finding])
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _service_error(error: ServiceError) -> Response:
    response = _outcome(error.status, error.findings)
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = 'Bearer realm="mainstay"'
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = "5"
    return response


def _mapping_error(error: MappingError) -> Response:
    return _outcome(InvalidContent.status, [error.finding])


def _invalid_resource(error: InvalidResource) -> Response:
    return _outcome(InvalidContent.status, error.findings)


def _unknown(error: Exception) -> Response:
    # Its message may hold what a person wrote, so neither log nor answer repeats it.
    _log.error("unexpected error", request_id=g.request_id, exc_info=error)
    return _outcome(500, [Finding("", f"something went wrong here; request id {g.request_id}", "exception")])


def _outcome(status: int, findings: Sequence[Finding]) -> Response:
    return answer(to_operation_outcome(findings), status, media_type=FHIR_JSON)
