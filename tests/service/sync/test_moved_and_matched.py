"""A copy has moved when the server has changed whose it is, not when it is said anew who is who."""

from collections.abc import Callable

import pytest
import requests
from flask import Request, Response

from service.sandbox import faults
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.patients_there import PatientsThere
from tests.service.sync.two_charts import (
    BIRTHS,
    BOBS_WORDS,
    Charts,
    Find,
    by_an_edit_here,
    by_full_comparison,
    by_pull,
    require_set_aside,
)


def failing(path: str) -> Callable[[Request], Response | None]:
    return lambda request: faults.overloaded(503) if request.path.endswith(path) else None


@pytest.mark.parametrize("find", [by_pull, by_full_comparison, by_an_edit_here])
@pytest.mark.parametrize("whose", ["ann", "bob"])
def test_while_one_of_the_two_cannot_be_verified_nothing_is_judged(
    office: Office, ehr: EHR, find: Find, whose: str
) -> None:
    """A merge moves all that a person has: it is no list of single decisions."""
    ehr.without = {"transaction", "batch", "conditionalCreate"}
    charts = Charts(office)
    goal = charts.goal()
    there = charts.move(goal)
    ehr.before = failing(f"/Patient/{charts.ann_there if whose == 'ann' else charts.bob_there}")
    find(charts, goal)
    assert office.sync.moved() == []
    assert office.status(goal).state in ("synced", "pending")
    assert BOBS_WORDS not in charts.read_by(None)
    ehr.before = lambda request: None
    # Long after the change, so that no search for what is new shows it.
    office.clock.advance(days=2)
    office.sync.pull()
    require_set_aside(charts, goal, born_there=False, bob_is_here=True)
    assert office.there("Goal", goal) == there


def test_two_patients_who_were_merged_there_are_one_event(office: Office, ehr: EHR) -> None:
    charts = Charts(office)
    goals = [charts.goal() for _ in range(3)]
    replaced = [{"other": {"reference": f"Patient/{charts.bob_there}"}, "type": "replaced-by"}]
    url = f"{ehr.base_url}/Patient/{charts.ann_there}"
    patient = requests.get(url, timeout=20).json()
    requests.put(url, json={**patient, "active": False, "link": replaced}, timeout=20).raise_for_status()
    there = [charts.move(goal) for goal in goals]
    office.sync.run()
    assert office.sync.moved() == []
    assert BOBS_WORDS not in charts.read_by(None)
    office.change("Goal", goals[0], statusDate="2026-03-01")
    office.sync.run()
    assert [office.there("Goal", goal) for goal in goals] == there
    assert {office.status(goal).state for goal in goals} <= {"unmatched", "synced"}


def test_a_patient_who_is_matched_anew_takes_along_what_was_written_here(office: Office, ehr: EHR) -> None:
    charts = Charts(office, bob_is_here=False)
    goal = charts.goal()
    office.sync.match_patient(charts.ann, charts.bob_there, "ehr")
    office.clock.advance(seconds=600)
    office.sync.compare()
    assert (office.sync.moved(), office.states()) == ([], {"synced": 1})
    assert office.there("Goal", goal)["subject"] == {"reference": f"Patient/{charts.bob_there}"}


@BIRTHS
def test_a_copy_that_moved_to_who_is_the_patient_after_all_comes_back(
    office: Office, ehr: EHR, born_there: bool
) -> None:
    """Somebody names the Patient there to whom the clinic has moved it."""
    charts = Charts(office, bob_is_here=False)
    goal = charts.goal(born_there=born_there)
    charts.move(goal)
    office.sync.pull()
    office.sync.match_patient(charts.ann, charts.bob_there, "ehr")
    office.clock.advance(seconds=600)
    office.sync.run()
    assert office.sync.moved() == []
    assert office.states() == {"synced": 1}
    assert office.here("Goal", goal)["description"] == {"text": BOBS_WORDS}


@BIRTHS
def test_a_copy_that_moved_to_who_is_merged_with_the_patient_here_comes_back(
    office: Office, ehr: EHR, born_there: bool
) -> None:
    charts = Charts(office)
    goal = charts.goal(born_there=born_there)
    charts.move(goal)
    office.sync.pull()
    charts.register.merge(charts.ann, charts.bob, "nurse")
    office.clock.advance(seconds=600)
    office.sync.run()
    assert office.match(charts.bob).reason == "several-patients-there"
    assert len(office.sync.moved()) == 1
    PatientsThere(office).merge(charts.ann_there, charts.bob_there)
    office.clock.advance(seconds=600)
    office.sync.run()
    assert office.sync.moved() == []
    assert office.states() == {"synced": 1}
    assert office.here("Goal", goal)["description"] == {"text": BOBS_WORDS}
    assert office.chart.get("Goal", goal).patient_id == charts.bob
