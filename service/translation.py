"""Records to FHIR and back, keeping nothing: one act for every door."""

from typing import Any

from fhir_mappings import r4
from fhir_mappings.errors import Finding, InvalidResource, MappingError
from fhir_mappings.exact_json import Tree
from fhir_mappings.lens.resource import ResourceMapping
from fhir_mappings.records import Record
from fhir_mappings.resources import BY_RECORD_TYPE, BY_RESOURCE_TYPE

_KNOWN = f"translated are {', '.join(BY_RESOURCE_TYPE)}"


def mapping_for(tree: Tree) -> ResourceMapping[Any]:
    """Return the mapping for a valid resource.

    Raises InvalidResource, and MappingError for a type that no record says.
    """
    type_ = tree.get("resourceType")
    if isinstance(type_, str) and type_ in r4.RESOURCE_TYPES and type_ not in BY_RESOURCE_TYPE:
        how = "a Questionnaire is kept as the resource that it is" if type_ == "Questionnaire" else _KNOWN
        raise MappingError("resourceType", f"{type_} is not translated; {how}", "not-supported")
    r4.require(tree)
    return BY_RESOURCE_TYPE[tree["resourceType"]]


def to_resource(record: Record, original: Tree | None = None) -> Tree:
    """Return the resource that says a record; original: one onto which it is written.

    Raises InvalidResource, and MappingError where the original is of another type, another
    record or another person.
    """
    mapping = BY_RECORD_TYPE[type(record).__name__]
    if original is not None:
        _require_same(mapping, record, original)
    resource = mapping.write(record, original)
    if original is None or resource is not original:
        r4.require(resource)
    return resource


def _require_same(mapping: ResourceMapping[Any], record: Record, original: Tree) -> None:
    if original.get("resourceType") != mapping.resource_type:
        raise MappingError("type", "differs from the original's")
    r4.require(original)
    before = mapping.read(original)
    differing = [name for name in ("id", "subject") if getattr(before, name) != getattr(record, name)]
    if differing:
        kind = type(record).__name__
        raise InvalidResource(
            [Finding(f"{kind}.{name}", "differs from the original's") for name in differing]
        )
