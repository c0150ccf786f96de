"""Records that a server refuses: whom and what they name is looked at once more, and once only."""

from collections.abc import Callable
from datetime import datetime

import pytest
from flask import Request, Response

from service.sandbox import faults
from tests.clock import Clock
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.patients_there import A_WHILE, PatientsThere
from tests.service.sync.things_there import STAFF, named, practitioner, rename, searches, standing

DOCTOR = named("Practitioner", STAFF, "dr")


def refusing(ehr: EHR, mention: str) -> Callable[[Request], Response | None]:
    """A hook: whatever mentions a reference is refused, as a server does that does not hold the target."""

    def refuse(request: Request) -> Response | None:
        if len(ehr.sent) > 20:
            # A client that does not come to an end by itself is stopped.
            return faults.overloaded()
        is_meant = request.method in ("POST", "PUT") and mention.encode() in request.get_data()
        return Response(status=422) if is_meant else None

    return refuse


class Ticking(Clock):
    """A clock that goes on a little whenever somebody looks at it, as real ones do."""

    def __call__(self) -> datetime:
        self.advance(seconds=0.001)
        return super().__call__()


@pytest.fixture(params=["still", "ticking"])
def office(request: pytest.FixtureRequest, office: Office) -> Office:
    """An office whose clock stands still, and one whose clock does not."""
    if request.param == "ticking":
        office.clock = Ticking(office.clock())
        office.sync = office.new_sync()
    return office


@pytest.mark.parametrize("without", [set(), {"transaction", "batch"}], ids=["transaction", "single"])
def test_a_reference_that_the_server_refuses_is_looked_for_at_once(
    office: Office, ehr: EHR, without: set[str]
) -> None:
    ehr.without = without
    old = practitioner(office)
    office.goal(expressedBy=DOCTOR)
    office.sync.push()
    rename(office, old)
    new = practitioner(office)
    office.clock.advance(seconds=A_WHILE)
    ehr.forget()
    ehr.before = refusing(ehr, f"Practitioner/{old}")
    goals = [office.goal(expressedBy=DOCTOR) for _ in range(3)]
    office.sync.push()
    assert searches(ehr, "Practitioner") == 1
    references = {office.there("Goal", goal)["expressedBy"]["reference"] for goal in goals}
    assert references == {f"Practitioner/{new}"}


def test_what_is_refused_after_a_second_look_is_rejected(office: Office, ehr: EHR) -> None:
    doctor = practitioner(office)
    office.goal(expressedBy=DOCTOR)
    office.sync.push()
    office.clock.advance(seconds=A_WHILE)
    ehr.forget()
    ehr.before = refusing(ehr, f"Practitioner/{doctor}")
    goal = office.goal(expressedBy=DOCTOR)
    office.sync.push()
    assert standing(office, goal) == "rejected refused"
    assert searches(ehr, "Practitioner") == 1
    assert len(ehr.sent) == 2
    office.sync.push()
    assert len(ehr.sent) == 2


def test_what_was_just_looked_for_gets_no_second_look(office: Office, ehr: EHR) -> None:
    doctor = practitioner(office)
    ehr.forget()
    ehr.before = refusing(ehr, f"Practitioner/{doctor}")
    goal = office.goal(expressedBy=DOCTOR)
    office.sync.push()
    assert standing(office, goal) == "rejected refused"
    assert searches(ehr, "Practitioner") == 1
    assert len(ehr.sent) == 1


def test_a_chart_that_was_closed_by_a_merge_a_moment_ago_leads_to_the_open_one(
    office: Office, ehr: EHR, there: PatientsThere
) -> None:
    goals = [office.goal(f"goal {number}") for number in range(3)]
    office.sync.push()
    old, left = office.patient_there, there.add()
    there.merge(old, into=left)
    for goal in goals:
        office.change("Goal", goal, description={"text": "after the merge"})
    ehr.forget()
    # The server lets nothing be written to the old chart any more; our look was less than an hour ago.
    ehr.before = refusing(ehr, f'"Patient/{old}"')
    office.sync.push()
    assert office.states() == {"synced": 3}
    assert {office.there("Goal", goal)["subject"]["reference"] for goal in goals} == {f"Patient/{left}"}


def test_a_patient_who_was_deleted_a_moment_ago_is_said_to_be_gone(office: Office, ehr: EHR) -> None:
    goal = office.goal()
    office.sync.push()
    office.change("Goal", goal, description={"text": "for whom"})
    refuse = refusing(ehr, f'"Patient/{office.patient_there}"')
    ehr.before = lambda request: (
        Response(status=410) if request.path.startswith("/fhir/Patient/") else refuse(request)
    )
    office.sync.push()
    assert standing(office, goal) == "unmatched patient-gone-there"
