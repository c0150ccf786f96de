"""Here to there, whole: against the sandbox, with whatever a server or network does in between."""

import threading
import uuid
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from flask import Request, Response

from fhir_mappings.exact_json import Tree
from service.chart import RecordVersion
from service.fhir_client.client import FHIRClient
from service.sandbox import faults
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office

FULL: set[str] = set()
BATCH = {"transaction", "conditionalCreate"}
SINGLE = {"transaction", "batch", "conditionalCreate"}


@pytest.mark.parametrize("without", [FULL, BATCH, SINGLE], ids=["transaction", "batch", "single"])
def test_records_arrive_once_with_their_references(office: Office, ehr: EHR, without: set[str]) -> None:
    ehr.without = without
    goals = [office.goal(f"goal {number}") for number in range(7)]
    plans = [office.plan(goal) for goal in goals]
    office.sync.push()
    assert office.states() == {"synced": 14}
    assert len(office.copies("Goal")) == 7
    assert len(office.copies("CarePlan")) == 7
    for goal, plan in zip(goals, plans, strict=True):
        there = office.there("CarePlan", plan)
        assert there["goal"] == [{"reference": f"Goal/{office.status(goal).server_id}"}]
        assert there["subject"] == {"reference": f"Patient/{office.patient_there}"}


def test_a_transaction_of_many_is_one_request(office: Office, ehr: EHR) -> None:
    for number in range(50):
        office.goal(f"goal {number}")
    office.sync.push()
    assert ehr.writes() == ["POST /fhir"]


def test_a_second_push_writes_nothing(office: Office, ehr: EHR) -> None:
    office.goal()
    office.sync.push()
    ehr.forget()
    office.sync.enqueue_all("ehr")
    office.sync.push()
    assert ehr.writes() == []
    assert office.states() == {"synced": 1}


def test_ten_edits_are_one_request(office: Office, ehr: EHR) -> None:
    goal = office.goal()
    office.sync.push()
    ehr.forget()
    for number in range(10):
        office.change("Goal", goal, description={"text": f"edit {number}"})
    office.sync.push()
    assert len(ehr.writes()) == 1
    assert office.there("Goal", goal)["description"] == {"text": "edit 9"}


@pytest.mark.parametrize("without", [FULL, BATCH, SINGLE], ids=["transaction", "batch", "single"])
def test_a_dropped_answer_makes_no_second_copy(office: Office, ehr: EHR, without: set[str]) -> None:
    ehr.without = without
    for number in range(5):
        office.goal(f"goal {number}")
    ehr.after = once(lambda request: request.method == "POST", faults.dropped)
    office.sync.push()
    office.clock.advance(seconds=7200)
    office.sync.push()
    assert office.states() == {"synced": 5}
    assert len(office.copies("Goal")) == 5


def once(applies: Callable[[Request], bool], answer: Callable[[], Response]) -> faults.AfterCommit:
    """An after-commit hook that misbehaves at the first request that it applies to."""
    used: list[bool] = []

    def hook(request: Request, response: Response) -> Response | None:
        if used or not applies(request):
            return None
        used.append(True)
        return answer()

    return hook


@pytest.mark.parametrize("without", [FULL, SINGLE], ids=["transaction", "single"])
def test_what_got_no_answer_is_unknown_until_a_search_says(
    office: Office, ehr: EHR, without: set[str]
) -> None:
    """The server commits, falls silent, and is back an hour later."""
    ehr.without = without
    goal = office.goal()
    written: list[bool] = []

    def silent_since_the_write(request: Request, response: Response) -> Response | None:
        written.extend([True] if request.method == "POST" else [])
        return faults.dropped() if written else None

    ehr.after = silent_since_the_write
    office.sync.push()
    assert office.status(goal).state == "unknown"
    ehr.after = lambda request, response: None
    ehr.forget()
    office.clock.advance(seconds=7200)
    office.sync.push()
    assert office.status(goal).state == "synced"
    assert ehr.writes() == []
    assert len(office.copies("Goal")) == 1


def test_only_an_uncached_search_counts(office: Office, ehr: EHR) -> None:
    """A server that answers searches from a cache unless told otherwise, and has no conditional create."""
    ehr.without = SINGLE
    office.goal()
    ehr.before = lambda request: (
        Response('{"resourceType": "Bundle", "type": "searchset"}', content_type="application/fhir+json")
        if request.path.endswith("/Goal")
        and request.method == "GET"
        and "no-cache" not in request.headers.get("Cache-Control", "")
        else None
    )
    ehr.after = once(lambda request: request.method == "POST", faults.dropped)
    office.sync.push()
    office.clock.advance(seconds=7200)
    office.sync.push()
    assert len(office.copies("Goal")) == 1
    assert office.states() == {"synced": 1}


class Killed(BaseException):
    """The end of the process, as far as the code under test can tell."""


class DyingClient(FHIRClient):
    """Dies as soon as the server has committed a write."""

    def create(self, *args: Any, **kwargs: Any) -> NoReturn:
        super().create(*args, **kwargs)
        raise Killed

    def bundle(self, *args: Any, **kwargs: Any) -> NoReturn:
        super().bundle(*args, **kwargs)
        raise Killed

    def update(self, *args: Any, **kwargs: Any) -> NoReturn:
        super().update(*args, **kwargs)
        raise Killed


@pytest.mark.parametrize("without", [FULL, BATCH, SINGLE], ids=["transaction", "batch", "single"])
def test_a_process_that_dies_after_the_server_committed_leaves_a_note(
    office: Office, ehr: EHR, without: set[str]
) -> None:
    ehr.without = without
    goals = [office.goal(f"goal {number}") for number in range(3)]
    dying = office.new_sync(lambda one: DyingClient(one.base_url))
    with pytest.raises(Killed):
        dying.push()
    assert "unknown" in {office.status(goal).state for goal in goals}
    for goal in goals:
        # An edit in the meantime must not be taken for what was sent.
        office.change("Goal", goal, description={"text": "edited since"})
    office.clock.advance(seconds=7200)
    office.sync.push()
    assert office.states() == {"synced": 3}
    assert [one["description"]["text"] for one in office.copies("Goal")] == ["edited since"] * 3


def test_a_process_that_dies_after_an_update_changes_nothing_twice(office: Office, ehr: EHR) -> None:
    goal = office.goal()
    office.sync.push()
    office.change("Goal", goal, description={"text": "new"})
    with pytest.raises(Killed):
        office.new_sync(lambda one: DyingClient(one.base_url)).push()
    ehr.forget()
    office.clock.advance(seconds=7200)
    office.sync.push()
    assert ehr.writes() == []
    assert office.states() == {"synced": 1}
    assert office.there("Goal", goal)["meta"]["versionId"] == "2"


def test_an_edit_during_a_push_is_not_taken_for_what_was_pushed(office: Office, ehr: EHR) -> None:
    goal = office.goal("before")
    edits: list[RecordVersion] = []

    def edit_once(request: Request, response: Response) -> None:
        if request.method == "POST" and not edits:
            edits.append(office.change("Goal", goal, description={"text": "during"}))

    ehr.after = edit_once
    office.sync.push()
    assert edits
    assert office.there("Goal", goal)["description"] == {"text": "during"}
    assert office.states() == {"synced": 1}


def test_a_change_there_is_not_overwritten(office: Office, ehr: EHR) -> None:
    goal = office.goal("walk", note=[{"text": "first"}])
    office.sync.push()
    office.change_there(
        "Goal",
        goal,
        note=[{"text": "first"}, {"text": "theirs"}],
        extension=[{"url": "urn:x", "valueString": "x"}],
    )
    office.change("Goal", goal, description={"text": "run"})
    office.sync.push()
    there = office.there("Goal", goal)
    assert there["description"] == {"text": "run"}
    assert there["note"] == [{"text": "first"}, {"text": "theirs"}]
    assert there["extension"] == [{"url": "urn:x", "valueString": "x"}]
    here = office.here("Goal", goal)
    assert here["note"] == there["note"]
    assert here["extension"] == there["extension"]
    assert office.states() == {"synced": 1}


def test_a_change_of_the_same_on_both_sides_overwrites_neither(office: Office, ehr: EHR) -> None:
    goal = office.goal("walk")
    office.sync.push()
    office.change_there("Goal", goal, description={"text": "swim"})
    office.change("Goal", goal, description={"text": "run"})
    office.sync.push()
    assert office.status(goal).state == "conflict"
    assert office.there("Goal", goal)["description"] == {"text": "swim"}
    assert office.here("Goal", goal)["description"] == {"text": "run"}
    (conflict,), _ = office.sync.conflicts()
    assert conflict.paths == ["Goal.description"]
    assert conflict.here["description"] == {"text": "run"}
    assert conflict.there["description"] == {"text": "swim"}
    assert conflict.base is not None
    assert conflict.base["description"] == {"text": "walk"}


def refusing(text: bytes) -> Response:
    return Response(
        '{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"business-rule"}]}',
        422,
        content_type="application/fhir+json",
    )


@pytest.mark.parametrize("without", [FULL, BATCH, SINGLE], ids=["transaction", "batch", "single"])
def test_one_refused_record_does_not_hold_up_the_others(office: Office, ehr: EHR, without: set[str]) -> None:
    ehr.without = without
    goals = [office.goal(f"goal {number}") for number in range(60)]
    bad = goals[37]
    office.change("Goal", bad, description={"text": "UNACCEPTABLE"})
    ehr.before = lambda request: (
        refusing(b"") if request.method in ("POST", "PUT") and b"UNACCEPTABLE" in request.get_data() else None
    )
    office.sync.push()
    assert office.states() == {"synced": 59, "rejected": 1}
    status = office.status(bad)
    assert status.reason == "refused"
    assert status.next_step
    assert status.outcome is not None
    assert status.outcome["issue"][0]["code"] == "business-rule"
    office.change("Goal", bad, description={"text": "acceptable"})
    office.sync.push()
    assert office.states() == {"synced": 60}
    assert len(office.copies("Goal")) == 60


@pytest.mark.parametrize(
    ("there", "reason"), [(0, "no-patient-there"), (2, "several-patients-there")], ids=["none", "several"]
)
def test_a_patient_who_is_not_found_exactly_once_is_not_guessed(
    office: Office, ehr: EHR, there: int, reason: str
) -> None:
    lost, name = office.patient(there=there)
    goal, other = office.goal(patient=lost), office.goal()
    ehr.forget()
    office.sync.push()
    assert (office.status(goal).state, office.status(goal).reason) == ("unmatched", reason)
    assert office.status(other).state == "synced"
    assert not any(
        one.method == "POST" and "Patient" in one.path
        for one in ehr.app.extensions["mainstay_sandbox"].requests
    )
    if there == 0:
        office.register_there(name)
        office.clock.advance(seconds=7200)
        office.sync.push()
        assert office.states() == {"synced": 2}


def practitioner(name: str) -> Tree:
    return {"resourceType": "Practitioner", "identifier": [{"system": "urn:npi", "value": name}]}


def test_a_practitioner_is_found_by_identifier(office: Office, ehr: EHR) -> None:
    name = str(uuid.uuid4())
    there_already = office.post(practitioner(name))
    known = {"type": "Practitioner", "identifier": {"system": "urn:npi", "value": name}}
    place = {"type": "Location", "identifier": {"system": "urn:rooms", "value": "4"}}
    plan = office.plan(office.goal(), author=known, supportingInfo=[place])
    office.sync.push()
    there = office.there("CarePlan", plan)
    assert there["author"]["reference"] == f"Practitioner/{there_already['id']}"
    assert there["supportingInfo"] == [place]
    office.sync.run()
    assert office.here("CarePlan", plan)["author"] == known


@pytest.mark.parametrize(("there", "reason"), [(0, "not-found-there"), (2, "several-found-there")])
def test_a_practitioner_who_is_not_found_once_is_neither_created_nor_guessed(
    office: Office, ehr: EHR, there: int, reason: str
) -> None:
    name = str(uuid.uuid4())
    for _ in range(there):
        office.post(practitioner(name))
    author = {"type": "Practitioner", "identifier": {"system": "urn:npi", "value": name}}
    goal = office.goal()
    plan = office.plan(goal, author=author)
    office.sync.push()
    assert (office.status(plan).state, office.status(plan).reason) == ("unmatched", reason)
    assert office.status(goal).state == "synced"
    if there == 0:
        office.post(practitioner(name))
        office.sync.retry(plan)
        office.sync.push()
        assert office.states() == {"synced": 2}


def test_a_record_waits_for_what_it_refers_to(office: Office, ehr: EHR) -> None:
    goal = office.goal("UNACCEPTABLE")
    plan = office.plan(goal)
    ehr.before = lambda request: (
        refusing(b"") if request.method == "POST" and b"UNACCEPTABLE" in request.get_data() else None
    )
    office.sync.push()
    assert office.status(goal).state == "rejected"
    assert (office.status(plan).state, office.status(plan).reason) == ("pending", "waiting-for-reference")
    office.change("Goal", goal, description={"text": "fine"})
    office.sync.push()
    office.clock.advance(seconds=7200)
    office.sync.push()
    assert office.states() == {"synced": 2}


@pytest.mark.parametrize("without", [FULL, BATCH, SINGLE], ids=["transaction", "batch", "single"])
def test_records_that_refer_to_each_other_arrive(office: Office, ehr: EHR, without: set[str]) -> None:
    ehr.without = without
    first = office.activity()
    second = office.activity(basedOn=[{"reference": f"ServiceRequest/{first}"}])
    office.change("ServiceRequest", first, basedOn=[{"reference": f"ServiceRequest/{second}"}])
    office.sync.push()
    assert office.states() == {"synced": 2}
    for one, other in ((first, second), (second, first)):
        reference = office.there("ServiceRequest", one)["basedOn"][0]["reference"]
        assert reference == f"ServiceRequest/{office.status(other).server_id}"


def test_a_server_that_is_down_is_left_alone_for_a_while(office: Office, ehr: EHR) -> None:
    for number in range(120):
        office.goal(f"goal {number}")
    office.sync.push("ehr")
    office.goal()
    ehr.before = lambda request: faults.overloaded(503, "600")
    ehr.forget()
    report = office.sync.push()
    assert report.problem == "busy"
    assert office.states() == {"synced": 120, "unknown": 1} or office.states() == {
        "synced": 120,
        "pending": 1,
    }
    asked = len(ehr.writes()) + ehr.reads()
    office.clock.advance(seconds=590)
    office.sync.push()
    assert len(ehr.writes()) + ehr.reads() == asked
    ehr.before = lambda request: None
    office.clock.advance(seconds=7200)
    office.sync.push()
    assert office.states() == {"synced": 121}


def test_a_web_page_in_the_place_of_fhir_is_named(office: Office, ehr: EHR) -> None:
    goal, known = office.goal(patient=office.patient()[0]), office.goal("known")
    ehr.before = lambda request: faults.web_page() if "Patient" in request.path else None
    office.sync.push()
    assert office.status(goal).state == "pending"
    ehr.before = lambda request: None
    office.clock.advance(seconds=600)
    office.sync.push()
    assert office.states() == {"synced": 2}
    office.change("Goal", known, description={"text": "again"})
    ehr.before = lambda request: faults.web_page()
    report = office.sync.push()
    assert report.problem == "not-fhir"
    assert office.status(known).state in ("pending", "unknown")
    assert office.status(known).reason == "not-fhir"


def test_a_record_deleted_there_is_not_created_again(office: Office, ehr: EHR) -> None:
    import requests

    goal = office.goal()
    office.sync.push()
    requests.delete(f"{ehr.base_url}/Goal/{office.status(goal).server_id}", timeout=20).raise_for_status()
    office.change("Goal", goal, description={"text": "new"})
    office.sync.push()
    assert (office.status(goal).state, office.status(goal).reason) == ("rejected", "gone-there")
    assert office.copies("Goal") == []
    assert office.here("Goal", goal)["description"] == {"text": "new"}


def test_a_withdrawn_record_is_marked_there_and_not_deleted(office: Office, ehr: EHR) -> None:
    goal = office.goal()
    office.sync.push()
    office.chart.withdraw(goal, "nurse")
    office.sync.push()
    assert office.there("Goal", goal)["lifecycleStatus"] == "entered-in-error"
    assert not any(one.startswith("DELETE") for one in ehr.writes())


@pytest.mark.parametrize("without", [FULL, BATCH, SINGLE], ids=["transaction", "batch", "single"])
def test_what_is_there_already_is_not_created_again(office: Office, ehr: EHR, without: set[str]) -> None:
    """A database restored from before the push knows nothing of it."""
    ehr.without = without
    goals = [office.goal("walk") for _ in range(3)]
    for goal in goals:
        copy = {**office.here("Goal", goal), "subject": {"reference": f"Patient/{office.patient_there}"}}
        del copy["id"]
        office.post(copy)
    office.sync.push()
    assert office.states() == {"synced": 3}
    assert len(office.copies("Goal")) == 3


def test_two_copies_there_are_said_and_not_chosen_from(office: Office, ehr: EHR) -> None:
    goal = office.goal()
    copy = {**office.here("Goal", goal), "subject": {"reference": f"Patient/{office.patient_there}"}}
    del copy["id"]
    office.post(copy)
    office.post(copy)
    office.sync.push()
    assert (office.status(goal).state, office.status(goal).reason) == ("rejected", "several-copies-there")


def test_an_identifier_of_another_patient_is_not_adopted(office: Office, ehr: EHR) -> None:
    goal = office.goal()
    _, other = office.patient()
    copy = {**office.here("Goal", goal), "subject": {"reference": f"Patient/{other}"}}
    del copy["id"]
    office.post(copy)
    office.sync.push()
    assert (office.status(goal).state, office.status(goal).reason) == ("rejected", "identifier-taken")


def test_many_workers_send_each_record_once(office: Office, ehr: EHR) -> None:
    ehr.without = SINGLE
    for number in range(40):
        office.goal(f"goal {number}")
    office.sync.check_connection("ehr")
    workers = [office.new_sync(lambda one: FHIRClient(one.base_url), batch_size=1) for _ in range(4)]
    threads = [threading.Thread(target=worker.push) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert office.states() == {"synced": 40}
    assert len([one for one in ehr.writes() if one == "POST /fhir/Goal"]) == 40
    assert len(office.copies("Goal")) == 40


def test_a_stop_ends_after_the_bundle_on_its_way(office: Office, ehr: EHR) -> None:
    for number in range(120):
        office.goal(f"goal {number}")
    sync = office.new_sync()
    sync.stopping = lambda: len(ehr.writes()) >= 1
    sync.push()
    assert ehr.writes() == ["POST /fhir"]
    assert office.states() == {"synced": 50, "pending": 70}
    office.sync.push()
    assert office.states() == {"synced": 120}


def test_what_a_transaction_refers_to_may_have_gone_with_the_one_before(office: Office, ehr: EHR) -> None:
    goals = [office.goal(f"goal {number}") for number in range(4)]
    plans = [office.plan(goal) for goal in goals]
    office.new_sync(batch_size=2).push()
    assert office.states() == {"synced": 8}
    assert ehr.writes() == ["POST /fhir"] * 4
    for goal, plan in zip(goals, plans, strict=True):
        assert office.there("CarePlan", plan)["goal"] == [
            {"reference": f"Goal/{office.status(goal).server_id}"}
        ]


def test_a_pause_that_is_asked_for_holds_for_the_transaction_that_was_to_follow(
    office: Office, ehr: EHR
) -> None:
    for number in range(6):
        office.goal(f"goal {number}")
    ehr.before = lambda request: faults.overloaded(503, "600") if request.method == "POST" else None
    office.new_sync(batch_size=2).push()
    assert ehr.writes() == ["POST /fhir"]
    # The server may have done what it was sent first; the others have not left.
    assert office.states() == {"unknown": 2, "pending": 4}
    ehr.before = lambda request: None
    office.clock.advance(seconds=3600)
    office.sync.push()
    assert office.states() == {"synced": 6}
    assert len(office.copies("Goal")) == 6
