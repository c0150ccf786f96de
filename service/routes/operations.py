"""For those who run the service: is it alive, is it ready, what is it doing."""

from flask import Response

from service.routes.blueprint import ApiBlueprint
from service.routes.responses import answer
from service.routes.services import services

blueprint = ApiBlueprint("operations", __name__, description="For those who run the service.")

_STATE = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}


@blueprint.route("/healthz")
@blueprint.response(200, _STATE)
def healthz() -> Response:
    """Tell that the process answers"""
    return answer({"status": "ok"})


@blueprint.route("/readyz")
@blueprint.response(200, _STATE)
@blueprint.alt_response(
    503, schema=_STATE, description="The database is away, full, read only or not migrated"
)
def readyz() -> Response:
    """Tell whether requests can be served: the database has the expected schema, and can be written"""
    problem = services().readiness.problem()
    return answer({"status": problem or "ok"}, 503 if problem else 200)


@blueprint.route("/metrics")
@blueprint.response(200, {"type": "string"}, content_type="text/plain")
def metrics() -> Response:
    """Return metrics in Prometheus' text format; queues are read from the database now"""
    return Response(services().metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")
