"""HTTP responses: bodies in application/fhir+json, versions in the headers."""

from flask import Request, Response
from werkzeug.http import http_date

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.sandbox.outcomes import FHIRError, operation_outcome
from service.sandbox.resources import Done
from service.sandbox.store import Version

FHIR_JSON = "application/fhir+json;charset=utf-8"


def reply(tree: Tree | None, status: int = 200) -> Response:
    body = "" if tree is None else exact_json.dump(tree)
    return Response(body, status, content_type=FHIR_JSON)


def error_reply(error: FHIRError) -> Response:
    return reply(error.outcome(), error.status)


def version_reply(base: str, version: Version) -> Response:
    """The answer to a read."""
    response = _labelled(reply(version.content), version)
    response.headers["Content-Location"] = f"{base}/{version.versioned_address}"
    return response


def done_reply(base: str, done: Done, prefer: str) -> Response:
    """The answer to a write; `Prefer: return=minimal` asks for no body."""
    version = done.version
    if version is None or version.tree is None:
        return reply(operation_outcome("information", "informational", "Successfully deleted, or not there"))
    response = _labelled(reply(None if "return=minimal" in prefer else version.tree, done.status), version)
    if done.status == 201:
        response.headers["Location"] = f"{base}/{version.versioned_address}"
    else:
        response.headers["Content-Location"] = f"{base}/{version.versioned_address}"
    return response


def _labelled(response: Response, version: Version) -> Response:
    response.headers["ETag"] = version.etag
    response.headers["Last-Modified"] = http_date(version.at)
    return response


def body_of(request: Request) -> Tree:
    """The parsed body; whatever is not one JSON object is refused."""
    try:
        tree = exact_json.parse(request.get_data())
    except exact_json.JSONTextError as error:
        raise FHIRError(400, f"Failed to parse request body as JSON resource: {error.problem}") from None
    if not isinstance(tree, dict):
        raise FHIRError(400, "Failed to parse request body as JSON resource: the content is not an object")
    return tree
