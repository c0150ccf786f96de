"""QuestionnaireResponse: what a person answered, to which version of which questionnaire."""

from dataclasses import dataclass, field
from enum import StrEnum

from fhir_mappings.records.datatypes import Choice, Identifier, Reference


class QuestionnaireResponseStatus(StrEnum):
    """How far the answering has come."""

    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    AMENDED = "amended"
    ENTERED_IN_ERROR = "entered-in-error"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer, and the items that hang on it.

    value: ``Choice`` of boolean, decimal, integer, date, dateTime, time, string, uri,
        Attachment, Coding, Quantity, Reference.
    """

    key: int | None = field(default=None, compare=False)
    id: str | None = None
    value: Choice | None = None
    items: tuple["Item", ...] = ()


@dataclass(frozen=True, kw_only=True)
class Item:
    """A question with its answers, or a group of items; repeats share their link_id."""

    key: int | None = field(default=None, compare=False)
    id: str | None = None
    link_id: str | None = None
    definition: str | None = None
    text: str | None = None
    answers: tuple[Answer, ...] = ()
    items: tuple["Item", ...] = ()


@dataclass(frozen=True, kw_only=True)
class QuestionnaireResponse:
    """One person's answers.

    questionnaire: canonical of the form that was answered, pinned: ``url|version``.
    subject: whom the answers are about; author: who wrote them down; source: who gave them.
    """

    id: str | None = None
    identifier: Identifier | None = None
    questionnaire: str | None = None
    status: QuestionnaireResponseStatus | None = None
    subject: Reference | None = None
    authored: str | None = None
    author: Reference | None = None
    source: Reference | None = None
    items: tuple[Item, ...] = ()
