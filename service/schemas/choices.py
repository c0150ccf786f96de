"""Which FHIR types each ``Choice`` of a record may hold: asked of the mappings, which declare it."""

from functools import cache
from typing import Any

from fhir_mappings.lens.elements import ChoiceOf
from fhir_mappings.lens.mapping import Mapping, Type
from fhir_mappings.resources import BY_RECORD_TYPE


@cache
def choices() -> dict[tuple[type, str], dict[str, Type]]:
    """Return the allowed FHIR types by record class and field name."""
    seen: dict[type, Mapping[Any]] = {}
    for mapping in BY_RECORD_TYPE.values():
        _visit(mapping, seen)
    return {
        (mapping.record, name): field.types
        for mapping in seen.values()
        for name, field in mapping.fields.items()
        if isinstance(field, ChoiceOf)
    }


def _visit(declared: Any, seen: dict[type, Mapping[Any]]) -> None:
    """Walk from a mapping, a field or a type to all mappings below it."""
    if isinstance(declared, Mapping):
        if declared.record not in seen:
            seen[declared.record] = declared
            for field in declared.fields.values():
                _visit(field, seen)
    elif isinstance(declared, ChoiceOf):
        for type_ in declared.types.values():
            _visit(type_, seen)
    else:
        for within in ("type", "mapping", "field"):
            if hasattr(declared, within):
                _visit(getattr(declared, within), seen)
