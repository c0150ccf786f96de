"""For those who run the service: is it alive, is it ready, what is it doing."""

from flask import Response

from service.errors import ServiceError
from service.routes.blueprint import Noun
from service.routes.outbound import answer
from service.routes.services import services

blueprint = Noun("operations", __name__, description="For those who run the service.")

_STATE = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}


@blueprint.route("/healthz")
@blueprint.response(200, _STATE)
def healthz() -> Response:
    """Tell that the process answers"""
    return answer({"status": "ok"})


@blueprint.route("/readyz")
@blueprint.response(200, _STATE)
@blueprint.alt_response(503, schema=_STATE, description="The database is missing or not migrated")
def readyz() -> Response:
    """Tell whether requests can be served: the database answers and has the expected schema"""
    try:
        current = services().database.is_current()
    except ServiceError:
        return answer({"status": "the database cannot be reached"}, 503)
    if not current:
        return answer({"status": "the database is not migrated; run: mainstay db upgrade"}, 503)
    return answer({"status": "ok"})


@blueprint.route("/metrics")
@blueprint.response(200, {"type": "string"}, content_type="text/plain")
def metrics() -> Response:
    """Return metrics in Prometheus' text format; queues are read from the database now"""
    return Response(services().metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")
