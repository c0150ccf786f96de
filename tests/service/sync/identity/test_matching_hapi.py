"""The right patient on a real server: merged, parted, numbers moved, and conditions of somebody else."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fhir_mappings.references import Name
from service.chart import PatientRegister
from tests.clock import Clock
from tests.databases import opened
from tests.service.sync.office import ACTOR, Office
from tests.service.sync.patients_there import A_WHILE, PatientsThere


@pytest.fixture
def office(hapi: str, tmp_path: Path) -> Iterator[Office]:
    with opened(f"sqlite:///{tmp_path / 'mainstay.db'}") as database:
        office = Office(database, hapi, Clock(datetime.now(UTC)))
        office.connect()
        yield office


@pytest.fixture
def there(office: Office) -> PatientsThere:
    return PatientsThere(office)


@pytest.fixture
def goals(office: Office) -> list[str]:
    """Goals that arrived so long ago that their patient has to be looked at before they are sent again."""
    goals = [office.goal(f"goal {number}") for number in range(3)]
    office.sync.push()
    assert office.states() == {"synced": 3}
    office.clock.advance(seconds=A_WHILE)
    return goals


def edit(office: Office, goals: list[str]) -> None:
    """Change goals, and try to send them."""
    for goal in goals:
        office.change("Goal", goal, description={"text": f"changed at {office.clock()}"})
    office.sync.push()


def subjects(office: Office, goals: list[str]) -> set[str]:
    return {office.there("Goal", goal)["subject"]["reference"] for goal in goals}


def versions(office: Office, goals: list[str]) -> list[str]:
    return [office.there("Goal", goal)["meta"]["versionId"] for goal in goals]


def test_the_goals_of_a_merged_patient_follow_and_none_goes_to_the_old_chart(
    office: Office, there: PatientsThere, goals: list[str]
) -> None:
    middle, left = there.add(), there.add()
    there.merge(office.patient_there, into=middle)
    there.merge(middle, into=left)
    new = office.goal("said after the merge")
    edit(office, goals[:1])
    assert office.states() == {"synced": 4}
    assert subjects(office, [*goals, new]) == {f"Patient/{left}"}
    assert office.copies("Goal") == []
    # It is one event; nothing is left to decide.
    office.sync.run()
    assert office.sync.moved() == []
    assert office.sync.conflicts() == ([], None)


def test_a_merge_that_is_undone_stops_the_goals_until_a_person_decides(
    office: Office, there: PatientsThere, goals: list[str]
) -> None:
    old, left = office.patient_there, there.add((office.patient_system, f"left {office.patient_id}"))
    kept = there.names(left)
    there.merge(old, into=left)
    edit(office, goals)
    there.part(old)
    there.call(left, *kept)
    office.clock.advance(seconds=A_WHILE)
    before = versions(office, goals)
    edit(office, goals)
    assert {office.status(goal).reason for goal in goals} == {"identifier-moved-there"}
    assert versions(office, goals) == before
    office.sync.match_patient(office.patient_id, old, "ehr", "registrar")
    office.sync.push()
    assert subjects(office, goals) == {f"Patient/{old}"}
    assert office.states() == {"synced": 3}


def test_nothing_goes_to_a_patient_whose_identifier_is_somebody_elses_now(
    office: Office, there: PatientsThere, goals: list[str]
) -> None:
    names = there.names(office.patient_there)
    there.call(office.patient_there)
    other = there.add(*names)
    before = versions(office, goals)
    office.goal("not sent to anybody")
    edit(office, goals)
    assert office.states() == {"unmatched": 4}
    assert {office.status(goal).reason for goal in goals} == {"identifier-moved-there"}
    assert versions(office, goals) == before
    assert office.copies("Goal", other) == []


def test_two_persons_here_stop_while_they_are_one_there(office: Office, there: PatientsThere) -> None:
    names: list[Name] = [(office.patient_system, one) for one in ("one", "two")]
    people = [office.chart.register_patient([name], ACTOR).id for name in names]
    old, left = (there.add(name) for name in names)
    goals = [office.goal(patient=one) for one in people]
    office.sync.push()
    there.merge(old, into=left)
    office.clock.advance(seconds=A_WHILE)
    before = versions(office, goals)
    edit(office, goals)
    assert {office.status(goal).reason for goal in goals} == {"two-here-one-there"}
    assert versions(office, goals) == before
    PatientRegister(office.database, office.clock).merge(people[0], people[1], ACTOR)
    office.sync.push()
    assert subjects(office, goals) == {f"Patient/{left}"}
    assert office.copies("Goal", old) == []


def test_a_goal_does_not_address_a_condition_of_somebody_else(office: Office, there: PatientsThere) -> None:
    system = f"{office.patient_system}:problems"
    _, other = office.patient()

    def condition(value: str, patient: str) -> str:
        subject = {"reference": f"Patient/{patient}"}
        identifier = [{"system": system, "value": value}]
        return str(
            office.post({"resourceType": "Condition", "identifier": identifier, "subject": subject})["id"]
        )

    condition("theirs", other)
    condition("of both", other)
    ours = condition("of both", office.patient_there)

    def addressing(value: str) -> str:
        identifier = {"system": system, "value": value}
        return office.goal(addresses=[{"type": "Condition", "identifier": identifier}])

    theirs, both = addressing("theirs"), addressing("of both")
    office.sync.push()
    assert office.status(theirs).reason == "not-this-patients-there"
    assert office.there("Goal", both)["addresses"][0]["reference"] == f"Condition/{ours}"
    assert len(office.copies("Goal")) == 1
