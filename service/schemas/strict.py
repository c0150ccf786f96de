"""Marshmallow fields that take a JSON value as it is or refuse it: nothing is coerced or repaired."""

import typing
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

from marshmallow import Schema, ValidationError, fields, missing

from fhir_mappings.records import Choice


class Strict(fields.Field[Any]):
    """A field that checks a value's JSON type; ``problem`` says what it should have been."""

    problem = "is of the wrong type"

    def accept(self, value: Any) -> Any:
        """Return the value for the record. Raises ValidationError."""
        raise NotImplementedError

    def deserialize(
        self, value: Any, attr: str | None = None, data: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        # Called for every field of every object: marshmallow's own version costs four times as much.
        if value is missing:
            if self.required:
                raise ValidationError("is required")
            return missing
        if value is None:
            if self.allow_none:
                return None
            raise ValidationError("must not be null")
        return self.accept(value)


class Text(Strict, fields.String):
    """A JSON string."""

    def accept(self, value: Any) -> str:
        if type(value) is not str:
            raise ValidationError("must be a string")
        return value


class Code(Strict, fields.String):
    """A string that is one of an enumeration's codes."""

    def __init__(self, codes: type[StrEnum], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.codes = {str(code): code for code in codes}
        self.metadata = {"enum": [*self.codes, None] if self.allow_none else [*self.codes]}

    def accept(self, value: Any) -> StrEnum:
        try:
            return self.codes[value]
        except (KeyError, TypeError):
            raise ValidationError(f"must be one of {', '.join(self.codes)}") from None


class Literal(Strict, fields.String):
    """The one string that may stand here; no part of the record."""

    def __init__(self, text: str) -> None:
        super().__init__(required=True, metadata={"enum": [text]})
        self.text = text

    def accept(self, value: Any) -> Any:
        if value != self.text:
            raise ValidationError(f"must be {self.text}")
        return missing

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str:
        return self.text


class Flag(Strict, fields.Boolean):
    """true or false."""

    def accept(self, value: Any) -> bool:
        if type(value) is not bool:
            raise ValidationError("must be true or false")
        return value


class Whole(Strict, fields.Integer):
    """A number without fraction or exponent."""

    def accept(self, value: Any) -> int:
        if type(value) is not int:
            raise ValidationError("must be a whole number")
        return value


class Exact(Strict, fields.Decimal):
    """A number that keeps its text."""

    def accept(self, value: Any) -> Decimal | int:
        if type(value) is not int and not isinstance(value, Decimal):
            raise ValidationError("must be a number")
        return value

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return value


class Part(Strict, fields.Nested):
    """An object within a record; all parts of one class share one schema."""

    def __init__(self, part: Callable[[], Schema], **kwargs: Any) -> None:
        super().__init__(part, **kwargs)
        self._part = part

    @property
    def schema(self) -> Schema:
        return self._part()

    def accept(self, value: Any) -> Any:
        if type(value) is not dict:
            raise ValidationError("must be an object")
        return self._part().load(value)

    def _serialize(self, nested_obj: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        return None if nested_obj is None else self._part().dump(nested_obj)


class Many(Strict, fields.List[Any]):
    """A list; absent and empty are the same."""

    def accept(self, value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise ValidationError("must be a list")
        accepted, problems = [], {}
        for index, member in enumerate(value):
            try:
                accepted.append(self.inner.deserialize(member))
            except ValidationError as error:
                problems[index] = error.messages
        if problems:
            raise ValidationError(typing.cast("dict[str, Any]", problems))
        return tuple(accepted)


class OneKey(Strict):
    """A ``Choice``: an object whose one key is the FHIR type, and its value of that type."""

    def __init__(self, options: Mapping[str, fields.Field[Any]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.options = dict(options)

    def accept(self, value: Any) -> Choice:
        if type(value) is not dict or len(value) != 1:
            raise ValidationError(f"must be an object with one key of {', '.join(self.options)}")
        ((name, chosen),) = value.items()
        if name not in self.options:
            raise ValidationError({name: [f"must be one of {', '.join(self.options)}"]})
        try:
            return Choice(name, self.options[name].deserialize(chosen))
        except ValidationError as error:
            raise ValidationError({name: error.messages}) from None

    def _serialize(self, value: Choice | None, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        if value is None:
            return None
        return {value.type: self.options[value.type]._serialize(value.value, attr, obj)}  # noqa: SLF001  # what marshmallow has fields override and call
