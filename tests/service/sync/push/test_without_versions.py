"""Servers that keep no versions, or never come to rest: nothing of anybody's is overwritten unseen."""

import pytest
from flask import Request, Response

from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.servers import (
    SINGLE,
    WAYS,
    is_ours,
    outcome,
    rewritten,
    without_versions,
)

each_way = pytest.mark.parametrize("without", WAYS.values(), ids=WAYS.keys())


@each_way
def test_without_versions_an_update_is_sent_after_a_look_at_what_it_replaces(
    office: Office, ehr: EHR, without: set[str]
) -> None:
    ehr.without, ehr.after = without, without_versions
    named: list[str] = []

    def refuse_made_up_versions(request: Request) -> Response | None:
        match = request.headers.get("If-Match")
        named.extend([match] if match is not None else [])
        if b"ifMatch" in request.get_data():
            named.append("in a bundle")
        return outcome(412) if named else None

    ehr.before = refuse_made_up_versions
    goals = [office.goal(f"goal {number}") for number in range(4)]
    office.sync.push()
    for goal in goals[:2]:
        office.change("Goal", goal, description={"text": "run"})
    office.change_there("Goal", goals[1], note=[{"text": "theirs"}])
    office.sync.push()
    assert named == []
    assert office.states() == {"synced": 4}
    assert office.there("Goal", goals[0])["description"] == {"text": "run"}
    for tree in (office.here("Goal", goals[1]), office.there("Goal", goals[1])):
        assert tree["description"] == {"text": "run"}
        assert tree["note"] == [{"text": "theirs"}]


def test_without_versions_what_both_changed_is_overwritten_by_neither(office: Office, ehr: EHR) -> None:
    ehr.after = without_versions
    goal = office.goal("walk")
    office.sync.push()
    office.change("Goal", goal, description={"text": "run"})
    office.change_there("Goal", goal, description={"text": "swim"})
    office.sync.push()
    assert office.status(goal).state == "conflict"
    assert office.there("Goal", goal)["description"] == {"text": "swim"}


def test_without_versions_a_copy_that_is_found_again_is_not_overwritten(office: Office, ehr: EHR) -> None:
    """A database restored from before the push; and the clinic has edited the goal since."""
    ehr.without, ehr.after = SINGLE, without_versions
    goal, same = office.goal("walk"), office.goal("swim")
    for one, text in ((goal, "walk to the lake"), (same, "swim")):
        subject = {"reference": f"Patient/{office.patient_there}"}
        copy = {**office.here("Goal", one), "subject": subject, "description": {"text": text}}
        del copy["id"]
        office.post(copy)
    office.sync.push()
    assert office.status(same).state == "synced"
    assert office.status(goal).state == "conflict"
    assert {one["description"]["text"] for one in office.copies("Goal")} == {"walk to the lake", "swim"}


def test_without_versions_a_copy_that_a_pull_finds_is_not_overwritten_either(
    office: Office, ehr: EHR
) -> None:
    ehr.after = without_versions
    goal = office.goal("walk")
    subject = {"reference": f"Patient/{office.patient_there}"}
    copy = {**office.here("Goal", goal), "subject": subject, "description": {"text": "walk to the lake"}}
    del copy["id"]
    office.post(copy)
    office.sync.pull()
    office.clock.advance(seconds=600)
    office.sync.push()
    assert office.status(goal).state == "conflict"
    assert [one["description"]["text"] for one in office.copies("Goal")] == ["walk to the lake"]


def test_without_versions_what_only_the_server_notes_is_no_change(office: Office, ehr: EHR) -> None:
    """A server that shows another lastUpdated each time that it is asked."""
    stamps = iter(range(1000))

    def stamped(request: Request, response: Response) -> Response:
        answer = without_versions(request, response)
        if not (is_ours(request) and request.method == "GET") or "?" in request.full_path.rstrip("?"):
            return answer
        stamp = f"2026-03-02T08:30:{next(stamps) % 60:02}Z"
        return rewritten(answer, lambda tree: {**tree, "meta": {"lastUpdated": stamp}})

    ehr.after = stamped
    goal = office.goal("walk")
    office.sync.push()
    office.change("Goal", goal, description={"text": "run"})
    ehr.forget()
    office.sync.push()
    assert len(ehr.writes()) == 1
    assert office.states() == {"synced": 1}
    assert office.there("Goal", goal)["description"] == {"text": "run"}


def test_a_record_that_is_another_each_time_does_not_keep_a_push_for_ever(office: Office, ehr: EHR) -> None:
    goal, other = office.goal("walk"), office.goal("swim")
    office.sync.push()
    notes: list[dict[str, str]] = []
    url = f"/Goal/{office.status(goal).server_id}"

    def restless(request: Request, response: Response) -> Response:
        answer = without_versions(request, response)
        if request.method == "GET" and request.path.endswith(url):
            # Enough, or the test would not end where the push does not.
            notes.extend([{"text": f"note {len(notes)}"}] if len(notes) < 60 else [])
            return rewritten(answer, lambda tree: {**tree, "note": notes})
        return answer

    ehr.after = restless
    ehr.before = lambda request: outcome(409) if request.method == "PUT" else None
    office.change("Goal", goal, description={"text": "run"})
    office.sync.push()
    assert 2 < len(notes) < 40
    assert office.status(goal).state == "pending"
    assert office.status(other).state == "synced"
