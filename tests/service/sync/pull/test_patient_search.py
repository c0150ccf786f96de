"""Patients, asked for in lists and alone: everybody's changes arrive, whatever a server makes of a list."""

import pytest
from flask import Request, Response

from service.sandbox.faults import Before
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.servers import first_value_only, one_value_only, outcome

BY_SNAPSHOT = {"_lastUpdated"}


def test_a_patient_is_asked_for_as_every_server_takes_it(office: Office, ehr: EHR) -> None:
    asked: list[str] = []
    ehr.before = lambda request: asked.extend(request.args.getlist("patient"))
    office.patient()
    office.sync.run()
    assert asked
    assert all(one.startswith("Patient/") for value in asked for one in value.split(","))


@pytest.mark.parametrize("without", [set(), BY_SNAPSHOT], ids=["by time", "by snapshot"])
@pytest.mark.parametrize(
    "server", [one_value_only("patient"), first_value_only("patient")], ids=["says so", "says nothing"]
)
def test_a_server_that_takes_one_patient_at_a_time_is_read_for_all(
    office: Office, ehr: EHR, without: set[str], server: Before
) -> None:
    ehr.without, ehr.before = without, server
    people = [office.patient_there, *(office.patient()[1] for _ in range(4))]
    first = {office.goal_there(one)["id"] for one in people}
    report = office.sync.run()
    assert (report.problem, report.problems) == (None, [])
    assert office.linked() == first
    for _ in range(2):
        office.clock.advance(seconds=600)
        first |= {office.goal_there(one)["id"] for one in people}
        office.sync.run()
        assert office.linked() == first


def test_a_server_that_answers_lists_is_asked_once_more_and_no_patient_alone(
    office: Office, ehr: EHR
) -> None:
    people = [office.patient_there, *(office.patient()[1] for _ in range(9))]
    for one in people:
        office.goal_there(one)
    office.sync.run()
    office.clock.advance(seconds=600)
    ehr.forget()
    report = office.sync.run()
    assert report.problem is None
    # Four types and their deletions, and once whether a list is answered for all in it.
    assert ehr.reads() <= 9


@pytest.mark.parametrize("without", [set(), BY_SNAPSHOT], ids=["by time", "by snapshot"])
def test_one_patient_who_may_not_be_asked_for_keeps_back_no_other(
    office: Office, ehr: EHR, without: set[str]
) -> None:
    ehr.without = without
    people = [office.patient_there, *(office.patient()[1] for _ in range(3))]
    hidden, others = people[2], [*people[:2], people[3]]
    first = {office.goal_there(one)["id"] for one in others}
    secret = {office.goal_there(hidden)["id"]}
    reference = f"Patient/{hidden}"

    def discreet(request: Request) -> Response | None:
        return outcome(403) if reference in request.args.get("patient", "").split(",") else None

    ehr.before = discreet
    for _ in range(2):
        assert office.sync.run().problems == ["ehr: lookup-refused"]
        assert office.linked() == first
        office.clock.advance(seconds=600)
        first |= {office.goal_there(one)["id"] for one in others}
        secret |= {office.goal_there(hidden)["id"]}
    office.sync.run()
    assert office.linked() == first
    # What is asked for then is what is new, and for one patient everything.
    since: list[str] = []
    ehr.before = lambda request: (
        since.extend(request.args.getlist("_lastUpdated")) if request.path.endswith("/Goal") else None
    )
    office.clock.advance(seconds=600)
    assert office.sync.run().problems == []
    assert office.linked() == first | secret
    assert bool(since) is (not without)
