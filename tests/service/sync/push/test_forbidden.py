"""403: of one record among others, or of all that a connection may do."""

import pytest

from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.servers import (
    WAYS,
    outcome,
)

each_way = pytest.mark.parametrize("without", WAYS.values(), ids=WAYS.keys())


@each_way
def test_a_connection_that_may_not_write_sets_no_record_aside_and_still_reads(
    office: Office, ehr: EHR, without: set[str]
) -> None:
    ehr.without = without
    goals = [office.goal(f"goal {number}") for number in range(10)]
    subject = {"reference": f"Patient/{office.patient_there}"}
    theirs = office.post(
        {
            "resourceType": "Goal",
            "lifecycleStatus": "active",
            "description": {"text": "x"},
            "subject": subject,
        }
    )
    ehr.before = lambda request: outcome(403) if "Prefer" in request.headers else None
    ehr.forget()
    report = office.sync.run()
    assert (report.problem, report.rejected) == ("forbidden", 0)
    assert {office.status(goal).state for goal in goals} == {"pending"}
    assert len(ehr.writes()) < 10
    assert theirs["id"] in {row.server_id for row in office.sync.status()[0]}
    ehr.before = lambda request: None
    office.clock.advance(seconds=7200)
    office.sync.push()
    assert office.states() == {"synced": 11}


@each_way
def test_a_record_that_is_forbidden_among_others_is_set_aside_alone(
    office: Office, ehr: EHR, without: set[str]
) -> None:
    ehr.without = without
    bad = [office.goal(f"UNACCEPTABLE {number}") for number in range(2)]
    good = [office.goal(f"goal {number}") for number in range(5)]
    ehr.before = lambda request: (
        outcome(403) if "Prefer" in request.headers and b"UNACCEPTABLE" in request.get_data() else None
    )
    report = office.sync.push()
    assert (report.problem, report.rejected) == (None, 2)
    assert {(office.status(goal).state, office.status(goal).reason) for goal in bad} == {
        ("rejected", "forbidden")
    }
    assert {office.status(goal).state for goal in good} == {"synced"}


def test_two_that_are_forbidden_and_nothing_else_are_about_themselves(office: Office, ehr: EHR) -> None:
    goals = [office.goal(f"goal {number}") for number in range(2)]
    ehr.before = lambda request: outcome(403) if "Prefer" in request.headers else None
    report = office.sync.push()
    assert report.problem is None
    assert office.states() == {"rejected": 2}
    assert office.status(goals[0]).outcome is not None
