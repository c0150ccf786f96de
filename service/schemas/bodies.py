"""Bodies that are no records: patients, connections, acts on the synchronisation, translation."""

from typing import Any

from marshmallow import INCLUDE, RAISE, Schema, ValidationError, fields, validate

from service import base_urls
from service.sync.moved_decision import MovedDecision
from service.sync.server.connection_rules import BASE_URL_PROBLEM, NAME, NAME_PROBLEM


def _name(text: str) -> None:
    if NAME.fullmatch(text) is None:
        raise ValidationError(NAME_PROBLEM)


def _base_url(text: str) -> None:
    if base_urls.parse(text) is None:
        raise ValidationError(BASE_URL_PROBLEM)


_WORD = validate.Length(min=1, max=500)


class Tree(fields.Dict):
    """A JSON object as it is: a FHIR resource, or a record that is read later."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if type(value) is not dict:
            raise ValidationError("must be an object")
        return value


class StrictSchema(Schema):
    """A body whose unknown fields are refused."""

    error_messages = {"unknown": "is not a field", "type": "must be an object"}

    class Meta:
        unknown = RAISE


class Word(fields.String):
    """A string that is neither empty nor endless."""

    default_error_messages = {
        "required": "is required",
        "null": "must not be null",
        "invalid": "must be a string",
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(validate=_WORD, **options)


class PatientIdentifierSchema(StrictSchema):
    """What a patient is called in one system."""

    system = Word(required=True)
    value = Word(required=True)


class AddedIdentifierSchema(PatientIdentifierSchema):
    """One more thing that a patient is called; also: a second value in one system is meant."""

    also = fields.Boolean(load_default=False)


class CorrectedIdentifierSchema(StrictSchema):
    """An identifier and what it should have been."""

    identifier = fields.Nested(PatientIdentifierSchema, required=True)
    corrected = fields.Nested(PatientIdentifierSchema, required=True)
    also = fields.Boolean(load_default=False)


class MergeSchema(StrictSchema):
    """The patient who stays."""

    into = Word(required=True)


class MatchSchema(StrictSchema):
    """Which Patient there, on which server."""

    connection = Word(required=True)
    server_id = Word(required=True)


class MovedDecisionSchema(StrictSchema):
    """What becomes of a copy that is another patient's there by now."""

    connection = Word(required=True)
    decision = fields.String(
        required=True, validate=validate.OneOf([decision.value for decision in MovedDecision])
    )


class NewPatientSchema(StrictSchema):
    """A patient to register; also: two values in one system are meant."""

    type = fields.String(validate=validate.Equal("Patient"), metadata={"enum": ["Patient"]})
    identifiers = fields.List(
        fields.Nested(PatientIdentifierSchema), required=True, validate=validate.Length(min=1, max=50)
    )
    also = fields.Boolean(load_default=False)


class PatientSchema(StrictSchema):
    """A registered patient; all that is kept here of a person."""

    type = fields.String(validate=validate.Equal("Patient"), metadata={"enum": ["Patient"]})
    id = Word(required=True)
    identifiers = fields.List(fields.Nested(PatientIdentifierSchema), required=True)
    merged_into = Word(metadata={"description": "The patient who turned out to be the same person."})
    set_aside = fields.Integer(
        metadata={"description": "Records that wait, shown to nobody, for a decision."}
    )


class TranslationSchema(StrictSchema):
    """One of the two forms; ``onto``: the original that an edited record came from."""

    resource = Tree()
    record = Tree()
    onto = Tree()


class ResolutionSchema(StrictSchema):
    """How a conflict ends: one side as it is, or a record that a person made of both."""

    keep = fields.String(validate=validate.OneOf(["here", "there"]))
    record = Tree()


class RunSchema(StrictSchema):
    """What to do now, with which server."""

    direction = fields.String(
        load_default="both", validate=validate.OneOf(["push", "pull", "both", "compare"])
    )
    connection = Word(load_default=None)


class NewConnectionSchema(StrictSchema):
    """A FHIR server to keep in step.

    No token file here: who could name any file over HTTP could have it sent to a server of theirs.
    """

    name = fields.String(required=True, validate=_name, metadata={"pattern": f"^{NAME.pattern}$"})
    base_url = fields.String(required=True, validate=_base_url, metadata={"format": "uri"})


class FHIRResource(Schema):
    """A FHIR resource, read as it is: what is wrong with it, the border guard says."""

    resourceType = fields.String(required=True)

    def load(self, data: Any, **_: Any) -> Any:
        if type(data) is not dict:
            raise ValidationError("must be an object")
        return data

    class Meta:
        unknown = INCLUDE
