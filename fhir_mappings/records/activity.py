"""Activity: something to do between visits, such as a graded step, a breathing exercise, a flare step."""

from dataclasses import dataclass
from enum import StrEnum

from fhir_mappings.records.datatypes import (
    Annotation,
    Choice,
    CodeableConcept,
    Identifier,
    Reference,
)


class ActivityStatus(StrEnum):
    """Where the activity is in its life."""

    DRAFT = "draft"
    ACTIVE = "active"
    ON_HOLD = "on-hold"
    REVOKED = "revoked"
    COMPLETED = "completed"
    ENTERED_IN_ERROR = "entered-in-error"
    UNKNOWN = "unknown"


class ActivityIntent(StrEnum):
    """How binding the activity is."""

    PROPOSAL = "proposal"
    PLAN = "plan"
    DIRECTIVE = "directive"
    ORDER = "order"
    ORIGINAL_ORDER = "original-order"
    REFLEX_ORDER = "reflex-order"
    FILLER_ORDER = "filler-order"
    INSTANCE_ORDER = "instance-order"
    OPTION = "option"


@dataclass(frozen=True, kw_only=True)
class Activity:
    """An activity that a plan refers to (FHIR ServiceRequest).

    goals: the goals that it serves. based_on: the step before it.
    quantity: ``Choice`` of Quantity, Ratio, Range.
    occurrence: ``Choice`` of dateTime, Period, Timing.
    as_needed: ``Choice`` of boolean or CodeableConcept (the trigger).
    do_not_perform: it is to be left out.
    """

    id: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    based_on: tuple[Reference, ...] = ()
    status: ActivityStatus | None = None
    intent: ActivityIntent | None = ActivityIntent.PLAN
    categories: tuple[CodeableConcept, ...] = ()
    priority: str | None = None
    do_not_perform: bool | None = None
    code: CodeableConcept | None = None
    quantity: Choice | None = None
    subject: Reference
    occurrence: Choice | None = None
    as_needed: Choice | None = None
    authored_on: str | None = None
    requester: Reference | None = None
    performers: tuple[Reference, ...] = ()
    reason_codes: tuple[CodeableConcept, ...] = ()
    reason_references: tuple[Reference, ...] = ()
    goals: tuple[Reference, ...] = ()
    notes: tuple[Annotation, ...] = ()
    patient_instruction: str | None = None
