"""Idempotency-Key: a create that is sent again gets the first answer and creates nothing."""

import re
from collections.abc import Callable
from hashlib import sha256

from flask import Response, request

from fhir_mappings import exact_json
from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from service.chart import RecordVersion
from service.errors import InvalidInput
from service.routes.responses import text_answer
from service.routes.services import chart, principal, services
from service.store import idempotency
from service.store.idempotency import Answer, Key

HEADER = "Idempotency-Key"
_VISIBLE = re.compile(r"[!-~]{1,200}")
_KEPT = ("Content-Type", "ETag", "Location", "Last-Modified")


def created_once(
    tree: Tree, answered: Callable[[RecordVersion], Response], record_id: str | None = None
) -> Response:
    """Create a record, or give the answer that the same request with the same key got before.

    record_id: under which it is to be known; None for a new one.
    """
    actor = principal().actor
    key = _key(tree)
    if key is None:
        return answered(chart().create(tree, actor, record_id=record_id))
    with services().database.begin() as session:
        earlier = idempotency.begin(session, key, services().clock())
        if earlier is not None:
            return text_answer(earlier.body, earlier.status, earlier.headers, earlier.headers["Content-Type"])
        response = answered(chart().create(tree, actor, record_id=record_id, session=session))
        kept = {name: response.headers[name] for name in _KEPT if name in response.headers}
        idempotency.finish(session, key, Answer(response.status_code, response.get_data(as_text=True), kept))
    return response


def _key(tree: Tree) -> Key | None:
    given = request.headers.get(HEADER)
    if given is None:
        return None
    if _VISIBLE.fullmatch(given) is None:
        raise InvalidInput(Finding(HEADER, "must be 1 to 200 visible ASCII characters"))
    # A token for another patient is somebody else: an answer holds a record.
    asking = f"{principal().actor} {principal().patient or ''}"
    route = request.url_rule.rule if request.url_rule else ""
    return Key(
        principal=asking,
        route=route,
        key=given,
        request_hash=sha256(exact_json.dump(tree).encode()).hexdigest(),
    )
