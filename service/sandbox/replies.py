"""HTTP responses: bodies in application/fhir+json, versions in the headers."""

from flask import Request, Response
from werkzeug.http import http_date

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.sandbox.outcomes import FHIRError, operation_outcome
from service.sandbox.resources import Done
from service.sandbox.store import Version
from service.sandbox.structure import require_readable

FHIR_JSON = "application/fhir+json;charset=utf-8"


def reply(tree: Tree | None, status: int = 200) -> Response:
    body = "" if tree is None else exact_json.dump(tree)
    return Response(body, status, content_type=FHIR_JSON)


def error_reply(error: FHIRError) -> Response:
    return reply(error.outcome(), error.status)


def version_reply(base: str, version: Version, status: int = 200) -> Response:
    return _labelled(reply(version.content, status), base, version)


def created_reply(base: str, done: Done, prefer: str) -> Response:
    """The answer to a POST: Location names what was made, or what a condition found."""
    response = written_reply(base, done, prefer)
    response.headers["Location"] = response.headers["Content-Location"]
    return response


def written_reply(base: str, done: Done, prefer: str) -> Response:
    """The answer to a write: the stored resource, unless `Prefer` asks for another body or none."""
    version = done.version
    if version is None or version.tree is None:
        return reply(operation_outcome("information", "informational", "Deleted, or was not there"))
    body: Tree | None = version.tree
    if "return=minimal" in prefer:
        body = None
    elif "return=OperationOutcome" in prefer:
        body = operation_outcome("information", "informational", f"Stored as {version.versioned_address}")
    return _labelled(reply(body, done.status), base, version)


def _labelled(response: Response, base: str, version: Version) -> Response:
    response.headers["ETag"] = version.etag
    response.headers["Last-Modified"] = http_date(version.at)
    response.headers["Content-Location"] = f"{base}/{version.versioned_address}"
    return response


def body_of(request: Request) -> Tree:
    """The parsed body; whatever is not the FHIR JSON of one resource is refused."""
    if not (request.mimetype.endswith("json")):
        raise FHIRError(400, "Incorrect Content-Type header value: a FHIR JSON content type is required")
    try:
        tree: Tree = exact_json.parse(request.get_data())
    except exact_json.JSONTextError as error:
        raise FHIRError(400, f"Failed to parse request body as JSON resource: {error.problem}") from None
    require_readable(tree)
    return tree
