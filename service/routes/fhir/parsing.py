"""What a FHIR client sends: a resource, a search form, the format that it wants back."""

from collections.abc import Iterable, Iterator

from flask import request
from werkzeug.exceptions import NotAcceptable
from werkzeug.http import parse_options_header

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from service.errors import InvalidInput, UnsupportedMedia
from service.routes import addresses
from service.routes.parsing import json_body, refuse_control_characters
from service.routes.responses import FHIR_JSON

_JSON = (FHIR_JSON, "application/json")
_ANY = ("application/*", "*/*")
#: How a client may name our version (https://hl7.org/fhir/R4/versioning.html#mt-version).
_VERSIONS = ("4.0", "4.0.1")
_FORM = "application/x-www-form-urlencoded"


def require_json() -> None:
    """Raise NotAcceptable for a client that wants what is not JSON; ``_format`` outranks Accept."""
    wanted = request.args.get("_format")
    if wanted is not None:
        acceptable = wanted == "json" or _is_ours(wanted, _JSON)
    else:
        accepted = request.accept_mimetypes
        acceptable = not accepted or any(
            quality > 0 and _is_ours(kind, (*_JSON, *_ANY)) for kind, quality in accepted
        )
    if not acceptable:
        raise NotAcceptable


def _is_ours(media_type: str, known: Iterable[str]) -> bool:
    """Tell whether a media type is one of these, and of our version of FHIR if it names one."""
    kind, parameters = parse_options_header(media_type)
    # In a query, "+" stands for a space.
    is_known = kind.lower().replace(" ", "+") in known
    return is_known and parameters.get("fhirversion", _VERSIONS[0]) in _VERSIONS


def posted(resource_type: str) -> Tree:
    """Return the resource in the body. Raises InvalidInput if it is another type, or none."""
    if request.mimetype_params.get("fhirversion", _VERSIONS[0]) not in _VERSIONS:
        raise UnsupportedMedia("resources of FHIR 4.0 are read here")
    tree = json_body(*_JSON)
    if not isinstance(tree, dict):
        raise InvalidInput(Finding("", "a resource must be one JSON object", "structure"))
    if tree.get("resourceType") != resource_type:
        raise InvalidInput(Finding("resourceType", f"must be {resource_type}, as in the path"))
    return tree


def references_as_ours(given: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield search parameters, a patient who is named by our own address as we name them here."""
    for name, value in given:
        yield name, addresses.as_ours(value) if name in ("patient", "subject") else value


def search_form() -> list[tuple[str, str]]:
    """Return the parameters of a search, from the query and from the form in the body."""
    if request.content_length and request.mimetype != _FORM:
        raise UnsupportedMedia(f"send {_FORM} as Content-Type")
    refuse_control_characters(request.form)
    return [*request.args.items(multi=True), *request.form.items(multi=True)]
