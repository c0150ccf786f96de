"""FHIR R4 datatypes, declared once (https://hl7.org/fhir/R4/datatypes.html); each value is replaced whole."""

from collections.abc import Iterator
from enum import Enum
from typing import Any

from fhir_mappings import records
from fhir_mappings.errors import MappingError
from fhir_mappings.exact_json import Number
from fhir_mappings.lens.elements import ChoiceOf, Element
from fhir_mappings.lens.lists import Each
from fhir_mappings.lens.mapping import Mapping, Type, Unread


class Primitive:
    """A primitive that is the same in JSON and in a record."""

    def __init__(self, name: str, *kinds: type) -> None:
        self.name = name
        self.kinds = frozenset(kinds)

    def read(self, node: Any, unread: Unread) -> Any:
        if type(node) not in self.kinds:
            raise MappingError("", f"is not a {self.name}")
        return node

    def write(self, value: Any) -> Any:
        if type(value) not in self.kinds:
            raise MappingError("", f"is not a {self.name}")
        return value

    def leaves(self, node: Any, path: str) -> Iterator[str]:
        yield path


class Code(Primitive):
    """A code of a required binding, one to one with the members of an enum."""

    def __init__(self, members: type[Enum]) -> None:
        super().__init__("code", str)
        self.members = members
        self._by_code = {member.value: member for member in members}

    def read(self, node: Any, unread: Unread) -> Any:
        member = self._by_code.get(super().read(node, unread))
        if member is None:
            raise MappingError("", f"is not one of {', '.join(self._by_code)}", "code-invalid")
        return member

    def write(self, value: Any) -> Any:
        return self.members(value).value


STRING = Primitive("string", str)
BOOLEAN = Primitive("boolean", bool)
INTEGER = Primitive("integer", int)
DECIMAL = Primitive("decimal", int, Number)

_ID: dict[str, Any] = {"id": Element("id", STRING)}

PERIOD = Mapping(records.Period, {**_ID, "start": Element("start", STRING), "end": Element("end", STRING)})

CODING = Mapping(
    records.Coding,
    {
        **_ID,
        "system": Element("system", STRING),
        "version": Element("version", STRING),
        "code": Element("code", STRING),
        "display": Element("display", STRING),
        "user_selected": Element("userSelected", BOOLEAN),
    },
)

CODEABLE_CONCEPT = Mapping(
    records.CodeableConcept,
    {**_ID, "codings": Each("coding", CODING), "text": Element("text", STRING)},
)

IDENTIFIER = Mapping(
    records.Identifier,
    lambda: {
        **_ID,
        "use": Element("use", STRING),
        "type": Element("type", CODEABLE_CONCEPT),
        "system": Element("system", STRING),
        "value": Element("value", STRING),
        "period": Element("period", PERIOD),
        "assigner": Element("assigner", REFERENCE),
    },
)

REFERENCE: Mapping[records.Reference] = Mapping(
    records.Reference,
    {
        **_ID,
        "reference": Element("reference", STRING),
        "type": Element("type", STRING),
        "identifier": Element("identifier", IDENTIFIER),
        "display": Element("display", STRING),
    },
)

QUANTITY = Mapping(
    records.Quantity,
    {
        **_ID,
        "value": Element("value", DECIMAL),
        "comparator": Element("comparator", STRING),
        "unit": Element("unit", STRING),
        "system": Element("system", STRING),
        "code": Element("code", STRING),
    },
)

RANGE = Mapping(records.Range, {**_ID, "low": Element("low", QUANTITY), "high": Element("high", QUANTITY)})

RATIO = Mapping(
    records.Ratio,
    {**_ID, "numerator": Element("numerator", QUANTITY), "denominator": Element("denominator", QUANTITY)},
)


def choice(stem: str, **types: Type) -> ChoiceOf:
    """Declare a ``stem[x]`` with its FHIR types by name."""
    return ChoiceOf(stem, records.Choice, types)


ANNOTATION = Mapping(
    records.Annotation,
    {
        **_ID,
        "author": choice("author", Reference=REFERENCE, string=STRING),
        "time": Element("time", STRING),
        "text": Element("text", STRING),
    },
)

_REPEAT = Mapping(
    records.TimingRepeat,
    {
        **_ID,
        "bounds": choice("bounds", Duration=QUANTITY, Range=RANGE, Period=PERIOD),
        "count": Element("count", INTEGER),
        "count_max": Element("countMax", INTEGER),
        "duration": Element("duration", DECIMAL),
        "duration_max": Element("durationMax", DECIMAL),
        "duration_unit": Element("durationUnit", STRING),
        "frequency": Element("frequency", INTEGER),
        "frequency_max": Element("frequencyMax", INTEGER),
        "period": Element("period", DECIMAL),
        "period_max": Element("periodMax", DECIMAL),
        "period_unit": Element("periodUnit", STRING),
        "days_of_week": Each("dayOfWeek", STRING),
        "times_of_day": Each("timeOfDay", STRING),
        "when": Each("when", STRING),
        "offset": Element("offset", INTEGER),
    },
)

TIMING = Mapping(
    records.Timing,
    {
        **_ID,
        "events": Each("event", STRING),
        "repeat": Element("repeat", _REPEAT),
        "code": Element("code", CODEABLE_CONCEPT),
    },
)

ATTACHMENT = Mapping(
    records.Attachment,
    {
        **_ID,
        "content_type": Element("contentType", STRING),
        "language": Element("language", STRING),
        "data": Element("data", STRING),
        "url": Element("url", STRING),
        "size": Element("size", INTEGER),
        "hash": Element("hash", STRING),
        "title": Element("title", STRING),
        "creation": Element("creation", STRING),
    },
)
