"""Records as JSON in our own words: the same routes for each kind."""

import dataclasses
from typing import Any

from flask import Response
from flask.views import MethodView

from fhir_mappings.records import Record
from service import schemas
from service.chart import RecordVersion
from service.chart.queries import RecordQuery
from service.errors import InvalidInput
from service.record_types import RecordType
from service.routes import access, openapi_parts
from service.routes.blueprint import ApiBlueprint
from service.routes.idempotency import created_once
from service.routes.parsing import if_match
from service.routes.responses import answer, page
from service.routes.services import chart, principal
from service.schemas.queries import AnswersQuery, PatientRecordQuery


def record_blueprint(kind: RecordType) -> ApiBlueprint:
    """Return the routes of one kind of record, which has words of ours."""
    assert kind.mapping is not None
    mapping, noun, record_type, type_ = kind.mapping, kind.path, kind.name, kind.resource_type
    schema = schemas.schema_of(mapping.record)
    query_schema = AnswersQuery if "questionnaire" in kind.search_parameters else PatientRecordQuery
    blueprint = ApiBlueprint(
        noun, __name__, url_prefix=f"/api/v1/{noun}", description=f"{record_type} records."
    )

    def told(entry: RecordVersion) -> dict[str, Any]:
        return schemas.dump(mapping.read(entry.tree))

    def one(entry: RecordVersion, status: int = 200) -> Response:
        return answer(told(entry), status, openapi_parts.headers(entry, f"/api/v1/{noun}", status))

    @blueprint.route("")
    class Collection(MethodView):
        @blueprint.arguments(query_schema, location="query")
        @blueprint.response(200, openapi_parts.listing(schema))
        @blueprint.refuses()
        def get(self, query: dict[str, Any]) -> Response:
            """List records, oldest first"""
            principal().require(type_, "s")
            query["identifier"] = query["identifier"] and access.split_identifier(query["identifier"])
            found = access.records(RecordQuery(resource_type=type_, **query))
            return page([told(entry) for entry in found.entries], found.next_after)

        @blueprint.arguments(schema, example=openapi_parts.EXAMPLES[record_type])
        @blueprint.response(201, schema, headers=openapi_parts.CREATED)
        @blueprint.refuses(409, 413, 415, 422)
        @blueprint.doc(parameters=[openapi_parts.IDEMPOTENCY_KEY])
        def post(self, record: Record) -> Response:
            """Create a record"""
            principal().require(type_, "c")
            access.require_id_given_here(record_type, record.id)
            tree = mapping.write(record)
            access.confine(tree)
            return created_once(tree, lambda entry: one(entry, 201), record.id)

    @blueprint.route("/<fhir_id:record_id>")
    class Item(MethodView):
        @blueprint.response(200, schema, headers=openapi_parts.VERSIONED)
        @blueprint.refuses(404)
        def get(self, record_id: str) -> Response:
            """Read a record"""
            return one(access.entry(type_, record_id))

        @blueprint.arguments(schema, example=openapi_parts.EXAMPLES[record_type])
        @blueprint.response(200, schema, headers=openapi_parts.VERSIONED)
        @blueprint.refuses(404, 409, 412, 413, 415, 422, 428)
        @blueprint.doc(parameters=[openapi_parts.IF_MATCH])
        def put(self, record: Record, record_id: str) -> Response:
            """Change a record; elements of its resource that the record has no word for stay as they are"""
            current = access.entry(type_, record_id, "u")
            if record.id not in (None, record_id):
                raise InvalidInput(openapi_parts.other_id(record_type))
            version = if_match(required=True)
            record = dataclasses.replace(record, id=record_id)
            access.confine(mapping.write(record), current.tree)
            return one(chart().edit(record_id, record, principal().actor, if_version=version))

    @blueprint.route("/<fhir_id:record_id>/withdraw", methods=["POST"])
    @blueprint.response(200, schema, headers=openapi_parts.VERSIONED)
    @blueprint.refuses(404, 409, 412, 422)
    @blueprint.doc(parameters=[openapi_parts.IF_MATCH_OPTIONAL])
    def withdraw(record_id: str) -> Response:
        """Say that a record was entered in error; nothing is ever deleted"""
        access.entry(type_, record_id, "u")
        version = if_match(required=False)
        return one(chart().withdraw(record_id, principal().actor, if_version=version))

    @blueprint.route("/<fhir_id:record_id>/history")
    @blueprint.response(200, openapi_parts.history(schema))
    @blueprint.refuses(404)
    def history(record_id: str) -> Response:
        """List all versions of a record, newest first: who, when, by which act"""
        access.entry(type_, record_id)
        versions = [
            openapi_parts.version(entry) | {"record": told(entry)}
            for entry in chart().history(type_, record_id)
        ]
        return answer({"items": versions})

    return blueprint
