"""Our words: frozen records of self-management support, one file per noun.

A record says what a resource means. ``key`` on the items of a list is the handle by
which an edited item finds its original again; it is no part of what the item says.
"""

from fhir_mappings.records.activity import Activity, ActivityIntent, ActivityStatus
from fhir_mappings.records.care_plan import (
    ActivityDetail,
    ActivityDetailStatus,
    CarePlan,
    CarePlanIntent,
    CarePlanStatus,
    PlannedActivity,
    SeekHelp,
)
from fhir_mappings.records.datatypes import (
    Annotation,
    Attachment,
    Choice,
    CodeableConcept,
    Coding,
    Identifier,
    Period,
    Quantity,
    Range,
    Ratio,
    Reference,
    Timing,
    TimingRepeat,
)
from fhir_mappings.records.goal import Goal, GoalStatus, Milestone, Target
from fhir_mappings.records.questionnaire_response import (
    Answer,
    Item,
    QuestionnaireResponse,
    QuestionnaireResponseStatus,
)

Record = Goal | CarePlan | Activity | QuestionnaireResponse

__all__ = [
    "Activity",
    "ActivityDetail",
    "ActivityDetailStatus",
    "ActivityIntent",
    "ActivityStatus",
    "Annotation",
    "Answer",
    "Attachment",
    "CarePlan",
    "CarePlanIntent",
    "CarePlanStatus",
    "Choice",
    "CodeableConcept",
    "Coding",
    "Goal",
    "GoalStatus",
    "Identifier",
    "Item",
    "Milestone",
    "Period",
    "PlannedActivity",
    "Quantity",
    "QuestionnaireResponse",
    "QuestionnaireResponseStatus",
    "Range",
    "Ratio",
    "Record",
    "Reference",
    "SeekHelp",
    "Target",
    "Timing",
    "TimingRepeat",
]
