"""Complete valid resources and records; a test states only what it is about."""

from typing import Any, TypeVar

from fhir_mappings.exact_json import Number, Tree
from fhir_mappings.records import Activity, CarePlan, Goal, QuestionnaireResponse
from fhir_mappings.resources import BY_RESOURCE_TYPE

R = TypeVar("R")

PATIENT = "patient-1"
CLINIC = "https://clinic.example/patients"


def _tree(base: Tree, changed: dict[str, Any]) -> Tree:
    """Return the base with elements replaced, or left out where None is given."""
    return {name: value for name, value in {**base, **changed}.items() if value is not None}


def subject(patient: str = PATIENT) -> Tree:
    return {"reference": f"Patient/{patient}"}


def goal(patient: str = PATIENT, **changed: Any) -> Tree:
    """A goal as a FHIR tree, with a target, a date and a code for its statement."""
    return _tree(
        {
            "resourceType": "Goal",
            "lifecycleStatus": "active",
            "description": {
                "coding": [{"system": "https://clinic.example/goals", "code": "garden"}],
                "text": "Dig the vegetable bed in spring",
            },
            "subject": subject(patient),
            "startDate": "2026-02-20",
            "target": [
                {
                    "measure": {"text": "Minutes of digging"},
                    "detailQuantity": {"value": Number("7.50"), "unit": "min"},
                    "dueDate": "2026-05",
                }
            ],
            "statusDate": "2026-02-20",
        },
        changed,
    )


def care_plan(patient: str = PATIENT, **changed: Any) -> Tree:
    """A shared plan as a FHIR tree."""
    return _tree(
        {
            "resourceType": "CarePlan",
            "status": "active",
            "intent": "plan",
            "category": [
                {
                    "coding": [
                        {
                            "system": "http://hl7.org/fhir/us/core/CodeSystem/careplan-category",
                            "code": "assess-plan",
                        }
                    ]
                }
            ],
            "title": "Moving again",
            "subject": subject(patient),
            "period": {"start": "2026-02-20"},
        },
        changed,
    )


def activity(patient: str = PATIENT, **changed: Any) -> Tree:
    """An activity as a FHIR tree."""
    return _tree(
        {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "plan",
            "code": {"text": "Ten minutes of walking, twice a day"},
            "subject": subject(patient),
            "authoredOn": "2026-02-20",
        },
        changed,
    )


def questionnaire_response(patient: str = PATIENT, **changed: Any) -> Tree:
    """Answers as a FHIR tree."""
    return _tree(
        {
            "resourceType": "QuestionnaireResponse",
            "questionnaire": "https://clinic.example/Questionnaire/readiness|1",
            "status": "completed",
            "subject": subject(patient),
            "authored": "2026-02-20T10:00:00+01:00",
            "item": [{"linkId": "1", "text": "How sure are you?", "answer": [{"valueInteger": 7}]}],
        },
        changed,
    )


def questionnaire(**changed: Any) -> Tree:
    """A form as a FHIR tree."""
    return _tree(
        {
            "resourceType": "Questionnaire",
            "url": "https://clinic.example/Questionnaire/readiness",
            "version": "1",
            "status": "active",
            "item": [{"linkId": "1", "text": "How sure are you?", "type": "integer"}],
        },
        changed,
    )


#: The FHIR trees of everything that is about a patient, by resource type.
TREES = {
    "Goal": goal,
    "CarePlan": care_plan,
    "ServiceRequest": activity,
    "QuestionnaireResponse": questionnaire_response,
}


def goal_record(patient: str = PATIENT, **changed: Any) -> Goal:
    """The record that ``goal`` says; changed are elements of the tree."""
    return _record_of(Goal, goal(patient, **changed))


def care_plan_record(patient: str = PATIENT, **changed: Any) -> CarePlan:
    """The record that ``care_plan`` says; changed are elements of the tree."""
    return _record_of(CarePlan, care_plan(patient, **changed))


def activity_record(patient: str = PATIENT, **changed: Any) -> Activity:
    """The record that ``activity`` says; changed are elements of the tree."""
    return _record_of(Activity, activity(patient, **changed))


def questionnaire_response_record(patient: str = PATIENT, **changed: Any) -> QuestionnaireResponse:
    """The record that ``questionnaire_response`` says; changed are elements of the tree."""
    return _record_of(QuestionnaireResponse, questionnaire_response(patient, **changed))


def _record_of(kind: type[R], tree: Tree) -> R:
    made = record(tree)
    assert isinstance(made, kind)
    return made


def record(tree: Tree) -> Any:
    return BY_RESOURCE_TYPE[tree["resourceType"]].read(tree)
