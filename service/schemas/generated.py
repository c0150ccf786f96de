"""The schema of each record and of each of its parts, made from the dataclass, once per process."""

import dataclasses
import types
import typing
from decimal import Decimal
from enum import StrEnum
from typing import Any

from marshmallow import Schema, ValidationError, fields, missing

from fhir_mappings import records
from fhir_mappings.lens.mapping import Mapping, Type
from fhir_mappings.resources import BY_RECORD_TYPE
from fhir_mappings.resources.datatypes import Primitive
from service.schemas import strict
from service.schemas.choices import choices

RECORD_TYPES: dict[str, type[records.Record]] = {
    name: mapping.record for name, mapping in BY_RECORD_TYPE.items()
}


class PartSchema(Schema):
    """JSON of one dataclass: unknown fields are refused, fields at their default left out."""

    made: type[Any]
    defaults: dict[str, Any]
    required: frozenset[str]

    def load(self, data: Any, **_: Any) -> Any:
        """Return the dataclass instance. Raises ValidationError with all problems.

        Only the keys that are there are walked: marshmallow walks all fields of all parts,
        which costs three times as much.
        """
        if type(data) is not dict:
            raise ValidationError("must be an object")
        values: dict[str, Any] = {}
        problems: dict[str, Any] = {}
        for name, value in data.items():
            field = self.load_fields.get(name)
            if field is None:
                problems[name] = ["is not a field"]
                continue
            try:
                accepted = field.deserialize(value)
            except ValidationError as error:
                problems[name] = error.messages
            else:
                if accepted is not missing:
                    values[name] = accepted
        for name in self.required - data.keys():
            problems[name] = ["is required"]
        if problems:
            raise ValidationError(problems)
        return self.made(**values)

    def dump(self, obj: Any, **_: Any) -> dict[str, Any]:
        """Return the JSON object; only what is not at its default is walked, for the same reason."""
        said: dict[str, Any] = {}
        for name, field in self.dump_fields.items():
            # The literal ``type`` is no attribute of the dataclass.
            value = getattr(obj, name, None)
            if name not in self.defaults or value != self.defaults[name]:
                said[name] = field._serialize(value, name, obj)  # noqa: SLF001  # what marshmallow has fields override and call
        return said


def schema_of(made: Any) -> PartSchema:
    """Return the schema of a dataclass, made at first use."""
    if made not in _SCHEMAS:
        _SCHEMAS[made] = _compiled(made)
    return _SCHEMAS[made]


def _compiled(made: Any) -> PartSchema:
    """Return a new schema; a record's has the literal ``type`` before its fields."""
    hints = typing.get_type_hints(made)
    own = dataclasses.fields(made)
    members: dict[str, Any] = {field.name: _field(made, field.name, hints[field.name]) for field in own}
    for field in own:
        members[field.name].required = field.default is dataclasses.MISSING
    if made in RECORD_TYPES.values():
        members = {"type": strict.Literal(made.__name__), **members}
    defaults = {field.name: field.default for field in own if field.default is not dataclasses.MISSING}
    required = frozenset(name for name, member in members.items() if member.required)
    known = {"made": made, "defaults": defaults, "required": required}
    schema = type(f"{made.__name__}Schema", (PartSchema,), {**members, **known})
    return typing.cast("PartSchema", schema())


def _field(owner: Any, name: str, hint: Any) -> fields.Field[Any]:
    """Return the field for one type hint of a dataclass."""
    members = typing.get_args(hint) if isinstance(hint, types.UnionType | _TYPING_UNION) else (hint,)
    optional = type(None) in members
    members = tuple(member for member in members if member is not type(None))
    hint = members[0]
    if typing.get_origin(hint) is tuple:
        return strict.Many(_field(owner, name, typing.get_args(hint)[0]))
    if hint is records.Choice:
        options = {kind: _option(type_) for kind, type_ in choices()[owner, name].items()}
        return strict.OneKey(options, allow_none=optional)
    if dataclasses.is_dataclass(hint):
        return strict.Part(lambda: schema_of(hint), allow_none=optional)
    if issubclass(hint, StrEnum):
        return strict.Code(hint, allow_none=optional)
    return _SCALARS[hint](allow_none=optional)


def _option(type_: Type) -> fields.Field[Any]:
    """Return the field for one FHIR type of a choice."""
    if isinstance(type_, Mapping):
        return strict.Part(lambda: schema_of(type_.record))
    return _PRIMITIVES[typing.cast("Primitive", type_).name]()


# ``"Reference | None"`` resolves to typing's own union class before Python 3.14.
_TYPING_UNION = type(typing.Optional[int])  # noqa: UP045
_SCHEMAS: dict[Any, PartSchema] = {}
_SCALARS: dict[Any, type[strict.Strict]] = {
    str: strict.Text,
    bool: strict.Flag,
    int: strict.Whole,
    Decimal: strict.Exact,
}
_PRIMITIVES: dict[str, type[strict.Strict]] = {
    "string": strict.Text,
    "boolean": strict.Flag,
    "integer": strict.Whole,
    "decimal": strict.Exact,
}
