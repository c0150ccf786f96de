"""One id that two persons or records have in what is loaded: refused, and nobody gets what is another's."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.service.cli.running import Ended, mainstay

Line = dict[str, Any]
SYSTEM = "https://clinic.example/numbers"


class Store:
    """A store that lines are loaded into, and what is in it by then."""

    def __init__(self, path: Path) -> None:
        self._env = {"MAINSTAY_DATABASE_URL": f"sqlite:///{path / 'mainstay.db'}"}
        assert mainstay("db", "upgrade", env=self._env).code == 0

    def load(self, *lines: Line) -> Ended:
        return mainstay("load", "-", input="\n".join(map(json.dumps, lines)), env=self._env)

    def add(self, number: str) -> str:
        (row,) = mainstay("patient", "add", f"{SYSTEM}|{number}", "--json", env=self._env).lines
        return str(row["id"])

    def statements(self) -> dict[str, str]:
        """Return whose each goal is, by number."""
        lines = mainstay("export", env=self._env).lines
        numbers = {one["id"]: one["identifiers"][0]["value"] for one in lines if one["type"] == "Patient"}
        goals = [one for one in lines if one["type"] == "Goal"]
        return {one["statement"]: numbers[one["subject"]["reference"].split("/")[1]] for one in goals}

    def export(self, kind: str) -> list[Line]:
        return [one for one in mainstay("export", env=self._env).lines if one["type"] == kind]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def person(number: str, said_id: str, **more: Any) -> Line:
    return {"type": "Patient", "id": said_id, "identifiers": [{"system": SYSTEM, "value": number}], **more}


def goal(statement: str, subject: str, **more: Any) -> Line:
    reference = {"reference": f"Patient/{subject}"}
    return {"type": "Goal", "status": "active", "statement": statement, "subject": reference, **more}


def plan(patient: str, named: str, **more: Any) -> Line:
    goals = [{"reference": f"Goal/{named}"}]
    subject = {"identifier": {"system": SYSTEM, "value": patient}}
    return {"type": "CarePlan", "status": "active", "subject": subject, "goals": goals, **more}


def refusals(ended: Ended) -> dict[str, str]:
    """Return what was said of each line that was refused, by its number."""
    said = [line.partition("standard input:")[2] for line in ended.err.splitlines()]
    return {line.partition(":")[0]: line.partition(": ")[2] for line in said if line}


TWO = "is an id that two have: standard input:{} and standard input:{}"


def test_an_id_that_two_persons_have_names_neither(store: Store) -> None:
    ended = store.load(
        goal("Ann rows", "p1"),
        person("ann", "p1"),
        goal("Ann walks", "p1"),
        person("bob", "p1"),
        goal("Ann's or Bob's", "p1"),
        goal("a version of either", "p1/_history/2"),
        person("ann", "p1"),
        person("cid", "p2"),
        goal("Cid swims", "p2"),
    )
    both = TWO.format(2, 4)
    assert refusals(ended) == {
        "4": f"Patient.id: {both}",
        "5": f"Goal.subject: {both}",
        "6": f"Goal.subject: {both}",
        "7": f"Patient.id: {both}",
    }
    assert store.statements() == {"Ann rows": "ann", "Ann walks": "ann", "Cid swims": "cid"}
    assert "5 new, 0 here already, 4 refused" in ended.err


@pytest.mark.parametrize("known", [False, True], ids=["new", "known here"])
def test_what_waited_for_another_line_is_refused_too(store: Store, known: bool) -> None:
    if known:
        store.add("ann"), store.add("bob")
    based = {"based_on": [{"reference": "ServiceRequest/late"}]}
    step = {"type": "Activity", "status": "active", "code": {"text": "Row"}}
    named = {"subject": {"reference": "Patient/p1"}}
    theirs = {"subject": {"identifier": {"system": SYSTEM, "value": "ann"}}}
    ended = store.load(
        {**step, **named, **based, "id": "first"},
        person("ann", "p1"),
        person("bob", "p1"),
        {**step, **theirs, "id": "late"},
    )
    assert refusals(ended).keys() == {"1", "3"}
    assert [one["id"] for one in store.export("Activity")] == ["late"]


def test_somebodys_id_here_is_no_other_ones_once_it_was_taken_for_theirs(store: Store) -> None:
    ann, _ = store.add("ann"), store.add("bob")
    ended = store.load(person("bob", ann), person("ann", ann), goal("Ann walks", ann))
    assert refusals(ended) == {
        "2": f"Patient.id: {TWO.format(1, 2)}",
        "3": f"Goal.subject: {TWO.format(1, 2)}",
    }
    ended = store.load(goal("Ann rows", ann), person("bob", ann), goal("Bob's", ann))
    assert refusals(ended).keys() == {"2", "3"}
    assert store.statements() == {"Ann rows": "ann"}


def test_an_id_of_whom_a_refused_line_means_is_nobody_elses(store: Store) -> None:
    store.add("ann"), store.add("bob")
    both = [{"system": SYSTEM, "value": number} for number in ("ann", "bob")]
    ended = store.load(
        {"type": "Patient", "id": "p1", "identifiers": both},
        person("cid", "p1"),
        goal("whose", "p1"),
    )
    assert refusals(ended).keys() == {"1", "2", "3"}
    assert store.statements() == {}


def test_ids_that_say_the_same_person_twice_are_no_matter(store: Store) -> None:
    ann = store.add("ann")
    more = [{"system": SYSTEM, "value": "ann"}, {"system": "urn:other", "value": str(uuid.uuid4())}]
    ended = store.load(
        person("ann", "p1"), person("ann", "p2"), person("ann", "p1", identifiers=more), person("ann", ann),
        goal("one", "p1"), goal("two", "p2"), goal("three", ann),
    )  # fmt: skip
    assert (ended.code, set(store.statements().values())) == (0, {"ann"})


def test_an_id_that_two_records_have_names_neither(store: Store) -> None:
    ended = store.load(
        person("ann", "p1"),
        plan("ann", "g1", id="before"),
        goal("Walk", "p1", id="g1"),
        goal("Walk", "p1", id="g1"),
        goal("Swim", "p1", id="g1"),
        plan("ann", "g1", id="after"),
        goal("Row", "p1", id="g2"),
    )
    assert refusals(ended) == {
        "5": f"Goal.id: {TWO.format(3, 5)}",
        "6": f"CarePlan.goal[0]: {TWO.format(3, 5)}",
    }
    assert set(store.statements()) == {"Walk", "Row"}
    assert [one["id"] for one in store.export("CarePlan")] == ["before"]


def test_two_entries_with_one_full_url_are_named_by_it_no_more(store: Store) -> None:
    store.add("ann")
    url, other = (f"urn:uuid:{uuid.uuid4()}" for _ in range(2))
    subject = {"type": "Patient", "identifier": {"system": SYSTEM, "value": "ann"}}

    def entry(url: str, text: str) -> Line:
        tree = {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": text}}
        return {"fullUrl": url, "resource": {**tree, "subject": subject}}

    named = {"resourceType": "CarePlan", "status": "active", "intent": "plan", "subject": subject}
    plans: list[Line] = [{"resource": {**named, "goal": [{"reference": one}]}} for one in (url, other)]
    entries = [entry(url, "Walk"), entry(url, "Swim"), entry(other, "Row"), *plans]
    ended = store.load({"resourceType": "Bundle", "type": "collection", "entry": entries})
    assert [line.partition(": ")[2] for line in ended.err.splitlines() if "Bundle" in line] == [
        "Bundle.entry[0].fullUrl: is that of another entry too",
        "Bundle.entry[1].fullUrl: is that of another entry too",
        "Bundle.entry[3].resource.goal[0]: is a fullUrl that two entries have",
    ]
    assert set(store.statements()) == {"Row"}
    assert len(store.export("CarePlan")) == 1
