"""The synchronisation as people and programs see and drive it over HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import update

from fhir_mappings.exact_json import Tree
from service.sandbox import create_sandbox
from service.store.database import Database
from service.store.tables import Link
from tests.service.routes.caller import Answer, Api, token
from tests.service.routes.live import served
from tests.service.routes.world import World


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    sandbox = create_sandbox()
    with served(sandbox) as url:
        yield World(database, sandbox, url)


def states(world: World, **query: str) -> dict[str, str]:
    parameters = "&".join(f"{name}={value}" for name, value in query.items())
    rows = world.api.get(f"/api/v1/sync/status?{parameters}").json["items"]
    return {row["record_id"]: row["state"] for row in rows}


def test_a_record_is_pending_until_a_run_has_sent_it(world: World) -> None:
    goal = world.created("Goal")
    assert states(world) == {goal["id"]: "pending"}
    assert world.api.get("/api/v1/sync/summary").json["states"]["pending"] == 1
    report = world.api.post("/api/v1/sync/run", {"direction": "push"}).json
    assert report["synced"] == 1
    assert states(world) == {goal["id"]: "synced"}
    assert states(world, state="pending") == {}
    assert world.there.get(f"/fhir/Goal?identifier={goal['identifier'][0]['value']}").json["total"] == 1


def test_states_are_read_page_by_page(world: World) -> None:
    ids = {world.created("Goal")["id"] for _ in range(3)}
    first = world.api.get("/api/v1/sync/status?limit=2").json
    second = world.api.get(first["next"]).json
    assert {row["record_id"] for row in first["items"] + second["items"]} == ids
    assert "next" not in second


def test_what_the_server_refuses_shows_its_reason_and_a_next_step_and_is_sent_again(world: World) -> None:
    nobody = world.api.register("MS-2")
    body = {**world.resource("Goal"), "subject": {"reference": f"Patient/{nobody}"}}
    goal = world.api.post("/fhir/Goal", body).json
    world.run()
    (row,) = world.api.get(f"/api/v1/sync/status?patient={nobody}").json["items"]
    assert (row["state"], row["reason"]) == ("unmatched", "no-patient-there")
    assert "Register the person" in row["next_step"]
    identifier = {"system": "https://clinic.example/patients", "value": "MS-2"}
    world.there.post("/fhir/Patient", {"resourceType": "Patient", "identifier": [identifier]})
    assert world.api.post(f"/api/v1/sync/records/{goal['id']}/retry").status == 204
    world.run()
    assert states(world, patient=nobody) == {goal["id"]: "synced"}


def test_a_conflict_shows_both_sides_and_what_they_had_in_common(world: World) -> None:
    conflict = world.api.get(f"/api/v1/sync/conflicts/{world.conflict()}").json
    assert conflict["base"]["record"]["statement"] == "Walk to the lake and back"
    assert conflict["here"]["record"]["statement"] == "Changed here"
    assert conflict["there"]["resource"]["description"] == {"text": "Changed there"}
    assert conflict["paths"]
    assert conflict["resolved_at"] is None


@pytest.mark.parametrize(
    ("resolution", "statement"),
    [
        ({"keep": "here"}, "Changed here"),
        ({"keep": "there"}, "Changed there"),
        ({"record": "merged"}, "Changed by both"),
    ],
)
def test_a_conflict_is_resolved_for_one_side_or_for_a_record_of_both(
    world: World, resolution: Tree, statement: str
) -> None:
    conflict_id = world.conflict()
    conflict = world.api.get(f"/api/v1/sync/conflicts/{conflict_id}").json
    if "record" in resolution:
        resolution = {"record": {**conflict["here"]["record"], "statement": statement}}
    resolved = world.api.post(f"/api/v1/sync/conflicts/{conflict_id}/resolution", resolution)
    assert resolved.status == 200, resolved
    assert resolved.json["resolved_by"] == "app-1"
    world.run()
    goal = world.api.get(f"/api/v1/goals/{conflict['record_id']}").json
    assert goal["statement"] == statement
    assert states(world)[goal["id"]] == "synced"
    copies = world.there.get(f"/fhir/Goal?identifier={goal['identifiers'][0]['value']}").json["entry"]
    assert [copy["resource"]["description"]["text"] for copy in copies] == [statement]
    assert world.api.get("/api/v1/sync/conflicts").json["items"] == []
    decided = world.api.get("/api/v1/sync/conflicts?resolved=true").json["items"]
    assert [one["id"] for one in decided] == [conflict_id]


@pytest.mark.parametrize("body", [{}, {"keep": "here", "record": {}}, {"keep": "both"}, {"mood": 1}])
def test_a_resolution_that_says_not_one_thing_is_refused(world: World, body: Any) -> None:
    assert world.api.post(f"/api/v1/sync/conflicts/{world.conflict()}/resolution", body).status == 400


def test_a_connection_tells_what_its_server_can_do_and_never_its_token(world: World) -> None:
    connection = {"name": "clinic", "base_url": "http://127.0.0.1:9/x"}
    assert world.api.post("/api/v1/connections", connection).status == 409
    wrong = world.api.post("/api/v1/connections", {"name": "Ä", "base_url": "ftp://x"})
    assert wrong.paths == ["name", "base_url"]
    any_file = {**connection, "token_file": "/etc/passwd"}
    assert world.api.post("/api/v1/connections", any_file).paths == ["token_file"]
    shown = world.api.get("/api/v1/connections/clinic").json
    assert shown == {"name": "clinic", "base_url": world.there_url, "authenticated": False}
    check = world.api.post("/api/v1/connections/clinic/check").json
    assert (check["problem"], "Goal" in check["writable"]) == (None, True)
    assert world.api.get("/api/v1/connections/none").status == 404


SEEDED = ("Changed here", "Changed there", "Walk to the lake and back")


def scoped(world: World, scope: str) -> Api:
    """Somebody else at the same service, with these scopes."""
    return Api(world.app, token(scope=scope))


def shows_content(answer: Answer) -> bool:
    return any(word in answer.text for word in SEEDED)


@pytest.mark.parametrize(
    ("scope", "read", "resolved"),
    [
        ("mainstay/sync", 403, 403),
        ("mainstay/sync system/CarePlan.cruds", 403, 403),
        ("mainstay/sync system/Goal.s", 403, 403),
        ("mainstay/sync system/Goal.u", 403, 403),
        ("mainstay/sync system/Goal.write", 403, 403),
        ("mainstay/sync patient/*.cruds", 403, 403),
        ("system/*.cruds", 403, 403),
        ("mainstay/sync system/Goal.r", 200, 403),
        ("mainstay/sync user/Goal.read", 200, 403),
        ("mainstay/sync system/Goal.ru", 200, 200),
    ],
)
def test_a_conflict_is_shown_and_decided_by_those_who_may_read_and_change_the_record(
    world: World, scope: str, read: int, resolved: int
) -> None:
    conflict_id = world.conflict()
    api, path = scoped(world, scope), f"/api/v1/sync/conflicts/{conflict_id}"
    shown = api.get(path)
    assert (shown.status, shows_content(shown)) == (read, read == 200)
    whole = world.api.get(path).json["here"]["record"]
    for body in ({"keep": "there"}, {"record": {**whole, "statement": "Written"}}):
        decided = api.post(f"{path}/resolution", body)
        if resolved == 403:
            assert (decided.status, shows_content(decided)) == (403, False)
    goal = world.api.get(f"/api/v1/goals/{world.api.get(path).json['record_id']}").json
    assert goal["statement"] == ("Changed here" if resolved == 403 else "Changed there")


def test_who_may_read_no_records_sees_how_they_stand_and_nothing_of_what_they_say(
    world: World, database: Database
) -> None:
    world.conflict()
    (patient,) = world.there.get("/fhir/Patient").json["entry"]
    subject = {"reference": f"Patient/{patient['resource']['id']}"}
    not_valid = {"resourceType": "Goal", "lifecycleStatus": "active", "subject": subject}
    assert world.there.post("/fhir/Goal", not_valid).status == 201
    world.run()
    with database.begin() as session:
        session.execute(update(Link).values(outcome='{"resourceType":"OperationOutcome","text":"SEEDED"}'))
    blind, reader = scoped(world, "mainstay/sync"), scoped(world, "mainstay/sync system/Goal.r")
    for path, hidden in (
        ("/api/v1/sync/conflicts", "paths"),
        ("/api/v1/sync/status", "outcome"),
        ("/api/v1/sync/invalid", "findings"),
    ):
        rows, seen = blind.get(path).json["items"], reader.get(path).json["items"]
        assert seen
        assert all(row[hidden] for row in seen), path
        assert rows == [row | {hidden: None} for row in seen]
    assert blind.post("/api/v1/sync/run", {}).status == 200
