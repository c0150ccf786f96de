"""What a server holds that is nobody's, or two persons': listed with its reason, shown under nobody."""

from collections.abc import Callable
from typing import Any

import pytest
import requests
from flask import Request, Response

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from tests.databases import contents
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.two_charts import ANNS_WORDS, BOBS_WORDS, Charts, Find, by_full_comparison, by_pull

SECRET = "Run around the lake"
BOTH_WAYS = pytest.mark.parametrize("without", [set(), {"_lastUpdated"}], ids=["by time", "by snapshot"])


@pytest.fixture
def charts(office: Office) -> Charts:
    return Charts(office)


def identifier(charts: Charts, patient: str) -> Tree:
    system, value = charts.office.chart.patient(patient).identifiers[0]
    return {"system": system, "value": value}


def foreign(charts: Charts, subject: Tree | None, **elements: Any) -> Tree:
    """Have somebody there write a goal."""
    charts.office.clock.advance(seconds=600)
    tree = {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": SECRET}}
    return charts.office.post({**tree, "subject": subject, **elements})


def anns(charts: Charts, **more: Any) -> Tree:
    return {"reference": f"Patient/{charts.ann_there}", **more}


def listed(charts: Charts) -> list[tuple[str, str]]:
    return [(one.server_id, one.findings[0]["path"]) for one in charts.office.sync.invalid()]


def require_shown_under_nobody(charts: Charts) -> None:
    for reader in (charts.ann, charts.bob, None):
        assert SECRET not in charts.read_by(reader)


@BOTH_WAYS
def test_a_goal_whose_subject_is_two_persons_is_listed_once(
    charts: Charts, ehr: EHR, without: set[str]
) -> None:
    ehr.without = without
    goal = foreign(charts, anns(charts, identifier=identifier(charts, charts.bob)))
    assert charts.office.sync.run().invalid == 1
    assert listed(charts) == [(goal["id"], "Goal.subject")]
    assert "two things" in charts.office.sync.invalid()[0].findings[0]["problem"]
    require_shown_under_nobody(charts)
    before = contents(charts.office.database)["invalid_resources"]
    charts.office.clock.advance(seconds=600)
    assert charts.office.sync.run().invalid == 0
    assert contents(charts.office.database)["invalid_resources"] == before


@BOTH_WAYS
@pytest.mark.parametrize("mend", ["here", "there"])
def test_it_is_taken_once_what_was_wrong_is_mended(
    charts: Charts, ehr: EHR, without: set[str], mend: str
) -> None:
    """Ann's number was typed into Bob's registration."""
    ehr.without = without
    office = charts.office
    system, number = office.patient_system, "1048"
    office.register_there(number)
    wrong = office.chart.register_patient([(system, number), ("urn:test:other", "x")], "nurse").id
    goal = foreign(charts, anns(charts, identifier={"system": system, "value": number}))
    office.sync.run()
    assert listed(charts) == [(goal["id"], "Goal.subject")]
    if mend == "here":
        charts.register.correct_identifier(wrong, (system, number), (system, "1084"), "nurse")
    else:
        url = f"{ehr.base_url}/Goal/{goal['id']}"
        requests.put(url, json={**goal, "subject": anns(charts)}, timeout=20).raise_for_status()
    office.clock.advance(days=1)
    charts.register.add_identifier(charts.ann, ("urn:test:other", "ann"), "nurse")
    office.sync.run()
    assert office.sync.invalid() == []
    assert SECRET in charts.read_by(charts.ann)
    assert SECRET not in charts.read_by(charts.bob)


def test_what_contradicts_elsewhere_is_listed_by_its_path(charts: Charts, ehr: EHR) -> None:
    said = anns(charts, identifier=identifier(charts, charts.bob))
    goal = foreign(charts, anns(charts), expressedBy=said)
    charts.office.sync.run()
    assert listed(charts) == [(goal["id"], "Goal.expressedBy")]
    require_shown_under_nobody(charts)


def test_a_copy_that_comes_to_contradict_stays_as_it_was_here(charts: Charts, ehr: EHR) -> None:
    office = charts.office
    goal = charts.goal()
    said = anns(charts, identifier=identifier(charts, charts.bob))
    office.clock.advance(seconds=600)
    there = office.change_there("Goal", goal, expressedBy=said, description={"text": SECRET})
    office.sync.run()
    status = office.status(goal)
    assert (status.state, status.reason) == ("rejected", "not-valid-there")
    assert listed(charts) == [(there["id"], "Goal.expressedBy")]
    require_shown_under_nobody(charts)
    office.clock.advance(seconds=600)
    office.change_there("Goal", goal, expressedBy=anns(charts))
    office.sync.run()
    assert office.status(goal).state == "synced"
    assert office.here("Goal", goal)["description"] == {"text": SECRET}


def test_an_edit_that_meets_a_contradiction_says_where_it_is(charts: Charts, ehr: EHR) -> None:
    office = charts.office
    goal = charts.goal()
    said = anns(charts, identifier=identifier(charts, charts.bob))
    there = office.change_there("Goal", goal, expressedBy=said)
    office.change("Goal", goal, statusDate="2026-03-01")
    office.sync.push()
    status = office.status(goal)
    assert (status.state, status.reason) == ("rejected", "not-valid-there")
    assert status.outcome is not None
    assert status.outcome["issue"][0]["expression"] == ["Goal.expressedBy"]
    assert office.there("Goal", goal) == there


@pytest.mark.parametrize(
    "subject",
    [
        {"identifier": {"system": "urn:nobody", "value": "1"}},
        {"display": "Ann"},
        {"reference": "https://elsewhere.example/fhir/Patient/1"},
        {"reference": "Group/1"},
        None,
    ],
    ids=["unregistered", "name alone", "elsewhere", "group", "none"],
)
def test_what_a_search_for_a_patient_shows_and_does_not_tell_whose_it_is(
    charts: Charts, ehr: EHR, subject: Tree | None
) -> None:
    strange = {
        "resourceType": "Goal",
        "id": "strange",
        "meta": {"versionId": "1"},
        "lifecycleStatus": "active",
    }
    strange |= {"description": {"text": SECRET}} | ({"subject": subject} if subject else {})
    ehr.after = lambda request, response: shown_too(request, response, strange)
    for _ in range(2):
        charts.office.sync.run()
        assert listed(charts) == [("strange", "Goal.subject")]
    assert "does not tell" in charts.office.sync.invalid()[0].findings[0]["problem"]
    require_shown_under_nobody(charts)


def saying(charts: Charts, goal: str, subject: Tree) -> Callable[[Request, Response], Response | None]:
    """Have the server say the subject of a goal's copy in another way, as servers behind another name do."""
    server_id = charts.office.status(goal).server_id

    def said(node: Any) -> Any:
        if isinstance(node, list):
            return [said(item) for item in node]
        if not isinstance(node, dict):
            return node
        members = {name: said(value) for name, value in node.items()}
        is_it = (members.get("resourceType"), members.get("id")) == ("Goal", server_id)
        return {**members, "subject": subject} if is_it else members

    def after(request: Request, response: Response) -> Response | None:
        if not response.is_json or request.path.endswith("/metadata"):
            return None
        response.set_data(exact_json.dump(said(exact_json.parse(response.get_data()))))
        return response

    return after


def shown_too(request: Request, response: Response, resource: Tree) -> Response | None:
    """Show a resource in every search for goals of patients."""
    if not request.path.endswith("/Goal") or "patient" not in request.args:
        return None
    bundle = exact_json.parse(response.get_data())
    entry = {"resource": resource, "search": {"mode": "match"}}
    response.set_data(exact_json.dump({**bundle, "entry": [*bundle.get("entry", []), entry]}))
    return response


def test_a_stranger_there_is_nobodys_business(charts: Charts, ehr: EHR) -> None:
    office = charts.office
    stranger = office.register_there("somebody else")
    for number in range(60):
        office.patient()
        foreign(charts, {"reference": f"Patient/{stranger}"}, note=[{"text": str(number)}])
    office.sync.run()
    office.clock.advance(seconds=600)
    foreign(charts, {"reference": f"Patient/{stranger}"})
    foreign(charts, {"identifier": {"system": "urn:nobody", "value": "1"}})
    office.sync.run()
    assert (office.sync.invalid(), office.sync.moved(), office.states()) == ([], [], {})


@pytest.mark.parametrize("find", [by_pull, by_full_comparison])
@pytest.mark.parametrize(
    "subject",
    [
        lambda charts: {"reference": f"http://LOCALHOST:1/fhir/Patient/{charts.ann_there}"},
        lambda charts: {"reference": f"https://ehr.example/r4/Patient/{charts.ann_there}/_history/1"},
        lambda charts: {"reference": f"{charts.office.base_url}/Patient/{charts.ann_there}"},
        lambda charts: {"identifier": identifier(charts, charts.ann)},
        lambda charts: {"type": "Patient", "identifier": identifier(charts, charts.ann), "display": "Ann"},
        lambda charts: anns(charts, identifier={"system": "urn:theirs", "value": "7"}),
    ],
    ids=["another name", "another base", "whole", "identifier", "identifier and name", "a number of theirs"],
)
def test_a_copy_is_taken_in_whatever_form_it_says_its_patient(
    charts: Charts, ehr: EHR, find: Find, subject: Any
) -> None:
    goal = charts.goal()
    charts.move_back(goal, description={"text": "edited there"})
    ehr.after = saying(charts, goal, subject(charts))
    find(charts, goal)
    assert (charts.office.sync.invalid(), charts.office.sync.moved()) == ([], [])
    here = charts.office.here("Goal", goal)
    assert here["description"] == {"text": "edited there"}
    assert here["subject"]["reference"] == f"Patient/{charts.ann}"
    assert charts.office.status(goal).server_version == "2"


@pytest.mark.parametrize("find", [by_pull, by_full_comparison])
@pytest.mark.parametrize(
    "subject",
    [
        lambda charts: {"identifier": identifier(charts, charts.bob)},
        lambda charts: anns(charts, identifier=identifier(charts, charts.bob)),
        lambda charts: {"reference": f"https://ehr.example/r4/Patient/{charts.bob_there}"},
        lambda charts: {"display": "Bob"},
        lambda charts: {"reference": "Group/7"},
    ],
    ids=["Bob's identifier", "two persons", "Bob under another name", "a name", "a group"],
)
def test_a_copy_that_says_somebody_else_in_whatever_form_is_set_aside(
    charts: Charts, ehr: EHR, find: Find, subject: Any
) -> None:
    goal = charts.goal()
    charts.move_back(goal, description={"text": BOBS_WORDS})
    ehr.after = saying(charts, goal, subject(charts))
    find(charts, goal)
    assert charts.moved().record_id == goal
    for reader in (charts.ann, charts.bob, None):
        assert BOBS_WORDS not in charts.read_by(reader)
    assert ANNS_WORDS in charts.read_by(charts.ann)
