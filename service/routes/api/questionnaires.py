"""Questionnaires, kept as the FHIR resources that they are."""

from typing import Any

from flask import Response
from flask.views import MethodView

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from service.chart import RecordVersion
from service.chart.queries import RecordQuery
from service.errors import InvalidInput
from service.routes import access, openapi_parts
from service.routes.blueprint import ApiBlueprint
from service.routes.idempotency import created_once
from service.routes.parsing import if_match
from service.routes.responses import answer, page
from service.routes.services import chart, principal
from service.schemas.bodies import FHIRResource
from service.schemas.queries import QuestionnaireQuery

_TYPE = "Questionnaire"
_PATH = "/api/v1/questionnaires"
_RESOURCE: openapi_parts.Described = {
    "type": "object",
    "required": ["resourceType", "status"],
    "properties": {"resourceType": {"const": _TYPE}, "status": {"type": "string"}},
}

blueprint = ApiBlueprint(
    "questionnaires", __name__, url_prefix=_PATH, description="Forms, as FHIR Questionnaires."
)
EXAMPLE = {
    "resourceType": _TYPE,
    "url": "https://clinic.example/Questionnaire/example",
    "version": "1",
    "status": "active",
    "item": [{"linkId": "1", "text": "How sure are you?", "type": "integer"}],
}


def _one(entry: RecordVersion, status: int = 200) -> Response:
    return answer(entry.tree, status, openapi_parts.headers(entry, _PATH, status))


def _of_type(tree: Tree) -> Tree:
    if tree.get("resourceType") != _TYPE:
        raise InvalidInput(Finding("resourceType", f"must be {_TYPE}"))
    return tree


@blueprint.route("")
class Questionnaires(MethodView):
    @blueprint.arguments(QuestionnaireQuery, location="query")
    @blueprint.response(200, openapi_parts.listing(_RESOURCE))
    @blueprint.refuses()
    def get(self, query: dict[str, Any]) -> Response:
        """List questionnaires"""
        principal().require(_TYPE, "s")
        query["identifier"] = query["identifier"] and access.split_identifier(query["identifier"])
        query["questionnaire"] = query.pop("url")
        found = access.records(RecordQuery(resource_type=_TYPE, **query))
        return page([entry.tree for entry in found.entries], found.next_after)

    @blueprint.arguments(FHIRResource, example=EXAMPLE)
    @blueprint.response(201, _RESOURCE, headers=openapi_parts.CREATED)
    @blueprint.refuses(409, 413, 415, 422)
    @blueprint.doc(parameters=[openapi_parts.IDEMPOTENCY_KEY])
    def post(self, tree: Tree) -> Response:
        """Create a questionnaire"""
        principal().require(_TYPE, "c")
        return created_once(_of_type(tree), lambda entry: _one(entry, 201), tree.get("id"))


@blueprint.route("/<fhir_id:record_id>")
class Questionnaire(MethodView):
    @blueprint.response(200, _RESOURCE, headers=openapi_parts.VERSIONED)
    @blueprint.refuses(404)
    def get(self, record_id: str) -> Response:
        """Read a questionnaire"""
        return _one(access.entry(_TYPE, record_id))

    @blueprint.arguments(FHIRResource, example=EXAMPLE)
    @blueprint.response(200, _RESOURCE, headers=openapi_parts.VERSIONED)
    @blueprint.refuses(404, 409, 412, 413, 415, 422, 428)
    @blueprint.doc(parameters=[openapi_parts.IF_MATCH])
    def put(self, tree: Tree, record_id: str) -> Response:
        """Replace a questionnaire"""
        access.entry(_TYPE, record_id, "u")
        version = if_match(required=True)
        if tree.get("id") not in (None, record_id):
            raise InvalidInput(openapi_parts.other_id(_TYPE))
        whole = {**_of_type(tree), "id": record_id}
        return _one(chart().replace(record_id, whole, principal().actor, if_version=version))


@blueprint.route("/<fhir_id:record_id>/withdraw", methods=["POST"])
@blueprint.response(200, _RESOURCE, headers=openapi_parts.VERSIONED)
@blueprint.refuses(404, 409, 412, 422)
@blueprint.doc(parameters=[openapi_parts.IF_MATCH_OPTIONAL])
def withdraw(record_id: str) -> Response:
    """Retire a questionnaire; nothing is ever deleted"""
    access.entry(_TYPE, record_id, "u")
    version = if_match(required=False)
    return _one(chart().withdraw(record_id, principal().actor, if_version=version))


@blueprint.route("/<fhir_id:record_id>/history")
@blueprint.response(200, openapi_parts.history(_RESOURCE))
@blueprint.refuses(404)
def history(record_id: str) -> Response:
    """List all versions of a questionnaire, newest first"""
    access.entry(_TYPE, record_id)
    versions = [
        openapi_parts.version(entry) | {"record": entry.tree} for entry in chart().history(_TYPE, record_id)
    ]
    return answer({"items": versions})
