"""What a FHIR client sends: a resource, a search form, the format that it wants back."""

from flask import request
from werkzeug.exceptions import NotAcceptable

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from service.errors import InvalidInput, UnsupportedMedia
from service.routes.inbound import json_body, refuse_control_characters
from service.routes.outbound import FHIR_JSON

_JSON = (FHIR_JSON, "application/json")
_FORM = "application/x-www-form-urlencoded"


def require_json() -> None:
    """Raise NotAcceptable for a client that wants what is not JSON; ``_format`` outranks Accept."""
    wanted = request.args.get("_format")
    if wanted is not None:
        # In a query, "+" stands for a space.
        acceptable = wanted.replace(" ", "+") in ("json", *_JSON)
    else:
        accepted = request.accept_mimetypes
        acceptable = not accepted or accepted.best_match(_JSON) is not None
    if not acceptable:
        raise NotAcceptable


def posted(resource_type: str) -> Tree:
    """Return the resource in the body. Raises InvalidInput if it is another type, or none."""
    tree = json_body(*_JSON)
    if not isinstance(tree, dict):
        raise InvalidInput(Finding("", "a resource must be one JSON object", "structure"))
    if tree.get("resourceType") != resource_type:
        raise InvalidInput(Finding("resourceType", f"must be {resource_type}, as in the path"))
    return tree


def search_form() -> list[tuple[str, str]]:
    """Return the parameters of a search, from the query and from the form in the body."""
    if request.content_length and request.mimetype != _FORM:
        raise UnsupportedMedia(f"send {_FORM} as Content-Type")
    refuse_control_characters(request.form)
    return [*request.args.items(multi=True), *request.form.items(multi=True)]
