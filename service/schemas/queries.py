"""The query parameters of lists; a query is text, so here numbers are read from it."""

from datetime import datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from service.moments import in_utc
from service.sync.states import State

#: The longest value that any of our columns holds sensibly.
_SHORT = validate.Length(min=1, max=500)

MOST_PER_PAGE = 200


class Instant(fields.AwareDateTime):
    """A moment with its offset, or a whole day (UTC), as a moment in UTC."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        text = f"{value}T00:00:00Z" if isinstance(value, str) and len(value) == 10 else value
        try:
            # In a query, "+" stands for a space.
            return in_utc(super()._deserialize(text.replace(" ", "+"), attr, data, **kwargs))
        except ValidationError:
            raise ValidationError("must be a date, or a date and time with offset") from None


class PageQuery(Schema):
    """Which page of a list."""

    limit = fields.Integer(
        load_default=50,
        validate=validate.Range(1, MOST_PER_PAGE),
        metadata={"description": "Items per page."},
    )
    after = fields.String(
        load_default=None,
        allow_none=False,
        validate=_SHORT,
        metadata={"description": "Where the page before ended, from `next`."},
    )


class RecordQuery(PageQuery):
    """Which records of one noun."""

    status = fields.String(load_default=None, allow_none=False, validate=_SHORT)
    identifier = fields.String(
        load_default=None,
        allow_none=False,
        validate=_SHORT,
        metadata={"description": "`system|value`, or a value alone."},
    )
    updated_since = Instant(
        load_default=None, allow_none=False, metadata={"description": "Changed at or after this moment."}
    )


class PatientRecordQuery(RecordQuery):
    """Which records of one noun, of whom."""

    patient = fields.String(
        load_default=None,
        allow_none=False,
        validate=_SHORT,
        metadata={"description": "Our id of the patient."},
    )


class AnswersQuery(PatientRecordQuery):
    """Which answers, to which questionnaire."""

    questionnaire = fields.String(
        load_default=None,
        allow_none=False,
        validate=_SHORT,
        metadata={"description": "`url` or `url|version`."},
    )


class QuestionnaireQuery(RecordQuery):
    """Which questionnaires."""

    url = fields.String(
        load_default=None,
        allow_none=False,
        validate=_SHORT,
        metadata={"description": "`url` or `url|version`."},
    )


class SyncQuery(PageQuery):
    """Which records' states, on which server."""

    connection = fields.String(load_default=None, allow_none=False, validate=_SHORT)
    state = fields.String(
        load_default=None,
        allow_none=False,
        validate=validate.OneOf([state.value for state in State]),
    )
    patient = fields.String(load_default=None, allow_none=False, validate=_SHORT)


class ConnectionQuery(Schema):
    """Of which server, or of all."""

    connection = fields.String(load_default=None, allow_none=False, validate=_SHORT)


class PatientQuery(PageQuery):
    """Which patients."""

    identifier = fields.String(
        load_default=None, allow_none=False, validate=_SHORT, metadata={"description": "`system|value`."}
    )


class ConflictQuery(PageQuery):
    """Which conflicts: the open ones, or those that were decided."""

    resolved = fields.Boolean(load_default=False)
    connection = fields.String(load_default=None, allow_none=False, validate=_SHORT)
