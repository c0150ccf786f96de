"""Who is who, said here while a window is being sent, counts for all that has not left yet."""

from collections.abc import Callable

import pytest
from flask import Request

from tests.service.sync.conftest import EHR
from tests.service.sync.office import ACTOR, Office
from tests.service.sync.patients_there import PatientsThere
from tests.service.sync.two import register

WAYS = pytest.mark.parametrize(
    ("without", "batch_size"),
    [
        (set(), 1),
        (set(), 2),
        ({"transaction"}, 2),
        ({"transaction", "batch"}, 50),
        ({"transaction", "batch", "conditionalCreate"}, 50),
    ],
    ids=["alone", "transactions", "batches", "single requests", "single requests after a look"],
)


class Meanwhile:
    """Ann has a goal that is sent after three of somebody else's; something is said during the first."""

    def __init__(self, office: Office, ehr: EHR, there: PatientsThere, without: set[str], size: int) -> None:
        self.office, self.ehr, self.size = office, ehr, size
        ehr.without = without
        office.sync.check_connection("ehr")
        self.name = (office.patient_system, "Ann's")
        self.there = there.add(self.name)
        self.ann = office.chart.register_patient([self.name], ACTOR).id

    def send(self, act: Callable[[], object], goal: Callable[[], str]) -> str:
        for number in range(3):
            self.office.goal(f"number {number}")
            self.office.clock.advance(seconds=1)
        last = goal()
        self.ehr.forget()
        done: list[bool] = []

        def once(request: Request) -> None:
            is_write = request.method in ("POST", "PUT") and b"number 0" in request.get_data()
            if is_write and not done:
                done.append(True)
                act()

        self.ehr.before = once
        self.office.new_sync(batch_size=self.size).push()
        assert done
        return last


@WAYS
def test_a_correction_counts(
    office: Office, ehr: EHR, there: PatientsThere, without: set[str], batch_size: int
) -> None:
    one = Meanwhile(office, ehr, there, without, batch_size)
    right = (office.patient_system, "somebody else's")
    goal = one.send(
        lambda: register(office).correct_identifier(one.ann, one.name, right, ACTOR),
        lambda: office.goal("Ann's own", patient=one.ann),
    )
    assert f"Patient/{one.there}" not in ehr.subjects()
    assert office.status(goal).state == "unmatched"


@WAYS
def test_a_removal_counts(
    office: Office, ehr: EHR, there: PatientsThere, without: set[str], batch_size: int
) -> None:
    one = Meanwhile(office, ehr, there, without, batch_size)
    register(office).add_identifier(one.ann, (f"{office.patient_system}:card", "kept"), ACTOR)
    goal = one.send(
        lambda: register(office).remove_identifier(one.ann, one.name, ACTOR),
        lambda: office.goal("Ann's own", patient=one.ann),
    )
    assert f"Patient/{one.there}" not in ehr.subjects()
    assert office.status(goal).state == "unmatched"


@WAYS
def test_a_persons_word_counts(
    office: Office, ehr: EHR, there: PatientsThere, without: set[str], batch_size: int
) -> None:
    one = Meanwhile(office, ehr, there, without, batch_size)
    meant, another = there.add(), office.new_sync()
    goal = one.send(
        lambda: another.match_patient(one.ann, meant, "ehr", ACTOR),
        lambda: office.goal("Ann's own", patient=one.ann),
    )
    assert f"Patient/{one.there}" not in ehr.subjects()
    assert office.there("Goal", goal)["subject"]["reference"] == f"Patient/{meant}"


@WAYS
def test_a_merge_counts(
    office: Office, ehr: EHR, there: PatientsThere, without: set[str], batch_size: int
) -> None:
    one = Meanwhile(office, ehr, there, without, batch_size)
    left_there = there.add((office.patient_system, "left"))
    left = office.chart.register_patient([(office.patient_system, "left")], ACTOR).id
    office.sync.match_patient(left, left_there, "ehr", ACTOR)
    one.send(
        lambda: register(office).merge(one.ann, left, ACTOR),
        lambda: office.goal("Ann's own", patient=one.ann),
    )
    assert f"Patient/{one.there}" not in ehr.subjects()


@WAYS
def test_an_unmerge_counts(
    office: Office, ehr: EHR, there: PatientsThere, without: set[str], batch_size: int
) -> None:
    """While they are one, her goal would go to the Patient of the other one."""
    one = Meanwhile(office, ehr, there, without, batch_size)
    left_there = there.add()
    left = office.chart.register_patient([(office.patient_system, "left")], ACTOR).id

    def write() -> str:
        goal = office.goal("Ann's own", patient=one.ann)
        register(office).merge(one.ann, left, ACTOR)
        office.sync.match_patient(left, left_there, "ehr", ACTOR)
        return goal

    goal = one.send(lambda: register(office).unmerge(one.ann, ACTOR), write)
    assert f"Patient/{left_there}" not in ehr.subjects()
    assert office.there("Goal", goal)["subject"]["reference"] == f"Patient/{one.there}"


def _again(office: Office, goal: str) -> str:
    office.change("Goal", goal, description={"text": "said again"})
    return goal


@WAYS
def test_a_correction_of_somebody_who_is_only_named_counts(
    office: Office, ehr: EHR, there: PatientsThere, without: set[str], batch_size: int
) -> None:
    one = Meanwhile(office, ehr, there, without, batch_size)
    right = (office.patient_system, "somebody else's")
    goal = one.send(
        lambda: register(office).correct_identifier(one.ann, one.name, right, ACTOR),
        lambda: office.goal("her words", expressedBy={"reference": f"Patient/{one.ann}"}),
    )
    assert all(sent.get("expressedBy") is None for sent in ehr.sent)
    assert office.status(goal).state != "synced"


@WAYS
def test_what_was_changed_here_meanwhile_is_sent_once_as_it_is(
    office: Office, ehr: EHR, there: PatientsThere, without: set[str], batch_size: int
) -> None:
    one = Meanwhile(office, ehr, there, without, batch_size)
    goals: list[str] = []

    def write() -> str:
        goals.append(office.goal("before", patient=one.ann))
        return goals[0]

    goal = one.send(lambda: _again(office, goals[0]), write)
    texts = [sent["description"]["text"] for sent in ehr.sent]
    assert (texts.count("before"), texts.count("said again")) == (0, 1)
    assert office.status(goal).state == "synced"
