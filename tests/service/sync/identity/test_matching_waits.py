"""Patients who cannot be looked at just now: theirs waits, and nobody else's does."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import requests
from flask import Request, Response
from requests import PreparedRequest

from service.fhir_client.client import FHIRClient
from service.sandbox import faults
from service.sync.identity.patient_lookup import MOST_UNANSWERED
from tests.service.sync.conftest import EHR
from tests.service.sync.office import Office
from tests.service.sync.patients_there import A_WHILE, PatientsThere
from tests.service.sync.ward import SINGLE, Ward

Answer = Callable[[], Response]


@pytest.fixture
def stalled() -> Iterator[Answer]:
    """An answer that does not come while the test lasts."""
    over = threading.Event()

    def wait() -> Response:
        over.wait(10)
        return faults.dropped()

    yield wait
    over.set()


class Impatient(requests.Session):
    """Waits in vain for some Patients; counts how often."""

    def __init__(self) -> None:
        super().__init__()
        self.slow: set[str] = set()
        self.waited = 0

    def send(self, request: PreparedRequest, **kwargs: Any) -> requests.Response:
        if str(request.url).rpartition("/Patient/")[2] in self.slow:
            self.waited += 1
            raise requests.ReadTimeout("no answer")
        return super().send(request, **kwargs)


def impatient(office: Office, server_ids: Iterable[str]) -> Impatient:
    """Have the office wait in vain for these Patients."""
    session = Impatient()
    session.slow |= set(server_ids)
    office.sync = office.new_sync(lambda one: FHIRClient(one.base_url, session=session))
    return session


def answering(server_ids: set[str], answer: Answer) -> Callable[[Request], Response | None]:
    """A hook: reads of these Patients are answered so."""
    paths = {f"/fhir/Patient/{server_id}" for server_id in server_ids}
    return lambda request: answer() if request.method == "GET" and request.path in paths else None


FAILURES = [
    pytest.param(lambda: Response(status=500), "patient-not-verified", id="500"),
    pytest.param(lambda: faults.overloaded(503), "patient-not-verified", id="503"),
    pytest.param(lambda: faults.overloaded(429), "patient-not-verified", id="429"),
    pytest.param(lambda: Response(status=408), "patient-not-verified", id="408"),
    pytest.param(faults.dropped, "patient-not-verified", id="dropped"),
    pytest.param(
        lambda: Response("", content_type="application/fhir+json"), "patient-not-verified", id="empty"
    ),
    pytest.param(lambda: Response(status=403), "patient-not-readable-there", id="403"),
]


@pytest.mark.parametrize(("answer", "reason"), FAILURES)
def test_who_cannot_be_verified_waits_and_holds_up_nobody(
    office: Office, ehr: EHR, answer: Answer, reason: str
) -> None:
    ehr.without = SINGLE
    ward = Ward(office, ehr, 3)
    poor, *others = ward.people
    ehr.before = answering({ward.people[poor]}, answer)
    report = office.sync.push()
    assert ward.standing(poor) == f"pending {reason}"
    assert [ward.standing(one) for one in others] == ["synced", "synced"]
    assert ehr.subjects() == {f"Patient/{ward.people[one]}" for one in others}
    assert report.problem is None
    # What was known still stands, and as soon as they can be seen all goes on.
    assert office.match(poor).server_id == ward.people[poor]
    assert office.match(poor).state == "matched"
    ehr.before = lambda request: None
    office.clock.advance(seconds=A_WHILE)
    office.sync.push()
    assert office.states() == {"synced": 3}


def test_who_is_slow_waits_and_holds_up_nobody(office: Office, ehr: EHR, stalled: Answer) -> None:
    ehr.without = SINGLE
    ward = Ward(office, ehr, 3)
    slow, *others = ward.people
    ehr.before = answering({ward.people[slow]}, stalled)
    office.sync = office.new_sync(lambda one: FHIRClient(one.base_url, timeout_seconds=1))
    office.sync.push()
    assert ward.standing(slow) == "pending patient-not-verified"
    assert [ward.standing(one) for one in others] == ["synced", "synced"]
    assert ehr.subjects() == {f"Patient/{ward.people[one]}" for one in others}


def test_those_who_are_always_slow_do_not_starve_those_who_answer(office: Office, ehr: EHR) -> None:
    """There are more of them than are waited for in one pass, and once all had been seen at one moment."""
    ehr.without = SINGLE
    ward = Ward(office, ehr, 2 * MOST_UNANSWERED)
    slow = set(sorted(ward.people)[:MOST_UNANSWERED])
    office.sync.push()
    impatient(office, [ward.people[here] for here in slow])
    for _ in range(12):
        office.clock.advance(seconds=A_WHILE)
        ward.change()
        office.sync.push()
    assert {here for here in ward.people if ward.standing(here) != "synced"} == slow


def test_a_server_that_does_not_answer_is_not_asked_for_everybody(office: Office, ehr: EHR) -> None:
    ehr.without = SINGLE
    ward = Ward(office, ehr, 8)
    session = impatient(office, ward.people.values())
    office.sync.push()
    assert office.states() == {"pending": 8}
    assert session.waited == MOST_UNANSWERED
    assert ehr.sent == []


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_wait_is_not_asked_for_everybody(office: Office, ehr: EHR, status: int) -> None:
    ehr.without = SINGLE
    ward = Ward(office, ehr, 8)
    ehr.before = answering(set(ward.people.values()), lambda: faults.overloaded(status))
    office.sync.push()
    assert office.states() == {"pending": 8}
    assert len(ehr.looks) == MOST_UNANSWERED
    assert ehr.sent == []


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_says_until_when_is_asked_nothing_more(office: Office, ehr: EHR, status: int) -> None:
    ehr.without = SINGLE
    ward = Ward(office, ehr, 8)
    ehr.before = answering(set(ward.people.values()), lambda: faults.overloaded(status, "30"))
    report = office.sync.push()
    assert (report.problem, office.states()) == ("busy", {"pending": 8})
    assert len(ehr.looks) == 1
    assert ehr.sent == []


def test_a_record_waits_for_whomever_else_it_names(office: Office, ehr: EHR) -> None:
    ehr.without = SINGLE
    ward = Ward(office, ehr, 2)
    daughter, father = ward.people
    named = office.goal(patient=daughter, expressedBy={"reference": f"Patient/{father}"})
    ehr.before = answering({ward.people[father]}, lambda: Response(status=403))
    office.sync.push()
    assert ward.standing(daughter) == "synced"
    assert office.status(named).reason == "waiting-for-reference"
    assert ehr.subjects() == {f"Patient/{ward.people[daughter]}"}


@pytest.mark.parametrize(
    "answer", [lambda: Response(status=500), lambda: Response(status=403)], ids=["500", "403"]
)
def test_a_successor_who_cannot_be_seen_is_waited_for(
    office: Office, ehr: EHR, there: PatientsThere, goal: str, answer: Answer
) -> None:
    left = there.add()
    there.merge(office.patient_there, into=left)
    office.change("Goal", goal, description={"text": "waits"})
    ehr.forget()
    ehr.before = answering({left}, answer)
    office.sync.push()
    assert office.status(goal).state == "pending"
    assert ehr.sent == []
    assert office.match().server_id == office.patient_there


def test_no_patient_readable_is_the_connections_problem(office: Office, ehr: EHR) -> None:
    ehr.without = SINGLE
    ward = Ward(office, ehr, 3)
    ehr.before = answering(set(ward.people.values()), lambda: Response(status=403))
    report = office.sync.push()
    assert report.problem == "patient-not-readable-there"
    assert office.states() == {"pending": 3}
    assert ehr.sent == []
    ehr.before = lambda request: None
    office.clock.advance(seconds=A_WHILE)
    office.sync.push()
    assert office.states() == {"synced": 3}


def test_two_who_may_not_be_read_are_no_problem_of_the_connection(office: Office, ehr: EHR) -> None:
    """Others were shown a moment ago, though nothing is due to them now."""
    ehr.without = SINGLE
    ward = Ward(office, ehr, 4)
    hidden = list(ward.people)[:2]
    ehr.before = answering({ward.people[here] for here in hidden}, lambda: Response(status=403))
    office.sync.push()
    office.clock.advance(seconds=600)
    for here in hidden:
        office.change("Goal", ward.goals[here], description={"text": "again"})
    report = office.sync.run()
    assert report.problem is None
    assert {ward.standing(here) for here in hidden} == {"pending patient-not-readable-there"}


@pytest.mark.parametrize("status", [400, 403, 414, 429, 500, 503])
@pytest.mark.parametrize("whole", [True, False], ids=["every search", "one person's"])
def test_a_search_for_a_person_that_fails_is_that_persons_matter(
    office: Office, ehr: EHR, goal: str, status: int, whole: bool
) -> None:
    """Somebody new is looked for beside one who is known, and beside others who are new."""
    poor, other = office.patient()[0], office.patient()[0]
    name = office.chart.patient(poor).identifiers[0][1]

    def refuse(request: Request) -> Response | None:
        is_meant = request.path == "/fhir/Patient" and (whole or name in request.args.get("identifier", ""))
        return Response(status=status) if is_meant and request.method == "GET" else None

    goals = [office.goal(patient=poor), office.goal(patient=other)]
    office.change("Goal", goal, description={"text": "not held up"})
    ehr.before = refuse
    office.sync.push()
    states = [office.status(one).state for one in (goal, *goals)]
    assert states == ["synced", "pending", "pending" if whole else "synced"]
    reasons = {400: "lookup-refused", 414: "lookup-refused", 403: "patient-not-readable-there"}
    assert office.status(goals[0]).reason == reasons.get(status, "patient-not-verified")
    ehr.before = lambda request: None
    office.clock.advance(seconds=A_WHILE)
    office.sync.push()
    assert office.states() == {"synced": 3}
