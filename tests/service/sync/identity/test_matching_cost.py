"""What it costs to know who is who: one look at most at whoever has something due, and none at rest."""

import pytest
from flask import Request, Response

from fhir_mappings import exact_json
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


def test_answers_of_a_batch_in_another_order_cost_no_second_look(office: Office, ehr: EHR) -> None:
    ward = Ward(office, ehr, 30)

    def turned(request: Request, response: Response) -> Response | None:
        body = exact_json.parse(request.get_data()) if request.method == "POST" else {}
        reads = [one for one in body.get("entry", []) if one["request"]["method"] == "GET"]
        if not reads:
            return None
        answer = exact_json.parse(response.get_data())
        answer["entry"].reverse()
        return Response(exact_json.dump(answer), mimetype="application/fhir+json")

    ehr.after = turned
    office.sync.push()
    assert office.states() == {"synced": 30}
    assert ehr.looks == ["batch of 25", "batch of 5"]
    assert ehr.subjects() == {f"Patient/{one}" for one in ward.people.values()}


def test_who_is_not_shown_among_answers_in_another_order_is_asked_for_alone(office: Office, ehr: EHR) -> None:
    ward = Ward(office, ehr, 4)
    absent = next(iter(ward.people.values()))

    def turned(request: Request, response: Response) -> Response | None:
        if b'"batch"' not in request.get_data():
            return None
        answer = exact_json.parse(response.get_data())
        entries = [one for one in answer["entry"] if one.get("resource", {}).get("id") != absent]
        turned = [*entries, {"response": {"status": "404"}}]
        return Response(exact_json.dump({**answer, "entry": turned}), mimetype="application/fhir+json")

    ehr.after = turned
    office.sync.push()
    assert ehr.looks == ["batch of 4", f"read {absent}"]
    assert office.states() == {"synced": 4}
