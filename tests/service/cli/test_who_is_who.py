"""Who is who, by the command line, with a real server: a mistyped number, and two who are merged there."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.service.cli.running import Ended, mainstay

Run = Callable[..., Ended]

#: Numbers that no other test uses: the server is not empty.
SYSTEM = f"https://clinic.example/{uuid.uuid4()}"


class Clinic:
    """The server's side, looked at and changed directly."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def post(self, tree: dict[str, Any]) -> dict[str, Any]:
        return _answer(requests.post(f"{self.base_url}/{tree['resourceType']}", json=tree, timeout=30))

    def register(self, *numbers: str) -> str:
        identifiers = [{"system": SYSTEM, "value": number} for number in numbers]
        return str(self.post({"resourceType": "Patient", "identifier": identifiers, "active": True})["id"])

    def say(self, patient: str, *numbers: str, into: str | None = None) -> None:
        """Say anew what a patient is called, and into whom they were merged."""
        identifiers = [{"system": SYSTEM, "value": number} for number in numbers]
        body: dict[str, Any] = {"resourceType": "Patient", "id": patient, "active": into is None}
        if identifiers:
            body["identifier"] = identifiers
        if into is not None:
            body["link"] = [{"other": {"reference": f"Patient/{into}"}, "type": "replaced-by"}]
        _answer(requests.put(f"{self.base_url}/Patient/{patient}", json=body, timeout=30))

    def give(self, goal: str, patient: str) -> None:
        """Have a goal be about a patient, as a merge does with all that somebody has."""
        url = f"{self.base_url}/Goal/{goal}"
        body = {**self.goal(goal), "subject": {"reference": f"Patient/{patient}"}}
        _answer(requests.put(url, json=body, timeout=30))

    def goal(self, goal: str) -> dict[str, Any]:
        return _answer(requests.get(f"{self.base_url}/Goal/{goal}", timeout=30))

    def goals_of(self, patient: str) -> set[str]:
        """Return what the goals of a patient say."""
        url = f"{self.base_url}/Goal?patient=Patient/{patient}&_count=100"
        bundle = _answer(requests.get(url, headers={"Cache-Control": "no-cache"}, timeout=30))
        return {entry["resource"]["description"]["text"] for entry in bundle.get("entry", [])}


def _answer(response: requests.Response) -> dict[str, Any]:
    assert response.ok, response.text
    body: dict[str, Any] = response.json()
    return body


@pytest.fixture
def clinic(hapi: str) -> Clinic:
    return Clinic(hapi)


@pytest.fixture
def run(tmp_path: Path, clinic: Clinic) -> Run:
    """Runs commands on a new database, connected to the clinic; a match is verified before each write."""
    env = {
        "MAINSTAY_DATABASE_URL": f"sqlite:///{tmp_path / 'mainstay.db'}",
        "MAINSTAY_PATIENT_MATCH_SECONDS": "0.001",
    }

    def run(*arguments: object, **options: Any) -> Ended:
        return mainstay(*arguments, env=env, **options)

    assert run("db", "upgrade").code == 0
    assert run("connection", "add", "clinic", clinic.base_url).code == 0
    return run


def number() -> str:
    return uuid.uuid4().hex[:12]


def add(run: Run, *numbers: str) -> str:
    (row,) = run("patient", "add", *[f"{SYSTEM}|{one}" for one in numbers], "--json").lines
    return str(row["id"])


def load_goals(run: Run, patient: str, *statements: str) -> None:
    lines = [
        {"type": "Goal", "status": "active", "statement": one, "subject": {"reference": f"Patient/{patient}"}}
        for one in statements
    ]
    ended = run("load", "-", input="\n".join(map(json.dumps, lines)))
    assert ended.code == 0, ended.err


def states(run: Run) -> dict[str, tuple[str, str | None]]:
    """Return state and reason of each goal, by what it says."""
    said = {line["id"]: line["statement"] for line in run("export").lines if line.get("type") == "Goal"}
    rows = run("sync", "status", "--json").lines
    return {said[row["record_id"]]: (row["state"], row["reason"]) for row in rows}


def test_a_mistyped_number_is_named_corrected_and_all_goes_out(run: Run, clinic: Clinic) -> None:
    right, mistyped, other, third = number(), number(), number(), number()
    there = clinic.register(right)
    ann, bob = add(run, mistyped), add(run, other)
    load_goals(run, ann, "Walk", "Swim", "Dance")
    load_goals(run, bob, "Sleep")
    clinic.register(third)
    load_goals(run, add(run, third), "Garden")

    ended = run("sync", "run")
    assert ended.code == 1
    shown = run("sync", "status")
    names = sorted([f"{SYSTEM}|{mistyped}", f"{SYSTEM}|{other}"])
    assert f"2 persons are missing there: {', '.join(names)}, named by 4 records." in shown.err
    assert f"{SYSTEM}|{mistyped}" in shown.out
    assert (
        "mainstay patient identifier" in run("sync", "status").out or "correct the identifiers" in shown.out
    )
    assert clinic.goals_of(there) == set()

    corrected = run("patient", "identifier", "correct", f"{SYSTEM}|{mistyped}", f"{SYSTEM}|{right}")
    assert (corrected.code, right in corrected.out) == (0, True)
    run("sync", "run")
    assert clinic.goals_of(there) == {"Walk", "Swim", "Dance"}
    assert states(run)["Walk"] == ("synced", None)
    assert f"1 person is missing there: {SYSTEM}|{other}, named by 1 record." in run("sync", "status").err
    history = run("patient", "history", ann, "--json").lines
    assert [line["action"] for line in history] == ["correct", "register"]


class Two:
    """Ann and Bob, two patients here and there, each with two goals that are in step."""

    def __init__(self, run: Run, clinic: Clinic) -> None:
        self.run, self.clinic = run, clinic
        self.anns, self.bobs = number(), number()
        self.ann_there, self.bob_there = clinic.register(self.anns), clinic.register(self.bobs)
        self.ann, self.bob = add(run, self.anns), add(run, self.bobs)
        load_goals(run, self.ann, "Ann walks", "Ann swims")
        load_goals(run, self.bob, "Bob sleeps")
        assert run("sync", "run").code == 0

    def copies(self, statement: str) -> str:
        said = {
            line["statement"]: line["id"] for line in self.run("export").lines if line.get("type") == "Goal"
        }
        rows = {row["record_id"]: row["server_id"] for row in self.run("sync", "status", "--json").lines}
        return str(rows[said[statement]])

    def merge_there(self, *, with_goals: bool) -> None:
        """Ann turns out to be Bob: the clinic leaves her chart for his."""
        self.clinic.say(self.bob_there, self.anns, self.bobs)
        self.clinic.say(self.ann_there, into=self.bob_there)
        if with_goals:
            for statement in ("Ann walks", "Ann swims"):
                self.clinic.give(self.copies(statement), self.bob_there)

    def part_there(self, *, with_goals: bool) -> None:
        """It was a mistake, and the clinic takes it back."""
        self.clinic.say(self.ann_there, self.anns)
        self.clinic.say(self.bob_there, self.bobs)
        if with_goals:
            for statement in ("Ann walks", "Ann swims"):
                self.clinic.give(self.copies(statement), self.ann_there)

    def change(self, statement: str) -> None:
        """Change a goal of Ann's here, so that it is due."""
        lines = [line for line in self.run("export", "--fhir").lines if line.get("resourceType") == "Goal"]
        (tree,) = [line for line in lines if line["description"]["text"] == statement]
        del tree["id"], tree["identifier"]
        tree["description"] = {"text": f"{statement} again"}
        assert self.run("load", "-", input=json.dumps(tree)).code == 0

    def require_no_single_decisions(self) -> None:
        assert self.run("sync", "moved", "--json").lines == []
        assert self.run("sync", "conflicts", "--json").lines == []


@pytest.fixture
def two(run: Run, clinic: Clinic) -> Two:
    return Two(run, clinic)


WITH_GOALS = pytest.mark.parametrize("with_goals", [True, False], ids=["goals went along", "goals stayed"])


@WITH_GOALS
def test_two_who_were_merged_there_and_are_two_here_stop(two: Two, with_goals: bool) -> None:
    two.merge_there(with_goals=with_goals)
    two.change("Ann walks")
    assert two.run("sync", "run").code == 1
    assert states(two.run)["Ann walks again"] == ("unmatched", "two-here-one-there")
    said = two.run("sync", "status").err
    assert "one with another patient there" in said
    assert two.anns in said
    assert "mainstay patient merge" in two.run("sync", "status").out
    for there in (two.ann_there, two.bob_there):
        assert "Ann walks again" not in two.clinic.goals_of(there)
    two.require_no_single_decisions()


@WITH_GOALS
def test_merged_here_as_well_all_goals_follow_to_the_chart_that_is_left(two: Two, with_goals: bool) -> None:
    two.merge_there(with_goals=with_goals)
    two.change("Ann walks")
    two.run("sync", "run")
    merged = two.run("patient", "merge", two.ann, "--into", f"{SYSTEM}|{two.bobs}")
    assert merged.code == 0, merged.err
    two.run("sync", "run")
    assert two.clinic.goals_of(two.bob_there) == {"Ann walks", "Ann walks again", "Ann swims", "Bob sleeps"}
    assert two.clinic.goals_of(two.ann_there) == set()
    assert {state for state, _ in states(two.run).values()} == {"synced"}
    two.require_no_single_decisions()
    two.run("sync", "push", "--all")
    two.require_no_single_decisions()


@WITH_GOALS
def test_parted_there_and_here_again_each_goal_is_in_its_own_chart(two: Two, with_goals: bool) -> None:
    two.merge_there(with_goals=with_goals)
    two.run("patient", "merge", two.ann, "--into", two.bob)
    two.run("sync", "run")
    two.part_there(with_goals=with_goals)
    parted = two.run("patient", "unmerge", two.ann)
    assert parted.code == 0, parted.err
    for _ in range(2):
        two.run("sync", "run")
    assert two.clinic.goals_of(two.ann_there) == {"Ann walks", "Ann swims"}
    assert two.clinic.goals_of(two.bob_there) == {"Bob sleeps"}
    assert {state for state, _ in states(two.run).values()} == {"synced"}
    two.require_no_single_decisions()


@WITH_GOALS
def test_parted_there_alone_nothing_is_written_before_somebody_says_who(two: Two, with_goals: bool) -> None:
    two.merge_there(with_goals=with_goals)
    two.run("patient", "merge", two.ann, "--into", two.bob)
    two.run("sync", "run")
    two.part_there(with_goals=with_goals)
    two.change("Ann walks")
    two.run("sync", "run")
    for there in (two.ann_there, two.bob_there):
        assert "Ann walks again" not in two.clinic.goals_of(there)
    assert states(two.run)["Ann walks again"][0] == "unmatched"
    two.require_no_single_decisions()


def test_one_who_was_merged_there_is_followed_until_that_is_taken_back(run: Run, clinic: Clinic) -> None:
    anns = number()
    old, new = clinic.register(anns), clinic.register(number())
    load_goals(run, add(run, anns), "Walk")
    assert run("sync", "run").code == 0

    clinic.say(new, anns)
    clinic.say(old, into=new)
    load_goals(run, run("patient", "show", f"{SYSTEM}|{anns}", "--json").lines[0]["id"], "Swim")
    assert run("sync", "run").code == 0
    assert clinic.goals_of(new) == {"Swim", "Walk"}
    assert clinic.goals_of(old) == set()

    clinic.say(old, anns)
    clinic.say(new, number())
    load_goals(run, run("patient", "show", f"{SYSTEM}|{anns}", "--json").lines[0]["id"], "Dance")
    assert run("sync", "run").code == 1
    assert states(run)["Dance"] == ("unmatched", "identifier-moved-there")
    assert f"there without the identifier by now: {SYSTEM}|{anns}" in run("sync", "status").err
    assert "Dance" not in clinic.goals_of(old) | clinic.goals_of(new)
    assert run("sync", "moved", "--json").lines == []

    assert run("patient", "match", f"{SYSTEM}|{anns}", old).code == 0
    run("sync", "run")
    assert clinic.goals_of(old) == {"Walk", "Swim", "Dance"}
    assert clinic.goals_of(new) == set()
    (match,) = run("patient", "matches", f"{SYSTEM}|{anns}", "--json").lines
    assert (match["server_id"], match["basis"]) == (old, "person")
    assert [line["server_id"] for line in match["history"]][-1] == old
