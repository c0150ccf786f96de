"""What it costs to know who is who: one look at most at whoever has something due, and none at rest."""

import pytest
from flask import Request, Response

from service.chart import PatientRegister
from tests.service.sync.conftest import EHR
from tests.service.sync.office import ACTOR, Office
from tests.service.sync.patients_there import A_WHILE, PatientsThere
from tests.service.sync.ward import SINGLE, Ward

FULL: set[str] = set()


@pytest.mark.parametrize(
    ("without", "looks"), [(FULL, ["batch of 25", "batch of 5"]), (SINGLE, 30)], ids=["batch", "single"]
)
def test_whoever_has_something_due_is_looked_at_once(
    office: Office, ehr: EHR, without: set[str], looks: list[str] | int
) -> None:
    ehr.without = without
    ward = Ward(office, ehr, 30)
    for here in ward.people:
        office.goal("one more of them", patient=here)
    office.sync.push()
    assert office.states() == {"synced": 60}
    if isinstance(looks, int):
        assert sorted(ehr.looks) == sorted(f"read {one}" for one in ward.people.values())
    else:
        assert ehr.looks == looks
    ehr.forget()
    # Within the bound nobody is asked for, and at rest nobody ever is.
    ward.change()
    office.sync.run()
    assert ehr.looks == []
    office.clock.advance(seconds=3 * A_WHILE)
    ehr.forget()
    office.sync.run()
    assert ehr.looks == []


def test_a_person_looked_for_by_identifier_needs_no_second_look(office: Office, ehr: EHR) -> None:
    people = [office.patient()[0] for _ in range(30)]
    for here in people:
        office.goal(patient=here)
    ehr.forget()
    office.sync.push()
    assert office.states() == {"synced": 30}
    assert ehr.looks == ["search", "search"]


def test_a_search_after_a_correction_is_the_only_look(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    second = (f"{office.patient_system}:b", "second")
    there.call(office.patient_there, *there.names(office.patient_there), second)
    PatientRegister(office.database, office.clock).add_identifier(office.patient_id, second, ACTOR)
    office.change("Goal", goal, description={"text": "changed"})
    ehr.forget()
    office.sync.push()
    assert office.states() == {"synced": 1}
    assert ehr.looks == ["search"]


def test_a_batch_that_is_refused_falls_back_to_reading_each(office: Office, ehr: EHR) -> None:
    ward = Ward(office, ehr, 3)

    def refuse(request: Request) -> Response | None:
        return Response(status=400) if b'"batch"' in request.get_data() else None

    ehr.before = refuse
    office.sync.push()
    assert office.states() == {"synced": 3}
    assert ehr.looks[0] == "batch of 3"
    assert sorted(ehr.looks[1:]) == sorted(f"read {one}" for one in ward.people.values())
