"""Goal: what a person wants to be able to do, in their own words, and why it matters to them."""

from dataclasses import dataclass, field
from enum import StrEnum

from fhir_mappings.records.datatypes import (
    Annotation,
    Choice,
    CodeableConcept,
    Coding,
    Identifier,
    Reference,
)


class GoalStatus(StrEnum):
    """Where the goal is in its life; not whether it was achieved."""

    PROPOSED = "proposed"
    PLANNED = "planned"
    ACCEPTED = "accepted"
    ACTIVE = "active"
    ON_HOLD = "on-hold"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    ENTERED_IN_ERROR = "entered-in-error"
    REJECTED = "rejected"


@dataclass(frozen=True, kw_only=True)
class Target:
    """How one can tell that the goal is reached, and by when.

    detail: ``Choice`` of Quantity, Range, CodeableConcept, string, boolean, integer, Ratio;
        it needs a ``measure`` (invariant gol-1).
    due: ``Choice`` of date or Duration.
    """

    key: int | None = field(default=None, compare=False)
    id: str | None = None
    measure: CodeableConcept | None = None
    detail: Choice | None = None
    due: Choice | None = None


@dataclass(frozen=True, kw_only=True)
class Milestone:
    """A step on the way that the person can notice.

    due: FHIR date by which it is hoped for. reached: FHIR date on which it was.
    """

    key: int | None = field(default=None, compare=False)
    id: str | None = None
    statement: str | None = None
    due: str | None = None
    reached: str | None = None


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A value-based goal (key point P1).

    achievement: how far it is reached; never derived from ``status``, nor the other way.
    statement: the goal in the person's own words; statement_codes say it in codes,
        and statement_id is that element's own id.
    start: ``Choice`` of date or CodeableConcept.
    status_date: FHIR date since which status and achievement hold.
    """

    id: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    status: GoalStatus | None = None
    achievement: CodeableConcept | None = None
    categories: tuple[CodeableConcept, ...] = ()
    priority: CodeableConcept | None = None
    statement_id: str | None = None
    statement: str | None = None
    statement_codes: tuple[Coding, ...] = ()
    why_it_matters: str | None = None
    subject: Reference
    start: Choice | None = None
    targets: tuple[Target, ...] = ()
    milestones: tuple[Milestone, ...] = ()
    status_date: str | None = None
    status_reason: str | None = None
    expressed_by: Reference | None = None
    addresses: tuple[Reference, ...] = ()
    notes: tuple[Annotation, ...] = ()
    outcome_codes: tuple[CodeableConcept, ...] = ()
    outcomes: tuple[Reference, ...] = ()
