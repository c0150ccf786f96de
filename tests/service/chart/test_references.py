"""What a record refers to is kept here and belongs to the same patient."""

from typing import Any

import pytest

from fhir_mappings.exact_json import Tree
from service.chart import Chart
from service.errors import InvalidContent
from service.store.database import Database
from tests import builders
from tests.databases import contents, patient


def problems(chart: Chart, tree: Tree) -> dict[str, str]:
    with pytest.raises(InvalidContent) as refusal:
        chart.create(tree, "nurse")
    return {finding.path: finding.problem for finding in refusal.value.findings}


def test_another_patients_goal_is_refused_by_path(chart: Chart, database: Database) -> None:
    mine, other = patient(chart), patient(chart, "2")
    own = chart.create(builders.goal(mine), "nurse").id
    theirs = chart.create(builders.goal(other), "nurse").id
    before = contents(database)
    goals = [{"reference": f"Goal/{own}"}, {"reference": f"Goal/{theirs}"}, {"reference": "Goal/none"}]

    found = problems(chart, builders.care_plan(mine, goal=goals))

    assert found == {
        "CarePlan.goal[1]": "no such Goal of this patient is kept here",
        "CarePlan.goal[2]": "no such Goal of this patient is kept here",
    }
    assert contents(database) == before


def places(reference: Tree) -> list[tuple[Tree, str]]:
    extension = [{"url": "https://other.example/x", "valueReference": reference}]
    basic = {"resourceType": "Basic", "id": "b", "code": {"text": "x"}, "extension": extension}
    return [
        ({"partOf": [reference]}, "CarePlan.partOf[0]"),
        ({"activity": [{"reference": reference}]}, "CarePlan.activity[0].reference"),
        (
            {"activity": [{"detail": {"status": "scheduled", "goal": [reference]}}]},
            "CarePlan.activity[0].detail.goal[0]",
        ),
        ({"extension": extension}, "CarePlan.extension[0].valueReference"),
        (
            {"contained": [basic], "supportingInfo": [{"reference": "#b"}]},
            "CarePlan.contained[0].extension[0].valueReference",
        ),
    ]


@pytest.mark.parametrize("place", range(len(places({}))))
def test_a_reference_is_looked_at_wherever_it_stands(chart: Chart, place: int) -> None:
    mine, other = patient(chart), patient(chart, "2")
    kind = ["CarePlan", "ServiceRequest", "Goal", "Goal", "Goal"][place]
    theirs = chart.create(builders.TREES[kind](other), "nurse").id
    own = chart.create(builders.TREES[kind](mine), "nurse").id

    changed, path = places({"reference": f"{kind}/{theirs}/_history/1"})[place]
    assert list(problems(chart, builders.care_plan(mine, **changed))) == [path]

    changed, _ = places({"reference": f"{kind}/{own}"})[place]
    assert chart.create(builders.care_plan(mine, **changed), "nurse").version == 1


@pytest.mark.parametrize("act", ["replace", "edit"])
def test_a_change_is_held_to_the_same(chart: Chart, act: str) -> None:
    mine, other = patient(chart), patient(chart, "2")
    theirs = chart.create(builders.goal(other), "nurse").id
    plan = chart.create(builders.care_plan(mine), "nurse")
    changed = {**plan.tree, "goal": [{"reference": f"Goal/{theirs}"}]}
    given: Any = changed if act == "replace" else builders.record(changed)
    with pytest.raises(InvalidContent) as refusal:
        getattr(chart, act)(plan.id, given, "jo")
    assert refusal.value.findings[0].path == "CarePlan.goal[0]"
    assert chart.get("CarePlan", plan.id) == plan


def test_a_subject_is_found_by_identifier_and_filled_in(chart: Chart) -> None:
    mine = patient(chart)
    named = {"identifier": {"system": builders.CLINIC, "value": "1"}, "display": "Jo"}
    entry = chart.create(builders.goal(subject=named), "nurse")
    assert entry.patient_id == mine
    assert entry.tree["subject"] == {"reference": f"Patient/{mine}", **named}


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Patient/nobody"},
        {"reference": "https://other.example/fhir/Patient/1"},
        {"reference": "Group/1"},
        {"display": "Jo"},
        {"identifier": {"system": builders.CLINIC, "value": "9"}},
        {"identifier": {"value": "1"}},
    ],
)
def test_a_subject_who_is_not_registered_is_refused(chart: Chart, subject: Tree) -> None:
    patient(chart)
    assert list(problems(chart, builders.goal(subject=subject))) == ["Goal.subject"]


def test_a_record_stays_with_its_patient(chart: Chart) -> None:
    entry = chart.create(builders.goal(patient(chart)), "nurse")
    moved = {**entry.tree, "subject": builders.subject(patient(chart, "2"))}
    with pytest.raises(InvalidContent) as refusal:
        chart.replace(entry.id, moved, "jo")
    assert refusal.value.findings[0].path == "Goal.subject"


def test_another_patient_may_speak_but_not_be_spoken_about(chart: Chart) -> None:
    mine, parent = patient(chart), patient(chart, "2")
    assert chart.create(builders.goal(mine, expressedBy=builders.subject(parent)), "nurse").patient_id == mine
    inner = builders.goal(parent, id="g")
    held = builders.care_plan(mine, contained=[inner], goal=[{"reference": "#g"}])
    assert list(problems(chart, held)) == ["CarePlan.contained[0].subject"]
    unknown = builders.goal(mine, expressedBy={"reference": "Patient/nobody"})
    assert list(problems(chart, unknown)) == ["Goal.expressedBy"]


def test_what_lives_elsewhere_is_not_looked_for_here(chart: Chart) -> None:
    elsewhere = [
        {"reference": "https://other.example/fhir/Goal/1"},
        {"identifier": {"system": "https://other.example", "value": "1"}},
    ]
    assert chart.create(builders.care_plan(patient(chart), goal=elsewhere), "nurse").version == 1
