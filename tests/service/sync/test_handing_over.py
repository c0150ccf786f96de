"""A copy that is another patient's there, handed over: a new record of theirs, the old one out of sight."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from flask import Response

from fhir_mappings.exact_json import Tree
from fhir_mappings.references import names_of
from service.errors import Conflict, InvalidContent, NotFound
from service.sandbox import create_sandbox, running
from service.store.deployment import identifier_system
from service.sync.moved_decision import MovedDecision
from tests.clock import Clock
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.patients_there import PatientsThere
from tests.service.sync.two_charts import (
    ANNS_WORDS,
    BIRTHS,
    BOBS_WORDS,
    Charts,
    at,
    decide,
    everything_at,
    is_shown,
    raw,
    set_aside,
)

HAND_OVER = MovedDecision.HAND_OVER


@pytest.fixture
def charts(office: Office) -> Charts:
    return Charts(office)


def handed_over(charts: Charts, goal: str) -> str:
    """Hand a goal over; return the record that Bob has instead."""
    before = set(charts.office_records())
    decide(charts, goal, HAND_OVER)
    (new,) = set(charts.office_records()) - before
    return new


@BIRTHS
def test_handed_over_the_copy_is_a_record_of_the_other_one(
    charts: Charts, ehr: EHR, born_there: bool
) -> None:
    office = charts.office
    goal = set_aside(charts, born_there=born_there)
    there = office.status(goal).server_id
    new = handed_over(charts, goal)

    entry = office.chart.get("Goal", new)
    assert (entry.patient_id, entry.tree["description"]) == (charts.bob, {"text": BOBS_WORDS})
    assert entry.tree["subject"] == {"reference": f"Patient/{charts.bob}"}
    office.sync.run()
    with office.database.read() as session:
        system = identifier_system(session)
    ours = [] if born_there else [(system, new)]
    assert names_of(entry.tree) == ours
    copy = at(ehr.base_url, "Goal", there)
    assert names_of(copy) == ours
    assert (copy["subject"], copy["description"]) == (
        {"reference": f"Patient/{charts.bob_there}"},
        {"text": BOBS_WORDS},
    )
    assert (office.status(new).state, office.status(new).server_id) == ("synced", there)
    assert len(everything_at(ehr.base_url, "Goal")) == 1


def test_the_former_patients_identifier_left_beside_the_address_does_not_stand_in_the_way(
    charts: Charts, ehr: EHR
) -> None:
    """A clinic that changes the reference alone leaves what we wrote beside it."""
    office = charts.office
    ((system, value),) = office.chart.patient(charts.ann).identifiers
    identifier = {"system": system, "value": value}
    goal = office.goal(ANNS_WORDS)
    office.change("Goal", goal, subject={"reference": f"Patient/{charts.ann}", "identifier": identifier})
    office.sync.run()
    assert office.there("Goal", goal)["subject"]["identifier"] == identifier
    address = f"Patient/{charts.bob_there}"
    charts.move(goal, subject={"reference": address, "identifier": identifier})
    office.sync.pull()
    assert office.status(goal).state == "moved"

    new = handed_over(charts, goal)
    there = office.status(new).server_id
    for _ in range(2):
        office.clock.advance(seconds=600)
        office.sync.run()
    assert office.chart.get("Goal", new).tree["subject"] == {"reference": f"Patient/{charts.bob}"}
    assert at(ehr.base_url, "Goal", there)["subject"] == {"reference": address}
    assert office.status(new).state == "synced"


@BIRTHS
def test_the_record_itself_is_withdrawn_and_shown_to_nobody(
    charts: Charts, ehr: EHR, born_there: bool
) -> None:
    office = charts.office
    goal = set_aside(charts, born_there=born_there)
    handed_over(charts, goal)
    office.sync.run()
    assert raw(office, goal)["lifecycleStatus"] == "entered-in-error"
    for reader in (charts.ann, charts.bob, None):
        assert not is_shown(charts, goal, reader)
        assert ANNS_WORDS not in charts.read_by(reader)
    assert BOBS_WORDS not in charts.read_by(charts.ann)
    assert BOBS_WORDS in charts.read_by(charts.bob)
    assert charts.api().get(f"/api/v1/patients/{charts.ann}").json["set_aside"] == 0
    acts: list[Callable[[], object]] = [
        lambda: decide(charts, goal, HAND_OVER),
        lambda: office.sync.retry(goal),
    ]
    for act in acts:
        with pytest.raises(NotFound):
            act()


@BIRTHS
def test_what_was_handed_over_is_never_sent_again(charts: Charts, ehr: EHR, born_there: bool) -> None:
    goal = set_aside(charts, born_there=born_there)
    handed_over(charts, goal)
    charts.office.sync.run()
    charts.office.clock.advance(seconds=600)
    charts.office.sync.compare()
    # Each record of who is merged gets a version, which every server is told of.
    other, _ = charts.office.patient()
    charts.register.merge(charts.ann, other, "nurse")
    charts.office.clock.advance(seconds=600)
    charts.office.sync.run()
    assert len(everything_at(ehr.base_url, "Goal")) == 1
    assert not is_shown(charts, goal, None)


def test_edits_of_the_new_record_go_to_the_copy(charts: Charts, ehr: EHR) -> None:
    new = handed_over(charts, set_aside(charts, born_there=False))
    charts.office.sync.run()
    charts.office.change("Goal", new, statusDate="2026-03-01")
    charts.office.sync.run()
    assert charts.office.there("Goal", new)["statusDate"] == "2026-03-01"
    charts.office.clock.advance(seconds=600)
    charts.office.change_there("Goal", new, note=[{"text": "Bob's note"}])
    charts.office.sync.run()
    assert charts.office.here("Goal", new)["note"] == [{"text": "Bob's note"}]


@pytest.fixture
def hospital(office: Office, clock: Clock) -> Iterator[str]:
    """Another server, on which both are known, too."""
    with running(create_sandbox(clock=clock)) as base_url:
        yield base_url


def known_at(base_url: str, charts: Charts) -> dict[str, str]:
    """Register both on another server; return their ids there."""
    ids = {}
    for patient in (charts.ann, charts.bob):
        identifiers = charts.office.chart.patient(patient).identifiers
        said = [{"system": system, "value": value} for system, value in identifiers]
        body = {"resourceType": "Patient", "identifier": said}
        ids[patient] = requests.post(f"{base_url}/Patient", json=body, timeout=20).json()["id"]
    return ids


def test_other_servers_hear_that_it_was_one_ones_and_is_the_others(
    charts: Charts, ehr: EHR, hospital: str
) -> None:
    there = known_at(hospital, charts)
    charts.office.sync.add_connection("hospital", hospital)
    goal = set_aside(charts, born_there=False)
    handed_over(charts, goal)
    charts.office.sync.run()
    charts.office.sync.run()
    said = {one["subject"]["reference"]: one for one in everything_at(hospital, "Goal")}
    anns, bobs = said[f"Patient/{there[charts.ann]}"], said[f"Patient/{there[charts.bob]}"]
    assert (anns["lifecycleStatus"], anns["description"]) == ("entered-in-error", {"text": ANNS_WORDS})
    assert (bobs["lifecycleStatus"], bobs["description"]) == ("active", {"text": BOBS_WORDS})
    assert len(said) == len(everything_at(hospital, "Goal"))


def test_what_a_server_made_goes_to_no_other_by_being_handed_over(
    charts: Charts, ehr: EHR, hospital: str
) -> None:
    known_at(hospital, charts)
    charts.office.sync.add_connection("hospital", hospital)
    handed_over(charts, set_aside(charts, born_there=True))
    charts.office.sync.run()
    assert everything_at(hospital, "Goal") == []


def test_it_is_handed_over_to_who_is_a_patient_here(office: Office, ehr: EHR) -> None:
    charts = Charts(office, bob_is_here=False)
    goal = set_aside(charts, born_there=False)
    with pytest.raises(InvalidContent, match="register them") as refusal:
        decide(charts, goal, HAND_OVER)
    assert refusal.value.findings[0].path == "decision"
    charts.bob = office.chart.register_patient([(office.patient_system, "a stranger")], "nurse").id
    office.sync.run()
    assert charts.moved().patient_there == charts.bob
    new = handed_over(charts, goal)
    assert office.chart.get("Goal", new).patient_id == charts.bob


@pytest.mark.parametrize("element", ["expressedBy", "contained"])
def test_what_would_be_of_two_patients_is_not_handed_over(charts: Charts, ehr: EHR, element: str) -> None:
    goal = charts.goal()
    anns = {"reference": f"Patient/{charts.ann_there}"}
    said = {"reference": f"Patient/{charts.bob_there}", "identifier": ann_identifier(charts)}
    inner = {
        "resourceType": "ServiceRequest",
        "id": "c",
        "status": "active",
        "intent": "plan",
        "subject": anns,
    }
    elements: dict[str, Any] = (
        {"expressedBy": said}
        if element == "expressedBy"
        else {"contained": [{**inner, "subject": anns}], "addresses": [{"reference": "#c"}]}
    )
    charts.move(goal, **elements)
    charts.office.sync.run()
    with pytest.raises(InvalidContent):
        decide(charts, goal, HAND_OVER)
    assert charts.moved().record_id == goal


def ann_identifier(charts: Charts) -> Tree:
    system, value = charts.office.chart.patient(charts.ann).identifiers[0]
    return {"system": system, "value": value}


def test_a_record_that_waits_for_another_decision_is_not_handed_over(
    charts: Charts, ehr: EHR, hospital: str
) -> None:
    """Once it is out of sight nobody would decide that, and the other server would keep it as it is."""
    known_at(hospital, charts)
    charts.office.sync.add_connection("hospital", hospital)
    goal = charts.goal()
    rows, _ = charts.office.sync.status(connection="hospital")
    (copy,) = [row.server_id for row in rows if row.record_id == goal]
    url = f"{hospital}/Goal/{copy}"
    changed = {**at(hospital, "Goal", copy), "description": {"text": "Walk to the hospital"}}
    charts.office.clock.advance(seconds=600)
    requests.put(url, json=changed, timeout=20).raise_for_status()
    charts.office.change("Goal", goal, description={"text": "Walk home"})
    charts.move(goal)
    charts.office.sync.run()
    with pytest.raises(Conflict, match="hospital"):
        decide(charts, goal, HAND_OVER)
    (conflict,), _ = charts.office.sync.conflicts()
    charts.office.sync.resolve(conflict.id, "here", "doctor")
    decide(charts, goal, HAND_OVER)
    charts.office.sync.run()
    assert at(hospital, "Goal", copy)["lifecycleStatus"] == "entered-in-error"


def test_it_is_not_handed_over_to_its_own_patient(office: Office, ehr: EHR) -> None:
    charts = Charts(office, bob_is_here=False)
    goal = set_aside(charts, born_there=False)
    office.sync.match_patient(charts.ann, charts.bob_there, "ehr")
    with pytest.raises(Conflict, match="let a sync run take it in"):
        decide(charts, goal, HAND_OVER)


@pytest.mark.parametrize("how", ["called otherwise", "not in use", "not shown"])
def test_nothing_is_handed_over_to_whom_a_match_of_long_ago_gives(
    charts: Charts, ehr: EHR, there: PatientsThere, how: str
) -> None:
    office = charts.office
    goal = set_aside(charts, born_there=False)
    office.clock.advance(seconds=5 * 86_400)
    if how == "called otherwise":
        there.call(charts.bob_there, (office.patient_system, "somebody else"))
    elif how == "not in use":
        there.change(charts.bob_there, active=False)
    else:
        path = f"/fhir/Patient/{charts.bob_there}"
        ehr.before = lambda request: Response(status=503) if request.path == path else None
    before = set(charts.office_records())
    with pytest.raises((Conflict, InvalidContent)):
        decide(charts, goal, HAND_OVER)
    assert set(charts.office_records()) == before
    assert charts.moved().record_id == goal
