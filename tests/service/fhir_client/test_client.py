"""One request at a time: whatever happens, the client says which of four things came of it."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import requests
import responses

from fhir_mappings import exact_json
from service.fhir_client.client import FHIRClient
from service.fhir_client.outcomes import Address, Answered, Cause, NotSent, Refused, Unknown
from service.sync.server.connections import token_in
from tests.raw_server import Answer, raw_server, reply, silent

BASE = "https://ehr.test/fhir"
GOAL = {"resourceType": "Goal", "id": "1"}
FHIR = {"content_type": "application/fhir+json"}
FHIR_HEADERS = {"Content-Type": "application/fhir+json"}
CREATED = b"HTTP/1.1 201 Created\r\nContent-Type: application/fhir+json\r\n"


@pytest.fixture
def client() -> FHIRClient:
    return FHIRClient(BASE)


def test_a_server_that_is_down_got_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    outcome = FHIRClient(f"http://127.0.0.1:{port}/fhir").create(GOAL)
    assert isinstance(outcome, NotSent)
    assert outcome.cause is Cause.UNREACHABLE


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        CREATED + b'Content-Length: 500\r\n\r\n{"resou',
        CREATED + b"Transfer-Encoding: chunked\r\n\r\n50\r\n{",
    ],
    ids=["no answer", "half a body", "half a chunk"],
)
def test_a_connection_that_ends_early_leaves_it_unknown(answer: bytes) -> None:
    with raw_server(answer) as server:
        outcome = FHIRClient(server.base_url).create(GOAL)
    assert isinstance(outcome, Unknown)
    assert outcome.cause is Cause.DROPPED


def stops_after(text: bytes) -> Answer:
    def stop(connection: socket.socket) -> None:
        connection.sendall(text)
        silent(connection)

    return stop


@pytest.mark.parametrize(
    "text",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: 500\r\n\r\n{"],
    ids=["before its answer", "in the middle of it"],
)
def test_a_server_that_falls_silent_leaves_it_unknown(text: bytes) -> None:
    with raw_server(stops_after(text)) as server:
        outcome = FHIRClient(server.base_url, timeout_seconds=0.2).create(GOAL)
    assert isinstance(outcome, Unknown)
    assert outcome.cause is Cause.TIMEOUT


@responses.activate
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<html>log in</html>", "text/html"),
        ("{}", "application/fhir+json"),
        ("[]", "application/json"),
        ('{"resourceType": "Goal", "resourceType": "Goal"}', "application/fhir+json"),
        ('{"resourceType": "Goal", "x": NaN}', "application/fhir+json"),
        ('{"resourceType": "Go', "application/fhir+json"),
    ],
)
def test_an_answer_that_is_not_fhir_leaves_it_unknown(
    client: FHIRClient, body: str, content_type: str
) -> None:
    responses.post(f"{BASE}/Goal", body, status=201, content_type=content_type)
    outcome = client.create(GOAL)
    assert isinstance(outcome, Unknown)
    assert outcome.cause is Cause.NOT_FHIR


@responses.activate
def test_an_answer_larger_than_is_read_leaves_it_unknown() -> None:
    responses.post(f"{BASE}/Goal", '{"resourceType":"Goal"}' + " " * 5000, status=201, **FHIR)
    outcome = FHIRClient(BASE, max_body_bytes=1000).create(GOAL)
    assert isinstance(outcome, Unknown)
    assert outcome.cause is Cause.TOO_LARGE


@responses.activate
def test_an_error_page_is_a_refusal_with_its_status_and_retry_after(client: FHIRClient) -> None:
    responses.post(f"{BASE}/Goal", "<html>busy</html>", status=429, headers={"Retry-After": "120"})
    assert client.create(GOAL) == Refused(429, outcome=None, retry_after="120")


@responses.activate
def test_the_servers_operation_outcome_is_kept(client: FHIRClient) -> None:
    told = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid"}]}
    responses.post(f"{BASE}/Goal", json=told, status=422, **FHIR)
    assert client.create(GOAL) == Refused(422, outcome=told)


@responses.activate
@pytest.mark.parametrize("location", ["https://elsewhere.test/fhir/Goal", f"{BASE}/Other"])
def test_a_redirect_is_not_followed(client: FHIRClient, location: str) -> None:
    responses.get(f"{BASE}/Goal/1", status=302, headers={"Location": location})
    assert client.read("Goal", "1") == Refused(302, location=location)
    assert len(responses.calls) == 1


@responses.activate
def test_a_create_that_is_answered_with_nothing_still_tells_where(client: FHIRClient) -> None:
    headers = {"Location": f"{BASE}/Goal/77/_history/1", "ETag": 'W/"1"'}
    responses.post(f"{BASE}/Goal", "", status=201, headers=headers)
    outcome = client.create(GOAL, if_none_exist="identifier=a%7Cb")
    assert outcome == Answered(201, body=None, version="1", address=Address("Goal", "77", "1"))
    assert responses.calls[0].request.headers["If-None-Exist"] == "identifier=a%7Cb"


@responses.activate
def test_an_update_names_the_version_that_it_replaces(client: FHIRClient) -> None:
    responses.put(
        f"{BASE}/Goal/1", json={**GOAL, "meta": {"versionId": "4"}}, headers={"ETag": '"4"'}, **FHIR
    )
    outcome = client.update(GOAL, version="3")
    assert isinstance(outcome, Answered)
    assert outcome.version == "4"
    assert responses.calls[0].request.headers["If-Match"] == 'W/"3"'


@responses.activate
def test_numbers_arrive_as_they_were_written(client: FHIRClient) -> None:
    responses.get(f"{BASE}/Goal/1", '{"resourceType":"Goal","id":"1","x":7.50}', **FHIR)
    outcome = client.read("Goal", "1")
    assert isinstance(outcome, Answered)
    assert outcome.body is not None
    assert str(outcome.body["x"]) == "7.50"


@responses.activate
def test_the_token_is_read_at_each_request(tmp_path: Path) -> None:
    file = tmp_path / "token"
    responses.get(f"{BASE}/Goal/1", json=GOAL, **FHIR)
    client = FHIRClient(BASE, token=token_in(str(file)))
    for word in ("first", "second"):
        file.write_text(f"{word}\n")
        client.read("Goal", "1")
    assert [call.request.headers["Authorization"] for call in responses.calls] == [
        "Bearer first",
        "Bearer second",
    ]


def test_without_the_token_file_nothing_is_sent(tmp_path: Path) -> None:
    outcome = FHIRClient(BASE, token=token_in(str(tmp_path / "missing"))).read("Goal", "1")
    assert isinstance(outcome, NotSent)
    assert outcome.cause is Cause.NO_TOKEN


def test_an_address_that_makes_no_sense_got_nothing() -> None:
    outcome = FHIRClient("https://", session=requests.Session()).read("Goal", "1")
    assert isinstance(outcome, NotSent)


OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "information", "code": "informational"}],
}


@responses.activate
@pytest.mark.parametrize("body", [OUTCOME, {"resourceType": "Patient", "id": "1"}, None])
def test_a_read_that_is_answered_with_another_kind_of_thing_is_no_answer(
    client: FHIRClient, body: dict[str, Any] | None
) -> None:
    responses.get(f"{BASE}/Goal/1", json.dumps(body) if body else "", **FHIR)
    outcome = client.read("Goal", "1")
    assert isinstance(outcome, Unknown)
    assert outcome.cause is Cause.OTHER_RESOURCE


@responses.activate
@pytest.mark.parametrize("body", [OUTCOME, {"resourceType": "Bundle"}, None])
def test_what_is_no_capability_statement_offers_not_nothing_but_is_not_fhir(
    client: FHIRClient, body: dict[str, Any] | None
) -> None:
    responses.get(f"{BASE}/metadata", json.dumps(body) if body else "", **FHIR)
    outcome = client.capabilities()
    assert isinstance(outcome, Unknown)
    assert outcome.cause is Cause.NOT_FHIR


@pytest.mark.parametrize("status", [b"101 Switching", b"103 Early Hints", b"199 Odd"])
def test_a_status_that_is_no_last_word_says_nothing(status: bytes) -> None:
    with raw_server(reply(exact_json.dump(GOAL).encode(), status=status)) as server:
        assert isinstance(FHIRClient(server.base_url).create(GOAL), Unknown)


@responses.activate
def test_whether_fhir_is_spoken_is_asked_once(client: FHIRClient) -> None:
    responses.get(f"{BASE}/metadata", json={"resourceType": "CapabilityStatement"}, **FHIR)
    assert client.is_fhir()
    assert client.is_fhir()
    assert len(responses.calls) == 1
