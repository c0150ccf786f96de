"""What a FHIR client can do here: the CapabilityStatement (https://hl7.org/fhir/R4/capabilitystatement.html)."""

from datetime import datetime

from fhir_mappings.exact_json import Tree
from service.routes.fhir.representation import instant
from service.routes.fhir.search import PARAMETERS

_VERSION = "0.1.0"
_INTERACTIONS = ("read", "vread", "update", "history-instance", "create", "search-type")


def statement(base: str, started: datetime, *, secured: bool) -> Tree:
    """Return the CapabilityStatement of this server."""
    rest: Tree = {"mode": "server"}
    if secured:
        rest["security"] = {"description": "OAuth 2 bearer token (JWT) with SMART App Launch scopes."}
    rest["resource"] = [_resource(resource_type) for resource_type in PARAMETERS]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(started),
        "kind": "instance",
        "software": {"name": "Mainstay", "version": _VERSION},
        "implementation": {"description": "Self-management support in back pain care", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json", "application/fhir+json"],
        "rest": [rest],
    }


def _resource(resource_type: str) -> Tree:
    known = resource_type == "Patient"
    interactions = ("read", "search-type") if known else _INTERACTIONS
    return {
        "type": resource_type,
        "interaction": [{"code": code} for code in interactions],
        "versioning": "no-version" if known else "versioned-update",
        "readHistory": not known,
        "updateCreate": False,
        "conditionalCreate": False,
        "conditionalDelete": "not-supported",
        "searchParam": [{"name": name, "type": type_} for name, type_ in PARAMETERS[resource_type].items()],
    }
