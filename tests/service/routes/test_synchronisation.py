"""The synchronisation as people and programs see and drive it over HTTP."""

import pytest

from service.sandbox import create_sandbox
from tests.service.routes.live import served
from tests.service.routes.world import World


@pytest.fixture
def world(database):
    sandbox = create_sandbox()
    with served(sandbox) as url:
        yield World(database, sandbox, url)


def states(world, **query):
    query = "&".join(f"{name}={value}" for name, value in query.items())
    rows = world.api.get(f"/api/v1/sync/status?{query}").json["items"]
    return {row["record_id"]: row["state"] for row in rows}


def test_a_record_is_pending_until_a_run_has_sent_it(world):
    goal = world.created("Goal")
    assert states(world) == {goal["id"]: "pending"}
    assert world.api.get("/api/v1/sync/summary").json["states"]["pending"] == 1
    report = world.api.post("/api/v1/sync/run", {"direction": "push"}).json
    assert report["synced"] == 1
    assert states(world) == {goal["id"]: "synced"}
    assert states(world, state="pending") == {}
    assert world.there.get(f"/fhir/Goal?identifier={goal['identifier'][0]['value']}").json["total"] == 1


def test_states_are_read_page_by_page(world):
    ids = {world.created("Goal")["id"] for _ in range(3)}
    first = world.api.get("/api/v1/sync/status?limit=2").json
    second = world.api.get(first["next"]).json
    assert {row["record_id"] for row in first["items"] + second["items"]} == ids
    assert "next" not in second


def test_what_the_server_refuses_shows_its_reason_and_a_next_step_and_is_sent_again(world):
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


def test_a_conflict_shows_both_sides_and_what_they_had_in_common(world):
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
def test_a_conflict_is_resolved_for_one_side_or_for_a_record_of_both(world, resolution, statement):
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
def test_a_resolution_that_says_not_one_thing_is_refused(world, body):
    assert world.api.post(f"/api/v1/sync/conflicts/{world.conflict()}/resolution", body).status == 400


def test_a_connection_tells_what_its_server_can_do_and_never_its_token(world):
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
