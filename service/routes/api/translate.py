"""Translation both ways, keeping nothing: what would a record be in FHIR, and what gets lost?"""

from typing import Any

from flask import Response

from fhir_mappings import r4
from fhir_mappings.errors import Finding, MappingError
from fhir_mappings.exact_json import Tree
from fhir_mappings.resources import BY_RECORD_TYPE, BY_RESOURCE_TYPE
from service import schemas
from service.errors import InvalidContent, InvalidInput
from service.routes import openapi_parts
from service.routes.blueprint import ApiBlueprint
from service.routes.responses import answer
from service.schemas.bodies import TranslationSchema

blueprint = ApiBlueprint(
    "translate", __name__, url_prefix="/api/v1/translate", description="Records ↔ FHIR, stateless."
)

_LOSS = {"type": "array", "items": {"type": "string"}}
_TRANSLATED = {
    "type": "object",
    "required": ["loss"],
    "properties": {
        "record": {"type": "object"},
        "resource": {"type": "object"},
        "loss": {
            **_LOSS,
            "description": "Path of each leaf of the resource that the record has no word for.",
        },
    },
}


@blueprint.route("", methods=["POST"])
@blueprint.arguments(TranslationSchema, example={"record": openapi_parts.EXAMPLES["Goal"]})
@blueprint.response(200, _TRANSLATED)
@blueprint.refuses(413, 415, 422)
def translate(body: dict[str, Any]) -> Response:
    """Translate a FHIR resource into a record, or a record into FHIR, also onto its original"""
    if ("resource" in body) == ("record" in body):
        raise InvalidInput("send either a resource or a record")
    if "resource" in body:
        if "onto" in body:
            raise InvalidInput(Finding("onto", "goes with a record"))
        return answer(_to_record(body["resource"]))
    return answer(_to_resource(body["record"], body.get("onto")))


def _to_record(tree: Tree) -> dict[str, Any]:
    r4.require(tree)
    mapping = BY_RESOURCE_TYPE.get(tree["resourceType"])
    if mapping is None:
        raise InvalidContent(Finding("resourceType", f"must be one of {', '.join(BY_RESOURCE_TYPE)}"))
    return {"record": schemas.dump(mapping.read(tree)), "loss": mapping.loss(tree)}


def _to_resource(said: Tree, onto: Tree | None) -> dict[str, Any]:
    record = schemas.load(said)
    mapping = BY_RECORD_TYPE[type(record).__name__]
    if onto is not None:
        r4.require(onto)
        _refuse_other(mapping.read(onto), record)
    tree = mapping.write(record, onto)
    r4.require(tree)
    return {"resource": tree, "loss": mapping.loss(tree)}


def _refuse_other(original: Any, record: Any) -> None:
    for name in ("id", "subject"):
        if getattr(original, name) != getattr(record, name):
            raise MappingError(f"{type(record).__name__}.{name}", "differs from the original's")
