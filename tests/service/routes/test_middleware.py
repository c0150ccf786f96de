"""Who is let in, to what: tokens, scopes, one patient's records, loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from fhir_mappings.exact_json import Tree
from service.app import create_app, require_safe_binding
from service.config import Config
from service.record_types import IN_OUR_WORDS
from service.routes.openapi_parts import EXAMPLES
from service.store.database import Database
from tests.clock import Clock
from tests.service.routes.caller import GUARDED, Api, AsPrincipal, fhir_goal, goal, token
from tests.service.store.full import fill

#: The API as one of two patients sees it, our ids of both, and of a goal of each.
Two = tuple[Api, str, str, str, str]

EVERYTHING = "system/*.cruds mainstay/sync"


def operations(app: Flask) -> Iterator[tuple[str, str, bool]]:
    """Every documented operation: method, path with a made-up id in it, and whether it needs a token."""
    for path, methods in app.extensions["openapi"]["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                concrete = path.replace("{version_id}", "1")
                for name in ("record_id", "patient_id", "conflict_id", "name"):
                    concrete = concrete.replace("{" + name + "}", "none")
                yield method.upper(), concrete, bool(operation["security"])


def test_every_operation_needs_a_token_but_those_that_say_otherwise(guarded_app: Flask) -> None:
    anyone = Api(guarded_app)
    seen = list(operations(guarded_app))
    assert len(seen) > 60
    for method, path, guarded in seen:
        answer = anyone.send(method, path)
        assert (answer.status == 401) is guarded, (method, path, answer)
        if guarded:
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_without_scopes_opens_nothing(guarded_app: Flask) -> None:
    api = Api(guarded_app, token(scope="openid"))
    for method, path, guarded in operations(guarded_app):
        if guarded and "translate" not in path:
            body = _body(path) if method in ("POST", "PUT") and "_search" not in path else None
            assert api.send(method, path, body).status == 403, (method, path)


_IDENTIFIER = {"system": "s", "value": "v"}
_BODIES: dict[str, Tree] = {
    "identifiers": _IDENTIFIER,
    "remove": _IDENTIFIER,
    "correct": {"identifier": _IDENTIFIER, "corrected": _IDENTIFIER},
    "merge": {"into": "p"},
    "matches": {"connection": "c", "server_id": "1"},
    "decision": {"connection": "c", "decision": "let-go"},
}


def _body(path: str) -> Tree:
    """A body good enough to get past its own check."""
    fhir_type = path.split("/")[2] if path.startswith("/fhir/") else None
    record_types = {kind.path: kind.name for kind in IN_OUR_WORDS}
    noun = path.split("/")[3] if path.startswith("/api/") else ""
    act = path.rsplit("/", 1)[1]
    if act in _BODIES:
        return _BODIES[act]
    if fhir_type:
        return {"resourceType": fhir_type}
    if noun in record_types:
        return EXAMPLES[record_types[noun]]
    bodies: dict[str, Tree] = {
        "patients": {"identifiers": [{"system": "s", "value": "v"}]},
        "questionnaires": {"resourceType": "Questionnaire"},
        "connections": {"name": "c", "base_url": "http://localhost/fhir"},
        "sync": {"keep": "here"} if "conflicts" in path else {},
    }
    return bodies[noun]


@pytest.mark.parametrize(
    ("scope", "method", "path", "allowed"),
    [
        ("system/Goal.s", "GET", "/api/v1/goals", True),
        ("system/Goal.r", "GET", "/api/v1/goals", False),
        ("system/Goal.s", "GET", "/fhir/Goal", True),
        ("system/CarePlan.s", "GET", "/fhir/Goal", False),
        ("system/ServiceRequest.read", "GET", "/api/v1/activities", True),
        ("system/*.read", "GET", "/api/v1/questionnaires", True),
        ("system/*.write", "GET", "/api/v1/goals", False),
        ("patient/*.read", "GET", "/api/v1/goals", False),
        ("mainstay/sync", "GET", "/api/v1/sync/status", True),
        ("system/*.*", "GET", "/api/v1/sync/status", False),
        ("system/*.*", "GET", "/api/v1/connections", False),
    ],
)
def test_a_scope_opens_what_it_names(
    as_principal: AsPrincipal, scope: str, method: str, path: str, allowed: bool
) -> None:
    assert as_principal(scope=scope).send(method, path).status == (200 if allowed else 403)


@pytest.fixture
def two(as_principal: AsPrincipal) -> Two:
    """A token for one of two patients, and a goal of each."""
    everyone = as_principal()
    own, others = everyone.register("MS-1"), everyone.register("MS-2")
    goals = [everyone.post("/api/v1/goals", goal(patient)).json["id"] for patient in (own, others)]
    return as_principal(scope=f"patient/*.cruds {EVERYTHING}", patient=own), own, others, *goals


def test_a_token_for_one_patient_reads_that_patients_records_only(two: Two) -> None:
    api, own, others, own_goal, others_goal = two
    for base in ("/api/v1/goals", "/fhir/Goal"):
        assert api.get(f"{base}/{own_goal}").status == 200
        assert api.get(f"{base}/{others_goal}").status == 404
    for path in ("/api/v1/goals/{}/history", "/fhir/Goal/{}/_history", "/fhir/Goal/{}/_history/1"):
        assert api.get(path.format(own_goal)).status == 200
        assert api.get(path.format(others_goal)).status == 404
    assert api.get(f"/api/v1/patients/{own}").status == api.get(f"/fhir/Patient/{own}").status == 200
    assert api.get(f"/api/v1/patients/{others}").status == api.get(f"/fhir/Patient/{others}").status == 404


def test_a_token_for_one_patient_lists_that_patients_records_only(two: Two) -> None:
    api, own, others, own_goal, others_goal = two
    assert [item["id"] for item in api.get("/api/v1/goals").json["items"]] == [own_goal]
    assert [item["id"] for item in api.get("/api/v1/patients").json["items"]] == [own]
    for query in ("", f"?patient={own}"):
        assert [e["resource"]["id"] for e in api.get(f"/fhir/Goal{query}").json["entry"]] == [own_goal]
    assert api.get(f"/fhir/Goal?_id={others_goal}").json["total"] == 0
    assert api.get("/fhir/Patient?identifier=https://clinic.example/patients|MS-2").json["total"] == 0
    assert api.get(f"/fhir/Patient?_id={others}").json["total"] == 0
    assert api.get("/api/v1/patients?identifier=https://clinic.example/patients|MS-2").json["items"] == []
    for path in ("/api/v1/goals", "/fhir/Goal", "/api/v1/sync/status"):
        assert api.get(f"{path}?patient={others}").status == 403


def test_a_token_for_one_patient_writes_that_patients_records_only(two: Two) -> None:
    api, own, others, own_goal, others_goal = two
    by_name = {"identifier": {"system": "https://clinic.example/patients", "value": "MS-2"}}
    assert api.post("/api/v1/goals", goal(own)).status == 201
    for subject in ({"reference": f"Patient/{others}"}, by_name, {"display": "somebody"}):
        assert api.post("/api/v1/goals", goal(others, subject=subject)).status == 403
        assert api.post("/fhir/Goal", fhir_goal(others, subject=subject)).status == 403
        read = api.get(f"/api/v1/goals/{own_goal}")
        assert (
            api.put(f"/api/v1/goals/{own_goal}", {**read.json, "subject": subject}, If_Match=read.etag).status
            == 403
        )
    resource = {**fhir_goal(own), "id": others_goal}
    assert api.put(f"/fhir/Goal/{others_goal}", resource, If_Match='W/"1"').status == 404
    assert api.put(f"/api/v1/goals/{others_goal}", goal(own), If_Match='W/"1"').status == 404
    assert api.post(f"/api/v1/goals/{others_goal}/withdraw").status == 404


def test_a_token_for_one_patient_acts_for_nobody_else(two: Two) -> None:
    api, *_ = two
    questionnaire = {"resourceType": "Questionnaire", "status": "active"}
    assert api.post("/api/v1/patients", {"identifiers": [{"system": "s", "value": "v"}]}).status == 403
    assert api.post("/api/v1/questionnaires", questionnaire).status == 403
    assert api.get("/api/v1/questionnaires").status == 200
    assert api.post("/api/v1/sync/run", {}).status == 403
    assert api.get("/api/v1/sync/conflicts").status == 403
    assert api.get("/api/v1/sync/summary").status == 403
    assert api.get("/api/v1/connections").status == 403


def test_the_history_names_the_tokens_subject(as_principal: AsPrincipal) -> None:
    api = as_principal(sub="nurse-7")
    created = api.post("/api/v1/goals", goal(api.register()))
    assert api.get(f"{created.headers['Location']}/history").json["items"][0]["actor"] == "nurse-7"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "mainstay.example", "::"])
def test_without_authentication_the_server_binds_to_loopback_only(host: str) -> None:
    with pytest.raises(ValueError, match="MAINSTAY_AUTH_ISSUER"):
        require_safe_binding(Config(host=host))
    require_safe_binding(Config(host=host, **GUARDED))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_authentication(host: str) -> None:
    require_safe_binding(Config(host=host))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8080", 200),
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("evil.example", 403),
        ("evil.example:8080", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
    ],
)
def test_without_authentication_a_page_of_another_name_is_refused(api: Api, host: str, status: int) -> None:
    assert api.get("/api/v1/goals", Host=host).status == status


def test_with_authentication_any_host_name_will_do(as_principal: AsPrincipal) -> None:
    assert as_principal().get("/api/v1/goals", Host="mainstay.example").status == 200


def test_readiness_tells_what_is_missing(api: Api, tmp_path: Path, clock: Clock) -> None:
    assert api.get("/readyz").status == 200
    empty = create_app(Config(database_url=f"sqlite:///{tmp_path / 'empty.db'}"), clock=clock)
    answer = Api(empty).get("/readyz")
    assert (answer.status, "db upgrade" in answer.json["status"]) == (503, True)
    nowhere = create_app(Config(database_url=f"sqlite:///{tmp_path / 'none' / 'x.db'}"), clock=clock)
    assert Api(nowhere).get("/readyz").status == 503
    assert Api(nowhere).get("/healthz").status == 200
    assert "mainstay_database_up 0.0" in Api(nowhere).get("/metrics").text


def test_a_full_database_is_told_so_and_does_not_call_itself_ready(
    app: Flask, api: Api, database: Database
) -> None:
    patient = api.register()
    fill(database)
    refused = api.post("/api/v1/goals", goal(patient, why_it_matters="x" * 300_000))
    assert refused.status == 507, refused
    assert refused.json["issue"][0]["diagnostics"] == "The disk of the database is full"
    ready = api.get("/readyz")
    assert (ready.status, "full" in ready.json["status"]) == (503, True)
    assert api.get("/healthz").status == 200
    assert api.get("/api/v1/goals").status == 200


def test_metrics_count_requests_by_route_and_records_by_state(app: Flask, api: Api) -> None:
    patient = api.register()
    app.extensions["mainstay"].sync.add_connection("clinic", "http://127.0.0.1:9/fhir")
    api.post("/api/v1/goals", goal(patient))
    api.get(f"/fhir/Goal?patient={patient}")
    text = api.get("/metrics").text
    assert 'mainstay_records{connection="clinic",state="pending"} 1.0' in text
    assert 'mainstay_http_requests_total{method="GET",route="/fhir/Goal",status="200"} 1.0' in text
    assert patient not in text
