"""The FHIR R4 datatypes that records are made of (https://hl7.org/fhir/R4/datatypes.html).

Names are those of the specification in Python's spelling. Dates and times are
kept as FHIR text, so that precision and offset survive; decimals keep their text.
Each has ``id``, the element's own id within its resource.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Choice:
    """A ``value[x]``: the FHIR type that was chosen, and the value of that type.

    type: the FHIR name as it ends the element's name, in its own spelling
        (``Quantity``, ``date``, ``CodeableConcept``).
    """

    type: str
    value: Any


@dataclass(frozen=True, kw_only=True)
class Period:
    """A span of time; an end with less precision includes all of it."""

    id: str | None = None
    start: str | None = None
    end: str | None = None


@dataclass(frozen=True, kw_only=True)
class Coding:
    """One code of one system; two are the same by system and code, never by display."""

    id: str | None = None
    system: str | None = None
    version: str | None = None
    code: str | None = None
    display: str | None = None
    user_selected: bool | None = None


@dataclass(frozen=True, kw_only=True)
class CodeableConcept:
    """A meaning, said as codes, as text, or as both."""

    id: str | None = None
    codings: tuple[Coding, ...] = ()
    text: str | None = None

    def code_in(self, system: str) -> str | None:
        """Return the first code of that system, if the concept has one."""
        return next((coding.code for coding in self.codings if coding.system == system), None)


@dataclass(frozen=True, kw_only=True)
class Identifier:
    """A business identifier: what a thing is called, whatever server holds it."""

    id: str | None = None
    use: str | None = None
    type: CodeableConcept | None = None
    system: str | None = None
    value: str | None = None
    period: Period | None = None
    assigner: "Reference | None" = None


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A pointer to another resource: patient, practitioner, related person, goal …

    It is relative (``Patient/1``), absolute (``https://…/Patient/1``), contained
    (``#1``), or logical (an identifier without a reference).
    """

    id: str | None = None
    reference: str | None = None
    type: str | None = None
    identifier: Identifier | None = None
    display: str | None = None


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A measured amount; ``comparator`` changes its meaning (``<`` 5 is not 5)."""

    id: str | None = None
    value: Decimal | int | None = None
    comparator: str | None = None
    unit: str | None = None
    system: str | None = None
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class Range:
    """From low to high, both included."""

    id: str | None = None
    low: Quantity | None = None
    high: Quantity | None = None


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A relation of two amounts."""

    id: str | None = None
    numerator: Quantity | None = None
    denominator: Quantity | None = None


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """A note, with who wrote it (``Choice`` of ``Reference`` or ``string``) and when."""

    id: str | None = None
    author: Choice | None = None
    time: str | None = None
    text: str | None = None


@dataclass(frozen=True, kw_only=True)
class TimingRepeat:
    """The rule of a Timing: how often, how long, when in the day or week.

    bounds: ``Choice`` of ``Duration``, ``Range`` or ``Period``.
    """

    id: str | None = None
    bounds: Choice | None = None
    count: int | None = None
    count_max: int | None = None
    duration: Decimal | int | None = None
    duration_max: Decimal | int | None = None
    duration_unit: str | None = None
    frequency: int | None = None
    frequency_max: int | None = None
    period: Decimal | int | None = None
    period_max: Decimal | int | None = None
    period_unit: str | None = None
    days_of_week: tuple[str | None, ...] = ()
    times_of_day: tuple[str | None, ...] = ()
    when: tuple[str | None, ...] = ()
    offset: int | None = None


@dataclass(frozen=True, kw_only=True)
class Timing:
    """When something happens: as moments, as a rule, or as a code."""

    id: str | None = None
    events: tuple[str | None, ...] = ()
    repeat: TimingRepeat | None = None
    code: CodeableConcept | None = None


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A document, in place (base64) or by URL."""

    id: str | None = None
    content_type: str | None = None
    language: str | None = None
    data: str | None = None
    url: str | None = None
    size: int | None = None
    hash: str | None = None
    title: str | None = None
    creation: str | None = None
