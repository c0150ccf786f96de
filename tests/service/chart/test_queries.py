"""Records are found by what they are about."""

from datetime import timedelta
from typing import Any

import pytest

from service.chart import Chart
from service.chart.queries import RecordQuery
from service.errors import InvalidInput
from tests import builders
from tests.clock import START, Clock
from tests.databases import patient


@pytest.fixture
def filled(chart: Chart, clock: Clock) -> Chart:
    """Two patients: goal-0 to goal-3 one minute apart, and answers to two versions of a form."""
    one, two = patient(chart), patient(chart, "2")
    for number in range(4):
        identifier = [{"system": "https://a.example", "value": str(number)}, {"value": "bare"}]
        status = "active" if number % 2 else "on-hold"
        tree = builders.goal(one if number < 3 else two, lifecycleStatus=status, identifier=identifier)
        chart.create(tree, "nurse", record_id=f"goal-{number}")
        clock.advance(seconds=60)
    for version in ("|1", "|2", ""):
        tree = builders.questionnaire_response(one, questionnaire=f"https://q.example/form{version}")
        chart.create(tree, "nurse", record_id=f"answers{version.replace('|', '-')}")
        clock.advance(seconds=60)
    chart.create(builders.questionnaire(url="https://q.example/form", version="2"), "nurse", record_id="form")
    return chart


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, [0, 1, 2, 3]),
        ({"ids": ["goal-2", "goal-1", "nothing"]}, [1, 2]),
        ({"ids": []}, []),
        ({"status": "on-hold"}, [0, 2]),
        ({"identifier": ("https://a.example", "3")}, [3]),
        ({"identifier": (None, "3")}, [3]),
        ({"identifier": ("https://b.example", "3")}, []),
        ({"identifier": ("", "bare")}, [0, 1, 2, 3]),
        ({"identifier": ("https://a.example", "bare")}, []),
        ({"updated_since": START + timedelta(seconds=60)}, [1, 2, 3]),
        ({"updated_before": START + timedelta(seconds=60)}, [0]),
        ({"status": "active", "updated_since": START + timedelta(seconds=61)}, [3]),
        ({"patient": "nobody"}, []),
    ],
)
def test_goals_are_found(filled: Chart, asked: dict[str, Any], found: list[int]) -> None:
    page = filled.find(RecordQuery(resource_type="Goal", **asked))
    assert [entry.id for entry in page.entries] == [f"goal-{number}" for number in found]
    assert (page.total, page.next_after) == (len(found), None)


def test_a_patients_own_records_are_found(filled: Chart) -> None:
    page = filled.find(RecordQuery(resource_type="Goal", patient=patient(filled, "2")))
    assert [entry.id for entry in page.entries] == ["goal-3"]


@pytest.mark.parametrize(
    ("kind", "questionnaire", "found"),
    [
        ("QuestionnaireResponse", "https://q.example/form", ["answers-1", "answers-2", "answers"]),
        ("QuestionnaireResponse", "https://q.example/form|2", ["answers-2"]),
        ("QuestionnaireResponse", "https://q.example/fo", []),
        ("Questionnaire", "https://q.example/form|2", ["form"]),
        ("Questionnaire", "https://q.example/form|1", []),
    ],
)
def test_answers_are_found_by_form(filled: Chart, kind: str, questionnaire: str, found: list[str]) -> None:
    page = filled.find(RecordQuery(resource_type=kind, questionnaire=questionnaire))
    assert [entry.id for entry in page.entries] == found


def test_a_record_that_changes_between_pages_is_neither_lost_nor_shown_twice(filled: Chart) -> None:
    first = filled.find(RecordQuery(resource_type="Goal", limit=2))
    assert ([entry.id for entry in first.entries], first.total) == (["goal-0", "goal-1"], 4)
    filled.withdraw("goal-0", "nurse")
    second = filled.find(RecordQuery(resource_type="Goal", limit=2, after=first.next_after))
    assert ([entry.id for entry in second.entries], second.next_after) == (["goal-2", "goal-3"], None)


def test_a_page_after_nothing_is_refused(filled: Chart) -> None:
    with pytest.raises(InvalidInput):
        filled.find(RecordQuery(resource_type="Goal", after="nothing"))


def test_an_identifier_that_was_dropped_finds_no_more(filled: Chart) -> None:
    tree = filled.get("Goal", "goal-3").tree
    filled.replace("goal-3", {**tree, "identifier": tree["identifier"][1:]}, "nurse")
    assert filled.find(RecordQuery(resource_type="Goal", identifier=("https://a.example", "3"))).entries == ()
