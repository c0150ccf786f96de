"""Who is who, over HTTP: identifiers added, corrected and removed, patients merged, matched and parted."""

from collections.abc import Iterator

import pytest

from fhir_mappings.exact_json import Tree
from service.sandbox import create_sandbox
from service.store.database import Database
from tests.databases import contents
from tests.service.routes.caller import Api, AsPrincipal, fhir_goal
from tests.service.routes.live import served
from tests.service.routes.world import World

#: The API as everyone sees it, and our ids of two patients.
People = tuple[Api, str, str]

SYSTEM, OTHER = "https://clinic.example/patients", "urn:oid:1.2.3"


def named(value: str, system: str = SYSTEM) -> Tree:
    return {"system": system, "value": value}


@pytest.fixture
def people(as_principal: AsPrincipal) -> People:
    """The API as everyone, and our ids of two patients."""
    api = as_principal()
    return api, api.register("MS-1"), api.register("MS-2")


def test_identifiers_are_added_corrected_and_removed_with_a_history(people: People) -> None:
    api, ann, _ = people
    path = f"/api/v1/patients/{ann}/identifiers"
    added = api.post(path, named("7", OTHER)).json
    assert added["identifiers"] == [named("MS-1"), named("7", OTHER)]
    corrected = api.post(f"{path}/correct", {"identifier": named("MS-1"), "corrected": named("MS-10")}).json
    assert corrected["identifiers"] == [named("MS-10"), named("7", OTHER)]
    removed = api.post(f"{path}/remove", named("7", OTHER)).json
    assert removed["identifiers"] == [named("MS-10")]
    lines = api.get(f"/api/v1/patients/{ann}/history").json["items"]
    assert [(line["action"], line["actor"]) for line in lines] == [
        ("remove", "app-1"),
        ("correct", "app-1"),
        ("add", "app-1"),
        ("register", "app-1"),
    ]
    assert lines[1]["detail"] == {"corrected": [{"identifier": named("MS-1"), "corrected": named("MS-10")}]}


@pytest.mark.parametrize(
    ("path", "body", "status", "at"),
    [
        ("identifiers", named("MS-9"), 422, ["value"]),
        ("identifiers", named("a", "not a uri"), 422, ["system"]),
        ("identifiers", named("MS-2"), 409, [""]),
        ("identifiers", {"system": SYSTEM}, 400, ["value"]),
        ("identifiers/correct", {"identifier": named("MS-2"), "corrected": named("x")}, 404, [""]),
        ("identifiers/correct", {"identifier": named("MS-1"), "corrected": named("MS-2")}, 409, [""]),
        (
            "identifiers/correct",
            {"identifier": named("MS-1"), "corrected": named("x", "a b")},
            422,
            ["corrected.system"],
        ),
        ("identifiers/remove", named("MS-1"), 422, ["identifier"]),
        ("identifiers/remove", named("MS-9"), 404, [""]),
        ("merge", {"into": "nobody"}, 404, [""]),
        ("unmerge", None, 409, [""]),
    ],
)
def test_what_cannot_be_is_refused_by_path_and_changes_nothing(
    people: People, database: Database, path: str, body: Tree | None, status: int, at: list[str]
) -> None:
    api, ann, _ = people
    before = contents(database)
    answer = api.post(f"/api/v1/patients/{ann}/{path}", body)
    assert (answer.status, answer.paths) == (status, at)
    assert contents(database) == before


def test_a_second_value_in_a_system_is_taken_when_it_is_meant(people: People) -> None:
    api, ann, _ = people
    path = f"/api/v1/patients/{ann}/identifiers"
    assert api.post(path, {**named("MS-9"), "also": True}).json["identifiers"] == [
        named("MS-1"),
        named("MS-9"),
    ]
    again = {"identifiers": [named("MS-1"), named("MS-9")]}
    assert api.post("/api/v1/patients", again).json["id"] == ann
    refused = api.post("/api/v1/patients", {"identifiers": [named("a", OTHER), named("b", OTHER)]})
    assert (refused.status, refused.paths) == (422, ["identifiers[1].value"])


def test_two_patients_are_made_one_and_two_again(people: People) -> None:
    api, ann, bob = people
    goal = api.post("/fhir/Goal", fhir_goal(ann)).json["id"]
    merged = api.post(f"/api/v1/patients/{ann}/merge", {"into": bob}).json
    assert (merged["id"], merged["identifiers"]) == (bob, [named("MS-1"), named("MS-2")])
    assert api.get(f"/fhir/Goal/{goal}").json["subject"]["reference"] == f"Patient/{bob}"
    shown = api.get(f"/fhir/Patient/{ann}").json
    assert shown["active"] is False
    assert shown["link"] == [{"other": {"reference": f"Patient/{bob}"}, "type": "replaced-by"}]
    assert api.get(f"/api/v1/patients/{ann}").json["merged_into"] == bob
    refused = api.post("/fhir/Goal", fhir_goal(ann))
    assert (refused.status, refused.paths) == (422, ["Goal.subject"])

    parted = api.post(f"/api/v1/patients/{ann}/unmerge").json
    assert (parted["id"], parted["identifiers"]) == (ann, [named("MS-1")])
    assert "merged_into" not in parted
    assert api.get(f"/fhir/Goal/{goal}").json["subject"]["reference"] == f"Patient/{ann}"
    assert api.post(f"/api/v1/patients/{ann}/merge", {"into": ann}).paths == ["into"]


def test_a_token_for_who_was_merged_opens_nothing_of_who_stays(
    people: People, as_principal: AsPrincipal
) -> None:
    api, ann, bob = people
    goal = api.post("/fhir/Goal", fhir_goal(bob)).json["id"]
    anns = as_principal(patient=ann)
    api.post(f"/api/v1/patients/{ann}/merge", {"into": bob})
    assert anns.get(f"/fhir/Goal/{goal}").status == 404
    assert anns.get("/fhir/Goal").json["total"] == 0
    assert (
        anns.post("/fhir/Goal", fhir_goal(bob)).status
        == anns.post("/fhir/Goal", fhir_goal(ann)).status
        == 403
    )


def test_who_is_confined_says_of_nobody_who_they_are(
    people: People, as_principal: AsPrincipal, database: Database
) -> None:
    _, ann, bob = people
    confined = as_principal(patient=ann)
    before = contents(database)
    for path, body in (
        ("identifiers", named("7", OTHER)),
        ("identifiers/correct", {"identifier": named("MS-1"), "corrected": named("MS-9")}),
        ("identifiers/remove", named("MS-1")),
        ("merge", {"into": bob}),
        ("unmerge", None),
        ("matches", {"connection": "clinic", "server_id": "1"}),
    ):
        assert confined.post(f"/api/v1/patients/{ann}/{path}", body).status == 403, path
    for path in ("history", "matches"):
        assert confined.get(f"/api/v1/patients/{ann}/{path}").status == 403, path
    assert contents(database) == before


# With a server.


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    sandbox = create_sandbox()
    with served(sandbox) as url:
        yield World(database, sandbox, url)


def test_who_is_missing_there_is_told_once_with_what_was_looked_for(world: World) -> None:
    bob = world.api.register("MS-2")
    for _ in range(3):
        world.api.post("/fhir/Goal", {**world.resource("Goal"), "subject": {"reference": f"Patient/{bob}"}})
    world.run()
    row = world.api.get(f"/api/v1/sync/status?patient={bob}").json["items"][0]
    assert row["sought"] == [{"type": "Patient", **named("MS-2")}]
    (missing,) = world.api.get("/api/v1/sync/summary").json["missing"]
    assert missing == {
        "connection": "clinic",
        "reason": "no-patient-there",
        "sought": [{"type": "Patient", **named("MS-2")}],
        "records": 3,
    }


def test_a_patient_is_matched_by_a_person_who_names_the_one_there(world: World) -> None:
    bob = world.api.register("MS-2")
    there = world.there.post("/fhir/Patient", {"resourceType": "Patient"}).json["id"]
    path = f"/api/v1/patients/{bob}/matches"
    (match,) = world.api.post(path, {"connection": "clinic", "server_id": there}).json["items"]
    assert (match["server_id"], match["state"], match["basis"]) == (there, "matched", "person")
    assert match["history"][0]["actor"] == "app-1"
    refused = world.api.post(path, {"connection": "clinic", "server_id": "none"})
    assert (refused.status, refused.paths) == (422, ["server_id"])
    assert world.api.post(path, {"connection": "none", "server_id": there}).status == 404


def moved(world: World) -> tuple[str, str, str, str]:
    """Have a goal be another's there; return its id, our id of the other, theirs there, the copy's."""
    goal = world.created("Goal")
    bob = world.api.register("MS-2")
    there = world.there.post(
        "/fhir/Patient", {"resourceType": "Patient", "identifier": [named("MS-2")]}
    ).json["id"]
    world.run()
    rows = world.api.get(f"/api/v1/sync/status?patient={world.patient}").json["items"]
    copy = world.there.get(f"/fhir/Goal/{rows[0]['server_id']}").json
    subject = {"reference": f"Patient/{there}"}
    assert world.there.put(f"/fhir/Goal/{copy['id']}", {**copy, "subject": subject}).status == 200
    world.run()
    return goal["id"], bob, there, copy["id"]


def test_a_copy_that_moved_is_listed_and_handed_over(world: World) -> None:
    goal, bob, there, copy = moved(world)
    (row,) = world.api.get("/api/v1/sync/moved").json["items"]
    assert (row["record_id"], row["patient_id"], row["server_id"]) == (goal, world.patient, copy)
    assert (row["there"], row["patient_there"], row["was_born_there"]) == (there, bob, False)
    body = {"connection": "clinic", "decision": "hand-over"}
    assert world.api.post(f"/api/v1/sync/moved/{goal}/decision", body).status == 204
    assert world.api.get("/api/v1/sync/moved").json["items"] == []
    assert world.api.get(f"/fhir/Goal/{goal}").status == 404
    (bobs,) = world.api.get(f"/fhir/Goal?patient={bob}").json["entry"]
    assert bobs["resource"]["id"] != goal
    assert world.api.post(f"/api/v1/sync/moved/{goal}/decision", body).status == 404


@pytest.mark.parametrize(
    ("body", "status", "at"),
    [
        ({"connection": "clinic", "decision": "forget"}, 400, ["decision"]),
        ({"decision": "let-go"}, 400, ["connection"]),
        ({"connection": "none", "decision": "let-go"}, 404, [""]),
    ],
)
def test_a_decision_that_is_none_is_refused(
    world: World, body: Tree | None, status: int, at: list[str]
) -> None:
    goal, *_ = moved(world)
    answer = world.api.post(f"/api/v1/sync/moved/{goal}/decision", body)
    assert (answer.status, answer.paths) == (status, at)
    assert len(world.api.get("/api/v1/sync/moved").json["items"]) == 1
