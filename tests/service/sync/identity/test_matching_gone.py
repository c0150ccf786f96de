"""Patients who are no more there: somebody stands in for them only with all that was theirs."""

from collections.abc import Callable

import pytest
from flask import Request, Response

from fhir_mappings.references import Name
from service.chart import PatientRegister
from tests.service.sync.conftest import EHR
from tests.service.sync.office import ACTOR, Office
from tests.service.sync.patients_there import A_WHILE, PatientsThere
from tests.service.sync.servers import outcome

Hook = Callable[[Request], Response | None]


def edited(office: Office, goal: str) -> str:
    """Change a goal, and try to send it; return its state and reason."""
    office.change("Goal", goal, description={"text": f"said anew at {office.clock()}"})
    office.sync.push()
    row = office.status(goal)
    return f"{row.state} {row.reason or ''}".strip()


def gone(server_id: str, status: int, also: Hook = lambda request: None) -> Hook:
    """A hook: a Patient cannot be read any more, and what else does not go well."""
    path = f"/fhir/Patient/{server_id}"
    return lambda request: outcome(status) if request.path == path else also(request)


def unwell(path: str, status: int) -> Hook:
    """A hook: searches for something are answered so."""
    return lambda request: (
        Response(status=status) if (request.method, request.path) == ("GET", path) else None
    )


class Successor:
    """Somebody who was registered anew there with the number of one who is gone, and has their goal."""

    def __init__(self, office: Office, there: PatientsThere, goal: str, *names: Name) -> None:
        self.old = office.patient_there
        self.new = there.add(*(names or there.names(self.old)))
        there.call(self.old)
        self.take(office, goal)

    def take(self, office: Office, goal: str) -> None:
        office.change_there("Goal", goal, subject={"reference": f"Patient/{self.new}"})


@pytest.mark.parametrize("status", [404, 410])
def test_who_has_number_and_records_of_one_who_is_gone_stands_in_for_them(
    office: Office, ehr: EHR, there: PatientsThere, goal: str, status: int
) -> None:
    new = Successor(office, there, goal).new
    ehr.forget()
    ehr.before = gone(office.patient_there, status)
    assert edited(office, goal) == "synced"
    assert ehr.subjects() == {f"Patient/{new}"}
    assert office.match().server_id == new


@pytest.mark.parametrize("status", [404, 410])
def test_nobody_found_in_the_place_of_one_who_is_gone(
    office: Office, ehr: EHR, there: PatientsThere, goal: str, status: int
) -> None:
    there.call(office.patient_there)
    ehr.forget()
    ehr.before = gone(office.patient_there, status)
    assert edited(office, goal) == "unmatched patient-gone-there"
    assert ehr.sent == []


def test_who_has_the_number_but_not_the_records_does_not_stand_in(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    other = there.add(*there.names(office.patient_there))
    there.call(office.patient_there)
    ehr.forget()
    ehr.before = gone(office.patient_there, 410)
    assert edited(office, goal) == "unmatched patient-gone-there"
    assert ehr.sent == []
    assert office.copies("Goal", other) == []


def test_one_copy_that_is_somebody_elses_is_enough_to_ask(
    office: Office, ehr: EHR, there: PatientsThere
) -> None:
    goals = [office.goal(f"goal {number}") for number in range(30)]
    office.sync.push()
    office.clock.advance(seconds=A_WHILE)
    successor = Successor(office, there, goals[0])
    for goal in goals[1:-1]:
        successor.take(office, goal)
    ehr.forget()
    ehr.before = gone(office.patient_there, 410)
    assert edited(office, goals[0]) == "unmatched patient-gone-there"
    assert ehr.sent == []
    successor.take(office, goals[-1])
    office.clock.advance(seconds=A_WHILE)
    ehr.forget()
    assert edited(office, goals[0]) == "synced"
    assert ehr.subjects() == {f"Patient/{successor.new}"}


def test_who_lacks_one_of_the_numbers_does_not_stand_in(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    (first,) = there.names(office.patient_there)
    second = (f"{office.patient_system}:b", "second")
    there.call(office.patient_there, first, second)
    PatientRegister(office.database, office.clock).add_identifier(office.patient_id, second, ACTOR)
    assert edited(office, goal) == "synced"
    office.clock.advance(seconds=A_WHILE)
    successor = Successor(office, there, goal, first)
    ehr.forget()
    ehr.before = gone(office.patient_there, 410)
    assert edited(office, goal) == "unmatched patient-gone-there"
    assert ehr.sent == []
    there.call(successor.new, first, second)
    office.clock.advance(seconds=A_WHILE)
    assert edited(office, goal) == "synced"


def test_who_is_not_in_use_does_not_stand_in(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    successor = Successor(office, there, goal)
    there.change(successor.new, active=False)
    ehr.forget()
    ehr.before = gone(office.patient_there, 404)
    assert edited(office, goal) == "unmatched patient-gone-there"
    assert ehr.sent == []


@pytest.mark.parametrize("what", ["Patient", "Goal"])
def test_whether_somebody_stands_in_is_not_judged_while_a_search_gets_no_answer(
    office: Office, ehr: EHR, there: PatientsThere, goal: str, what: str
) -> None:
    new = Successor(office, there, goal).new
    ehr.forget()
    ehr.before = gone(office.patient_there, 410, unwell(f"/fhir/{what}", 503))
    assert edited(office, goal) == "pending patient-not-verified"
    assert ehr.sent == []
    ehr.before = gone(office.patient_there, 410)
    office.clock.advance(seconds=A_WHILE)
    office.sync.push()
    assert ehr.subjects() == {f"Patient/{new}"}


def test_records_that_may_not_be_read_vouch_for_nobody(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    Successor(office, there, goal)
    ehr.forget()
    ehr.before = gone(office.patient_there, 410, unwell("/fhir/Goal", 403))
    assert edited(office, goal) == "unmatched patient-gone-there"
    assert ehr.sent == []


def test_one_who_is_gone_and_still_found_is_gone(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    """The index of the search lags behind."""
    ehr.forget()
    ehr.before = gone(office.patient_there, 410)
    assert edited(office, goal) == "unmatched patient-gone-there"
    assert ehr.sent == []


def test_one_who_was_restored_goes_on(office: Office, ehr: EHR, there: PatientsThere, goal: str) -> None:
    ehr.before = gone(office.patient_there, 410)
    assert edited(office, goal) == "unmatched patient-gone-there"
    ehr.before = lambda request: None
    office.clock.advance(seconds=A_WHILE)
    ehr.forget()
    office.sync.push()
    assert office.states() == {"synced": 1}
    assert ehr.subjects() == {f"Patient/{office.patient_there}"}
