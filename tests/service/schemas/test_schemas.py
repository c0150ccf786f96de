"""Record JSON: strict, whole, and wrong in all places at once."""

from decimal import Decimal
from typing import Any

import pytest
from marshmallow import fields

from fhir_mappings import exact_json, records
from fhir_mappings.exact_json import Tree
from service import schemas
from service.errors import InvalidInput
from service.schemas.generated import schema_of

SUBJECT = {"reference": "Patient/1"}


def goal(**members: Any) -> Tree:
    return {"type": "Goal", "status": "active", "statement": "Walk", "subject": SUBJECT, **members}


def paths(obj: Any) -> list[str]:
    with pytest.raises(InvalidInput) as refused:
        schemas.load(obj)
    return [finding.path for finding in refused.value.findings]


def test_a_record_comes_back_as_it_went_in() -> None:
    said = exact_json.parse(
        """{"type":"Goal","id":"g","identifiers":[{"system":"urn:x","value":"1"}],"status":"active",
        "statement":"Walk","subject":{"reference":"Patient/1"},
        "targets":[{"key":3,"measure":{"codings":[{"system":"l","code":"1"}]},
          "detail":{"Quantity":{"value":7.50,"comparator":"<","unit":"km"}},"due":{"date":"2026-01"}},
          {"measure":{"text":"x"},"detail":{"boolean":false}},{"measure":{"text":"y"},"detail":{"integer":0}}],
        "notes":[{"author":{"Reference":{"reference":"Patient/1"}},"text":"hi"}]}"""
    )
    record = schemas.load(said)
    assert isinstance(record, records.Goal)
    assert record.targets[0].detail == records.Choice(
        "Quantity", records.Quantity(value=Decimal("7.5"), comparator="<", unit="km")
    )
    assert exact_json.dump(schemas.dump(record)) == exact_json.dump(said)


def test_answers_nest_as_deep_as_they_are() -> None:
    answers = {
        "type": "QuestionnaireResponse",
        "status": "completed",
        "items": [
            {
                "link_id": "1",
                "items": [
                    {
                        "link_id": "1.1",
                        "answers": [
                            {"value": {"Coding": {"code": "a"}}, "items": [{"link_id": "1.1.1"}]},
                            {"value": {"dateTime": "2026-11"}},
                        ],
                    }
                ],
            }
        ],
    }
    assert schemas.dump(schemas.load(answers)) == answers


def care_plan(obj: Tree) -> records.CarePlan:
    record = schemas.load(obj)
    assert isinstance(record, records.CarePlan)
    return record


def test_a_field_at_its_default_is_left_out_and_null_says_that_there_is_none() -> None:
    plan = {"type": "CarePlan", "subject": SUBJECT}
    assert care_plan(plan).intent is records.CarePlanIntent.PLAN
    assert schemas.dump(schemas.load({**plan, "intent": "plan", "goals": []})) == plan
    assert care_plan({**plan, "intent": None}).intent is None
    assert schemas.dump(schemas.load({**plan, "intent": None})) == {**plan, "intent": None}


@pytest.mark.parametrize(
    ("obj", "path"),
    [
        ([], ""),
        ("Goal", ""),
        ({}, "type"),
        ({"type": "Patient"}, "type"),
        ({"type": ["Goal"]}, "type"),
        ({"type": "Goal"}, "Goal.subject"),
        (goal(status="doing"), "Goal.status"),
        (goal(status=["active"]), "Goal.status"),
        (goal(statement=5), "Goal.statement"),
        (goal(statement=["Walk"]), "Goal.statement"),
        (goal(subject=None), "Goal.subject"),
        (goal(subject="Patient/1"), "Goal.subject"),
        (goal(targets={}), "Goal.targets"),
        (goal(targets=[None]), "Goal.targets[0]"),
        (goal(targets=[{"key": True}]), "Goal.targets[0].key"),
        (goal(targets=[{"key": 1.0}]), "Goal.targets[0].key"),
        (goal(targets=[{"detail": 5}]), "Goal.targets[0].detail"),
        (goal(targets=[{"detail": {}}]), "Goal.targets[0].detail"),
        (goal(targets=[{"detail": {"integer": 1, "string": "1"}}]), "Goal.targets[0].detail"),
        (goal(targets=[{"detail": {"Money": {}}}]), "Goal.targets[0].detail.Money"),
        (goal(targets=[{"detail": {"dateTime": "2026"}}]), "Goal.targets[0].detail.dateTime"),
        (goal(targets=[{"detail": {"integer": True}}]), "Goal.targets[0].detail.integer"),
        (goal(targets=[{"detail": {"integer": "5"}}]), "Goal.targets[0].detail.integer"),
        (goal(targets=[{"detail": {"boolean": 1}}]), "Goal.targets[0].detail.boolean"),
        (goal(targets=[{"detail": {"boolean": None}}]), "Goal.targets[0].detail.boolean"),
        (goal(targets=[{"detail": {"Quantity": {"value": "5"}}}]), "Goal.targets[0].detail.Quantity.value"),
        (goal(targets=[{"detail": {"Quantity": {"value": 5.5}}}]), "Goal.targets[0].detail.Quantity.value"),
        (goal(targets=[{"detail": {"Quantity": {"value": True}}}]), "Goal.targets[0].detail.Quantity.value"),
        (goal(feeling="good"), "Goal.feeling"),
        (goal(_schema="good"), "Goal"),
        (goal(targets=[{"measure": {"coding": []}}]), "Goal.targets[0].measure.coding"),
        (
            goal(targets=[{"measure": {"codings": [{}, {"system": 5}]}}]),
            "Goal.targets[0].measure.codings[1].system",
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_path(obj: Any, path: str) -> None:
    assert paths(obj) == [path]


def test_all_wrong_fields_are_named_at_once() -> None:
    wrong = goal(status="doing", statement=5, mood="low", targets=[{"key": "a"}, {"due": {"date": 1}}])
    assert sorted(paths(wrong)) == [
        "Goal.mood",
        "Goal.statement",
        "Goal.status",
        "Goal.targets[0].key",
        "Goal.targets[1].due.date",
    ]


def test_no_value_is_repeated_in_what_is_said_about_it() -> None:
    with pytest.raises(InvalidInput) as refused:
        schemas.load(goal(status="SEEDED", targets=[{"detail": {"integer": "SEEDED"}}], statement=["SEEDED"]))
    assert len(refused.value.findings) == 3
    assert "SEEDED" not in str(refused.value) + str(refused.value.findings)


@pytest.mark.parametrize("made", [*schemas.RECORD_TYPES.values(), records.Timing, records.Attachment])
def test_every_field_of_every_part_has_a_field_of_its_own(made: type[Any]) -> None:
    schema = schema_of(made)
    declared = set(made.__dataclass_fields__) | ({"type"} & set(schema.fields))
    assert set(schema.fields) == declared
    assert not any(type(field) is fields.Raw for field in schema.fields.values())
