"""The FHIR servers that are kept in step."""

from typing import Any

from flask import Response
from flask.views import MethodView

from service.errors import NotFound
from service.routes import addresses, openapi_parts
from service.routes.api import sync_json
from service.routes.blueprint import ApiBlueprint
from service.routes.responses import answer
from service.routes.services import principal, services, sync
from service.schemas.bodies import NewConnectionSchema
from service.sync.server import connection_rules

blueprint = ApiBlueprint(
    "connections", __name__, url_prefix="/api/v1/connections", description="FHIR servers to keep in step."
)


def _guard() -> None:
    principal().require_sync()
    principal().require_all_patients()


@blueprint.route("")
class Connections(MethodView):
    @blueprint.response(200, openapi_parts.listing(sync_json.CONNECTION))
    @blueprint.refuses()
    def get(self) -> Response:
        """List connections"""
        _guard()
        return answer({"items": [sync_json.connection(row) for row in sync().connections()]})

    @blueprint.arguments(
        NewConnectionSchema, example={"name": "clinic", "base_url": "https://fhir.clinic.example/r4"}
    )
    @blueprint.response(201, sync_json.CONNECTION, headers={"Location": openapi_parts.CREATED["Location"]})
    @blueprint.refuses(409, 413, 415, 422)
    def post(self, body: dict[str, Any]) -> Response:
        """Add a connection, below an address that the operator allowed; all records are then sent there"""
        _guard()
        connection_rules.require_allowed(body["base_url"], services().config.connection_allowed_urls)
        row = sync().add_connection(body["name"], body["base_url"])
        return answer(
            sync_json.connection(row),
            201,
            {"Location": addresses.relative(f"/api/v1/connections/{row.name}")},
        )


@blueprint.route("/<fhir_id:name>")
@blueprint.response(200, sync_json.CONNECTION)
@blueprint.refuses(404)
def get_connection(name: str) -> Response:
    """Read a connection"""
    _guard()
    for row in sync().connections():
        if row.name == name:
            return answer(sync_json.connection(row))
    raise NotFound("there is no such connection")


@blueprint.route("/<fhir_id:name>/check", methods=["POST"])
@blueprint.response(200, sync_json.CHECK)
@blueprint.refuses(404)
def check(name: str) -> Response:
    """Ask the server now whether it answers, and what it can do"""
    _guard()
    return answer(sync_json.check(sync().check_connection(name)))
