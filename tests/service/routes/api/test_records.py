"""Records as JSON: create, read, list, change, withdraw, history, and each create once."""

from collections.abc import Iterator

import pytest

from fhir_mappings.exact_json import Tree
from service.store.database import Database
from tests.clock import Clock
from tests.service.routes.caller import Api, AsPrincipal, goal
from tests.service.routes.conftest import opened

PLAN = {"type": "CarePlan", "status": "active", "title": "Moving again"}
ACTIVITY = {"type": "Activity", "status": "active", "code": {"text": "Walk"}}
ANSWERS = {
    "type": "QuestionnaireResponse",
    "status": "completed",
    "items": [{"link_id": "1", "answers": [{"value": {"decimal": 1}}]}],
}
NOUNS = [
    ("goals", {"type": "Goal", "status": "active", "statement": "Walk"}, "statement", "Swim"),
    ("care-plans", PLAN, "title", "Moving on"),
    ("activities", ACTIVITY, "patient_instruction", "Slowly"),
    ("questionnaire-responses", ANSWERS, "authored", "2026-03-02"),
]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """These tests run on both engines."""
    with opened(database_url) as database:
        yield database


@pytest.fixture
def patient(api: Api) -> str:
    return api.register()


@pytest.mark.parametrize(("noun", "said", "field", "value"), NOUNS)
def test_a_record_lives_through_the_api(
    api: Api, patient: str, noun: str, said: Tree, field: str, value: str
) -> None:
    created = api.post(f"/api/v1/{noun}", {**said, "subject": {"reference": f"Patient/{patient}"}})
    assert (created.status, created.etag) == (201, 'W/"1"'), created
    place = created.headers["Location"]
    assert place == f"/api/v1/{noun}/{created.json['id']}"

    read = api.get(place)
    assert (read.status, read.json, read.etag) == (200, created.json, created.etag)
    assert said.items() <= read.json.items()

    changed = api.put(place, {**read.json, field: value}, If_Match=read.etag)
    assert (changed.status, changed.etag, changed.json[field]) == (200, 'W/"2"', value), changed

    withdrawn = api.post(f"{place}/withdraw", If_Match=changed.etag)
    assert (withdrawn.status, withdrawn.json["status"]) == (200, "entered-in-error"), withdrawn

    versions = api.get(f"{place}/history").json["items"]
    assert [(v["version"], v["action"], v["actor"]) for v in versions] == [
        (3, "withdraw", "local"),
        (2, "update", "local"),
        (1, "create", "local"),
    ]
    assert versions[2]["record"] == created.json
    assert versions[0]["at"] == "2026-03-02T08:30:00+00:00"


def test_a_number_keeps_its_text(api: Api, patient: str) -> None:
    said = goal(patient, targets=[{"measure": {"text": "m"}, "detail": {"Quantity": {"value": 0}}}])
    text = api.post("/api/v1/goals", _with_number(said, "7.50")).text
    assert '"value":7.50,' in text or '"value":7.50}' in text


def _with_number(said: Tree, number: str) -> str:
    from fhir_mappings import exact_json

    return exact_json.dump(said).replace('"value":0', f'"value":{number}')


def test_an_update_names_the_version_it_changes(api: Api, patient: str) -> None:
    place = api.post("/api/v1/goals", goal(patient)).headers["Location"]
    changed = goal(patient, statement="Swim")
    assert api.put(place, changed).status == 428
    assert api.put(place, changed, If_Match="1").status == 400
    assert api.put(place, changed, If_Match='W/"2"').status == 412
    assert api.put(place, changed, If_Match='W/"1"').status == 200
    assert api.put(place, goal(patient, statement="Run"), If_Match='W/"1"').status == 412
    assert api.post(f"{place}/withdraw", If_Match='W/"1"').status == 412
    assert api.get(place).json["statement"] == "Swim"


def test_an_update_keeps_what_the_record_has_no_word_for(api: Api, patient: str) -> None:
    foreign = {"url": "https://example.org/mood", "valueString": "low"}
    body = {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "description": {"text": "Walk"},
        "subject": {"reference": f"Patient/{patient}"},
        "extension": [foreign],
    }
    created = api.post("/fhir/Goal", body).json
    place = f"/api/v1/goals/{created['id']}"
    read = api.get(place)
    api.put(place, {**read.json, "statement": "Swim"}, If_Match=read.etag)
    after = api.get(f"/fhir/Goal/{created['id']}").json
    assert after["extension"] == [foreign]
    assert after["description"] == {"text": "Swim"}


def test_a_record_takes_the_id_that_its_creator_gives_and_none_takes_it_again(api: Api, patient: str) -> None:
    created = api.post("/api/v1/goals", goal(patient, id="goal-1"))
    assert (created.status, created.json["id"]) == (201, "goal-1")
    assert api.post("/api/v1/goals", goal(patient, id="goal-1")).status == 409
    assert api.put("/api/v1/goals/goal-1", goal(patient, id="goal-2"), If_Match='W/"1"').paths == ["Goal.id"]


def test_a_list_is_narrowed_and_read_page_by_page(api: Api, patient: str, clock: Clock) -> None:
    other = api.register("MS-2")
    made = []
    for number in range(5):
        clock.advance(seconds=1)
        made.append(api.post("/api/v1/goals", goal(patient, statement=str(number))).json)
    clock.advance(seconds=1)
    elsewhere = api.post("/api/v1/goals", goal(other)).json
    api.post(f"/api/v1/goals/{made[0]['id']}/withdraw")

    def listed(query: str) -> list[str]:
        found, path = [], f"/api/v1/goals?{query}"
        while path:
            page = api.get(path).json
            assert len(page["items"]) <= 2
            found += [item["id"] for item in page["items"]]
            path = page.get("next")
        return found

    ids = [record["id"] for record in made]
    assert listed("limit=2") == [*ids, elsewhere["id"]]
    assert listed(f"limit=2&patient={patient}") == ids
    assert listed(f"limit=2&patient={patient}&status=active") == ids[1:]
    assert listed("limit=2&updated_since=2026-03-02T09:30:06%2B01:00") == [ids[0], elsewhere["id"]]
    assert listed("limit=2&updated_since=2026-03-03") == []
    own = elsewhere["identifiers"][0]
    assert listed(f"limit=2&identifier={own['system']}|{own['value']}") == [elsewhere["id"]]


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("updated_since=2025-02-30", "updated_since"),
        ("updated_since=yesterday", "updated_since"),
        ("updated_since=10000-01-01", "updated_since"),
        ("updated_since=0000-01-01", "updated_since"),
        ("status=%00", "status"),
        ("colour=red", "colour"),
        ("after=nowhere", "after"),
        ("identifier=system|", "identifier"),
    ],
)
def test_a_list_refuses_a_parameter_that_it_does_not_understand(api: Api, query: str, path: str) -> None:
    answer = api.get(f"/api/v1/goals?{query}")
    assert (answer.status, answer.paths) == (400, [path]), answer


@pytest.mark.parametrize(
    ("since", "count"),
    [
        ("0001-01-01", 1),
        ("0001-01-01T00:00:00%2B14:00", 1),
        ("9999-12-31", 0),
        ("9999-12-31T23:59:59-14:00", 0),
    ],
)
def test_a_list_since_the_ends_of_the_calendar_is_a_list_like_others(
    api: Api, patient: str, since: str, count: int
) -> None:
    assert api.post("/api/v1/goals", goal(patient)).status == 201
    answer = api.get(f"/api/v1/goals?updated_since={since}")
    assert (answer.status, len(answer.json["items"])) == (200, count), answer


def test_answers_are_found_by_questionnaire(api: Api, patient: str) -> None:
    subject = {"subject": {"reference": f"Patient/{patient}"}}
    said = {**ANSWERS, **subject, "questionnaire": "https://clinic.example/q|2"}
    found = api.post("/api/v1/questionnaire-responses", said).json["id"]
    api.post("/api/v1/questionnaire-responses", {**ANSWERS, **subject})
    for query in ("https://clinic.example/q|2", "https://clinic.example/q"):
        page = api.get(f"/api/v1/questionnaire-responses?questionnaire={query}").json
        assert [item["id"] for item in page["items"]] == [found]


def test_a_create_that_is_sent_again_under_its_key_creates_nothing(api: Api, patient: str) -> None:
    first = api.post("/api/v1/goals", goal(patient), Idempotency_Key="k1")
    again = api.post("/api/v1/goals", goal(patient), Idempotency_Key="k1")
    assert (again.status, again.text) == (201, first.text)
    assert (again.etag, again.headers["Location"]) == (first.etag, first.headers["Location"])
    assert len(api.get("/api/v1/goals").json["items"]) == 1
    assert api.post("/api/v1/goals", goal(patient, statement="Swim"), Idempotency_Key="k1").status == 409
    assert api.post("/api/v1/goals", goal(patient), Idempotency_Key="k 2").paths == ["Idempotency-Key"]
    assert api.post("/api/v1/goals", goal(patient), Idempotency_Key="k2").json["id"] != first.json["id"]


def test_a_refused_create_does_not_use_its_key_up(api: Api, patient: str) -> None:
    assert api.post("/api/v1/goals", goal("nobody"), Idempotency_Key="k1").status == 422
    assert api.post("/api/v1/goals", goal(patient), Idempotency_Key="k1").status == 201


def test_keys_of_different_principals_are_different_keys(as_principal: AsPrincipal) -> None:
    one, other = as_principal(sub="one"), as_principal(sub="other")
    patient = one.register()
    first = one.post("/api/v1/goals", goal(patient), Idempotency_Key="k1")
    second = other.post("/api/v1/goals", goal(patient), Idempotency_Key="k1")
    assert first.json["id"] != second.json["id"]
    assert other.get(f"{second.headers['Location']}/history").json["items"][0]["actor"] == "other"


def test_a_questionnaire_is_kept_as_the_resource_that_it_is(api: Api) -> None:
    said = {
        "resourceType": "Questionnaire",
        "url": "https://clinic.example/q",
        "version": "1",
        "status": "active",
        "item": [{"linkId": "1", "text": "How sure?", "type": "integer"}],
    }
    created = api.post("/api/v1/questionnaires", said)
    assert created.status == 201, created
    place = created.headers["Location"]
    assert said.items() <= api.get(place).json.items()
    assert api.get("/api/v1/questionnaires?url=https://clinic.example/q|1").json["items"] == [created.json]
    changed = api.put(place, {**created.json, "title": "Sure?"}, If_Match=created.etag)
    assert (changed.status, changed.json["title"]) == (200, "Sure?"), changed
    assert api.post(f"{place}/withdraw").json["status"] == "retired"
    actions = [version["action"] for version in api.get(f"{place}/history").json["items"]]
    assert actions == ["withdraw", "update", "create"]


def test_patients_are_registered_once_and_found_by_identifier(api: Api) -> None:
    first, second = api.register("MS-1"), api.register("MS-2")
    assert api.register("MS-1") == first
    found = api.get("/api/v1/patients?identifier=https://clinic.example/patients|MS-2").json["items"]
    assert [patient["id"] for patient in found] == [second]
    assert api.get(f"/api/v1/patients/{first}").json["identifiers"][0]["value"] == "MS-1"
    page = api.get("/api/v1/patients?limit=1").json
    pages = page["items"] + api.get(page["next"]).json["items"]
    # Patients of one moment have no order.
    assert sorted(patient["id"] for patient in pages) == sorted([first, second])
    assert api.get("/api/v1/patients?identifier=MS-2").paths == ["identifier"]
    assert api.post("/api/v1/patients", {"identifiers": [{"system": "a"}]}).paths == ["identifiers[0].value"]
