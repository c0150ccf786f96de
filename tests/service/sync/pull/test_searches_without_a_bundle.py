"""Searches and histories that a server answers with success and no Bundle: that search's matter alone."""

from collections.abc import Mapping

import pytest
from flask import Request, Response

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.sandbox.faults import Before
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.patients_there import A_WHILE
from tests.service.sync.servers import FHIR, SINGLE, outcome
from tests.service.sync.things_there import PROBLEMS, back_pain, condition, named, of, practitioner, standing

HINT: Tree = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "information", "code": "informational", "diagnostics": "nothing to see"}],
}
NO_BUNDLE = {
    "an error": outcome(200),
    "an error, accepted": outcome(202),
    "a hint": Response(exact_json.dump(HINT), 200, content_type=FHIR),
    "a resource": Response(exact_json.dump({"resourceType": "Basic", "id": "1"}), 200, content_type=FHIR),
    "no content": Response("", 204),
    "accepted": Response("", 202),
    "empty": Response("", 200),
    "a page for people": Response("<html>This report moved.</html>", 200, content_type="text/html"),
}
no_bundle = pytest.mark.parametrize("answer", NO_BUNDLE.values(), ids=NO_BUNDLE.keys())


def only_at(path: str, answer: Response, parameter: str | None = None) -> Before:
    """Answer searches of one path so, or only those with a parameter."""

    def answering(request: Request) -> Response | None:
        is_meant = request.method == "GET" and request.path == f"/fhir{path}"
        return answer if is_meant and (parameter is None or parameter in request.args) else None

    return answering


def plan_there(office: Office, **more: str) -> str:
    plan: Tree = {"resourceType": "CarePlan", "status": "active", "intent": "plan", **more}
    return str(office.post({**plan, "subject": of(office.patient_there)})["id"])


@no_bundle
def test_a_history_without_a_bundle_keeps_back_no_change(office: Office, ehr: EHR, answer: Response) -> None:
    office.sync.run()
    ehr.before = only_at("/Goal/_history", answer)
    office.clock.advance(seconds=600)
    goal, plan = office.goal_there()["id"], plan_there(office)
    report = office.sync.run()
    assert (report.problem, report.problems, report.pulled) == (None, [], 2)
    assert office.linked() == {goal, plan}


@no_bundle
def test_a_search_of_one_type_without_a_bundle_keeps_back_no_other_type(
    office: Office, ehr: EHR, answer: Response
) -> None:
    office.sync.run()
    ehr.before = only_at("/Goal", answer)
    office.clock.advance(seconds=600)
    goal, plan = office.goal_there()["id"], plan_there(office)
    report = office.sync.run()
    assert (report.problem, report.problems) == (None, ["ehr: lookup-refused"])
    assert office.linked() == {plan}
    ehr.before = lambda request: None
    office.clock.advance(seconds=600)
    assert office.sync.run().problems == []
    assert office.linked() == {goal, plan}


@no_bundle
def test_a_search_for_a_person_without_a_bundle_keeps_back_that_person_alone(
    office: Office, ehr: EHR, answer: Response
) -> None:
    first = office.goal()
    office.sync.run()
    other = office.patient()[0]
    theirs, ours = office.goal(patient=other), office.goal("swim")
    ehr.before = only_at("/Patient", answer)
    plan = plan_there(office)
    office.clock.advance(seconds=600)
    report = office.sync.run()
    assert report.problem is None
    assert [standing(office, one) for one in (first, ours)] == ["synced", "synced"]
    assert standing(office, theirs) == "pending lookup-refused"
    assert plan in office.linked()
    ehr.before = lambda request: None
    office.clock.advance(seconds=A_WHILE)
    office.sync.run()
    assert office.states() == {"synced": 4}


@no_bundle
def test_a_search_for_records_without_a_bundle_keeps_back_those_alone(
    office: Office, ehr: EHR, answer: Response
) -> None:
    """Without conditional creates each is looked for before it is sent."""
    ehr.without = SINGLE
    goal, activity = office.goal(), office.activity()
    ehr.before = only_at("/Goal", answer, "identifier")
    plan = plan_there(office)
    report = office.sync.run()
    assert report.problem is None
    assert standing(office, goal) == "pending lookup-refused"
    assert standing(office, activity) == "synced"
    assert plan in office.linked()
    ehr.before = lambda request: None
    office.clock.advance(seconds=A_WHILE)
    office.sync.run()
    assert office.states() == {"synced": 3}
    assert len(office.copies("Goal")) == 1


@pytest.mark.parametrize("kind", ["an error", "a hint", "no content"])
def test_one_identifier_that_brings_no_bundle_holds_up_no_others(office: Office, ehr: EHR, kind: str) -> None:
    ehr.without = SINGLE
    goals = [office.goal(f"goal {number}") for number in range(7)]
    ehr.before = lambda request: NO_BUNDLE[kind] if goals[3] in request.args.get("identifier", "") else None
    office.sync.push()
    assert office.states() == {"synced": 6, "pending": 1}
    assert standing(office, goals[3]) == "pending lookup-refused"


def test_many_identifiers_that_bring_no_bundle_are_soon_given_up(office: Office, ehr: EHR) -> None:
    ehr.without = SINGLE
    for number in range(40):
        office.goal(f"goal {number}")
    ehr.before = only_at("/Goal", NO_BUNDLE["no content"], "identifier")
    ehr.forget()
    office.sync.push()
    assert office.states() == {"pending": 40}
    assert ehr.reads() < 15


@no_bundle
def test_a_search_for_what_is_named_without_a_bundle_keeps_back_who_names_it(
    office: Office, ehr: EHR, answer: Response
) -> None:
    practitioner(office)
    condition(office, of(office.patient_there))
    plain, pained = office.goal(), office.goal(**back_pain())
    observed = office.goal(addresses=[named("Observation", PROBLEMS, "back")])
    ehr.before = lambda request: answer if request.path in ("/fhir/Condition", "/fhir/Observation") else None
    report = office.sync.run()
    assert report.problem is None
    assert standing(office, plain) == standing(office, observed) == "synced"
    assert standing(office, pained) == "pending lookup-refused"


def test_a_server_that_refuses_a_count_with_success_is_asked_without(office: Office, ehr: EHR) -> None:
    ehr.before = lambda request: outcome(200, "_count: no") if "_count" in request.args else None
    goal = office.goal_there()["id"]
    report = office.sync.run()
    assert (report.problem, report.problems) == (None, [])
    assert office.linked() == {goal}


def test_where_many_patients_are_not_answered_of_at_once_they_are_named(office: Office, ehr: EHR) -> None:
    there = [office.patient()[1] for _ in range(30)]
    office.sync.run()
    office.clock.advance(seconds=600)
    goal = office.goal_there(there[7])["id"]
    searches: list[Mapping[str, str]] = []

    def named_only(request: Request) -> Response | None:
        if request.path != "/fhir/Goal":
            return None
        searches.append(request.args)
        return None if "patient" in request.args else outcome(200)

    ehr.before = named_only
    report = office.sync.run()
    assert (report.problem, report.problems) == (None, [])
    assert office.linked() == {goal}
    assert all("_lastUpdated" in one for one in searches)


@pytest.mark.parametrize("path", ["/Goal", "/Goal/_history", "/Patient"])
def test_where_the_address_is_no_fhir_at_all_the_connection_pauses(
    office: Office, ehr: EHR, path: str
) -> None:
    office.goal()
    office.sync.run()
    office.clock.advance(seconds=600)
    office.goal(patient=office.patient()[0])
    here, there = (only_at(one, NO_BUNDLE["a page for people"]) for one in (path, "/metadata"))
    ehr.before = lambda request: here(request) or there(request)
    assert office.sync.run().problem == "not-fhir"


def test_an_error_beside_a_page_that_came_costs_no_page(office: Office, ehr: EHR) -> None:
    ehr.without = {"_lastUpdated"}
    goal = office.goal_there()
    pages: list[str] = []

    def breaks_off(request: Request, response: Response) -> Response | None:
        if request.path != "/fhir/Goal":
            return None
        pages.append(request.path)
        if "page" in request.args:
            return outcome(200)
        bundle = exact_json.parse(response.get_data())
        link = [{"relation": "next", "url": f"{ehr.base_url}/Goal?page=2"}]
        response.set_data(exact_json.dump({**bundle, "link": link}))
        return None

    ehr.after = breaks_off
    report = office.sync.pull()
    assert (report.problem, report.problems) == (None, ["ehr: lookup-refused"])
    assert office.linked() == {goal["id"]}
    assert len(pages) == 2
