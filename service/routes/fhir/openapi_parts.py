"""How the routes of the FHIR face stand in the OpenAPI document."""

from typing import Any

from service.routes.fhir.search import PARAMETERS
from service.routes.openapi_parts import Described

FHIR_JSON = "application/fhir+json"

_MEANINGS = {
    "_id": "The resource's id, or several with commas between, 200 at most.",
    "_lastUpdated": "When it was last changed here; prefixes eq, gt, ge, lt, le, sa, eb; twice for a span.",
    "identifier": "`system|value`, or a value of any system.",
    "patient": "Our id of the patient, or `Patient/id`.",
    "subject": "The same as patient.",
    "status": "A status code.",
    "lifecycle-status": "A lifecycle status code.",
    "questionnaire": "The canonical that was answered: `url` or `url|version`.",
    "url": "The questionnaire's canonical: `url` or `url|version`.",
    "_count": "Resources per page, 200 at most; 0 asks for the total alone.",
    "_after": "Where the page before ended; from its next link.",
    "_summary": "`count` asks for the total alone.",
    "_format": "json, application/json or application/fhir+json.",
}

_SUBJECT = {"reference": "Patient/example"}
EXAMPLES: dict[str, Described] = {
    "Goal": {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "description": {"text": "Walk to the lake and back"},
        "subject": _SUBJECT,
    },
    "CarePlan": {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "title": "Moving again",
        "subject": _SUBJECT,
    },
    "ServiceRequest": {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "plan",
        "code": {"text": "Ten minutes of walking, twice a day"},
        "subject": _SUBJECT,
    },
    "QuestionnaireResponse": {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "subject": _SUBJECT,
        "item": [{"linkId": "1", "answer": [{"valueInteger": 7}]}],
    },
    "Questionnaire": {
        "resourceType": "Questionnaire",
        "url": "https://clinic.example/Questionnaire/fhir-example",
        "version": "1",
        "status": "active",
        "item": [{"linkId": "1", "text": "How sure are you?", "type": "integer"}],
    },
}

_ETAG = {"ETag": {"schema": {"type": "string"}}, "Last-Modified": {"schema": {"type": "string"}}}
READ: dict[str, Any] = {"content_type": FHIR_JSON, "headers": _ETAG}
CREATED: dict[str, Any] = {
    "content_type": FHIR_JSON,
    "headers": {**_ETAG, "Location": {"schema": {"type": "string"}}},
}
FOUND: dict[str, Any] = {"content_type": FHIR_JSON}


def resource(resource_type: str) -> Described:
    """Describe a resource: of its content, FHIR's own definitions are the schema."""
    return {
        "type": "object",
        "required": ["resourceType"],
        "properties": {"resourceType": {"const": resource_type}, "id": {"type": "string"}},
        "externalDocs": {"url": f"https://hl7.org/fhir/R4/{resource_type.lower()}.html"},
    }


def body(resource_type: str) -> Described:
    """Describe a request body that is a resource."""
    return {
        "required": True,
        "content": {FHIR_JSON: {"schema": resource(resource_type), "example": EXAMPLES[resource_type]}},
    }


def _names(resource_type: str) -> list[str]:
    return [*PARAMETERS[resource_type], "_count", "_after", "_summary", "_format"]


def _schema(name: str) -> Described:
    if name == "_count":
        return {"type": "integer", "minimum": 0}
    return {"type": "string", "minLength": 1}


def queries(resource_type: str) -> list[Described]:
    """Describe the search parameters of a type as a query."""
    return [
        {
            "in": "query",
            "name": name,
            "required": False,
            "schema": _schema(name),
            "description": _MEANINGS[name],
        }
        for name in _names(resource_type)
    ]


def form(resource_type: str) -> Described:
    """Describe the same parameters as a form, which keeps identifiers out of URLs and their logs."""
    properties = {name: {**_schema(name), "description": _MEANINGS[name]} for name in _names(resource_type)}
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"required": False, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}
