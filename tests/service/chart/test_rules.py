"""What follows from an edit."""

import dataclasses
from datetime import date
from typing import Any

import pytest

from fhir_mappings.records import CodeableConcept, Coding, GoalStatus
from service.chart import rules
from tests import builders

BEFORE = builders.goal_record()
TODAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("edit", "follows"),
    [
        ({"statement": "Walk"}, {"statement_codes": ()}),
        ({"statement": "Walk", "statement_codes": (Coding(code="walk"),)}, {}),
        ({"statement_codes": ()}, {}),
        ({"status": GoalStatus.COMPLETED}, {"status_date": "2026-03-02"}),
        ({"achievement": CodeableConcept(text="Achieved")}, {"status_date": "2026-03-02"}),
        ({"status": GoalStatus.COMPLETED, "status_date": "2026-03-01"}, {}),
        ({"status": GoalStatus.COMPLETED, "status_date": None}, {}),
        ({"why_it_matters": "Tomatoes"}, {}),
        ({}, {}),
    ],
)
def test_codes_and_dates_follow_what_they_speak_about(edit: dict[str, Any], follows: dict[str, Any]) -> None:
    after = dataclasses.replace(BEFORE, **edit)
    assert rules.follow(BEFORE, after, TODAY) == dataclasses.replace(after, **follows)


def test_an_edit_of_a_plan_entails_nothing() -> None:
    before = builders.care_plan_record()
    after = dataclasses.replace(before, title="Other")
    assert rules.follow(before, after, TODAY) is after
