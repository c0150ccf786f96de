"""Servers that offer a search by time and refuse it: patients are read as a whole, until they take it."""

import pytest
import requests
from flask import Request, Response

from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.servers import outcome

REFUSALS = {
    "400": outcome(400),
    "403": outcome(403),
    "404": outcome(404),
    "422": outcome(422),
    "501": outcome(501),
    "bare 400": Response("", 400),
    "200": outcome(200),
    "no content": Response("", 204),
}
refused = pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())


def by_time(request: Request, resource_type: str = "") -> bool:
    return "_lastUpdated" in request.args and resource_type in request.path


@refused
def test_a_server_that_refuses_to_tell_by_time_brings_all_that_is_new(
    office: Office, ehr: EHR, refusal: Response
) -> None:
    kept = office.goal("walk")
    office.sync.run()
    ehr.before = lambda request: refusal if by_time(request) else None
    for text in ("swim", "ski"):
        office.clock.advance(seconds=600)
        office.change_there("Goal", kept, description={"text": text})
        new = office.goal_there(text=text)["id"]
        report = office.sync.run()
        assert (report.problem, report.problems) == (None, [])
        assert (report.pulled, report.merged) == (1, 1)
        assert new in office.linked()
        assert office.here("Goal", kept)["description"] == {"text": text}


def test_it_is_so_for_many_patients_too(office: Office, ehr: EHR) -> None:
    there = [office.patient()[1] for _ in range(28)]
    office.sync.run()
    office.clock.advance(seconds=600)
    goals = {office.goal_there(one)["id"] for one in (there[0], there[20])}
    ehr.before = lambda request: outcome(400) if by_time(request) else None
    report = office.sync.run()
    assert (report.problem, report.problems) == (None, [])
    assert office.linked() == goals


def test_a_deletion_is_seen_without_time_and_history(office: Office, ehr: EHR) -> None:
    goal = office.goal()
    office.sync.run()
    office.clock.advance(seconds=600)
    requests.delete(f"{ehr.base_url}/Goal/{office.status(goal).server_id}", timeout=20).raise_for_status()
    ehr.before = lambda request: outcome(403) if by_time(request) or "_history" in request.path else None
    office.sync.run()
    assert office.status(goal).reason == "gone-there"


def test_what_one_type_refuses_the_others_are_still_asked(office: Office, ehr: EHR) -> None:
    office.sync.run()
    office.clock.advance(seconds=600)
    ehr.before = lambda request: outcome(400) if by_time(request, "/Goal") else None
    ehr.forget()
    office.sync.run()
    log = ehr.app.extensions["mainstay_sandbox"].requests
    assert "/fhir/CarePlan" in {one.path for one in log}
    assert sum(one.path == "/fhir/CarePlan" for one in log) == 1


def test_once_the_server_tells_by_time_nothing_of_the_meantime_is_missed(office: Office, ehr: EHR) -> None:
    """What was dated while it refused, and could not be read either, comes then."""
    office.sync.run()
    office.clock.advance(seconds=600)
    ehr.before = lambda request: outcome(400) if by_time(request) else None
    office.sync.run()
    goal = office.goal_there()["id"]
    ehr.before = lambda request: outcome(400) if request.path == "/fhir/Goal" else None
    office.clock.advance(seconds=600)
    report = office.sync.run()
    assert (report.problem, report.problems) == (None, ["ehr: lookup-refused"])
    assert office.linked() == set()
    ehr.before = lambda request: None
    office.clock.advance(seconds=600)
    assert office.sync.run().problems == []
    assert office.linked() == {goal}


def test_the_watermark_stays_while_the_server_does_not_tell_by_time(office: Office, ehr: EHR) -> None:
    office.sync.run()
    asked: list[str] = []

    def refuse(request: Request) -> Response | None:
        if not by_time(request, "/Goal"):
            return None
        asked.append(request.args["_lastUpdated"])
        return outcome(501)

    ehr.before = refuse
    for _ in range(3):
        office.clock.advance(seconds=600)
        office.sync.run()
    assert len(asked) >= 3
    assert len(set(asked)) == 1


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_is_down_is_not_read_as_a_whole(office: Office, ehr: EHR, status: int) -> None:
    office.sync.run()
    office.clock.advance(seconds=600)
    ehr.before = lambda request: Response("", status) if by_time(request, "/Goal") else None
    searches: list[str] = []
    ehr.after = lambda request, response: (
        searches.append(request.url) if request.path == "/fhir/Goal" else None
    )
    office.sync.run()
    assert all("_lastUpdated" in one for one in searches)
