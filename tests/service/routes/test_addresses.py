"""What we are called from outside: where links begin, and which references are our own."""

import pytest

from fhir_mappings.exact_json import Tree
from service.app import create_app
from service.config import Config
from service.store.database import Database
from tests.clock import Clock
from tests.service.routes.caller import GUARDED, Api, fhir_goal, goal, published_keys, token

PUBLIC = "https://mainstay.example/records"
FORGED = {
    "Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "ftp",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "host=evil.example;proto=ftp",
}


@pytest.fixture
def public(database: Database, clock: Clock) -> Api:
    """A caller of a service that knows what it is called from outside."""
    config = Config(**GUARDED, public_url=PUBLIC)
    return Api(create_app(config, database=database, clock=clock, fetch_keys=published_keys), token())


def links(bundle: Tree) -> list[str]:
    """Every address in a Bundle."""
    return [link["url"] for link in bundle["link"]] + [entry["fullUrl"] for entry in bundle["entry"]]


def test_every_link_begins_with_the_public_address_whatever_a_request_says(public: Api) -> None:
    patient = public.register()
    created = [public.post("/fhir/Goal", fhir_goal(patient), **FORGED) for _ in range(2)]
    id_ = created[0].json["id"]
    assert created[0].headers["Location"] == f"{PUBLIC}/fhir/Goal/{id_}/_history/1"
    found = public.get(f"/fhir/Goal?_count=1&_id={id_}", **FORGED).json
    assert links(found) == [f"{PUBLIC}/fhir/Goal?_count=1&_id={id_}", f"{PUBLIC}/fhir/Goal/{id_}"]
    page = public.get("/fhir/Goal?_count=1", **FORGED).json
    history = public.get(f"/fhir/Goal/{id_}/_history", **FORGED).json
    assert all(url.startswith(f"{PUBLIC}/fhir/Goal") for url in links(page) + links(history))
    assert {link["relation"] for link in page["link"]} == {"self", "next"}
    statement = public.get("/fhir/metadata", **FORGED).json
    assert statement["implementation"]["url"] == f"{PUBLIC}/fhir"


def test_a_next_link_leads_on_from_outside_too(public: Api) -> None:
    patient = public.register()
    made = [public.post("/api/v1/goals", goal(patient)) for _ in range(2)]
    ids = {one.json["id"] for one in made}
    assert {one.headers["Location"] for one in made} == {f"/records/api/v1/goals/{id_}" for id_ in ids}
    listed = public.get("/api/v1/goals?limit=1").json["next"]
    assert listed.startswith("/records/api/v1/goals?limit=1&after=")
    first = public.get("/fhir/Goal?_count=1").json
    (following,) = (link["url"] for link in first["link"] if link["relation"] == "next")
    second = public.get(following.removeprefix(PUBLIC)).json
    assert {entry["resource"]["id"] for entry in first["entry"] + second["entry"]} == ids


def test_without_a_public_address_links_begin_as_the_request_did(api: Api) -> None:
    api.post("/fhir/Goal", fhir_goal(api.register()))
    found = api.get("/fhir/Goal", Host="127.0.0.1:8123", X_Forwarded_Proto="https").json
    assert all(url.startswith("http://127.0.0.1:8123/fhir/Goal") for url in links(found))


def test_a_service_that_others_reach_answers_nothing_without_an_issuer(
    database: Database, clock: Clock
) -> None:
    app = create_app(Config(public_url=PUBLIC), database=database, clock=clock)
    api, seen = Api(app), 0
    for path, methods in app.extensions["openapi"]["paths"].items():
        for method, operation in methods.items():
            if method != "parameters" and operation["security"]:
                seen += 1
                concrete = path.replace("{", "").replace("}", "")
                for bearer in ({}, {"Authorization": f"Bearer {token()}"}):
                    assert api.send(method.upper(), concrete, headers=bearer).status == 401, (method, path)
    assert seen > 50
    assert api.get("/healthz").status == api.get("/fhir/metadata").status == 200
    assert api.get("/fhir/metadata", Host="mainstay.example").status == 200


@pytest.mark.parametrize(
    "base",
    [
        "http://localhost/fhir",
        "HTTP://LOCALHOST:80/fhir",
    ],
)
def test_a_reference_by_our_own_address_is_the_one_that_it_equals(api: Api, base: str) -> None:
    patient = api.register()
    made = api.post("/fhir/Goal", fhir_goal(f"x{patient}"))
    assert made.status == 422
    made = api.post("/fhir/Goal", fhir_goal(patient, subject={"reference": f"{base}/Patient/{patient}"}))
    assert made.json["subject"] == {"reference": f"Patient/{patient}"}
    plan = {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "subject": {"reference": f"{base}/Patient/{patient}", "display": "Me"},
        "note": [{"text": "x", "authorReference": {"reference": f"{base}/Patient/{patient}"}}],
        "goal": [
            {"reference": f"{base}/Goal/{made.json['id']}"},
            {"reference": "https://ehr.example/fhir/Goal/1"},
        ],
    }
    kept = api.post("/fhir/CarePlan", plan).json
    assert kept["subject"] == {"reference": f"Patient/{patient}", "display": "Me"}
    assert kept["note"][0]["authorReference"] == {"reference": f"Patient/{patient}"}
    assert [one["reference"] for one in kept["goal"]] == [
        f"Goal/{made.json['id']}",
        "https://ehr.example/fhir/Goal/1",
    ]
    nobody = plan | {"goal": [{"reference": f"{base}/Goal/none"}]}
    assert api.post("/fhir/CarePlan", nobody).paths == ["CarePlan.goal[0]"]


@pytest.mark.parametrize("name", ["patient", "subject"])
def test_a_search_by_our_own_address_finds_what_the_id_finds(api: Api, name: str) -> None:
    patient, other = api.register(), api.register("MS-2")
    made = api.post("/fhir/Goal", fhir_goal(patient)).json["id"]
    api.post("/fhir/Goal", fhir_goal(other))
    for value in (patient, f"Patient/{patient}", f"http://localhost/fhir/Patient/{patient}"):
        found = api.get(f"/fhir/Goal?{name}={value}").json
        assert [entry["resource"]["id"] for entry in found["entry"]] == [made]
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        posted = api.send("POST", "/fhir/Goal/_search", f"{name}={value}", form).json
        assert posted["total"] == 1
    for value in (f"http://localhost/other/Patient/{patient}", f"http://ehr.example/fhir/Patient/{patient}"):
        assert api.get(f"/fhir/Goal?{name}={value}").json["total"] == 0


def test_a_record_may_name_its_patient_by_our_own_address_too(api: Api) -> None:
    patient = api.register()
    record = goal(patient, subject={"reference": f"http://localhost/fhir/Patient/{patient}"})
    assert api.post("/api/v1/goals", record).json["subject"] == {"reference": f"Patient/{patient}"}


def test_with_a_public_address_that_one_is_our_own_and_a_requests_host_is_not(public: Api) -> None:
    patient = public.register()
    by = "{}/fhir/Patient/" + patient
    ours = public.post("/fhir/Goal", fhir_goal(patient, subject={"reference": by.format(PUBLIC)}))
    assert ours.json["subject"] == {"reference": f"Patient/{patient}"}
    theirs = public.post(
        "/fhir/Goal", fhir_goal(patient, subject={"reference": by.format("http://localhost")})
    )
    assert theirs.status == 422
