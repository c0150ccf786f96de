"""What makes a body unreadable for the server; like HAPI without validation, it asks for little more."""

import re
from datetime import date
from typing import Any

from service.sandbox.outcomes import FHIRError
from service.sandbox.resource_types import RESOURCE_TYPES

_REQUEST_STATUS = ["draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown"]
_INTENT = ["proposal", "plan", "order", "option", "directive"]

#: Codes of required bindings, by path. An unknown one cannot even be parsed; a missing one is accepted.
CODES = {
    "Goal.lifecycleStatus": [
        "proposed",
        "planned",
        "accepted",
        "active",
        "on-hold",
        "completed",
        "cancelled",
        "entered-in-error",
        "rejected",
    ],
    "CarePlan.status": _REQUEST_STATUS,
    "CarePlan.intent": _INTENT,
    "Questionnaire.status": ["draft", "active", "retired", "unknown"],
    "QuestionnaireResponse.status": ["in-progress", "completed", "amended", "entered-in-error", "stopped"],
    "ServiceRequest.status": _REQUEST_STATUS,
    "ServiceRequest.intent": [*_INTENT, "original-order", "reflex-order", "filler-order", "instance-order"],
    "ServiceRequest.priority": ["routine", "urgent", "asap", "stat"],
}

_DATE_NAMES = frozenset({"authored", "authoredOn", "created", "end", "issued", "recorded", "start"})
_DATE_ENDINGS = ("Date", "DateTime", "Instant")
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]\d\d:\d\d))?)?)?"
)


def require_readable(tree: Any) -> None:
    """Refuse a body that is no resource, or holds an unknown code or an impossible date, at any depth."""
    if not isinstance(tree, dict):
        raise _unreadable("the content is not an object")
    resource_type = tree.get("resourceType")
    if not isinstance(resource_type, str) or resource_type not in RESOURCE_TYPES:
        raise _unreadable("missing or unknown resourceType")
    if not isinstance(tree.get("meta", {}), dict):
        raise _unreadable("meta is not an object")
    for name, member in tree.items():
        allowed = CODES.get(f"{resource_type}.{name}")
        if allowed is not None and isinstance(member, str | int) and member != "" and member not in allowed:
            raise _unreadable(f'[element="{name}"] Invalid attribute value: unknown code')
    _require_dates(tree)


def _require_dates(tree: Any) -> None:
    if isinstance(tree, list):
        for item in tree:
            _require_dates(item)
    elif isinstance(tree, dict):
        for name, member in tree.items():
            if isinstance(member, str) and _is_named_date(name) and not _is_date(member):
                raise _unreadable(f'[element="{name}"] Invalid attribute value: invalid date/time format')
            _require_dates(member)


def _is_named_date(name: str) -> bool:
    return name in _DATE_NAMES or name.endswith(_DATE_ENDINGS)


def _is_date(text: str) -> bool:
    match = _DATE.fullmatch(text)
    try:
        return match is not None and bool(date(int(match[1]), int(match[2] or 1), int(match[3] or 1)))
    except ValueError:
        return False


def require_type(tree: dict[str, Any], resource_type: str) -> None:
    if tree["resourceType"] != resource_type:
        raise _unreadable(f"Incorrect resource type found, expected {resource_type}")


def require_known_type(resource_type: str) -> None:
    if resource_type not in RESOURCE_TYPES:
        raise FHIRError(404, "Unknown resource type; see the CapabilityStatement", "not-supported")


def without_empties(tree: Any) -> Any:
    """The tree as it is stored: empty strings, objects and lists, and null members, are dropped."""
    if isinstance(tree, dict):
        members = ((name, without_empties(member)) for name, member in tree.items())
        return {name: member for name, member in members if not _is_empty(member)}
    if isinstance(tree, list):
        items = [without_empties(item) for item in tree]
        # A null among others keeps its place: it belongs to the sibling that holds its extension.
        return (
            []
            if all(map(_is_empty, items))
            else [item for item in items if item is None or not _is_empty(item)]
        )
    return tree


def _is_empty(member: Any) -> bool:
    return member is None or (isinstance(member, str | dict | list) and not member)


def _unreadable(problem: str) -> FHIRError:
    return FHIRError(400, f"Failed to parse request body as JSON resource. Error was: {problem}")
