"""What only the sandbox has: a clock, pages that expire, a list of its requests, limits."""

import os
import signal
import subprocess
import sys

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fhir_mappings.exact_json import Tree
from service.sandbox import create_sandbox, running
from service.sandbox.app import Logged
from tests.clock import Clock

GOAL: Tree = {"resourceType": "Goal", "description": {"text": "Dig the garden"}}


@pytest.fixture
def app(clock: Clock) -> Flask:
    return create_sandbox(clock=clock, page_expiry_seconds=60, max_body_bytes=10_000)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def body(response: TestResponse) -> Tree:
    """The resource that was answered."""
    assert isinstance(response.json, dict)
    return response.json


def next_link(page: Tree) -> str:
    url: str = next(link["url"] for link in page["link"] if link["relation"] == "next")
    return url.removeprefix("http://localhost")


def test_versions_are_stamped_by_the_clock_in_utc(client: FlaskClient, clock: Clock) -> None:
    first = body(client.post("/fhir/Goal", json=GOAL))
    clock.advance(seconds=90.5)
    second = client.put(f"/fhir/Goal/{first['id']}", json={**first, "description": {"text": "x"}})

    assert first["meta"]["lastUpdated"] == "2026-03-02T08:30:00.000+00:00"
    assert body(second)["meta"]["lastUpdated"] == "2026-03-02T08:31:30.500+00:00"
    assert second.headers["Last-Modified"] == "Mon, 02 Mar 2026 08:31:30 GMT"


def test_a_page_lives_until_it_expires(client: FlaskClient, clock: Clock) -> None:
    for _ in range(3):
        client.post("/fhir/Goal", json=GOAL)
    following = next_link(body(client.get("/fhir/Goal?_count=1")))

    clock.advance(seconds=59)
    assert len(body(client.get(following))["entry"]) == 1

    clock.advance(seconds=1)
    gone = client.get(following)
    assert (gone.status_code, body(gone)["resourceType"]) == (410, "OperationOutcome")


@pytest.mark.parametrize("query", ["_getpagesoffset=one", "_count=many"])
def test_a_page_link_that_was_tampered_with_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"/fhir?_getpages=x&{query}").status_code == 400


def test_the_total_is_missing_as_long_as_there_is_a_next_page(client: FlaskClient) -> None:
    for _ in range(3):
        client.post("/fhir/Goal", json=GOAL)

    assert "total" not in body(client.get("/fhir/Goal?_count=2"))
    assert body(client.get("/fhir/Goal?_count=3"))["total"] == 3


def test_requests_are_listed_without_query_or_body(app: Flask, client: FlaskClient) -> None:
    client.post("/fhir/Goal", json=GOAL)
    client.get("/fhir/Goal?patient=1")
    client.get("/fhir/Goal/7")

    assert list(app.extensions["mainstay_sandbox"].requests) == [
        Logged("POST", "/fhir/Goal", 201),
        Logged("GET", "/fhir/Goal", 200),
        Logged("GET", "/fhir/Goal/7", 404),
    ]


def test_a_body_over_the_limit_is_refused(client: FlaskClient) -> None:
    response = client.post("/fhir/Goal", json={**GOAL, "description": {"text": "x" * 10_000}})

    assert (response.status_code, body(response)["resourceType"]) == (413, "OperationOutcome")


@pytest.mark.parametrize(
    "text", ['{"resourceType":"Goal","resourceType":"Goal"}', '{"a":' * 200 + "1" + "}" * 200]
)
def test_ambiguous_or_bottomless_json_is_refused(client: FlaskClient, text: str) -> None:
    response = client.post("/fhir/Goal", data=text, content_type="application/fhir+json")

    assert (response.status_code, body(response)["resourceType"]) == (400, "OperationOutcome")


def test_an_interaction_that_is_not_offered_says_so(client: FlaskClient) -> None:
    response = client.patch("/fhir/Goal/1", json=[])

    assert (response.status_code, body(response)["resourceType"]) == (405, "OperationOutcome")


def test_two_sandboxes_know_nothing_of_each_other(client: FlaskClient) -> None:
    made = body(client.post("/fhir/Goal", json=GOAL))

    assert create_sandbox().test_client().get(f"/fhir/Goal/{made['id']}").status_code == 404


def test_it_listens_only_while_the_block_lasts() -> None:
    with running() as base:
        assert base.startswith("http://127.0.0.1:")
        assert requests.get(f"{base}/metadata", timeout=5).status_code == 200

    with pytest.raises(requests.ConnectionError):
        requests.get(f"{base}/metadata", timeout=5)


def test_it_serves_in_the_foreground_until_interrupted() -> None:
    # Who runs the tests in the background may have had interrupts ignored.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from service.sandbox import serve; serve(ready=lambda url: print(url, flush=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        assert process.stdout is not None
        base = process.stdout.readline().strip()
        assert requests.get(f"{base}/metadata", timeout=5).status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.communicate()
