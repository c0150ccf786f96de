"""CarePlan: what a person and those who help them have agreed to do, and when to seek help."""

from dataclasses import dataclass, field
from enum import StrEnum

from fhir_mappings.records.datatypes import (
    Annotation,
    Choice,
    CodeableConcept,
    Identifier,
    Period,
    Reference,
)


class CarePlanStatus(StrEnum):
    """Where the plan is in its life."""

    DRAFT = "draft"
    ACTIVE = "active"
    ON_HOLD = "on-hold"
    REVOKED = "revoked"
    COMPLETED = "completed"
    ENTERED_IN_ERROR = "entered-in-error"
    UNKNOWN = "unknown"


class CarePlanIntent(StrEnum):
    """How binding the plan is."""

    PROPOSAL = "proposal"
    PLAN = "plan"
    ORDER = "order"
    OPTION = "option"


class ActivityDetailStatus(StrEnum):
    """How far an inline activity has come."""

    NOT_STARTED = "not-started"
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in-progress"
    ON_HOLD = "on-hold"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    UNKNOWN = "unknown"
    ENTERED_IN_ERROR = "entered-in-error"


@dataclass(frozen=True, kw_only=True)
class ActivityDetail:
    """An activity written into the plan itself, for servers that hold it nowhere else.

    kind: resource type that it stands for. scheduled: ``Choice`` of Timing, Period, string.
    do_not_perform: the activity is to be left out; a plan read without it says the opposite.
    """

    id: str | None = None
    kind: str | None = None
    code: CodeableConcept | None = None
    reason_codes: tuple[CodeableConcept, ...] = ()
    goals: tuple[Reference, ...] = ()
    status: ActivityDetailStatus | None = None
    status_reason: CodeableConcept | None = None
    do_not_perform: bool | None = None
    scheduled: Choice | None = None
    performers: tuple[Reference, ...] = ()
    description: str | None = None


@dataclass(frozen=True, kw_only=True)
class PlannedActivity:
    """One activity of a plan: a reference to an Activity record, or inline detail, never both."""

    key: int | None = field(default=None, compare=False)
    id: str | None = None
    outcome_codes: tuple[CodeableConcept, ...] = ()
    outcomes: tuple[Reference, ...] = ()
    progress: tuple[Annotation, ...] = ()
    reference: Reference | None = None
    detail: ActivityDetail | None = None


@dataclass(frozen=True, kw_only=True)
class SeekHelp:
    """Safety net: when to seek help, and why (key point E3)."""

    key: int | None = field(default=None, compare=False)
    id: str | None = None
    when: str | None = None
    why: str | None = None


@dataclass(frozen=True, kw_only=True)
class CarePlan:
    """A shared plan.

    kind: the category that says self-management or flare-up (``codes.PLAN_KIND``).
    categories: all others; US Core asks for ``codes.ASSESS_PLAN`` among them.
    part_of: the plan that this one belongs to; a flare-up plan belongs to the main one.
    """

    id: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    status: CarePlanStatus | None = None
    intent: CarePlanIntent | None = CarePlanIntent.PLAN
    kind: CodeableConcept | None = None
    categories: tuple[CodeableConcept, ...] = ()
    title: str | None = None
    description: str | None = None
    subject: Reference
    period: Period | None = None
    created: str | None = None
    author: Reference | None = None
    addresses: tuple[Reference, ...] = ()
    goals: tuple[Reference, ...] = ()
    part_of: tuple[Reference, ...] = ()
    activities: tuple[PlannedActivity, ...] = ()
    seek_help: tuple[SeekHelp, ...] = ()
    notes: tuple[Annotation, ...] = ()
