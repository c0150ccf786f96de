"""Servers that answer writes in their own way, in good faith: nothing is lost, doubled or set aside."""

import pytest
import requests
from flask import Request, Response

from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.servers import (
    FHIR,
    SINGLE,
    WAYS,
    is_bundle,
    outcome,
    says_stored,
)

each_way = pytest.mark.parametrize("without", WAYS.values(), ids=WAYS.keys())


@each_way
def test_a_write_that_is_answered_with_an_outcome_was_done(
    office: Office, ehr: EHR, without: set[str]
) -> None:
    ehr.without, ehr.after = without, says_stored
    goals = [office.goal(f"goal {number}") for number in range(6)]
    plans = [office.plan(goal) for goal in goals]
    report = office.sync.push()
    assert (report.problem, report.unknown) == (None, 0)
    assert office.states() == {"synced": 12}
    assert len(office.copies("Goal")) == len(office.copies("CarePlan")) == 6
    for goal, plan in zip(goals, plans, strict=True):
        assert office.status(goal).server_version == "1"
        reference = office.there("CarePlan", plan)["goal"][0]["reference"]
        assert reference == f"Goal/{office.status(goal).server_id}"
    office.change("Goal", goals[0], description={"text": "edited"})
    ehr.forget()
    office.sync.push()
    assert len(ehr.writes()) == 1
    assert office.states() == {"synced": 12}
    assert office.status(goals[0]).server_version == "2"
    assert office.there("Goal", goals[0])["description"] == {"text": "edited"}


def test_what_a_late_index_shows_of_a_write_is_not_what_was_written(office: Office, ehr: EHR) -> None:
    """A server that shows nothing of a write, and whose searches show what was there before it."""
    goals = [office.goal(f"goal {number}") for number in range(3)]
    office.sync.push()
    before = requests.get(f"{ehr.base_url}/Goal", timeout=20).content
    ehr.after = says_stored
    ehr.before = lambda request: (
        Response(before, content_type="application/fhir+json") if "_id" in request.args else None
    )
    for goal in goals:
        office.change("Goal", goal, description={"text": "edited"})
    ehr.forget()
    office.sync.push()
    assert office.states() == {"synced": 3}
    assert {office.status(goal).server_version for goal in goals} == {"2"}
    assert ehr.writes() == ["POST /fhir"]


def test_what_somebody_wrote_before_it_was_read_back_is_merged(office: Office, ehr: EHR) -> None:
    ehr.without = SINGLE
    goal = office.goal("walk")
    office.sync.push()
    url = f"{ehr.base_url}/Goal/{office.status(goal).server_id}"

    def says_stored_and_is_edited(request: Request, response: Response) -> Response | None:
        answer = says_stored(request, response)
        if answer is not None and request.method == "PUT":
            now = requests.get(url, timeout=20).json()
            requests.put(url, json={**now, "note": [{"text": "theirs"}]}, timeout=20).raise_for_status()
        return answer

    ehr.after = says_stored_and_is_edited
    office.change("Goal", goal, description={"text": "run"})
    office.sync.push()
    assert office.here("Goal", goal)["note"] == [{"text": "theirs"}]
    assert office.there("Goal", goal)["note"] == [{"text": "theirs"}]
    assert office.there("Goal", goal)["description"] == {"text": "run"}
    assert office.states() == {"synced": 1}


@pytest.mark.parametrize("status", [200, 404])
def test_a_copy_that_is_not_shown_when_it_is_asked_for_concerns_its_record_alone(
    office: Office, ehr: EHR, status: int
) -> None:
    """The server takes an update for stale, and shows another resource, or nothing that says anything."""
    ehr.without = SINGLE
    goals = [office.goal("walk"), office.goal("swim")]
    office.sync.push()
    for goal in goals:
        office.change("Goal", goal, description={"text": "run"})
    odd, other = (f"/Goal/{office.status(goal).server_id}" for goal in goals)
    shown = requests.get(f"{ehr.base_url}{other}", timeout=20).content if status == 200 else b""

    def answer(request: Request) -> Response | None:
        if not request.path.endswith(odd):
            return None
        return outcome(409) if request.method == "PUT" else Response(shown, status, content_type=FHIR)

    ehr.before = answer
    report = office.sync.push()
    assert report.problem is None
    assert (office.status(goals[0]).state, office.status(goals[0]).reason) == ("pending", "not-fhir")
    assert office.status(goals[1]).state == "synced"


def test_a_put_that_changes_nothing_there_concerns_its_record_alone(office: Office, ehr: EHR) -> None:
    ehr.without = SINGLE
    same, edited = office.goal("walk"), office.goal("swim")
    office.sync.push()
    office.change("Goal", same, extension=[{"url": "urn:test:x", "valueString": "dropped there"}])
    office.change("Goal", edited, description={"text": "run"})
    url = f"/Goal/{office.status(same).server_id}"
    ehr.before = lambda request: (
        Response("", 304, headers={"ETag": 'W/"1"'})
        if request.method == "PUT" and request.path.endswith(url)
        else None
    )
    ehr.forget()
    report = office.sync.run()
    assert report.problem is None
    assert office.states() == {"synced": 2}
    assert office.status(same).server_version == "1"
    assert office.there("Goal", edited)["description"] == {"text": "run"}
    # What stands there is what we know of it: nothing is left to be sent.
    ehr.forget()
    office.sync.enqueue_all("ehr")
    office.sync.push()
    assert ehr.writes() == []


def test_a_put_that_changes_nothing_there_hides_no_change_of_somebody_else(office: Office, ehr: EHR) -> None:
    ehr.without = SINGLE
    goal = office.goal("walk")
    office.sync.push()
    office.change_there("Goal", goal, note=[{"text": "theirs"}])
    office.change("Goal", goal, statusDate="2026-03-02")
    answers = [Response("", 304)]
    ehr.before = lambda request: answers.pop() if request.method == "PUT" and answers else None
    office.sync.push()
    assert answers == []
    for tree in (office.here("Goal", goal), office.there("Goal", goal)):
        assert (tree["note"], tree["statusDate"]) == ([{"text": "theirs"}], "2026-03-02")
    assert office.states() == {"synced": 1}


@pytest.mark.parametrize("without", [WAYS["transaction"], WAYS["batch"]], ids=["transaction", "batch"])
@pytest.mark.parametrize("status", [307, 308])
def test_a_bundle_goes_where_the_server_sends_it(
    office: Office, ehr: EHR, without: set[str], status: int
) -> None:
    ehr.without = without
    ehr.before = lambda request: (
        Response("", status, headers={"Location": f"{ehr.base_url}/"})
        if request.method == "POST" and request.path == "/fhir"
        else None
    )
    for number in range(5):
        office.goal(f"goal {number}")
    report = office.sync.push()
    assert report.problem is None
    assert office.states() == {"synced": 5}
    assert ehr.writes()[-1] == "POST /fhir/"
    assert "POST /fhir/Goal" not in ehr.writes()


NOT_HERE = {
    "redirected to another host": Response("", 308, headers={"Location": "http://elsewhere.test/fhir/"}),
    "moved": Response("", 301, headers={"Location": "/fhir/"}),
    "not found": Response("", 404),
    "not allowed": outcome(405),
    "not implemented": outcome(501),
}


@pytest.mark.parametrize("without", [WAYS["transaction"], WAYS["batch"]], ids=["transaction", "batch"])
@pytest.mark.parametrize("answer", NOT_HERE.values(), ids=NOT_HERE.keys())
def test_where_bundles_are_not_taken_records_go_one_by_one(
    office: Office, ehr: EHR, without: set[str], answer: Response
) -> None:
    ehr.without = without
    ehr.before = lambda request: answer if is_bundle(request) else None
    first, second = office.activity(), office.activity()
    for one, other in ((first, second), (second, first)):
        office.change("ServiceRequest", one, basedOn=[{"reference": f"ServiceRequest/{other}"}])
    goals = [office.goal(f"goal {number}") for number in range(6)]
    plans = [office.plan(goal) for goal in goals]
    report = office.sync.push()
    assert report.problem is None
    assert office.states() == {"synced": 14}
    # What was refused once is hardly tried again.
    assert sum(one in ("POST /fhir", "POST /fhir/") for one in ehr.writes()) <= 2
    reference = office.there("CarePlan", plans[0])["goal"][0]["reference"]
    assert reference == f"Goal/{office.status(goals[0]).server_id}"
