"""A record that says two persons is nobody's: on both faces, also for who is confined to one of the two."""

from collections.abc import Iterator

import pytest

from fhir_mappings.exact_json import Tree
from service.sandbox import create_sandbox
from service.store.database import Database
from tests.databases import contents
from tests.service.routes.caller import Api, AsPrincipal, fhir_goal, goal, token
from tests.service.routes.live import served
from tests.service.routes.world import World

#: The API as somebody sees it, our ids of Ann and of Bob, and of a goal of each.
Town = tuple[Api, str, str, str, str]

SYSTEM = "https://clinic.example/patients"
ANNS, BOBS, NOBODYS = ({"system": SYSTEM, "value": value} for value in ("MS-1", "MS-2", "MS-9"))
FACES = {"records": ("/api/v1/goals", goal, "Goal"), "FHIR": ("/fhir/Goal", fhir_goal, "Goal")}


@pytest.fixture(params=["everyone", "who is confined to Ann"])
def town(request: pytest.FixtureRequest, as_principal: AsPrincipal) -> Town:
    """Ann and Bob, a goal of each, and the API as somebody sees it."""
    everyone = as_principal()
    ann, bob = everyone.register("MS-1"), everyone.register("MS-2")
    goals = [everyone.post("/fhir/Goal", fhir_goal(patient)).json["id"] for patient in (ann, bob)]
    api = everyone if request.param == "everyone" else as_principal(patient=ann)
    return api, ann, bob, *goals


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("identifier", [BOBS, NOBODYS], ids=["Bob's", "nobody's"])
def test_a_subject_with_another_identifier_is_refused_by_path(
    town: Town, database: Database, face: str, identifier: Tree
) -> None:
    api, ann, _, goal_id, _ = town
    path, body, kind = FACES[face]
    subject = {"reference": f"Patient/{ann}", "identifier": identifier}
    before = contents(database)
    created = api.post(path, body(ann, subject=subject))
    changed = api.put(f"{path}/{goal_id}", {**body(ann, subject=subject), "id": goal_id}, If_Match='W/"1"')
    for answer in (created, changed):
        assert (answer.status, answer.paths) == (422, [f"{kind}.subject.identifier"])
    assert contents(database) == before


@pytest.mark.parametrize("face", FACES)
def test_a_subject_that_says_its_patient_twice_is_taken(town: Town, face: str) -> None:
    api, ann, *_ = town
    path, body, _ = FACES[face]
    answer = api.post(path, body(ann, subject={"reference": f"Patient/{ann}", "identifier": ANNS}))
    assert answer.status == 201, answer


@pytest.mark.parametrize(
    ("element", "said", "at"),
    [
        ("expressedBy", {"identifier": BOBS}, "Goal.expressedBy.identifier"),
        ("expressedBy", {"type": "Group"}, "Goal.expressedBy.type"),
        ("extension", {"identifier": BOBS}, "Goal.extension[0].valueReference.identifier"),
    ],
)
def test_so_is_every_other_reference_to_a_patient(town: Town, element: str, said: Tree, at: str) -> None:
    api, ann, *_ = town
    reference = {"reference": f"Patient/{ann}", **said}
    extension = [{"url": "https://other.example/x", "valueReference": reference}]
    answer = api.post(
        "/fhir/Goal", fhir_goal(ann, **{element: extension if element == "extension" else reference})
    )
    assert (answer.status, answer.paths) == (422, [at])


@pytest.mark.parametrize("face", FACES)
def test_by_bobs_identifier_alone_the_confined_write_nothing_and_learn_nothing(
    town: Town, as_principal: AsPrincipal, database: Database, face: str
) -> None:
    _, ann, *_ = town
    path, body, _ = FACES[face]
    api = as_principal(patient=ann)
    before = contents(database)
    answers = [api.post(path, body(ann, subject={"identifier": one})) for one in (BOBS, NOBODYS)]
    assert [answer.status for answer in answers] == [403, 403]
    assert answers[0].json == answers[1].json
    assert contents(database) == before


def test_another_patients_goal_is_not_told_from_none(town: Town) -> None:
    api, ann, _, _, bobs_goal = town
    plan = {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "subject": {"reference": f"Patient/{ann}"},
    }
    refusals = [
        api.post("/fhir/CarePlan", {**plan, "goal": [{"reference": f"Goal/{one}"}]})
        for one in (bobs_goal, "none")
    ]
    assert [answer.status for answer in refusals] == [422, 422]
    assert refusals[0].json == refusals[1].json


@pytest.mark.parametrize(
    "search",
    [
        "Goal?identifier=https://clinic.example/goals|7",
        "Goal/?identifier=7",
        "http://localhost/fhir/Goal?_id=7",
    ],
)
def test_a_search_is_no_reference(town: Town, search: str) -> None:
    """A server that receives it would look for the goal itself, in whosever chart it is."""
    api, ann, *_ = town
    plan = {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "subject": {"reference": f"Patient/{ann}"},
    }
    answer = api.post("/fhir/CarePlan", {**plan, "goal": [{"reference": search}]})
    assert (answer.status, answer.paths) == (422, ["CarePlan.goal[0]"])


# Decisions about a conflict.


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    sandbox = create_sandbox()
    with served(sandbox) as url:
        yield World(database, sandbox, url)


def test_a_conflict_is_not_decided_with_another_patients_record(world: World, database: Database) -> None:
    conflict_id = world.conflict()
    other = world.api.register("MS-2")
    conflict = world.api.get(f"/api/v1/sync/conflicts/{conflict_id}").json
    before = contents(database)
    for subject in ({"reference": f"Patient/{other}"}, {"identifier": {"system": SYSTEM, "value": "MS-2"}}):
        record = {**conflict["here"]["record"], "subject": subject}
        answer = world.api.post(f"/api/v1/sync/conflicts/{conflict_id}/resolution", {"record": record})
        assert (answer.status, answer.paths) == (422, ["Goal.subject"])
    two = {"reference": f"Patient/{world.patient}", "identifier": {"system": SYSTEM, "value": "MS-2"}}
    answer = world.api.post(
        f"/api/v1/sync/conflicts/{conflict_id}/resolution",
        {"record": {**conflict["here"]["record"], "subject": two}},
    )
    assert (answer.status, answer.paths) == (422, ["Goal.subject.identifier"])
    assert contents(database) == before


def test_a_conflict_is_not_decided_with_a_record_of_another_type_or_another_record(
    world: World, database: Database
) -> None:
    conflict_id = world.conflict()
    plan = world.record("care-plans")
    before = contents(database)
    answer = world.api.post(f"/api/v1/sync/conflicts/{conflict_id}/resolution", {"record": plan})
    assert (answer.status, answer.paths) == (422, ["type"])
    here = world.api.get(f"/api/v1/sync/conflicts/{conflict_id}").json["here"]["record"]
    answer = world.api.post(
        f"/api/v1/sync/conflicts/{conflict_id}/resolution", {"record": {**here, "id": "another"}}
    )
    assert (answer.status, answer.paths) == (422, ["Goal.id"])
    assert contents(database) == before


def test_who_is_confined_decides_no_conflict(world: World) -> None:
    conflict_id = world.conflict()
    confined = Api(world.app, token(patient=world.patient))
    for path in (f"/api/v1/sync/conflicts/{conflict_id}", "/api/v1/sync/conflicts", "/api/v1/sync/moved"):
        assert confined.get(path).status == 403
    decided = confined.post(f"/api/v1/sync/conflicts/{conflict_id}/resolution", {"keep": "there"})
    assert decided.status == 403
