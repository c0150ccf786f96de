"""There to here, and decisions between the two: against the sandbox."""

import dataclasses
from typing import Any

import pytest
import requests
from flask import Response

from fhir_mappings.resources import BY_RESOURCE_TYPE
from service.errors import Conflict, InvalidContent, NotFound
from service.sandbox import faults
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office

FULL: set[str] = set()
NO_LAST_UPDATED = {"_lastUpdated"}


def foreign_goal(office: Office, **more: Any) -> dict[str, Any]:
    subject = {"reference": f"Patient/{office.patient_there}"}
    goal = {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "theirs"}}
    return office.post({**goal, "subject": subject, **more})


@pytest.mark.parametrize("without", [FULL, NO_LAST_UPDATED], ids=["by time", "by snapshot"])
def test_what_others_wrote_arrives_once_and_as_it_is(office: Office, ehr: EHR, without: set[str]) -> None:
    ehr.without = without
    goal = foreign_goal(office, extension=[{"url": "urn:x", "valueDecimal": 7}])
    plan = office.post(
        {
            "resourceType": "CarePlan",
            "status": "active",
            "intent": "plan",
            "subject": {"reference": f"Patient/{office.patient_there}"},
            "goal": [{"reference": f"Goal/{goal['id']}"}],
        }
    )
    for _ in range(3):
        office.sync.pull()
        office.clock.advance(seconds=600)
    assert office.states() == {"synced": 2}
    rows = {row.server_id: row.record_id for row in office.sync.status()[0]}
    here = office.here("Goal", rows[goal["id"]])
    assert here["extension"] == goal["extension"]
    assert "identifier" not in here
    assert here["subject"] == {"reference": f"Patient/{office.patient_id}"}
    assert office.here("CarePlan", rows[plan["id"]])["goal"] == [{"reference": f"Goal/{here['id']}"}]


@pytest.mark.parametrize("without", [FULL, NO_LAST_UPDATED], ids=["by time", "by snapshot"])
def test_a_change_there_becomes_a_version_here(office: Office, ehr: EHR, without: set[str]) -> None:
    ehr.without = without
    goal = office.goal("walk")
    office.sync.run()
    office.clock.advance(seconds=600)
    office.change_there("Goal", goal, description={"text": "swim"})
    report = office.sync.pull()
    assert report.merged == 1
    assert office.here("Goal", goal)["description"] == {"text": "swim"}
    assert [one.action for one in office.chart.history("Goal", goal)] == ["pull", "create"]
    assert office.states() == {"synced": 1}


@pytest.mark.parametrize("without", [FULL, NO_LAST_UPDATED], ids=["by time", "by snapshot"])
def test_an_idle_run_writes_nothing_anywhere(office: Office, ehr: EHR, without: set[str]) -> None:
    ehr.without = without
    goals = [office.goal(f"goal {number}") for number in range(30)]
    foreign_goal(office)
    office.sync.run()
    office.clock.advance(seconds=600)
    before = [office.chart.get("Goal", goal) for goal in goals]
    standing = office.sync.status(limit=100)
    ehr.forget()
    office.sync.run()
    assert ehr.writes() == []
    assert ehr.reads() <= 9
    assert [office.chart.get("Goal", goal) for goal in goals] == before
    assert office.sync.status(limit=100) == standing


def test_changes_on_both_sides_in_different_places_meet(office: Office, ehr: EHR) -> None:
    goal = office.goal("walk")
    office.sync.run()
    office.clock.advance(seconds=600)
    office.change_there("Goal", goal, note=[{"text": "theirs"}])
    office.change("Goal", goal, description={"text": "run"})
    office.sync.pull()
    assert office.status(goal).state == "pending"
    assert office.chart.history("Goal", goal)[0].action == "merge"
    office.sync.push()
    for tree in (office.here("Goal", goal), office.there("Goal", goal)):
        assert tree["description"] == {"text": "run"}
        assert tree["note"] == [{"text": "theirs"}]
    assert office.states() == {"synced": 1}


def in_conflict(office: Office) -> tuple[str, str]:
    """Return a record that is in conflict, and the conflict's id."""
    goal = office.goal("walk", note=[{"text": "first"}])
    office.sync.run()
    office.clock.advance(seconds=600)
    office.change_there(
        "Goal", goal, description={"text": "swim"}, note=[{"text": "first"}, {"text": "theirs"}]
    )
    office.change("Goal", goal, description={"text": "run"}, statusDate="2026-03-01")
    office.sync.pull()
    (conflict,), _ = office.sync.conflicts()
    return goal, conflict.id


@pytest.mark.parametrize(("keep", "text"), [("here", "run"), ("there", "swim")])
def test_a_conflict_is_decided_for_a_side_and_the_rest_is_merged(
    office: Office, ehr: EHR, keep: str, text: str
) -> None:
    goal, conflict = in_conflict(office)
    office.sync.resolve(conflict, keep, "doctor")
    office.sync.run()
    for tree in (office.here("Goal", goal), office.there("Goal", goal)):
        assert tree["description"] == {"text": text}
        assert tree["note"] == [{"text": "first"}, {"text": "theirs"}]
        assert tree["statusDate"] == "2026-03-01"
    assert office.states() == {"synced": 1}
    decided = office.sync.conflict(conflict)
    assert (decided.resolution, decided.resolved_by) == (keep, "doctor")
    assert office.sync.conflicts() == ([], None)


def test_a_conflict_is_decided_by_a_record_of_a_persons_own(office: Office, ehr: EHR) -> None:
    goal, conflict = in_conflict(office)
    mine = BY_RESOURCE_TYPE["Goal"].read(office.here("Goal", goal))
    office.sync.resolve(conflict, actor="doctor", record=dataclasses.replace(mine, statement="run and swim"))
    office.sync.run()
    assert office.there("Goal", goal)["description"] == {"text": "run and swim"}
    assert office.states() == {"synced": 1}


def test_while_in_conflict_nothing_is_sent_and_both_sides_stay_readable(office: Office, ehr: EHR) -> None:
    goal, conflict = in_conflict(office)
    ehr.forget()
    office.change("Goal", goal, description={"text": "run more"})
    office.clock.advance(seconds=600)
    office.change_there("Goal", goal, description={"text": "swim more"})
    ehr.forget()
    office.sync.run()
    assert ehr.writes() == []
    assert office.status(goal).state == "conflict"
    told = office.sync.conflict(conflict)
    assert told.here["description"] == {"text": "run more"}
    assert told.there["description"] == {"text": "swim more"}
    office.sync.resolve(conflict, "here", "doctor")
    office.sync.run()
    assert office.there("Goal", goal)["description"] == {"text": "run more"}


def test_decisions_that_cannot_be_are_refused(office: Office, ehr: EHR) -> None:
    goal, conflict = in_conflict(office)
    with pytest.raises(NotFound):
        office.sync.resolve("nothing", "here", "doctor")
    mine = BY_RESOURCE_TYPE["Goal"].read(office.here("Goal", goal))
    with pytest.raises(InvalidContent):
        office.sync.resolve(conflict, actor="doctor", record=dataclasses.replace(mine, statement=""))
    with pytest.raises(Conflict):
        office.sync.retry(goal, "ehr", "doctor")
    office.sync.resolve(conflict, "here", "doctor")
    with pytest.raises(Conflict):
        office.sync.resolve(conflict, "there", "doctor")


def test_what_is_not_valid_r4_is_listed_and_never_written(office: Office, ehr: EHR) -> None:
    good = office.goal("mine")
    office.sync.run()
    bad = foreign_goal(office, description=None, lifecycleStatus="active")
    url = f"{ehr.base_url}/Goal/{bad['id']}"
    before = requests.get(url, timeout=20).json()
    ehr.forget()
    for _ in range(2):
        office.clock.advance(seconds=600)
        report = office.sync.run()
        assert report.problem is None
    (told,) = office.sync.invalid()
    assert (told.resource_type, told.server_id) == ("Goal", bad["id"])
    assert {one["path"] for one in told.findings} == {"Goal.description"}
    assert requests.get(url, timeout=20).json() == before
    assert not any(one.startswith(("PUT", "POST")) for one in ehr.writes())
    assert office.status(good).state == "synced"
    office.clock.advance(seconds=600)
    mended = {**before, "description": {"text": "mended"}}
    requests.put(url, json=mended, timeout=20).raise_for_status()
    office.sync.pull()
    assert office.sync.invalid() == []
    assert office.states() == {"synced": 2}


def test_our_own_record_is_recognised_there(office: Office, ehr: EHR) -> None:
    """A database restored from before the push: the resource is ours, and only its address is not known."""
    goal = office.goal("walk")
    copy = {**office.here("Goal", goal), "subject": {"reference": f"Patient/{office.patient_there}"}}
    del copy["id"]
    there = office.post(copy)
    office.sync.pull()
    assert office.status(goal).server_id == there["id"]
    office.sync.push()
    assert office.states() == {"synced": 1}
    assert len(office.copies("Goal")) == 1


def test_our_own_record_that_was_changed_there_is_merged_without_a_base(office: Office, ehr: EHR) -> None:
    goal = office.goal("walk")
    copy = {**office.here("Goal", goal), "subject": {"reference": f"Patient/{office.patient_there}"}}
    del copy["id"]
    there = office.post(copy)
    changed = {**there, "description": {"text": "swim"}, "statusDate": "2026-03-01"}
    requests.put(f"{ehr.base_url}/Goal/{there['id']}", json=changed, timeout=20).raise_for_status()
    office.sync.run()
    assert office.status(goal).state == "conflict"
    (conflict,), _ = office.sync.conflicts()
    assert conflict.paths == ["Goal.description"]


@pytest.mark.parametrize("without", [FULL, NO_LAST_UPDATED], ids=["by time", "by snapshot"])
def test_a_deletion_there_is_a_state_and_deletes_nothing_here(
    office: Office, ehr: EHR, without: set[str]
) -> None:
    ehr.without = without
    goal = office.goal("walk")
    office.sync.run()
    requests.delete(f"{ehr.base_url}/Goal/{office.status(goal).server_id}", timeout=20).raise_for_status()
    office.sync.run()
    assert (office.status(goal).state, office.status(goal).reason) == ("rejected", "gone-there")
    assert office.here("Goal", goal)["description"] == {"text": "walk"}
    assert office.copies("Goal") == []


def test_a_search_that_misses_a_record_is_not_a_deletion(office: Office, ehr: EHR) -> None:
    ehr.without = NO_LAST_UPDATED
    goal = office.goal("walk")
    office.sync.run()
    empty = '{"resourceType": "Bundle", "type": "searchset"}'
    ehr.before = lambda request: (
        Response(empty, content_type="application/fhir+json") if request.path.endswith("/Goal") else None
    )
    office.sync.run()
    assert office.status(goal).state == "synced"


def test_a_failed_page_does_not_move_the_watermark(office: Office, ehr: EHR) -> None:
    office.sync.run()
    office.clock.advance(seconds=600)
    goal = foreign_goal(office)
    ehr.before = lambda request: faults.overloaded(503) if request.path.endswith("/Goal") else None
    office.sync.pull()
    office.clock.advance(seconds=6000)
    ehr.before = lambda request: None
    office.sync.pull()
    assert [row.server_id for row in office.sync.status()[0]] == [goal["id"]]


def test_another_patients_resources_stay_there(office: Office, ehr: EHR) -> None:
    stranger = office.register_there("stranger")
    goal = foreign_goal(office)
    office.post(
        {**{k: v for k, v in goal.items() if k != "id"}, "subject": {"reference": f"Patient/{stranger}"}}
    )
    office.sync.pull()
    assert [row.server_id for row in office.sync.status()[0]] == [goal["id"]]


def test_a_patient_who_is_matched_later_is_read_as_a_whole(office: Office, ehr: EHR) -> None:
    _, name = office.patient(there=0)
    foreign_goal(office)
    office.sync.run()
    office.clock.advance(seconds=86_400)
    there = office.register_there(name)
    old = foreign_goal(office, subject={"reference": f"Patient/{there}"})
    office.clock.advance(seconds=86_400)
    office.sync.run()
    assert old["id"] in {row.server_id for row in office.sync.status()[0]}


def test_a_reference_to_what_is_not_kept_here_is_absolute(office: Office, ehr: EHR) -> None:
    condition = office.post(
        {"resourceType": "Condition", "subject": {"reference": f"Patient/{office.patient_there}"}}
    )
    foreign_goal(office, addresses=[{"reference": f"Condition/{condition['id']}"}])
    office.sync.pull()
    (row,), _ = office.sync.status()
    here = office.here("Goal", row.record_id)
    assert here["addresses"] == [{"reference": f"{ehr.base_url}/Condition/{condition['id']}"}]
    office.change("Goal", row.record_id, statusDate="2026-03-02")
    office.sync.push()
    assert office.there("Goal", row.record_id)["addresses"] == [{"reference": f"Condition/{condition['id']}"}]


def test_a_set_aside_record_is_sent_again_when_asked(office: Office, ehr: EHR) -> None:
    goal = office.goal()
    ehr.before = lambda request: Response("", 422) if request.method == "POST" else None
    office.sync.push()
    assert office.status(goal).state == "rejected"
    ehr.before = lambda request: None
    office.sync.push()
    assert office.status(goal).state == "rejected"
    office.sync.retry(goal, actor="doctor")
    assert office.status(goal).state == "pending"
    office.sync.push()
    assert office.status(goal).state == "synced"


@pytest.mark.parametrize("named_only", [False, True], ids=["all at once", "by patient"])
def test_many_patients_are_read_all_at_once_or_by_name(office: Office, ehr: EHR, named_only: bool) -> None:
    there = [office.patient()[1] for _ in range(30)]
    known = [office.goal_there(one)["id"] for one in there[:2]]
    for _ in range(2):
        office.sync.run()
        office.clock.advance(seconds=600)
    goal = foreign_goal(office)
    if named_only:
        ehr.before = lambda request: (
            Response("", 400) if request.path.endswith("/Goal") and "patient" not in request.args else None
        )
    ehr.forget()
    report = office.sync.pull()
    assert report.problem is None
    # By patient: refused with and without a count, two lists, and one to see that lists are answered.
    assert ehr.reads() == (7 + 5 if named_only else 8)
    assert office.linked() == {*known, goal["id"]}
