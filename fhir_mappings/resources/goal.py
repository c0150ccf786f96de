"""Self-management goal <-> FHIR Goal (https://hl7.org/fhir/R4/goal.html), US Core 6.1 and PCO 1.0 shape."""

from fhir_mappings import codes, records
from fhir_mappings.lens.elements import Element, Within
from fhir_mappings.lens.extensions import Extension, ExtensionItems
from fhir_mappings.lens.lists import Each, Items
from fhir_mappings.lens.mapping import Mapping
from fhir_mappings.lens.resource import ResourceMapping
from fhir_mappings.resources.datatypes import (
    ANNOTATION,
    BOOLEAN,
    CODEABLE_CONCEPT,
    CODING,
    IDENTIFIER,
    INTEGER,
    QUANTITY,
    RANGE,
    RATIO,
    REFERENCE,
    STRING,
    Code,
    choice,
)

TARGET = Mapping(
    records.Target,
    {
        "id": Element("id", STRING),
        "measure": Element("measure", CODEABLE_CONCEPT),
        "detail": choice(
            "detail",
            Quantity=QUANTITY,
            Range=RANGE,
            CodeableConcept=CODEABLE_CONCEPT,
            string=STRING,
            boolean=BOOLEAN,
            integer=INTEGER,
            Ratio=RATIO,
        ),
        "due": choice("due", date=STRING, Duration=QUANTITY),
    },
)

MILESTONE = Mapping(
    records.Milestone,
    {
        "id": Element("id", STRING),
        "statement": Extension("statement", "string", STRING),
        "due": Extension("due", "date", STRING),
        "reached": Extension("reached", "date", STRING),
    },
    start={"url": codes.MILESTONE},
)

GOAL = ResourceMapping(
    records.Goal,
    "Goal",
    {
        "id": Element("id", STRING),
        "why_it_matters": Extension(codes.WHY_IT_MATTERS, "string", STRING),
        "milestones": ExtensionItems(codes.MILESTONE, MILESTONE),
        "identifiers": Each("identifier", IDENTIFIER),
        "status": Element("lifecycleStatus", Code(records.GoalStatus)),
        "achievement": Element("achievementStatus", CODEABLE_CONCEPT),
        "categories": Each("category", CODEABLE_CONCEPT),
        "priority": Element("priority", CODEABLE_CONCEPT),
        "statement_id": Within("description", Element("id", STRING)),
        "statement_codes": Within("description", Each("coding", CODING)),
        "statement": Within("description", Element("text", STRING)),
        "subject": Element("subject", REFERENCE),
        "start": choice("start", date=STRING, CodeableConcept=CODEABLE_CONCEPT),
        "targets": Items("target", TARGET, natural=lambda target: target.measure),
        "status_date": Element("statusDate", STRING),
        "status_reason": Element("statusReason", STRING),
        "expressed_by": Element("expressedBy", REFERENCE),
        "addresses": Each("addresses", REFERENCE),
        "notes": Each("note", ANNOTATION),
        "outcome_codes": Each("outcomeCode", CODEABLE_CONCEPT),
        "outcomes": Each("outcomeReference", REFERENCE),
    },
)
