"""Translation both ways, keeping nothing: what would a record be in FHIR, and what gets lost?"""

from typing import Any

from flask import Response

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from fhir_mappings.resources import BY_RESOURCE_TYPE
from service import schemas
from service.errors import InvalidInput
from service.routes import openapi_parts
from service.routes.blueprint import ApiBlueprint
from service.routes.responses import answer
from service.schemas.bodies import TranslationSchema
from service.translation import mapping_for, to_resource

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
    mapping = mapping_for(tree)
    return {"record": schemas.dump(mapping.read(tree)), "loss": mapping.loss(tree)}


def _to_resource(body: Tree, onto: Tree | None) -> dict[str, Any]:
    resource = to_resource(schemas.load(body), onto)
    return {"resource": resource, "loss": BY_RESOURCE_TYPE[resource["resourceType"]].loss(resource)}
