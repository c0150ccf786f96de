"""Answers <-> FHIR QuestionnaireResponse (https://hl7.org/fhir/R4/questionnaireresponse.html)."""

from fhir_mappings import records
from fhir_mappings.lens.elements import Element
from fhir_mappings.lens.lists import Items
from fhir_mappings.lens.mapping import Mapping
from fhir_mappings.lens.resource import ResourceMapping
from fhir_mappings.resources.datatypes import (
    ATTACHMENT,
    BOOLEAN,
    CODING,
    DECIMAL,
    IDENTIFIER,
    INTEGER,
    QUANTITY,
    REFERENCE,
    STRING,
    Code,
    choice,
)

ITEM: Mapping[records.Item] = Mapping(
    records.Item,
    lambda: {
        "id": Element("id", STRING),
        "link_id": Element("linkId", STRING),
        "definition": Element("definition", STRING),
        "text": Element("text", STRING),
        "answers": Items("answer", ANSWER, natural=lambda answer: answer.value),
        "items": Items("item", ITEM, natural=lambda item: item.link_id),
    },
)

ANSWER: Mapping[records.Answer] = Mapping(
    records.Answer,
    {
        "id": Element("id", STRING),
        "value": choice(
            "value",
            boolean=BOOLEAN,
            decimal=DECIMAL,
            integer=INTEGER,
            date=STRING,
            dateTime=STRING,
            time=STRING,
            string=STRING,
            uri=STRING,
            Attachment=ATTACHMENT,
            Coding=CODING,
            Quantity=QUANTITY,
            Reference=REFERENCE,
        ),
        "items": Items("item", ITEM, natural=lambda item: item.link_id),
    },
)

QUESTIONNAIRE_RESPONSE = ResourceMapping(
    records.QuestionnaireResponse,
    "QuestionnaireResponse",
    {
        "id": Element("id", STRING),
        "identifier": Element("identifier", IDENTIFIER),
        "questionnaire": Element("questionnaire", STRING),
        "status": Element("status", Code(records.QuestionnaireResponseStatus)),
        "subject": Element("subject", REFERENCE),
        "authored": Element("authored", STRING),
        "author": Element("author", REFERENCE),
        "source": Element("source", REFERENCE),
        "items": Items("item", ITEM, natural=lambda item: item.link_id),
    },
)
