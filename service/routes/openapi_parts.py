"""Pieces of the OpenAPI document that several routes share, and what they describe."""

from typing import Any

from fhir_mappings.errors import Finding
from service.chart import RecordVersion
from service.routes import addresses
from service.routes.responses import etag

Described = dict[str, Any]

_ETAG = {"schema": {"type": "string", "examples": ['W/"1"']}, "description": "The version, for If-Match."}
VERSIONED: Described = {"ETag": _ETAG}
CREATED: Described = {
    "ETag": _ETAG,
    "Location": {"schema": {"type": "string"}, "description": "Where the new one can be read."},
}

IDEMPOTENCY_KEY: Described = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
    "description": "Any name for this act, such as a UUID: sent again, it gets the same answer, "
    "and nothing is created twice. It is remembered for seven days.",
}


def _if_match(required: bool) -> Described:
    return {
        "in": "header",
        "name": "If-Match",
        "required": required,
        "schema": {"type": "string", "pattern": '^(W/)?"[0-9]{1,9}"$', "examples": ['W/"1"']},
        "description": "The ETag of the version that is changed.",
    }


IF_MATCH = _if_match(required=True)
IF_MATCH_OPTIONAL = _if_match(required=False)

OPERATION_OUTCOME: Described = {
    "type": "object",
    "description": "What was refused, all findings at once; `expression` is the path of the field.",
    "required": ["resourceType", "issue"],
    "properties": {
        "resourceType": {"const": "OperationOutcome"},
        "issue": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["severity", "code", "diagnostics"],
                "properties": {
                    "severity": {"enum": ["fatal", "error", "warning", "information"]},
                    "code": {"type": "string"},
                    "diagnostics": {"type": "string"},
                    "expression": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    },
}

_SUBJECT = {"reference": "Patient/example"}
EXAMPLES: dict[str, Described] = {
    "Goal": {
        "type": "Goal",
        "status": "active",
        "statement": "Walk to the lake and back",
        "why_it_matters": "To feed the ducks with my granddaughter",
        "subject": _SUBJECT,
        "targets": [
            {"measure": {"text": "Minutes walked"}, "detail": {"Quantity": {"value": 30, "unit": "min"}}},
        ],
    },
    "CarePlan": {
        "type": "CarePlan",
        "status": "active",
        "title": "Moving again",
        "subject": _SUBJECT,
        "seek_help": [{"when": "New weakness in a leg", "why": "A nerve may be pressed and needs care soon"}],
    },
    "Activity": {
        "type": "Activity",
        "status": "active",
        "code": {"text": "Ten minutes of walking, twice a day"},
        "subject": _SUBJECT,
    },
    "QuestionnaireResponse": {
        "type": "QuestionnaireResponse",
        "status": "completed",
        "subject": _SUBJECT,
        "items": [{"link_id": "1", "text": "How sure are you?", "answers": [{"value": {"integer": 7}}]}],
    },
}


def listing(items: Any) -> Described:
    """Describe a page of a list."""
    return {
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {"type": "array", "items": items},
            "next": {"type": "string", "description": "Path and query of the next page; absent on the last."},
        },
    }


_VERSION: Described = {
    "version": {"type": "integer", "minimum": 1},
    "at": {"type": "string", "format": "date-time"},
    "actor": {"type": "string", "description": "Who: the token's subject, or `local`."},
    "action": {
        "type": "string",
        "enum": [
            "create",
            "update",
            "withdraw",
            "pull",
            "merge",
            "resolve",
            "identify",
            "merge-patient",
            "unmerge-patient",
            "hand-over",
        ],
    },
}


def history(record: Any) -> Described:
    """Describe the versions of a record."""
    item = {"type": "object", "required": [*_VERSION, "record"], "properties": {**_VERSION, "record": record}}
    return listing(item)


def version(entry: RecordVersion) -> dict[str, Any]:
    """Return who made a version, when, by which act."""
    return {
        "version": entry.version,
        "at": entry.updated_at.isoformat(),
        "actor": entry.actor,
        "action": entry.action,
    }


def headers(entry: RecordVersion, collection: str, status: int) -> dict[str, str]:
    """Return the headers of an answer that is one record: its version and, when new, its place."""
    place = {"Location": addresses.relative(f"{collection}/{entry.id}")} if status == 201 else {}
    return {"ETag": etag(entry.version), **place}


def other_id(record_type: str) -> Finding:
    return Finding(f"{record_type}.id", "is not the id in the path")
