"""What the sandbox can do, as a CapabilityStatement."""

from datetime import datetime

from fhir_mappings.exact_json import Tree
from service.sandbox.resource_types import RESOURCE_TYPES
from service.sandbox.search.parameters import parameters_of

_INTERACTIONS = (
    "read",
    "vread",
    "update",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)


def capability_statement(base: str, now: datetime) -> Tree:
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": now.isoformat(timespec="milliseconds"),
        "kind": "instance",
        "software": {"name": "Mainstay sandbox"},
        "implementation": {"description": "A server to practise against; it keeps nothing", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "resource": [_resource(name) for name in sorted(RESOURCE_TYPES)],
                "interaction": [{"code": code} for code in ("transaction", "batch", "history-system")],
            }
        ],
    }


def _resource(name: str) -> Tree:
    return {
        "type": name,
        "interaction": [{"code": code} for code in _INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "searchParam": [
            {"name": parameter.name, "type": parameter.kind} for parameter in parameters_of(name).values()
        ],
    }
