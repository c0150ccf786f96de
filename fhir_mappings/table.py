"""The declarations as tables for people: ``python -m fhir_mappings.table > docs/mapping.md``."""

from collections.abc import Iterator
from typing import Any

from fhir_mappings.resources import BY_RESOURCE_TYPE

_INTRODUCTION = """\
# How records are said in FHIR R4

One table per resource, made from the declarations themselves (`python -m fhir_mappings.table`);
a test keeps them equal. What no row names is kept in the resource as it came, and listed by the
loss report. Extensions are parted by URL; those of ours are published in `fhir_mappings/definitions/`.
In JSON a record is one object with `type`, `id` and these field names; a choice (`[x]`) is an object
with the chosen FHIR type as its one member: `{"detail": {"Quantity": {"value": 5, "unit": "km"}}}`.
"""


def render() -> str:
    """Return docs/mapping.md."""
    sections = [_INTRODUCTION]
    for mapping in BY_RESOURCE_TYPE.values():
        sections.append(f"## {mapping.record.__name__} ↔ {mapping.resource_type}\n")
        sections.append(
            "\n".join(["| record field | FHIR element | type |", "| --- | --- | --- |", *_rows(mapping)])
        )
        sections.append("")
    return "\n".join(sections)


def _rows(mapping: Any, prefix: str = "", place: str = "", depth: int = 0) -> Iterator[str]:
    for name, field in mapping.fields.items():
        inner = getattr(field, "mapping", None) or (field.type if _is_part(field) else None)
        many = "[]" if field.nothing == () else ""
        where = place + field.where
        yield f"| `{prefix}{name}{many}` | `{where}` | {_type(field)} |"
        # Items contain items; two levels show the pattern.
        if inner is not None and depth < 2:
            yield from _rows(inner, f"{prefix}{name}{many}.", f"{where}.", depth + 1)


def _is_part(field: Any) -> bool:
    return type(field).__name__ == "Part"


def _type(field: Any) -> str:
    if hasattr(field, "types"):
        return ", ".join(field.types)
    if hasattr(field, "field"):
        return _type(field.field)
    type_ = getattr(field, "mapping", None) or field.type
    type_ = getattr(type_, "type", type_)
    record = getattr(type_, "record", None)
    return record.__name__ if record else str(type_.name)


if __name__ == "__main__":
    print(render(), end="")
