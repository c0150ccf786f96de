"""One request at a time: whatever happens, the client says which of four things came of it."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import responses

from service.fhir_answers import Address, Answered, Cause, Found, NotSent, Refused, Unknown
from service.fhir_client import FHIRClient
from service.sync.connections import token_in

BASE = "https://ehr.test/fhir"
GOAL = {"resourceType": "Goal", "id": "1"}
FHIR = {"content_type": "application/fhir+json"}
CREATED = b"HTTP/1.1 201 Created\r\nContent-Type: application/fhir+json\r\n"


@pytest.fixture
def client() -> FHIRClient:
    return FHIRClient(BASE)


@contextmanager
def raw_server(
    answer: bytes, *, then: Callable[[socket.socket], None] = socket.socket.close
) -> Iterator[str]:
    """A server that says these bytes to whatever it is asked."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            while True:
                connection, _ = listener.accept()
                connection.recv(65536)
                connection.sendall(answer)
                then(connection)
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/fhir"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


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
    with raw_server(answer) as base_url:
        outcome = FHIRClient(base_url).create(GOAL)
    assert isinstance(outcome, Unknown)
    assert outcome.cause is Cause.DROPPED


def test_a_slow_server_leaves_it_unknown() -> None:
    held: list[socket.socket] = []
    with raw_server(b"", then=held.append) as base_url:
        outcome = FHIRClient(base_url, timeout_seconds=0.2).create(GOAL)
    for connection in held:
        connection.close()
    assert isinstance(outcome, Unknown)
    assert outcome.cause is Cause.TIMEOUT


def test_a_server_that_stops_in_the_middle_of_its_answer_leaves_it_unknown() -> None:
    held: list[socket.socket] = []
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: 500\r\n\r\n{"
    with raw_server(head, then=held.append) as base_url:
        outcome = FHIRClient(base_url, timeout_seconds=0.2).create(GOAL)
    for connection in held:
        connection.close()
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
    assert client.create(GOAL) == Refused(429, None, "120")


@responses.activate
def test_the_servers_operation_outcome_is_kept(client: FHIRClient) -> None:
    told = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid"}]}
    responses.post(f"{BASE}/Goal", json=told, status=422, **FHIR)
    assert client.create(GOAL) == Refused(422, told)


@responses.activate
@pytest.mark.parametrize("location", ["https://elsewhere.test/fhir/Goal", f"{BASE}/Other"])
def test_a_redirect_is_not_followed(client: FHIRClient, location: str) -> None:
    responses.get(f"{BASE}/Goal/1", status=302, headers={"Location": location})
    assert client.read("Goal", "1") == Refused(302)
    assert len(responses.calls) == 1


@responses.activate
def test_a_create_that_is_answered_with_nothing_still_tells_where(client: FHIRClient) -> None:
    headers = {"Location": f"{BASE}/Goal/77/_history/1", "ETag": 'W/"1"'}
    responses.post(f"{BASE}/Goal", "", status=201, headers=headers)
    outcome = client.create(GOAL, if_none_exist="identifier=a%7Cb")
    assert outcome == Answered(201, None, "1", Address("Goal", "77", "1"))
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


def page(*resources: object, next_url: str | None = None) -> dict[str, object]:
    link = [{"relation": "next", "url": next_url}] if next_url else []
    return {"resourceType": "Bundle", "link": link, "entry": [{"resource": one} for one in resources]}


@responses.activate
def test_a_search_follows_pages_and_shows_each_resource_once(client: FHIRClient) -> None:
    newer = {**GOAL, "meta": {"versionId": "2"}}
    responses.get(
        f"{BASE}/Goal", json=page(GOAL, {"resourceType": "Goal", "id": "2"}, next_url=f"{BASE}?p=2")
    )
    responses.get(f"{BASE}?p=2", json=page(newer, {"resourceType": "OperationOutcome", "id": "x"}))
    result = client.search("Goal", {"patient": "7"})
    assert isinstance(result, Found)
    assert result.resources == [newer, {"resourceType": "Goal", "id": "2"}]
    assert all(call.request.headers["Cache-Control"] == "no-cache" for call in responses.calls)


@responses.activate
def test_an_empty_search_may_have_no_entry_and_no_total(client: FHIRClient) -> None:
    responses.get(f"{BASE}/Goal", json={"resourceType": "Bundle"})
    assert client.search("Goal", {}) == Found([])


@responses.activate
@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.test/fhir?p=2",
        "http://ehr.test/fhir?p=2",
        "https://ehr.test:8443/fhir?p=2",
        "//x/y",
    ],
)
def test_a_next_page_on_another_host_is_not_asked_for(client: FHIRClient, url: str) -> None:
    responses.get(f"{BASE}/Goal", json=page(GOAL, next_url=url))
    outcome = client.search("Goal", {})
    assert isinstance(outcome, Unknown)
    assert outcome.cause is Cause.FOREIGN_LINK
    assert len(responses.calls) == 1


@responses.activate
def test_pages_that_go_in_a_circle_end(client: FHIRClient) -> None:
    responses.get(f"{BASE}/Goal", json=page(GOAL, next_url=f"{BASE}?p=2"))
    responses.get(f"{BASE}?p=2", json=page(GOAL, next_url=f"{BASE}?p=2"))
    outcome = client.search("Goal", {})
    assert isinstance(outcome, Unknown)
    assert outcome.cause is Cause.ENDLESS_PAGES


@responses.activate
def test_a_search_whose_page_expired_starts_again(client: FHIRClient) -> None:
    responses.get(f"{BASE}/Goal", json=page(GOAL, next_url=f"{BASE}?p=2"))
    responses.get(f"{BASE}?p=2", status=410)
    responses.get(f"{BASE}/Goal", json=page(GOAL, next_url=f"{BASE}?p=3"))
    responses.get(f"{BASE}?p=3", json=page({"resourceType": "Goal", "id": "2"}))
    result = client.search("Goal", {})
    assert isinstance(result, Found)
    assert [one["id"] for one in result.resources] == ["1", "2"]


@responses.activate
def test_a_search_whose_pages_always_expire_is_given_up(client: FHIRClient) -> None:
    responses.get(f"{BASE}/Goal", json=page(GOAL, next_url=f"{BASE}?p=2"))
    responses.get(f"{BASE}?p=2", status=410)
    assert client.search("Goal", {}) == Refused(410)
    assert len(responses.calls) == 6


def test_an_address_that_makes_no_sense_got_nothing() -> None:
    outcome = FHIRClient("https://", session=requests.Session()).read("Goal", "1")
    assert isinstance(outcome, NotSent)
