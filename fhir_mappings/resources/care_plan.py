"""Shared plan <-> FHIR CarePlan (https://hl7.org/fhir/R4/careplan.html), US Core 6.1 and PCO 1.0 shape."""

from typing import Any

from fhir_mappings import codes, records
from fhir_mappings.lens.elements import Element, Part
from fhir_mappings.lens.extensions import Extension, ExtensionItems
from fhir_mappings.lens.lists import Each, First, Items
from fhir_mappings.lens.mapping import Mapping
from fhir_mappings.lens.resource import ResourceMapping
from fhir_mappings.narrative import Section
from fhir_mappings.resources.datatypes import (
    ANNOTATION,
    BOOLEAN,
    CODEABLE_CONCEPT,
    IDENTIFIER,
    PERIOD,
    REFERENCE,
    STRING,
    TIMING,
    Code,
    choice,
)

DETAIL = Mapping(
    records.ActivityDetail,
    {
        "id": Element("id", STRING),
        "kind": Element("kind", STRING),
        "code": Element("code", CODEABLE_CONCEPT),
        "reason_codes": Each("reasonCode", CODEABLE_CONCEPT),
        "goals": Each("goal", REFERENCE),
        "status": Element("status", Code(records.ActivityDetailStatus)),
        "status_reason": Element("statusReason", CODEABLE_CONCEPT),
        "do_not_perform": Element("doNotPerform", BOOLEAN),
        "scheduled": choice("scheduled", Timing=TIMING, Period=PERIOD, string=STRING),
        "performers": Each("performer", REFERENCE),
        "description": Element("description", STRING),
    },
)

PLANNED_ACTIVITY = Mapping(
    records.PlannedActivity,
    {
        "id": Element("id", STRING),
        "outcome_codes": Each("outcomeCodeableConcept", CODEABLE_CONCEPT),
        "outcomes": Each("outcomeReference", REFERENCE),
        "progress": Each("progress", ANNOTATION),
        "reference": Element("reference", REFERENCE),
        "detail": Part("detail", DETAIL),
    },
)

_SEEK_HELP = Mapping(
    records.SeekHelp,
    {
        "id": Element("id", STRING),
        "when": Extension("when", "string", STRING),
        "why": Extension("why", "string", STRING),
    },
    start={"url": codes.SEEK_HELP},
)


def _says_kind(category: Any) -> bool:
    codings = category.get("coding") if isinstance(category, dict) else None
    return isinstance(codings, list) and any(
        isinstance(coding, dict) and coding.get("system") == codes.PLAN_KIND for coding in codings
    )


def _kind(categories: list[Any]) -> list[int]:
    return [index for index, category in enumerate(categories) if _says_kind(category)][:1]


def _other_categories(categories: list[Any]) -> list[int]:
    kind = _kind(categories)
    return [index for index in range(len(categories)) if index not in kind]


def _told(plan: records.CarePlan) -> Section:
    """Return what the narrative tells, the safety net first: some readers show nothing else."""
    safety_net = [
        f"{help_.when or ''}: {help_.why}" if help_.why else help_.when or "" for help_ in plan.seek_help
    ]
    return Section(
        plan.title or "Care plan",
        [plan.description or ""],
        [
            Section("When to seek help, and why", safety_net),
            Section("Goals", [goal.display or "" for goal in plan.goals]),
            Section("What we agreed to do", [_activity(activity) for activity in plan.activities]),
            Section("Notes", [note.text or "" for note in plan.notes]),
        ],
    )


def _activity(activity: records.PlannedActivity) -> str:
    if activity.reference is not None:
        return activity.reference.display or ""
    if activity.detail is None:
        return ""
    code = activity.detail.code
    told = activity.detail.description or (code.text if code else None) or ""
    return f"Do not: {told}" if activity.detail.do_not_perform and told else told


CARE_PLAN = ResourceMapping(
    records.CarePlan,
    "CarePlan",
    {
        "id": Element("id", STRING),
        "seek_help": ExtensionItems(codes.SEEK_HELP, _SEEK_HELP),
        "identifiers": Each("identifier", IDENTIFIER),
        "part_of": Each("partOf", REFERENCE),
        "status": Element("status", Code(records.CarePlanStatus)),
        "intent": Element("intent", Code(records.CarePlanIntent)),
        "kind": First("category", CODEABLE_CONCEPT, _kind),
        "categories": Each("category", CODEABLE_CONCEPT, _other_categories),
        "title": Element("title", STRING),
        "description": Element("description", STRING),
        "subject": Element("subject", REFERENCE),
        "period": Element("period", PERIOD),
        "created": Element("created", STRING),
        "author": Element("author", REFERENCE),
        "addresses": Each("addresses", REFERENCE),
        "goals": Each("goal", REFERENCE),
        "activities": Items("activity", PLANNED_ACTIVITY, natural=lambda activity: activity.reference),
        "notes": Each("note", ANNOTATION),
    },
    narrated=_told,
)
