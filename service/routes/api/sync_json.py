"""How the synchronisation is told as JSON, and how that stands in the OpenAPI document."""

import dataclasses
from datetime import datetime
from typing import Any

from fhir_mappings.errors import MappingError
from fhir_mappings.exact_json import Tree
from fhir_mappings.resources import BY_RESOURCE_TYPE
from service import schemas
from service.sync.server import connection_rules
from service.sync.states import State

_TEXT = {"type": "string"}
_TEXT_OR_NONE = {"type": ["string", "null"]}
_COUNT = {"type": "integer", "minimum": 0}
#: Of fields that tell something of what a record says.
_READERS = "null for a token that may not read records of the type"
_COUNTS = {"type": "object", "additionalProperties": _COUNT}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": [*properties], "properties": properties}


_SOUGHT = _object({"type": _TEXT, "system": _TEXT, "value": _TEXT})
STATUS = _object(
    {
        "record_id": _TEXT,
        "resource_type": _TEXT,
        "patient_id": _TEXT_OR_NONE,
        "connection": _TEXT,
        "server_id": _TEXT_OR_NONE,
        "server_version": _TEXT_OR_NONE,
        "state": {"enum": [state.value for state in State]},
        "reason": _TEXT_OR_NONE,
        "outcome": {"type": ["object", "null"], "description": f"The server's OperationOutcome; {_READERS}."},
        "next_step": {**_TEXT_OR_NONE, "description": "What a person can do about it."},
        "sought": {"type": "array", "items": _SOUGHT, "description": "What was looked for there in vain."},
        "attempts": {"type": ["integer", "null"]},
        "next_attempt_at": _TEXT_OR_NONE,
        "updated_at": _TEXT,
    }
)
_MISSING = _object(
    {
        "connection": _TEXT,
        "reason": _TEXT,
        "sought": {"type": "array", "items": _SOUGHT, "description": "By any of these."},
        "records": {**_COUNT, "description": "How many records name them."},
    }
)
SUMMARY = _object(
    {
        "states": _COUNTS,
        "oldest_pending_seconds": {"type": ["number", "null"]},
        "missing": {
            "type": "array",
            "items": _MISSING,
            "description": "Who and what is looked for there in vain, each once.",
        },
    }
)
MOVED = _object(
    {
        "record_id": _TEXT,
        "resource_type": _TEXT,
        "patient_id": _TEXT_OR_NONE,
        "connection": _TEXT,
        "server_id": _TEXT_OR_NONE,
        "there": {**_TEXT_OR_NONE, "description": "The server's id of the patient whose it is there by now."},
        "patient_there": {**_TEXT_OR_NONE, "description": "Our id of that patient, if they are one here."},
        "was_born_there": {"type": "boolean", "description": "If so, it is shown to nobody here."},
        "found_at": _TEXT,
    }
)
MATCH = _object(
    {
        "connection": _TEXT,
        "server_id": _TEXT_OR_NONE,
        "state": {"enum": ["matched", "unmatched"]},
        "reason": _TEXT_OR_NONE,
        "next_step": _TEXT_OR_NONE,
        "basis": {"enum": ["identifier", "launch", "person", None]},
        "checked_at": _TEXT,
        "history": {"type": "array", "items": {"type": "object"}, "description": "Newest first."},
    }
)
REPORT = {"type": "object", "additionalProperties": True, "description": "What was done, in numbers."}
CONFLICT = _object(
    {
        "id": _TEXT,
        "record_id": _TEXT,
        "resource_type": _TEXT,
        "connection": _TEXT,
        "here_version": _COUNT,
        "server_version": _TEXT_OR_NONE,
        "paths": {
            "type": ["array", "null"],
            "items": _TEXT,
            "description": f"What both sides changed; {_READERS}.",
        },
        "opened_at": _TEXT,
        "resolved_at": _TEXT_OR_NONE,
        "resolution": _TEXT_OR_NONE,
        "resolved_by": _TEXT_OR_NONE,
    }
)
_SIDE = {
    "type": ["object", "null"],
    "description": "As FHIR and as a record; the record is null if it cannot be read as one.",
    "properties": {"resource": {"type": ["object", "null"]}, "record": {"type": ["object", "null"]}},
}
CONFLICT_WHOLE = _object({**CONFLICT["properties"], "base": _SIDE, "here": _SIDE, "there": _SIDE})
CONNECTION = _object(
    {
        "name": _TEXT,
        "base_url": _TEXT,
        "authenticated": {"type": "boolean", "description": "Whether a token is sent there."},
    }
)
CHECK = _object(
    {
        "name": _TEXT,
        "base_url": _TEXT,
        "problem": {**_TEXT_OR_NONE, "description": "Why it cannot be used as it is: a reason code."},
        "next_step": _TEXT_OR_NONE,
        "transaction": {"type": "boolean"},
        "batch": {"type": "boolean"},
        "writable": {"type": "array", "items": _TEXT, "description": "Types that can be created there."},
    }
)
INVALID = _object(
    {
        "connection": _TEXT,
        "resource_type": _TEXT,
        "server_id": _TEXT,
        "server_version": _TEXT_OR_NONE,
        "findings": {
            "type": ["array", "null"],
            "items": {"type": "object"},
            "description": f"What is not valid; {_READERS}.",
        },
        "seen_at": _TEXT,
    }
)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(member) for name, member in vars(value).items()}
    return value.isoformat() if isinstance(value, datetime) else value


def _fields(described: dict[str, Any], row: Any) -> dict[str, Any]:
    """Return of a row what is described, and nothing else of it."""
    return {name: _plain(getattr(row, name)) for name in described["properties"]}


def status(row: Any, may_read: bool) -> dict[str, Any]:
    return _fields(STATUS, row) | ({} if may_read else {"outcome": None})


def summary(counted: Any, missing: list[Any]) -> dict[str, Any]:
    return {
        "states": counted.states,
        "oldest_pending_seconds": counted.oldest_pending_seconds,
        "missing": _plain(missing),
    }


def moved(row: Any) -> dict[str, Any]:
    return _fields(MOVED, row)


def match(row: Any) -> dict[str, Any]:
    return _fields(MATCH, row)


def report(done: Any) -> dict[str, Any]:
    return dataclasses.asdict(done)


def conflict(row: Any, may_read: bool) -> dict[str, Any]:
    return _fields(CONFLICT, row) | ({} if may_read else {"paths": None})


def conflict_whole(row: Any) -> dict[str, Any]:
    """Return a conflict with all sides that there are."""
    return conflict(row, may_read=True) | {
        name: side(getattr(row, name)) for name in ("base", "here", "there")
    }


def side(tree: Tree | None) -> dict[str, Any] | None:
    """Return one side of a conflict, readable for programs and people."""
    return None if tree is None else {"resource": tree, "record": _record(tree)}


def _record(tree: Tree) -> Tree | None:
    mapping = BY_RESOURCE_TYPE.get(tree.get("resourceType", ""))
    if mapping is None:
        return None
    try:
        return schemas.dump(mapping.read(tree))
    except MappingError:
        # A side that cannot be read as a record is still shown as it is.
        return None


def check(asked: Any) -> dict[str, Any]:
    base_url = connection_rules.shown(asked.base_url)
    return {**_fields(CHECK, asked), "base_url": base_url, "writable": list(asked.writable)}


def invalid(row: Any, may_read: bool) -> dict[str, Any]:
    return _fields(INVALID, row) | ({} if may_read else {"findings": None})


def connection(row: Any) -> dict[str, Any]:
    base_url = connection_rules.shown(row.base_url)
    return {"name": row.name, "base_url": base_url, "authenticated": row.token_file is not None}
