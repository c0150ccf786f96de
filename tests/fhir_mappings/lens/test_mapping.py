"""What an edit touches, and what it leaves as it was."""

import dataclasses
from typing import Any, get_args

import pytest

from fhir_mappings import codes, exact_json, records
from fhir_mappings.errors import MappingError
from fhir_mappings.exact_json import Tree
from fhir_mappings.resources import BY_RECORD_TYPE, BY_RESOURCE_TYPE

GOAL = BY_RESOURCE_TYPE["Goal"]
CARE_PLAN = BY_RESOURCE_TYPE["CarePlan"]
ACTIVITY = BY_RESOURCE_TYPE["ServiceRequest"]
ANSWERS = BY_RESOURCE_TYPE["QuestionnaireResponse"]

STEPS = {"coding": [{"system": "http://loinc.org", "code": "41950-7"}]}


def goal(**elements: Any) -> Tree:
    return {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "description": {"text": "Walk the dog"},
        "subject": {"reference": "Patient/1"},
        **elements,
    }


def edited(tree: Tree, **fields: Any) -> Tree:
    mapping = BY_RESOURCE_TYPE[tree["resourceType"]]
    return mapping.write(dataclasses.replace(mapping.read(tree), **fields), onto=tree)


@pytest.mark.parametrize("mapping", BY_RESOURCE_TYPE.values(), ids=lambda mapping: mapping.resource_type)
def test_a_mapping_declares_each_field_of_its_record_in_no_other_name(mapping: Any) -> None:
    assert mapping.fields.keys() == {field.name for field in dataclasses.fields(mapping.record)}


def test_every_record_has_one_mapping() -> None:
    assert BY_RECORD_TYPE.keys() == {record.__name__ for record in get_args(records.Record)}


def test_an_unedited_record_gives_back_the_original_itself() -> None:
    tree = goal(
        extension=[{"url": "urn:x", "valueDecimal": exact_json.Number("7.50")}], _startDate={"id": "a"}
    )
    assert GOAL.write(GOAL.read(tree), onto=tree) is tree


def test_an_edit_replaces_the_element_and_what_spoke_about_it() -> None:
    tree = goal(startDate="2026-01", _startDate={"extension": [{"url": "urn:x", "valueCode": "y"}]})
    after = edited(tree, start=records.Choice("date", "2026-02"))
    assert after == {key: value for key, value in tree.items() if key != "_startDate"} | {
        "startDate": "2026-02"
    }


@pytest.mark.parametrize("status_date", ["2026-03", None])
def test_what_spoke_about_an_old_primitive_goes_with_it(status_date: str | None) -> None:
    tree = goal(statusDate="2026-01", _statusDate={"extension": [{"url": "urn:x", "valueCode": "y"}]})
    after = edited(tree, status_date=status_date)
    assert after.get("statusDate") == status_date
    assert "_statusDate" not in after


def test_a_new_text_leaves_the_codes_beside_it_to_the_act_that_changes_it() -> None:
    coding = [{"system": "http://snomed.info/sct", "code": "1"}]
    tree = goal(description={"text": "Walk", "coding": coding})
    assert edited(tree, statement="Swim")["description"] == {"text": "Swim", "coding": coding}


def test_removing_one_of_three_like_targets_gives_its_extension_to_no_other() -> None:
    mark = [{"url": "urn:x", "valueString": "second"}]
    targets = [
        {"measure": STEPS, "detailInteger": 1},
        {"measure": STEPS, "detailInteger": 2, "extension": mark},
        {"measure": STEPS, "detailInteger": 3},
    ]
    tree = goal(target=targets)
    first, _, third = GOAL.read(tree).targets
    assert edited(tree, targets=(first, third))["target"] == [targets[0], targets[2]]


def test_an_edited_item_keeps_what_no_field_reads_wherever_it_moved() -> None:
    mark = [{"url": "urn:x", "valueString": "mine"}]
    tree = goal(
        target=[
            {"measure": STEPS, "detailInteger": 1},
            {"measure": STEPS, "detailInteger": 2, "extension": mark},
        ]
    )
    first, second = GOAL.read(tree).targets
    moved = dataclasses.replace(second, detail=records.Choice("integer", 5))
    assert edited(tree, targets=(moved, first))["target"] == [
        {"measure": STEPS, "detailInteger": 5, "extension": mark},
        {"measure": STEPS, "detailInteger": 1},
    ]


def test_two_items_with_one_id_keep_what_is_theirs() -> None:
    targets = [
        {"id": "t", "measure": STEPS, "extension": [{"url": "urn:x", "valueString": text}]}
        for text in ("a", "b")
    ]
    tree = goal(target=targets)
    first, second = GOAL.read(tree).targets
    due = records.Choice("date", "2027")
    after = edited(tree, targets=(first, dataclasses.replace(second, due=due)))
    assert after["target"] == [targets[0], {**targets[1], "dueDate": "2027"}]


def test_a_new_item_takes_over_nothing_of_the_one_it_replaces() -> None:
    tree = goal(target=[{"measure": STEPS, "extension": [{"url": "urn:x", "valueString": "old"}]}])
    new = records.Target(measure=records.CodeableConcept(text="Stairs"))
    assert edited(tree, targets=(new,))["target"] == [{"measure": {"text": "Stairs"}}]


def test_an_item_has_a_key_only_where_it_holds_something_unread() -> None:
    tree = goal(
        target=[
            {"measure": STEPS, "detailInteger": 1},
            {"measure": {**STEPS, "extension": [{"url": "urn:x", "valueCode": "c"}]}},
            {"id": "t3", "measure": STEPS, "_dueDate": {"id": "x"}},
        ]
    )
    assert [target.key for target in GOAL.read(tree).targets] == [None, 1, None]


def test_an_edited_reference_leaves_nothing_of_the_old_person_behind() -> None:
    tree = goal(
        expressedBy={"reference": "Patient/1", "display": "A", "extension": [{"url": "u", "valueCode": "c"}]}
    )
    after = edited(tree, expressed_by=records.Reference(reference="Practitioner/2"))
    assert after["expressedBy"] == {"reference": "Practitioner/2"}


def test_an_edited_value_leaves_its_neighbours_as_they_were() -> None:
    marked = {"text": "first", "extension": [{"url": "urn:x", "valueCode": "c"}]}
    tree = goal(note=[marked, {"text": "second"}])
    first, _ = GOAL.read(tree).notes
    after = edited(tree, notes=(records.Annotation(text="new"), first))
    assert after["note"] == [{"text": "new"}, marked]


def test_choosing_another_type_drops_the_old_one_with_its_sibling() -> None:
    tree = goal(target=[{"measure": STEPS, "detailString": "far", "_detailString": {"id": "s"}}])
    (target,) = GOAL.read(tree).targets
    after = edited(tree, targets=(dataclasses.replace(target, detail=records.Choice("boolean", True)),))
    assert after["target"] == [{"measure": STEPS, "detailBoolean": True}]


def test_an_integer_is_no_boolean() -> None:
    tree = goal(target=[{"measure": STEPS, "detailInteger": 1}])
    (target,) = GOAL.read(tree).targets
    assert target.detail != records.Choice("boolean", True)


def test_clearing_an_extension_leaves_those_of_others() -> None:
    other = {"url": "urn:other", "valueString": "x"}
    tree = goal(extension=[other, {"url": codes.WHY_IT_MATTERS, "valueString": "my grandchildren"}])
    assert edited(tree, why_it_matters=None)["extension"] == [other]


def test_clearing_an_extension_removes_all_that_its_reading_would_fall_back_to() -> None:
    twice = [{"url": codes.WHY_IT_MATTERS, "valueString": text} for text in ("a", "b")]
    assert "extension" not in edited(goal(extension=twice), why_it_matters=None)


def test_a_kind_that_could_not_be_told_from_another_category_is_refused() -> None:
    category = {"coding": [{"system": codes.PLAN_KIND, "code": "flare-up"}]}
    tree = {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "subject": {"reference": "Patient/1"},
        "category": [category, category],
    }
    with pytest.raises(MappingError, match=r"^CarePlan\.category"):
        edited(tree, kind=None)


@pytest.mark.parametrize(
    ("elements", "path"),
    [
        ({"modifierExtension": [{"url": "urn:not", "valueBoolean": True}]}, "Goal.modifierExtension[0]"),
        ({"implicitRules": "urn:rules"}, "Goal.implicitRules"),
    ],
)
def test_an_edit_under_an_unknown_modifier_is_refused_by_name(elements: Tree, path: str) -> None:
    tree = goal(**elements)
    assert GOAL.write(GOAL.read(tree), onto=tree) is tree
    with pytest.raises(MappingError) as refusal:
        edited(tree, statement="Swim")
    assert refusal.value.path == path


def test_an_edit_of_an_item_under_an_unknown_modifier_is_refused_and_of_its_neighbour_is_not() -> None:
    modifier = [{"url": "urn:not", "valueBoolean": True}]
    tree = goal(
        target=[{"measure": STEPS}, {"modifierExtension": modifier, "measure": STEPS, "dueDate": "2026"}]
    )
    first, second = GOAL.read(tree).targets
    due = records.Choice("date", "2027")
    assert (
        edited(tree, targets=(dataclasses.replace(first, due=due), second))["target"][0]["dueDate"] == "2027"
    )
    for targets in ((first, dataclasses.replace(second, due=due)), (first,)):
        with pytest.raises(MappingError, match=r"^Goal\.target\[1\]\.modifierExtension\[0\]"):
            edited(tree, targets=targets)


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ([], "Goal.resourceType"),
        ({"resourceType": "Patient"}, "Goal.resourceType"),
        (goal(target={}), "Goal.target"),
        (goal(target=["x"]), "Goal.target[0]"),
        (goal(target=[{"measure": {"coding": [{"code": 5}]}}]), "Goal.target[0].measure.coding[0].code"),
        (goal(lifecycleStatus="done"), "Goal.lifecycleStatus"),
        (goal(description="Walk"), "Goal.description"),
        (goal(category={"text": "x"}), "Goal.category"),
        (goal(target=[{"detailInteger": True}]), "Goal.target[0].detailInteger"),
        (goal(extension="x"), "Goal.extension"),
        (goal(extension=[{"url": codes.WHY_IT_MATTERS, "valueString": 1}]), "Goal.extension[0].valueString"),
    ],
)
def test_reading_refuses_another_structure_by_path(tree: Any, path: str) -> None:
    with pytest.raises(MappingError) as refusal:
        GOAL.read(tree)
    assert refusal.value.path == path


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"achievement": records.CodeableConcept()}, "Goal.achievementStatus"),
        ({"categories": (records.CodeableConcept(),)}, "Goal.category[0]"),
        ({"start": records.Choice("string", "soon")}, "Goal.start[x]"),
        ({"statement": 5}, "Goal.description.text"),
    ],
)
def test_writing_refuses_what_cannot_be_said_by_path(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(MappingError) as refusal:
        edited(goal(), **fields)
    assert refusal.value.path == path


def test_answers_nest_below_answers() -> None:
    tree = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "item": [
            {
                "linkId": "1",
                "answer": [
                    {"valueBoolean": True, "item": [{"linkId": "1.1", "answer": [{"valueDate": "2026"}]}]}
                ],
            },
            {"linkId": "g", "item": [{"linkId": "r", "text": "one"}, {"linkId": "r", "text": "two"}]},
        ],
    }
    record = ANSWERS.read(tree)
    assert record.items[0].answers[0].items[0].answers[0].value == records.Choice("date", "2026")
    assert ANSWERS.loss(tree) == []
    assert ANSWERS.write(record) == tree


def test_the_goals_that_an_activity_serves_live_in_the_standard_extension() -> None:
    record = records.Activity(
        status=records.ActivityStatus.ACTIVE,
        subject=records.Reference(reference="Patient/1"),
        goals=(records.Reference(reference="Goal/1"), records.Reference(reference="Goal/2")),
    )
    tree = ACTIVITY.write(record)
    assert [extension["valueReference"] for extension in tree["extension"]] == [
        {"reference": "Goal/1"},
        {"reference": "Goal/2"},
    ]
    assert ACTIVITY.read(tree) == record


def test_the_loss_report_names_each_unread_leaf_where_it_stands() -> None:
    tree = goal(
        meta={"profile": ["urn:p"]},
        target=[
            {"measure": STEPS, "extension": [{"url": "urn:x", "valueDecimal": exact_json.Number("7.50")}]}
        ],
        _startDate={"extension": [{"url": "urn:y", "valueCode": "z"}]},
    )
    assert GOAL.loss(tree) == [
        "Goal.meta.profile[0]",
        "Goal.target[0].extension[0].url",
        "Goal.target[0].extension[0].valueDecimal",
        "Goal._startDate.extension[0].url",
        "Goal._startDate.extension[0].valueCode",
    ]
