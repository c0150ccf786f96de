"""What is in step with which FHIR server, what is not, and what a person can do about it."""

from typing import Any

from flask import Response
from flask.views import MethodView

from fhir_mappings.errors import Finding
from service import schemas
from service.auth.scopes import Interaction
from service.errors import InvalidInput
from service.routes import access, openapi_parts
from service.routes.api import sync_json
from service.routes.blueprint import ApiBlueprint
from service.routes.responses import answer, page
from service.routes.services import principal, sync
from service.schemas.bodies import MovedDecisionSchema, ResolutionSchema, RunSchema
from service.schemas.queries import ConflictQuery, ConnectionQuery, SyncQuery
from service.sync.conflicts import Conflict
from service.sync.moved_decision import MovedDecision
from service.sync.set_aside import Invalid
from service.sync.status import Status

blueprint = ApiBlueprint(
    "sync", __name__, url_prefix="/api/v1/sync", description="In step with FHIR servers, or why not."
)


@blueprint.route("/status")
@blueprint.arguments(SyncQuery, location="query")
@blueprint.response(200, openapi_parts.listing(sync_json.STATUS))
@blueprint.refuses()
def status(query: dict[str, Any]) -> Response:
    """List the state of each record on each server, with reason and next step"""
    principal().require_sync()
    query["patient"] = access.listed_patient(query["patient"])
    rows, next_after = sync().status(**query)
    return page([sync_json.status(row, _may_read(row)) for row in rows], next_after)


@blueprint.route("/summary")
@blueprint.arguments(ConnectionQuery, location="query")
@blueprint.response(200, sync_json.SUMMARY)
@blueprint.refuses(404)
def summary(query: dict[str, Any]) -> Response:
    """Count the records in each state"""
    principal().require_sync()
    principal().require_all_patients()
    name = query["connection"]
    return answer(sync_json.summary(sync().summary(name), sync().missing(name)))


@blueprint.route("/run", methods=["POST"])
@blueprint.arguments(RunSchema, example={"direction": "both"})
@blueprint.response(200, sync_json.REPORT)
@blueprint.refuses(404, 409, 413, 415)
def run(body: dict[str, Any]) -> Response:
    """Push, pull or both, now, and wait for the end; workers do the same at an interval"""
    principal().require_sync()
    principal().require_all_patients()
    acts = {"push": sync().push, "pull": sync().pull, "both": sync().run, "compare": sync().compare}
    act = acts[body["direction"]]
    return answer(sync_json.report(act(body["connection"])))


@blueprint.route("/records/<fhir_id:record_id>/retry", methods=["POST"])
@blueprint.arguments(ConnectionQuery, location="query")
@blueprint.response(204)
@blueprint.refuses(404, 409)
def retry(query: dict[str, Any], record_id: str) -> Response:
    """Send a record again that was set aside, after what was wrong has been mended"""
    principal().require_sync()
    principal().require_all_patients()
    sync().retry(record_id, query["connection"], actor=principal().actor)
    return Response(status=204)


@blueprint.route("/invalid")
@blueprint.arguments(ConnectionQuery, location="query")
@blueprint.response(200, openapi_parts.listing(sync_json.INVALID))
@blueprint.refuses()
def invalid(query: dict[str, Any]) -> Response:
    """List what servers hold that is not valid R4; it is kept as it came, and never written"""
    principal().require_sync()
    principal().require_all_patients()
    rows = sync().invalid(query["connection"])
    return page([sync_json.invalid(row, _may_read(row)) for row in rows], None)


@blueprint.route("/conflicts")
@blueprint.arguments(ConflictQuery, location="query")
@blueprint.response(200, openapi_parts.listing(sync_json.CONFLICT))
@blueprint.refuses()
def conflicts(query: dict[str, Any]) -> Response:
    """List open conflicts: records that were changed on both sides"""
    principal().require_sync()
    principal().require_all_patients()
    rows, next_after = sync().conflicts(**query)
    return page([sync_json.conflict(row, _may_read(row)) for row in rows], next_after)


@blueprint.route("/conflicts/<fhir_id:conflict_id>")
@blueprint.response(200, sync_json.CONFLICT_WHOLE)
@blueprint.refuses(404)
def conflict(conflict_id: str) -> Response:
    """Read a conflict: both sides and what they had in common, as record and as FHIR"""
    return answer(sync_json.conflict_whole(_conflict(conflict_id, "r")))


@blueprint.route("/conflicts/<fhir_id:conflict_id>/resolution")
class Resolution(MethodView):
    @blueprint.arguments(ResolutionSchema, example={"keep": "here"})
    @blueprint.response(200, sync_json.CONFLICT_WHOLE)
    @blueprint.refuses(404, 409, 412, 413, 415, 422)
    def post(self, body: dict[str, Any], conflict_id: str) -> Response:
        """Resolve a conflict: keep one side, or give the record that is to be"""
        found = _conflict(conflict_id, "r", "u")
        if ("keep" in body) == ("record" in body):
            raise InvalidInput(Finding("keep", "give either keep or a record"))
        record = schemas.load(body["record"]) if "record" in body else None
        sync().resolve(found.id, body.get("keep", "here"), actor=principal().actor, record=record)
        return answer(sync_json.conflict_whole(sync().conflict(conflict_id)))


@blueprint.route("/moved")
@blueprint.arguments(ConnectionQuery, location="query")
@blueprint.response(200, openapi_parts.listing(sync_json.MOVED))
@blueprint.refuses()
def moved(query: dict[str, Any]) -> Response:
    """List copies that are another patient's there by now; what they say is shown to nobody"""
    principal().require_sync()
    principal().require_all_patients()
    return page([sync_json.moved(row) for row in sync().moved(query["connection"])], None)


@blueprint.route("/moved/<fhir_id:record_id>/decision", methods=["POST"])
@blueprint.arguments(MovedDecisionSchema, example={"connection": "clinic", "decision": "write-back"})
@blueprint.response(204)
@blueprint.refuses(404, 409, 413, 415, 422)
def decide_moved(body: dict[str, Any], record_id: str) -> Response:
    """Decide about such a copy: write it back, let it go, or hand it over to whose it is there"""
    principal().require_sync()
    principal().require_all_patients()
    decision = MovedDecision(body["decision"])
    sync().decide_moved(record_id, body["connection"], decision, principal().actor)
    return Response(status=204)


def _conflict(conflict_id: str, *interactions: Interaction) -> Conflict:
    """Return a conflict: both sides are the record, so the scopes for it are needed too."""
    principal().require_sync()
    principal().require_all_patients()
    found = sync().conflict(conflict_id)
    for interaction in interactions:
        principal().require(found.resource_type, interaction)
    return found


def _may_read(row: Status | Conflict | Invalid) -> bool:
    """Tell whether whoever sees how a record stands may also see something of what it says."""
    return principal().may(row.resource_type, "r")
