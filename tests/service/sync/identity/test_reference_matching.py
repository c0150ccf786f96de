"""What records name by identifier: found there, of the record's patient, and for a day at most."""

import pytest
import requests
from flask import Request, Response

from fhir_mappings.exact_json import Tree
from service.sync.identity.identifiers import same_systems
from service.sync.identity.matching import MatchRules
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.patients_there import A_WHILE, PatientsThere
from tests.service.sync.things_there import (
    KIN,
    PROBLEMS,
    STAFF,
    addressed,
    back_pain,
    condition,
    named,
    of,
    practitioner,
    related,
    rename,
    searches,
    standing,
)

A_DAY = 86_401


def test_a_condition_that_is_another_patients_is_not_referred_to(office: Office, ehr: EHR) -> None:
    _, other = office.patient()
    condition(office, of(other))
    ehr.forget()
    goal = office.goal(**back_pain())
    office.sync.push()
    assert standing(office, goal) == "unmatched not-this-patients-there"
    assert ehr.sent == []
    assert [(one.type, one.value) for one in office.status(goal).sought] == [("Condition", "back")]


def test_of_two_conditions_the_patients_own_is_meant(office: Office, ehr: EHR) -> None:
    here, other = office.patient()
    theirs, ours = condition(office, of(other)), condition(office, of(office.patient_there))
    goal, their_goal = office.goal(**back_pain()), office.goal(patient=here, **back_pain())
    office.sync.push()
    assert office.states() == {"synced": 2}
    assert addressed(office, goal) == f"Condition/{ours}"
    assert addressed(office, their_goal) == f"Condition/{theirs}"


def test_two_conditions_of_the_patients_own_are_one_too_many(office: Office, ehr: EHR) -> None:
    for _ in range(2):
        condition(office, of(office.patient_there))
    ehr.forget()
    goal = office.goal(**back_pain())
    office.sync.push()
    assert standing(office, goal) == "unmatched several-found-there"
    assert ehr.sent == []


def test_a_condition_may_say_its_patient_in_any_form_but_not_two(
    office: Office, ehr: EHR, there: PatientsThere
) -> None:
    (system, value) = office.chart.patient(office.patient_id).identifiers[0]
    group = office.post({"resourceType": "Group", "type": "person", "actual": True})["id"]
    ours: Tree = {"identifier": {"system": system, "value": value}}
    other = office.chart.patient(office.patient()[0]).identifiers[0][1]
    theirs = {"identifier": {"system": system, "value": other}}
    subjects: dict[str, Tree] = {
        "by name": ours,
        "twice": {**of(office.patient_there), **ours},
        "two things": {**of(office.patient_there), **theirs},
        "another's name": theirs,
        "a group": {"reference": f"Group/{group}"},
    }
    ids = {form: condition(office, subject, form) for form, subject in subjects.items()}
    goals = {form: office.goal(**back_pain(form)) for form in subjects}
    ehr.forget()
    office.sync.push()
    assert {form: standing(office, goal) for form, goal in goals.items()} == {
        "by name": "synced",
        "twice": "synced",
        "two things": "unmatched not-this-patients-there",
        "another's name": "unmatched not-this-patients-there",
        "a group": "unmatched not-this-patients-there",
    }
    assert addressed(office, goals["by name"]) == f"Condition/{ids['by name']}"


def test_a_condition_of_who_was_merged_into_the_patient_is_theirs(
    office: Office, ehr: EHR, there: PatientsThere, goal: str
) -> None:
    old = condition(office, of(office.patient_there))
    there.merge(office.patient_there, into=there.add())
    new = office.goal(**back_pain())
    office.sync.push()
    assert standing(office, new) == "synced"
    assert addressed(office, new) == f"Condition/{old}"


def test_a_related_person_is_the_patients_own_too(office: Office, ehr: EHR) -> None:
    _, other = office.patient()
    related(office, other, "both")
    related(office, other, "theirs")
    ours = related(office, office.patient_there, "both")
    wife, stranger = (office.goal(expressedBy=named("RelatedPerson", KIN, one)) for one in ("both", "theirs"))
    office.sync.push()
    assert office.there("Goal", wife)["expressedBy"]["reference"] == f"RelatedPerson/{ours}"
    assert standing(office, stranger) == "unmatched not-this-patients-there"


def test_a_practitioner_is_everybodys(office: Office, ehr: EHR) -> None:
    doctor = practitioner(office)
    people = [office.patient_id, *(office.patient()[0] for _ in range(3))]
    goals = [office.goal(patient=one, expressedBy=named("Practitioner", STAFF, "dr")) for one in people]
    ehr.forget()
    office.sync.push()
    assert {office.there("Goal", goal)["expressedBy"]["reference"] for goal in goals} == {
        f"Practitioner/{doctor}"
    }
    assert searches(ehr, "Practitioner") == 1


def test_of_several_practitioners_the_one_in_use_is_meant(office: Office, ehr: EHR) -> None:
    practitioner(office, active=False)
    doctor = practitioner(office, active=True)
    goal = office.goal(expressedBy=named("Practitioner", STAFF, "dr"))
    office.sync.push()
    assert office.there("Goal", goal)["expressedBy"]["reference"] == f"Practitioner/{doctor}"


def test_what_was_not_found_is_found_once_it_is_there(office: Office, ehr: EHR) -> None:
    goal = office.goal(**back_pain())
    office.sync.push()
    assert standing(office, goal) == "unmatched not-found-there"
    ours = condition(office, of(office.patient_there))
    office.clock.advance(seconds=600)
    office.sync.push()
    assert addressed(office, goal) == f"Condition/{ours}"


def test_what_was_found_is_asked_for_again_after_a_day_and_not_before(office: Office, ehr: EHR) -> None:
    """The doctor got another resource there; the old one is still to be read, and not what we mean."""
    old = practitioner(office)
    doctor = named("Practitioner", STAFF, "dr")
    goals = [office.goal(expressedBy=doctor)]
    office.sync.push()
    rename(office, old)
    new = practitioner(office)
    ehr.forget()
    office.clock.advance(seconds=A_DAY - 60)
    goals.append(office.goal(expressedBy=doctor))
    office.sync.push()
    assert searches(ehr, "Practitioner") == 0
    office.clock.advance(seconds=120)
    goals.append(office.goal(expressedBy=doctor))
    office.sync.push()
    assert searches(ehr, "Practitioner") == 1
    assert [office.there("Goal", goal)["expressedBy"]["reference"] for goal in goals] == [
        f"Practitioner/{old}",
        f"Practitioner/{old}",
        f"Practitioner/{new}",
    ]


def test_what_a_patient_is_found_to_have_is_asked_anew_when_they_were_merged(
    office: Office, ehr: EHR, there: PatientsThere
) -> None:
    """The server made a new condition for who is left, and the old one is not theirs any more."""
    old = condition(office, of(office.patient_there))
    office.goal(**back_pain())
    office.sync.push()
    left = there.add()
    there.merge(office.patient_there, into=left)
    new = condition(office, of(left))
    url = f"{office.base_url}/Condition/{old}"
    moved = {"resourceType": "Condition", "id": old, "identifier": [{"system": PROBLEMS, "value": "x"}]}
    assert requests.put(url, json={**moved, "subject": of(there.add())}, timeout=20).ok
    office.clock.advance(seconds=A_WHILE)
    goal = office.goal(**back_pain())
    office.sync.push()
    # A day has not passed.
    assert addressed(office, goal) == f"Condition/{new}"


@pytest.mark.parametrize(
    ("shown", "is_found"),
    [("URN:OID:1.2.9", True), ("1.2.9", True), ("urn:oid:1.2.90", False), ("https://staff.example", True)],
)
def test_what_is_shown_in_another_form_is_found_too(
    office: Office, ehr: EHR, shown: str, is_found: bool
) -> None:
    doctor = office.post(
        {"resourceType": "Practitioner", "identifier": [{"system": "urn:oid:1.2.9", "value": "dr"}]}
    )["id"]

    def show(request: Request, response: Response) -> None:
        if request.path == "/fhir/Practitioner":
            response.set_data(response.get_data(as_text=True).replace("urn:oid:1.2.9", shown))

    ehr.after = show
    rules = MatchRules(same_systems=same_systems("https://staff.example|urn:oid:1.2.9"))
    office.sync = office.new_sync(match_rules=rules)
    goal = office.goal(expressedBy=named("Practitioner", "urn:oid:1.2.9", "dr"))
    office.sync.push()
    assert standing(office, goal) == ("synced" if is_found else "unmatched not-found-there")
    if is_found:
        assert office.there("Goal", goal)["expressedBy"]["reference"] == f"Practitioner/{doctor}"


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_a_search_that_fails_holds_up_only_those_who_need_it(office: Office, ehr: EHR, status: int) -> None:
    practitioner(office)
    practitioner(office, "other")
    condition(office, of(office.patient_there))
    plain = office.goal()
    pained = office.goal(**back_pain())
    doctors = [office.goal(expressedBy=named("Practitioner", STAFF, one)) for one in ("dr", "other")]

    def refuse(request: Request) -> Response | None:
        is_meant = request.path == "/fhir/Practitioner" and f"{STAFF}|dr" in request.args["identifier"]
        return Response(status=status) if is_meant and request.method == "GET" else None

    ehr.before = refuse
    office.sync.push()
    states = [office.status(one).state for one in (plain, pained, *doctors)]
    assert states == ["synced", "synced", "pending", "synced"]
    ehr.before = lambda request: None
    office.clock.advance(seconds=A_WHILE)
    office.sync.push()
    assert office.states() == {"synced": 4}


def test_a_place_travels_by_name_whatever_a_search_for_it_brings(office: Office, ehr: EHR) -> None:
    place = named("Organization", "urn:test:places", "gym")
    ehr.before = lambda request: Response(status=403) if request.path == "/fhir/Organization" else None
    activity = office.activity(performer=[place])
    office.sync.push()
    assert office.there("ServiceRequest", activity)["performer"] == [place]
