"""What is called gone, and what is only not shown: a wrong address deletes nothing."""

import pytest
import requests
from flask import Request, Response

from service.sandbox import faults
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.servers import SINGLE, outcome, rewritten

BY_SNAPSHOT = {"_lastUpdated"}


NOT_FHIR = {
    "bare": Response("", 404),
    "a page": faults.web_page(404),
    "json": Response('{"error": "no such route"}', 404, content_type="application/json"),
    "moved": Response("", 301, headers={"Location": "/r4/"}),
}


@pytest.mark.parametrize("answer", NOT_FHIR.values(), ids=NOT_FHIR.keys())
@pytest.mark.parametrize("with_metadata", [True, False], ids=["beside metadata", "everywhere"])
@pytest.mark.parametrize("without", [set(), BY_SNAPSHOT], ids=["by time", "by snapshot"])
def test_a_wrong_address_deletes_nothing(
    office: Office, ehr: EHR, answer: Response, with_metadata: bool, without: set[str]
) -> None:
    ehr.without = without
    kept, edited, new = office.goal("kept"), office.goal("edited"), None
    office.sync.run()
    office.change("Goal", edited, description={"text": "edited since"})
    new = office.goal("new")
    ehr.before = lambda request: None if with_metadata and "metadata" in request.path else answer
    office.clock.advance(seconds=600)
    report = office.sync.run()
    assert report.rejected == 0
    assert {office.status(one).state for one in (kept, edited, new)} <= {"synced", "pending", "unknown"}
    if not with_metadata:
        assert report.problem == "not-fhir"
    ehr.before = lambda request: None
    office.clock.advance(seconds=7200)
    office.sync.run()
    assert office.states() == {"synced": 3}
    assert office.there("Goal", edited)["description"] == {"text": "edited since"}
    assert len(office.copies("Goal")) == 3


def test_a_server_that_says_not_found_without_a_word_keeps_up_no_others(office: Office, ehr: EHR) -> None:
    ehr.without = SINGLE
    gone, other = office.goal("gone"), office.goal("other")
    office.sync.push()
    for one in (gone, other):
        office.change("Goal", one, description={"text": "edited"})
    url = f"/Goal/{office.status(gone).server_id}"
    ehr.before = lambda request: Response("", 404) if request.path.endswith(url) else None
    report = office.sync.run()
    assert report.problem is None
    assert (office.status(gone).state, office.status(gone).reason) == ("pending", "not-fhir")
    assert office.status(other).state == "synced"


@pytest.mark.parametrize("answer", [outcome(404), outcome(410), Response("", 410)])
def test_what_a_fhir_server_says_is_gone_is_gone(office: Office, ehr: EHR, answer: Response) -> None:
    goal = office.goal()
    office.sync.push()
    office.change("Goal", goal, description={"text": "edited"})
    url = f"/Goal/{office.status(goal).server_id}"
    ehr.without = SINGLE
    office.clock.advance(days=1)
    ehr.before = lambda request: answer if request.path.endswith(url) else None
    office.sync.push()
    assert (office.status(goal).state, office.status(goal).reason) == ("rejected", "gone-there")


def test_one_copy_that_may_not_be_read_keeps_back_no_other(office: Office, ehr: EHR) -> None:
    ehr.without = BY_SNAPSHOT
    secret, goal = office.goal("secret"), office.goal("goal")
    office.sync.run()
    url = f"/Goal/{office.status(secret).server_id}"
    there = office.status(secret).server_id
    ehr.before = lambda request: outcome(403) if request.path.endswith(url) else None

    def hides(request: Request, response: Response) -> Response | None:
        if not request.path.endswith("/Goal"):
            return None
        return rewritten(
            response,
            lambda bundle: {
                **bundle,
                "entry": [one for one in bundle.get("entry", []) if one["resource"]["id"] != there],
            },
        )

    ehr.after = hides
    office.clock.advance(seconds=600)
    office.change_there("Goal", goal, description={"text": "theirs"})
    report = office.sync.run()
    assert (report.problem, report.problems) == (None, [])
    assert office.status(secret).state == "synced"
    assert office.here("Goal", goal)["description"] == {"text": "theirs"}


def test_a_deletion_that_could_not_be_asked_for_is_asked_for_again(office: Office, ehr: EHR) -> None:
    goal = office.goal()
    office.sync.run()
    office.clock.advance(seconds=600)
    requests.delete(f"{ehr.base_url}/Goal/{office.status(goal).server_id}", timeout=20).raise_for_status()
    ehr.before = lambda request: Response("", 500) if "_history" in request.path else None
    assert office.sync.run().problems == ["ehr: server-error"]
    assert office.status(goal).state == "synced"
    ehr.before = lambda request: None
    office.clock.advance(seconds=600)
    office.sync.run()
    assert office.status(goal).reason == "gone-there"


def test_a_history_that_is_refused_keeps_back_no_change(office: Office, ehr: EHR) -> None:
    goal = office.goal()
    office.sync.run()
    office.clock.advance(seconds=600)
    office.change_there("Goal", goal, description={"text": "theirs"})
    ehr.before = lambda request: outcome(403) if "_history" in request.path else None
    assert office.sync.run().problems == []
    assert office.here("Goal", goal)["description"] == {"text": "theirs"}
