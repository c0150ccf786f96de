"""Request and response JSON: records as objects, strictly typed, every wrong field named at once."""

from collections.abc import Iterator
from typing import Any

from marshmallow import ValidationError

from fhir_mappings.errors import Finding
from fhir_mappings.exact_json import Tree
from fhir_mappings.records import Record
from service.errors import InvalidInput
from service.schemas.generated import RECORD_TYPES, schema_of

__all__ = ["RECORD_TYPES", "dump", "findings", "load", "schema_of"]


def load(obj: Any) -> Record:
    """Return the record that a parsed JSON object says.

    Raises InvalidInput with a finding for each wrong field.
    """
    if not isinstance(obj, dict):
        raise InvalidInput([Finding("", "a record must be one JSON object")])
    name = obj.get("type")
    if not isinstance(name, str) or name not in RECORD_TYPES:
        raise InvalidInput([Finding("type", f"must be one of {', '.join(RECORD_TYPES)}")])
    try:
        record: Record = schema_of(RECORD_TYPES[name]).load(obj)
    except ValidationError as error:
        raise InvalidInput(list(findings(name, error.messages))) from None
    return record


def dump(record: Record) -> Tree:
    """Return the record's JSON object; fields at their default are left out."""
    tree: Tree = schema_of(type(record)).dump(record)
    return tree


def findings(path: str, messages: Any) -> Iterator[Finding]:
    """Say marshmallow's nested messages by path: ``Goal.targets[0].measure.codings``."""
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from findings(_step(path, key), inner)
    else:
        for problem in messages:
            yield Finding(path, problem)


def _step(path: str, key: str | int) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    if key == "_schema":
        return path
    return f"{path}.{key[:80]}" if path else key[:80]
