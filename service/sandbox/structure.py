"""The few checks of a body that the server makes without validation."""

import re
from typing import Any

from service.sandbox.outcomes import FHIRError
from service.sandbox.resource_types import RESOURCE_TYPES

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def require_structure(tree: Any, resource_type: str) -> None:
    """Refuse a body that is no resource of this type. Missing elements are accepted, as they are by HAPI."""
    if not isinstance(tree, dict):
        raise FHIRError(400, "Failed to parse request body as JSON resource: the content is not an object")
    found = tree.get("resourceType")
    if not isinstance(found, str) or found not in RESOURCE_TYPES:
        raise FHIRError(400, "Failed to parse request body as JSON resource: missing or unknown resourceType")
    if found != resource_type:
        raise FHIRError(400, f"Incorrect resource type found, expected {resource_type} but found {found}")
    if "id" in tree and (not isinstance(tree["id"], str) or not ID.fullmatch(tree["id"])):
        raise FHIRError(400, "Invalid resource id")
    if not isinstance(tree.get("meta", {}), dict):
        raise FHIRError(400, "Failed to parse request body as JSON resource: meta is not an object")


def require_known_type(resource_type: str) -> None:
    if resource_type not in RESOURCE_TYPES:
        raise FHIRError(404, "Unknown resource type; see the CapabilityStatement", "not-supported")
