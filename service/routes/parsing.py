"""What a request says, read strictly: JSON body, If-Match, query values."""

import re
from typing import Any

from flask import Request, request
from webargs.flaskparser import FlaskParser
from werkzeug.datastructures import MultiDict

from fhir_mappings import exact_json
from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import JSONTextError
from fhir_mappings.references import with_literals
from service import schemas
from service.errors import InvalidInput, PreconditionRequired, TooLarge, UnsupportedMedia
from service.routes import addresses

_TAG = re.compile(r'(?:W/)?"([0-9]{1,9})"')
# PostgreSQL can't hold NUL, and no identifier, status or date has a control character.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def json_body(*media_types: str) -> Any:
    """Return the parsed body; what it calls by our own address, it calls as we do here.

    Raises UnsupportedMedia, InvalidInput, and 413 where it is too large.
    """
    if request.mimetype not in (media_types or ("application/json",)):
        raise UnsupportedMedia(f"send {' or '.join(media_types or ('application/json',))} as Content-Type")
    if request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedMedia("JSON is sent in UTF-8")
    try:
        return with_literals(exact_json.parse(_whole_body()), addresses.as_ours)
    except JSONTextError as error:
        raise InvalidInput(Finding("", error.problem, "structure")) from None


def _whole_body() -> bytes:
    raw = request.get_data(cache=False)
    # A body of unannounced length is cut off at the limit without a word, and what is left might parse.
    if len(raw) > (request.content_length or 0) and len(raw) >= (request.max_content_length or 0):
        raise TooLarge("the body is larger than is read here")
    return raw


def if_match(*, required: bool) -> int | None:
    """Return the version that If-Match names. Raises PreconditionRequired, InvalidInput."""
    given = request.headers.get("If-Match")
    if given is None:
        if required:
            raise PreconditionRequired("send the ETag of the version that you changed as If-Match")
        return None
    tag = _TAG.fullmatch(given.strip())
    if tag is None:
        raise InvalidInput('If-Match takes one ETag as it was given: W/"3"')
    return int(tag[1])


def refuse_control_characters(given: MultiDict[str, str]) -> None:
    """Raise InvalidInput for a parameter with a character that can be in no value we hold."""
    wrong = [name for name, value in given.items(multi=True) if _CONTROL.search(name + value)]
    if wrong:
        raise InvalidInput(
            [Finding(_CONTROL.sub("", name)[:80], "has a control character") for name in wrong]
        )


class ExactParser(FlaskParser):
    """Reads request arguments for flask-smorest: exact JSON, unknown names refused, our errors."""

    DEFAULT_VALIDATION_STATUS = 400
    DEFAULT_UNKNOWN_BY_LOCATION = {
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "json": "raise",
        "query": "raise",
    }

    def load_json(self, req: Request, schema: Any) -> Any:
        return json_body()

    def handle_error(self, error: Any, req: Request, schema: Any, **_: Any) -> Any:
        by_location: dict[str, Any] = error.messages
        body = getattr(schema, "made", None)
        start = body.__name__ if body else ""
        raise InvalidInput(
            [finding for messages in by_location.values() for finding in schemas.findings(start, messages)]
        )
