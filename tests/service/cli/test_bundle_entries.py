"""What the entries of a Bundle call each other, they call each other once they are on their own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.cli import bundle_entries
from tests.databases import opened
from tests.service.cli.running import Ended, mainstay

SUBJECT = {"type": "Patient", "identifier": {"system": "https://ward.example/persons", "value": "P-7"}}
EHR = "https://records.example/r4"
URNS = [f"urn:uuid:11111111-2222-4333-8444-{number:012}" for number in range(3)]

Load = Callable[[dict[str, Any]], Ended]


def goal(**elements: Any) -> dict[str, Any]:
    text = {"text": "Carry the shopping"}
    return {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "description": text,
        "subject": SUBJECT,
        **elements,
    }


def plan(*goals: str, **elements: Any) -> dict[str, Any]:
    named = {"goal": [{"reference": reference} for reference in goals]}
    return {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "subject": SUBJECT,
        **named,
        **elements,
    }


def bundle(*entries: tuple[str | None, Any]) -> dict[str, Any]:
    listed = [({"fullUrl": url} if url else {}) | {"resource": resource} for url, resource in entries]
    return {"resourceType": "Bundle", "type": "collection", "entry": listed}


def taken(*entries: tuple[str | None, Any]) -> list[Any]:
    return list(bundle_entries.resources(bundle(*entries)["entry"]))


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads Bundles into one store, where the person is registered."""
    env = {"MAINSTAY_DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}"}
    with opened(env["MAINSTAY_DATABASE_URL"]):
        pass
    assert mainstay("patient", "add", "https://ward.example/persons|P-7", env=env).code == 0

    def load(bundle: dict[str, Any] | None) -> Ended:
        if bundle is None:
            return mainstay("export", "--fhir", env=env)
        return mainstay("load", "-", input=json.dumps(bundle), env=env)

    return load


def kept(load: Any) -> dict[str, Any]:
    return {line["id"]: line for line in load(None).lines if "resourceType" in line}


@pytest.mark.parametrize("first", ["goal", "plan"])
def test_absolute_references_to_entries_are_references_to_what_is_loaded(load: Load, first: str) -> None:
    entries = [(f"{EHR}/Goal/5", goal(id="5")), (f"{EHR}/CarePlan/6", plan(f"{EHR}/Goal/5", id="6"))]
    ended = load(bundle(*(entries if first == "goal" else entries[::-1])))
    assert (ended.code, ended.err) == (0, "2 new, 0 here already, 0 refused\n")
    assert kept(load)["6"]["goal"] == [{"reference": "Goal/5"}]


@pytest.mark.parametrize("first", ["goal", "plan"])
def test_references_by_uuid_are_references_to_the_ids_that_are_given(load: Load, first: str) -> None:
    entries = [(URNS[0], goal()), (URNS[1], plan(URNS[0], f"{URNS[0]}"))]
    whole = bundle(*(entries if first == "goal" else entries[::-1]))
    assert load(whole).err == "2 new, 0 here already, 0 refused\n"
    (loaded,) = (line for line in kept(load).values() if line["resourceType"] == "CarePlan")
    (its_goal,) = {one["reference"] for one in loaded["goal"]}
    assert kept(load)[its_goal.removeprefix("Goal/")]["description"]["text"] == "Carry the shopping"
    assert load(whole).err == "0 new, 2 here already, 0 refused\n"


def test_the_same_under_other_uuids_is_the_same_again(load: Load) -> None:
    assert load(bundle((URNS[0], goal()), (URNS[1], plan(URNS[0])))).code == 0
    again = load(bundle((URNS[2], goal()), (URNS[0], plan(URNS[2]))))
    assert again.err == "0 new, 2 here already, 0 refused\n"


def test_plans_that_differ_in_their_goals_alone_are_two(load: Load) -> None:
    other = goal(description={"text": "Sleep through"})
    ended = load(bundle((URNS[0], goal()), (URNS[1], other), (None, plan(URNS[0])), (URNS[2], plan(URNS[1]))))
    assert ended.err == "4 new, 0 here already, 0 refused\n"


def parts(*urls: str) -> list[Any]:
    """Two goals, a plan for each, and a plan of which those two are parts; named by these."""
    goals = (urls[0], goal()), (urls[1], goal(description={"text": "Sleep through"}))
    plans = (urls[2], plan(urls[0])), (urls[3], plan(urls[1]))
    whole = plan(partOf=[{"reference": urls[2]}, {"reference": urls[3]}])
    return taken(*goals, *plans, (None, whole))


def test_plans_that_others_name_are_told_apart_by_their_goals_and_not_by_what_they_are_called() -> None:
    *_, first, second, whole = parts(*[f"urn:uuid:a-{number}" for number in range(4)])
    assert first["id"] != second["id"]
    assert [one["reference"] for one in whole["partOf"]] == [
        f"CarePlan/{one['id']}" for one in (first, second)
    ]
    assert parts(*[f"urn:uuid:b-{number}" for number in range(4)])[-1] == whole


def test_entries_that_name_each_other_get_ids_too() -> None:
    one, two = (plan(id_of_other, title=title) for id_of_other, title in ((URNS[1], "One"), (URNS[0], "Two")))
    first, second = taken((URNS[0], one), (URNS[1], two))
    assert first["goal"] == [{"reference": f"CarePlan/{second['id']}"}]
    assert second["goal"] == [{"reference": f"CarePlan/{first['id']}"}]
    assert first["id"] != second["id"]


def test_what_names_no_entry_stays_as_it_is() -> None:
    other = plan(f"{EHR}/Goal/9", "Goal/5", "#g", URNS[2], f"{EHR}/Goal/5#part")
    whole = ((f"{EHR}/Goal/5", goal(id="5")), (f"{EHR}/CarePlan/6", other))
    assert taken(*whole) == [goal(id="5"), other]


def test_a_version_of_the_other_server_is_left_out() -> None:
    _, second = taken((f"{EHR}/Goal/5", goal(id="5")), (None, plan(f"{EHR}/Goal/5/_history/3")))
    assert second["goal"] == [{"reference": "Goal/5"}]


@pytest.mark.parametrize(
    "entry", [7, None, {}, {"resource": 7}, {"fullUrl": URNS[0]}, {"fullUrl": 7, "resource": []}]
)
def test_an_entry_without_a_resource_is_none(entry: Any) -> None:
    assert list(bundle_entries.resources([entry, {"fullUrl": 7, "resource": {"id": 8}}])) == [None, {"id": 8}]


def test_translation_and_validation_read_a_bundle_alike(tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(bundle((URNS[0], goal()), (URNS[1], plan(URNS[0])))))
    goal_record, plan_record = mainstay("translate", file).lines
    assert plan_record["goals"] == [{"reference": f"Goal/{goal_record['id']}"}]
    assert mainstay("validate", file).code == 0
