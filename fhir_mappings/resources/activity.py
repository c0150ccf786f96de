"""Activity <-> FHIR ServiceRequest (https://hl7.org/fhir/R4/servicerequest.html), US Core 6.1 shape."""

from fhir_mappings import codes, records
from fhir_mappings.lens.elements import Element
from fhir_mappings.lens.extensions import Extensions
from fhir_mappings.lens.lists import Each
from fhir_mappings.lens.resource import ResourceMapping
from fhir_mappings.resources.datatypes import (
    ANNOTATION,
    BOOLEAN,
    CODEABLE_CONCEPT,
    IDENTIFIER,
    PERIOD,
    QUANTITY,
    RANGE,
    RATIO,
    REFERENCE,
    STRING,
    TIMING,
    Code,
    choice,
)

ACTIVITY = ResourceMapping(
    records.Activity,
    "ServiceRequest",
    {
        "id": Element("id", STRING),
        "goals": Extensions(codes.PERTAINS_TO_GOAL, "Reference", REFERENCE),
        "identifiers": Each("identifier", IDENTIFIER),
        "based_on": Each("basedOn", REFERENCE),
        "status": Element("status", Code(records.ActivityStatus)),
        "intent": Element("intent", Code(records.ActivityIntent)),
        "categories": Each("category", CODEABLE_CONCEPT),
        "priority": Element("priority", STRING),
        "do_not_perform": Element("doNotPerform", BOOLEAN),
        "code": Element("code", CODEABLE_CONCEPT),
        "quantity": choice("quantity", Quantity=QUANTITY, Ratio=RATIO, Range=RANGE),
        "subject": Element("subject", REFERENCE),
        "occurrence": choice("occurrence", dateTime=STRING, Period=PERIOD, Timing=TIMING),
        "as_needed": choice("asNeeded", boolean=BOOLEAN, CodeableConcept=CODEABLE_CONCEPT),
        "authored_on": Element("authoredOn", STRING),
        "requester": Element("requester", REFERENCE),
        "performers": Each("performer", REFERENCE),
        "reason_codes": Each("reasonCode", CODEABLE_CONCEPT),
        "reason_references": Each("reasonReference", REFERENCE),
        "notes": Each("note", ANNOTATION),
        "patient_instruction": Element("patientInstruction", STRING),
    },
)
