"""Bad input: each gets a clear refusal that names the field, no traceback, and nothing is stored."""

from typing import Any

import pytest
from flask import Flask

from fhir_mappings import exact_json
from fhir_mappings.exact_json import Tree
from service.app import create_app
from service.config import Config
from service.store.database import Database
from service.sync.engine import Sync
from service.sync.server.connections import Connection
from service.sync.status import Summary
from tests.clock import Clock
from tests.service.routes.caller import Api, fhir_goal, goal

ACTIVE_TEXT = {
    "status": "generated",
    "div": '<div xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></div>',
}


@pytest.fixture
def patient(api: Api) -> str:
    return api.register()


FACES = ["/api/v1/goals", "/fhir/Goal"]


@pytest.mark.parametrize("path", FACES)
@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"type":"Goal"',
        "",
        "   ",
        "[]",
        '"Goal"',
        "null",
        '{"type":"Goal","resourceType":"Goal","statement":NaN}',
        '{"type":"Goal","resourceType":"Goal","x":Infinity}',
        '{"type":"Goal","type":"Goal","resourceType":"Goal"}',
        '{"type":"Goal","resourceType":"Goal","statement":"\\ud800"}',
        '{"type":"Goal","resourceType":"Goal","statement":"\\u0000"}',
        '{"type":"Goal","resourceType":"Goal","x":' + "[" * 5000 + "]" * 5000 + "}",
        b'{"type":"Goal","resourceType":"Goal","statement":"\xff"}',
    ],
)
def test_what_is_not_the_json_of_one_object_is_refused(api: Api, path: str, text: str | bytes) -> None:
    answer = api.post(path, text)
    assert answer.status == 400, answer
    assert answer.json["resourceType"] == "OperationOutcome"
    assert "Traceback" not in answer.text
    assert api.get("/fhir/Goal").json["total"] == 0


@pytest.mark.parametrize("path", FACES)
@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "application/json; charset=utf-16"])
def test_another_media_type_is_refused(api: Api, path: str, media_type: str) -> None:
    assert api.post(path, "{}", Content_Type=media_type).status == 415


def test_a_body_without_a_media_type_is_refused(app: Flask) -> None:
    assert app.test_client().post("/api/v1/goals", data="{}").status_code == 415


@pytest.mark.parametrize("path", FACES)
def test_a_body_of_ten_megabytes_is_refused_unread(api: Api, path: str) -> None:
    body = exact_json.dump({"type": "Goal", "resourceType": "Goal", "statement": "x" * 10_000_000})
    answer = api.post(path, body)
    assert (answer.status, answer.json["issue"][0]["code"]) == (413, "too-costly")


def test_a_body_of_ten_megabytes_without_a_length_is_refused(app: Flask) -> None:
    """As a client sends it that streams; the limit counts what arrives, not what was announced."""
    from io import BytesIO

    answer = app.test_client().post(
        "/api/v1/goals",
        input_stream=BytesIO(b'"' + b"x" * 10_000_000 + b'"'),
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("changed", "status", "paths"),
    [
        ({"statement": 5}, 400, ["Goal.statement"]),
        ({"status": "doing"}, 400, ["Goal.status"]),
        ({"statement": 5, "status": "doing", "mood": 1}, 400, ["Goal.statement", "Goal.status", "Goal.mood"]),
        ({"type": "CarePlan"}, 400, ["Goal.type"]),
        ({"targets": [{"detail": {"integer": 5}}]}, 422, ["Goal.target[0]"]),
        ({"start": {"date": "2025-02-30"}}, 422, ["Goal.startDate"]),
        ({"start": {"date": "30.2.2025"}}, 422, ["Goal.startDate"]),
        ({"subject": {"reference": "Patient/nobody"}}, 422, ["Goal.subject"]),
        ({"subject": {}}, 422, ["Goal.subject"]),
    ],
)
def test_a_wrong_record_is_refused_by_the_path_of_each_wrong_field(
    api: Api, patient: str, changed: Tree, status: int, paths: list[str]
) -> None:
    answer = api.post("/api/v1/goals", goal(patient, **changed))
    assert answer.status == status, answer
    assert sorted(answer.paths) == sorted(paths)
    assert api.get("/fhir/Goal").json["total"] == 0


@pytest.mark.parametrize(
    ("changed", "paths"),
    [
        ({"lifecycleStatus": "doing"}, ["Goal.lifecycleStatus"]),
        ({"description": "Walk"}, ["Goal.description"]),
        ({"mood": "low"}, ["Goal.mood"]),
        ({"target": [{"detailInteger": 5}]}, ["Goal.target[0]"]),
        ({"startDate": "2025-02-30"}, ["Goal.startDate"]),
        ({"text": ACTIVE_TEXT}, ["Goal.text.div"]),
        ({"description": "Walk", "mood": "low"}, ["Goal.description", "Goal.mood"]),
    ],
)
def test_a_wrong_resource_is_refused_by_the_path_of_each_wrong_element(
    api: Api, patient: str, changed: Tree, paths: list[str]
) -> None:
    answer = api.post("/fhir/Goal", fhir_goal(patient, **changed))
    assert (answer.status, sorted(answer.paths)) == (422, sorted(paths)), answer
    assert api.get("/fhir/Goal").json["total"] == 0


def test_a_plan_may_not_refer_to_another_patients_goal(api: Api, patient: str) -> None:
    others = api.post("/api/v1/goals", goal(api.register("MS-2"))).json["id"]
    plan = {
        "type": "CarePlan",
        "status": "active",
        "subject": {"reference": f"Patient/{patient}"},
        "goals": [{"reference": f"Goal/{others}"}],
    }
    answer = api.post("/api/v1/care-plans", plan)
    assert (answer.status, answer.paths) == (422, ["CarePlan.goal[0]"]), answer
    assert api.get("/fhir/CarePlan").json["total"] == 0


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        (
            {"modifierExtension": [{"url": "https://example.org/not", "valueBoolean": True}]},
            "modifierExtension",
        ),
        ({"implicitRules": "https://example.org/rules"}, "implicitRules"),
    ],
)
def test_an_edit_under_a_modifier_that_is_unknown_here_is_refused_by_name(
    api: Api, patient: str, changed: Tree, path: str
) -> None:
    created = api.post("/fhir/Goal", fhir_goal(patient, **changed))
    assert created.status == 201, created
    place = f"/api/v1/goals/{created.json['id']}"
    read = api.get(place)
    refused = api.put(place, {**read.json, "statement": "Swim"}, If_Match=read.etag)
    assert refused.status == 422, refused
    assert refused.paths[0].startswith(f"Goal.{path}")
    assert api.put(place, read.json, If_Match=read.etag).etag == read.etag


@pytest.mark.parametrize(
    "path", ["/nowhere", "/api/v1/nowhere", "/fhir/Binary", "/fhir/Goal/a%00b", "/fhir/Goal/a b"]
)
def test_what_is_not_there_is_said_as_an_outcome(api: Api, path: str) -> None:
    answer = api.get(path)
    assert (answer.status, answer.json["issue"][0]["code"]) == (404, "not-found")


class Broken(Sync):
    """A synchronisation that fails as no one expected, its message holding what a person wrote."""

    def __init__(self) -> None:
        """It has nothing to keep in step, and nothing to do it with."""

    def summary(self, connection: str | None = None) -> Summary:
        raise RuntimeError("SEEDED-STATEMENT")

    def connections(self) -> list[Connection]:
        return []


def test_an_unknown_error_is_answered_with_its_request_id_and_nothing_else(
    database: Database, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    api = Api(create_app(Config(), database=database, clock=clock, sync=Broken()))
    answer = api.get("/api/v1/sync/summary")
    assert answer.status == 500
    request_id = answer.headers["X-Request-Id"]
    assert answer.json["issue"][0]["diagnostics"].endswith(f"request id {request_id}")
    assert "SEEDED" not in answer.text
    logged = capfd.readouterr().err
    assert request_id in logged
    assert "RuntimeError" in logged
    assert "test_bad_input.py" in logged
    assert "SEEDED" not in logged


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({}, 400, ""),
        ({"resource": {"resourceType": "Goal"}, "record": {}}, 400, ""),
        ({"resource": []}, 400, "resource"),
        ({"resource": {"resourceType": "Patient"}}, 422, "resourceType"),
        ({"resource": {"resourceType": "Goal"}, "onto": {}}, 400, "onto"),
        ({"record": {"type": "Goal"}}, 400, "Goal.subject"),
        ({"mood": 1}, 400, "mood"),
    ],
)
def test_translate_refuses_what_it_cannot_translate(api: Api, body: Any, status: int, path: str) -> None:
    answer = api.post("/api/v1/translate", body)
    assert (answer.status, answer.paths[0]) == (status, path), answer


def test_translate_says_a_resource_as_a_record_with_what_got_lost_and_back(api: Api) -> None:
    foreign = fhir_goal(
        "x", extension=[{"url": "https://example.org/n", "valueDecimal": exact_json.Number("7.50")}]
    )
    there = api.post("/api/v1/translate", {"resource": foreign}).json
    assert there["record"]["statement"] == "Walk to the lake"
    assert there["loss"] == ["Goal.extension[0].url", "Goal.extension[0].valueDecimal"]
    back = api.post("/api/v1/translate", {"record": there["record"], "onto": foreign})
    assert exact_json.dump(back.json["resource"]) == exact_json.dump(foreign)
    edited = {**there["record"], "statement": "Swim"}
    changed = api.post("/api/v1/translate", {"record": edited, "onto": foreign}).json["resource"]
    assert changed == {**foreign, "description": {"text": "Swim"}}
    other = {**there["record"], "subject": {"reference": "Patient/y"}}
    assert api.post("/api/v1/translate", {"record": other, "onto": foreign}).paths == ["Goal.subject"]
    assert api.get("/fhir/Goal").json["total"] == 0
