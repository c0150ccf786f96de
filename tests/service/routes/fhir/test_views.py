"""The FHIR face: what a client posts comes back whole, under a version and a time that are ours."""

from collections.abc import Iterator

import pytest
from sqlalchemy import event

from fhir_mappings import exact_json
from service.store.database import Database
from tests.clock import Clock
from tests.service.routes.caller import Api, AsPrincipal, fhir_goal, goal
from tests.service.routes.conftest import opened

WHOLE = """{"resourceType":"Goal","id":"theirs","meta":{"versionId":"77","lastUpdated":"2001-01-01T00:00:00Z",
 "profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-goal"],"tag":[{"code":"t"}]},
 "extension":[{"url":"https://example.org/n","valueDecimal":7.50}],
 "contained":[{"resourceType":"Practitioner","id":"p","name":[{"family":"Ärzte"}]}],
 "lifecycleStatus":"active","_lifecycleStatus":{"id":"x","extension":[{"url":"https://example.org/s","valueCode":"y"}]},
 "description":{"coding":[{"code":"a"},{"code":"a"}],"text":"Walk"},
 "subject":{"reference":"Patient/PATIENT","display":"Me"},"expressedBy":{"reference":"#p"},"startDate":"2026-03",
 "target":[{"measure":{"text":"m"},"detailQuantity":{"value":1e2,"extension":[{"url":"u","valueInteger":1}]}}]}"""


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """These tests run on both engines."""
    with opened(database_url) as database:
        yield database


@pytest.fixture
def patient(api: Api) -> str:
    return api.register()


def test_what_is_posted_comes_back_whole(api: Api, patient: str) -> None:
    text = WHOLE.replace("PATIENT", patient)
    created = api.post("/fhir/Goal", text)
    assert created.status == 201, created
    posted, shown = exact_json.parse(text), created.json
    assert shown["id"] != "theirs"
    assert shown["meta"] == {
        **posted["meta"],
        "versionId": "1",
        "lastUpdated": "2026-03-02T08:30:00.000Z",
    }
    # Our business identifier is the one thing that is added.
    assert [entry["value"] for entry in shown["identifier"]] == [shown["id"]]
    ours = ("id", "meta", "identifier")
    kept = {name: value for name, value in shown.items() if name not in ours}
    assert exact_json.dump(kept) == exact_json.dump({n: v for n, v in posted.items() if n not in ours})
    assert api.get(f"/fhir/Goal/{shown['id']}").text == created.text


def test_a_create_says_where_and_when(api: Api, patient: str) -> None:
    created = api.post("/fhir/Goal", fhir_goal(patient))
    assert created.type == "application/fhir+json"
    assert created.etag == 'W/"1"'
    assert created.headers["Last-Modified"] == "Mon, 02 Mar 2026 08:30:00 GMT"
    assert created.headers["Location"] == f"http://localhost/fhir/Goal/{created.json['id']}/_history/1"


def test_a_conditional_create_is_refused_and_creates_nothing(api: Api, patient: str) -> None:
    refused = api.post("/fhir/Goal", fhir_goal(patient), If_None_Exist="identifier=urn:x|1")
    assert refused.status == 400
    assert refused.paths == ["If-None-Exist"]
    assert api.get(f"/fhir/Goal?patient={patient}").json["total"] == 0


def test_an_update_names_its_version_by_header_or_in_the_body(api: Api, patient: str) -> None:
    first = api.post("/fhir/Goal", fhir_goal(patient)).json
    place = f"/fhir/Goal/{first['id']}"
    second = api.put(place, {**first, "description": {"text": "Swim"}})
    assert (second.status, second.etag, second.json["meta"]["versionId"]) == (200, 'W/"2"', "2"), second
    assert api.put(place, {**first, "description": {"text": "Run"}}).status == 412
    assert api.put(place, first, If_Match='W/"2"').etag == 'W/"3"'
    without_meta = {name: value for name, value in first.items() if name != "meta"}
    assert api.put(place, without_meta).status == 428
    assert api.put(place, without_meta, If_Match='W/"1"').status == 412
    assert api.get(place).etag == 'W/"3"'


def test_each_version_can_be_read_and_history_tells_of_all(api: Api, patient: str, clock: Clock) -> None:
    first = api.post("/fhir/Goal", fhir_goal(patient)).json
    place = f"/fhir/Goal/{first['id']}"
    clock.advance(seconds=90)
    second = api.put(place, {**first, "description": {"text": "Swim"}}).json
    assert api.get(f"{place}/_history/1").json == first
    assert api.get(f"{place}/_history/2").json == second == api.get(place).json
    assert api.get(f"{place}/_history/3").status == 404
    assert api.get(f"{place}/_history/one").status == 404
    bundle = api.get(f"{place}/_history").json
    assert (bundle["type"], bundle["total"]) == ("history", 2)
    assert [entry["resource"] for entry in bundle["entry"]] == [second, first]
    assert [entry["request"]["method"] for entry in bundle["entry"]] == ["PUT", "POST"]
    assert bundle["entry"][0]["response"]["lastModified"] == "2026-03-02T08:31:30.000Z"


def test_the_path_the_type_and_the_id_have_to_agree(api: Api, patient: str) -> None:
    created = api.post("/fhir/Goal", fhir_goal(patient)).json
    assert api.post("/fhir/CarePlan", fhir_goal(patient)).paths == ["resourceType"]
    assert api.put(f"/fhir/Goal/{created['id']}", {**created, "id": "other"}).paths == ["Goal.id"]
    assert api.get(f"/fhir/CarePlan/{created['id']}").status == 404
    assert api.put("/fhir/Goal/unknown", {**fhir_goal(patient), "id": "unknown"}).status == 404


def found(api: Api, query: str, resource_type: str = "Goal") -> list[str]:
    answer = api.get(f"/fhir/{resource_type}?{query}")
    assert answer.status == 200, answer
    return [entry["resource"]["id"] for entry in answer.json.get("entry", [])]


def test_search_finds_by_each_parameter(api: Api, patient: str, clock: Clock) -> None:
    other = api.register("MS-2")
    identifier = [{"system": "https://example.org/goals", "value": "7"}]
    one = api.post("/fhir/Goal", fhir_goal(patient, identifier=identifier)).json["id"]
    clock.advance(days=1)
    two = api.post("/fhir/Goal", fhir_goal(other, lifecycleStatus="completed")).json["id"]
    assert found(api, "") == [one, two]
    assert found(api, f"_id={one}") == [one]
    assert found(api, f"_id={one},{two},none") == [one, two]
    assert found(api, "identifier=https://example.org/goals|7") == [one]
    assert found(api, "identifier=7") == [one]
    assert found(api, "identifier=|7") == []
    assert found(api, f"patient={patient}") == found(api, f"subject=Patient/{patient}") == [one]
    assert found(api, "lifecycle-status=completed") == [two]
    assert found(api, "_lastUpdated=2026-03-02") == [one]
    assert found(api, "_lastUpdated=2026-03") == [one, two]
    assert found(api, "_lastUpdated=gt2026-03-02") == found(api, "_lastUpdated=ge2026-03-03") == [two]
    assert found(api, "_lastUpdated=le2026-03-02") == found(api, "_lastUpdated=lt2026-03-03") == [one]
    assert found(api, "_lastUpdated=ge2026-03-02T09:30:00%2B01:00&_lastUpdated=lt2026-03-03T08:30:00Z") == [
        one
    ]


@pytest.mark.parametrize(
    "earlier", ["0001", "0001-01-01", "0001-01-01T00:00:00%2B14:00", "0001-01-01T00:00Z"]
)
@pytest.mark.parametrize("later", ["9999", "9999-12", "9999-12-31", "9999-12-31T23:59:59.999-14:00"])
def test_the_ends_of_the_calendar_are_dates_like_others(
    api: Api, patient: str, earlier: str, later: str
) -> None:
    goals = [api.post("/fhir/Goal", fhir_goal(patient)).json["id"]]
    for prefix in ("", "lt", "le", "eb"):
        assert found(api, f"_lastUpdated={prefix}{earlier}") == []
    for prefix in ("", "gt", "ge", "sa"):
        assert found(api, f"_lastUpdated={prefix}{later}") == []
    for prefix in ("gt", "ge", "sa"):
        assert found(api, f"_lastUpdated={prefix}{earlier}") == goals
    for prefix in ("lt", "le", "eb"):
        assert found(api, f"_lastUpdated={prefix}{later}") == goals


def test_an_id_that_is_asked_for_twice_is_found_once(api: Api, patient: str) -> None:
    one = api.post("/fhir/Goal", fhir_goal(patient)).json["id"]
    assert found(api, f"_id={one},none,{one}") == [one]
    assert found(api, f"_id={patient},none,{patient}", "Patient") == [patient]


@pytest.mark.parametrize("resource_type", ["Goal", "Patient"])
def test_as_many_ids_as_a_page_shows_can_be_asked_for_and_no_more(
    api: Api, patient: str, resource_type: str
) -> None:
    ids = [f"{number:x}" for number in range(60_000)]
    assert found(api, f"_id={','.join(ids[:200])}", resource_type) == []
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    refused = api.send("POST", f"/fhir/{resource_type}/_search", f"_id={','.join(ids)}", form)
    assert (refused.status, refused.paths) == (400, ["_id"]), refused


def test_a_token_for_one_patient_has_no_other_looked_up(
    as_principal: AsPrincipal, database: Database
) -> None:
    everyone = as_principal()
    own, other = everyone.register("MS-1"), everyone.register("MS-2")
    confined, statements = as_principal(patient=own), []
    listener = lambda *_: statements.append(1)  # noqa: E731 - one and the same, to be taken off again
    event.listen(database.engine, "before_cursor_execute", listener)
    counts = []
    for ids in ([own], [other], [own, other, *map(str, range(150))]):
        statements.clear()
        assert found(confined, f"_id={','.join(ids)}", "Patient") == [one for one in ids if one == own]
        counts.append(len(statements))
    event.remove(database.engine, "before_cursor_execute", listener)
    assert counts[1] == 0 < counts[0] == counts[2]


def test_a_search_is_read_page_by_page_by_its_links(api: Api, patient: str) -> None:
    ids = [api.post("/fhir/Goal", fhir_goal(patient)).json["id"] for _ in range(5)]
    seen: list[str] = []
    url: str | None = f"http://localhost/fhir/Goal?patient={patient}&_count=2"
    while url:
        bundle = api.get(url.removeprefix("http://localhost")).json
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert (bundle["total"], links["self"], bundle["entry"][0]["search"]) == (5, url, {"mode": "match"})
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        url = links.get("next")
    assert sorted(seen) == sorted(ids)


def test_a_search_can_ask_for_the_number_alone(api: Api, patient: str) -> None:
    api.post("/fhir/Goal", fhir_goal(patient))
    for query in ("_summary=count", "_count=0"):
        bundle = api.get(f"/fhir/Goal?{query}").json
        assert (bundle["total"], "entry" in bundle) == (1, False)


def test_a_search_by_form_keeps_values_out_of_the_url(api: Api, patient: str) -> None:
    one = api.post("/fhir/Goal", fhir_goal(patient)).json["id"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = api.send("POST", "/fhir/Goal/_search", f"patient={patient}&_count=5", form)
    assert [entry["resource"]["id"] for entry in answer.json["entry"]] == [one]
    assert api.send("POST", "/fhir/Goal/_search", "patient=%00", form).paths == ["patient"]
    assert api.send("POST", "/fhir/Goal/_search", "{}", {"Content-Type": "application/json"}).status == 415


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("colour=red", "colour"),
        ("status=active", "status"),
        ("patient:identifier=a|b", "patient:identifier"),
        ("patient.name=Eve", "patient.name"),
        ("identifier=a|", "identifier"),
        ("lifecycle-status=active,completed", "lifecycle-status"),
        ("_lastUpdated=2025-02-30", "_lastUpdated"),
        ("_lastUpdated=ap2025", "_lastUpdated"),
        ("_lastUpdated=0000", "_lastUpdated"),
        ("_lastUpdated=10000", "_lastUpdated"),
        ("_lastUpdated=9999-02-29", "_lastUpdated"),
        ("_lastUpdated=2026-03-02T10:00:00%2B24:00", "_lastUpdated"),
        ("_lastUpdated=%D9%A2%D9%A0%D9%A2%D9%A6", "_lastUpdated"),
        ("_id=" + ",".join(map(str, range(201))), "_id"),
        ("_count=-1", "_count"),
        ("_count=%D9%A3", "_count"),
        ("_summary=text", "_summary"),
        ("patient=a&patient=b", "patient"),
        ("patient=a&subject=a", "subject"),
        ("_sort=_id", "_sort"),
        ("identifier=%00", "identifier"),
    ],
)
def test_a_search_refuses_what_it_does_not_understand(api: Api, query: str, path: str) -> None:
    answer = api.get(f"/fhir/Goal?{query}")
    assert (answer.status, answer.paths) == (400, [path]), answer


def test_a_search_names_every_wrong_parameter_at_once(api: Api) -> None:
    assert api.get("/fhir/Goal?colour=red&_count=x&mood=low").paths == ["colour", "_count", "mood"]


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"Accept": "application/fhir+json"}, "", 200),
        ({"Accept": "application/json"}, "", 200),
        ({"Accept": "*/*"}, "", 200),
        ({"Accept": "application/*"}, "", 200),
        ({"Accept": "application/fhir+json; fhirVersion=4.0"}, "", 200),
        ({"Accept": 'application/json;FHIRVERSION="4.0";q=0.5, text/html'}, "", 200),
        ({"Accept": "application/fhir+json; charset=utf-8"}, "", 200),
        ({"Accept": "application/fhir+json; fhirVersion=3.0, application/json; fhirVersion=4.0"}, "", 200),
        ({"Accept": "application/fhir+json; fhirVersion=3.0"}, "", 406),
        ({"Accept": "application/fhir+json; fhirVersion=5.0, text/html"}, "", 406),
        ({"Accept": "application/fhir+json; fhirVersion=4.0; q=0"}, "", 406),
        ({"Accept": "application/fhir+xml; fhirVersion=4.0"}, "", 406),
        ({}, "?_format=application/fhir%2Bjson;%20fhirVersion=4.0", 200),
        ({}, "?_format=application/fhir%2Bjson;%20fhirVersion=5.0", 406),
        ({"Accept": "application/fhir+xml"}, "", 406),
        ({"Accept": "application/fhir+xml, */*;q=0.1"}, "", 200),
        ({"Accept": "text/html"}, "?_format=json", 200),
        ({}, "?_format=application/fhir%2Bjson", 200),
        ({}, "?_format=xml", 406),
    ],
)
def test_json_is_the_format(api: Api, headers: dict[str, str], query: str, status: int) -> None:
    assert api.get(f"/fhir/metadata{query}", **headers).status == status


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/fhir+json; fhirVersion=4.0", 201),
        ("application/fhir+json; fhirVersion=4.0; charset=UTF-8", 201),
        ("application/json; fhirVersion=3.0", 415),
        ("application/fhir+json; fhirVersion=5.0", 415),
    ],
)
def test_a_resource_of_another_version_of_fhir_is_not_read(
    api: Api, patient: str, content_type: str, status: int
) -> None:
    assert api.post("/fhir/Goal", fhir_goal(patient), Content_Type=content_type).status == status


def test_nothing_is_deleted_and_the_answer_says_what_to_do_instead(api: Api, patient: str) -> None:
    created = api.post("/fhir/Goal", fhir_goal(patient)).json
    refused = api.send("DELETE", f"/fhir/Goal/{created['id']}")
    assert (refused.status, "entered-in-error" in refused.text) == (405, True)
    assert "DELETE" not in refused.headers["Allow"]
    assert api.get(f"/fhir/Goal/{created['id']}").status == 200


def test_the_capability_statement_tells_what_the_routes_do(api: Api) -> None:
    statement = api.get("/fhir/metadata").json
    assert (statement["resourceType"], statement["fhirVersion"]) == ("CapabilityStatement", "4.0.1")
    resources = {resource["type"]: resource for resource in statement["rest"][0]["resource"]}
    for resource_type, resource in resources.items():
        for parameter in resource["searchParam"]:
            value = "2026" if parameter["type"] == "date" else "https://example.org/x|1"
            assert api.get(f"/fhir/{resource_type}?{parameter['name']}={value}").status == 200
        assert api.get(f"/fhir/{resource_type}?unknown=1").status == 400
    assert "create" not in [interaction["code"] for interaction in resources["Patient"]["interaction"]]
    assert api.post("/fhir/Patient", {"resourceType": "Patient"}).status == 405


def test_a_patient_is_what_they_are_called(api: Api, patient: str) -> None:
    shown = api.get(f"/fhir/Patient/{patient}").json
    identifier = {"system": "https://clinic.example/patients", "value": "MS-1"}
    assert shown == {"resourceType": "Patient", "id": patient, "identifier": [identifier]}
    assert found(api, "identifier=https://clinic.example/patients|MS-1", "Patient") == [patient]
    assert found(api, f"_id={patient}", "Patient") == [patient]
    assert found(api, "_id=none", "Patient") == []
    assert found(api, "identifier=https://clinic.example/patients|MS-2", "Patient") == []


def test_both_faces_show_the_same_record(api: Api, patient: str) -> None:
    created = api.post("/api/v1/goals", goal(patient, statement="Dig the garden")).json
    resource = api.get(f"/fhir/Goal/{created['id']}").json
    assert resource["description"]["text"] == "Dig the garden"
    api.put(f"/fhir/Goal/{created['id']}", {**resource, "description": {"text": "Swim"}})
    assert api.get(f"/api/v1/goals/{created['id']}").json["statement"] == "Swim"
