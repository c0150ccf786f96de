"""Searches, page by page and piece by piece: what comes is kept, and a part is not taken for the whole."""

import itertools
import re
import socket
from typing import Any
from urllib.parse import unquote

import pytest
import responses

from fhir_mappings import exact_json
from service.fhir_client.client import FHIRClient
from service.fhir_client.outcomes import Cause, Found, Refused, Unknown
from tests.raw_server import raw_server, reply

BASE = "https://ehr.test/fhir"
GOAL = {"resourceType": "Goal", "id": "1"}
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid"}]}
FHIR = {"content_type": "application/fhir+json"}
FHIR_HEADERS = {"Content-Type": "application/fhir+json"}
CREATED = b"HTTP/1.1 201 Created\r\nContent-Type: application/fhir+json\r\n"


@pytest.fixture
def client() -> FHIRClient:
    return FHIRClient(BASE)


def page(*resources: object, next_url: str | None = None) -> dict[str, Any]:
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
@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize("path", ["Goal", "Goal/_history"])
def test_an_outcome_that_names_an_error_refuses_a_search_whatever_the_status(
    client: FHIRClient, path: str, status: int
) -> None:
    responses.get(f"{BASE}/{path}", json=OUTCOME, status=status, **FHIR)
    result = client.history("Goal", "2026-01-01") if "_history" in path else client.search("Goal", {})
    assert result == Refused(status, outcome=OUTCOME)


@responses.activate
@pytest.mark.parametrize(
    ("status", "body"),
    [(200, None), (202, None), (204, None), (200, GOAL), (202, {"resourceType": "OperationOutcome"})],
)
def test_what_is_no_bundle_is_no_answer_to_a_search(
    client: FHIRClient, body: dict[str, Any] | None, status: int
) -> None:
    responses.get(f"{BASE}/Goal", exact_json.dump(body) if body else "", status=status, **FHIR)
    result = client.search("Goal", {})
    assert isinstance(result, Unknown)
    assert result.cause is Cause.OTHER_RESOURCE


@responses.activate
def test_an_answer_without_a_bundle_teaches_nothing_of_a_count(client: FHIRClient) -> None:
    responses.get(f"{BASE}/Goal", "", status=204)
    client.search("Goal", {})
    responses.replace("GET", f"{BASE}/Goal", json=OUTCOME, status=400, **FHIR)
    client.search("Goal", {})
    assert ["_count" in str(call.request.url) for call in responses.calls] == [True, True, False]


@responses.activate
def test_an_empty_search_may_have_no_entry_and_no_total(client: FHIRClient) -> None:
    responses.get(f"{BASE}/Goal", json={"resourceType": "Bundle"})
    assert client.search("Goal", {}) == Found([])


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:{other}/fhir/Goal?p=2",
        "https://127.0.0.1:{own}/fhir/Goal?p=2",
        "http://127.0.0.1:{other}\\@127.0.0.1:{own}/fhir/Goal?p=2",
        "http://127.0.0.1:{own}\\@127.0.0.1:{other}/fhir/Goal?p=2",
        "http://user:word@127.0.0.1:{other}/fhir/Goal?p=2",
        "http://127.0.0.1:{own}@127.0.0.1:{other}/fhir/Goal?p=2",
        "//127.0.0.1:{other}/fhir/Goal?p=2",
        "\t//127.0.0.1:{other}/fhir/\nGoal?p=2",
        "/fhir/Goal?p=2",
        "Goal?p=2",
    ],
)
def test_a_next_link_is_followed_below_the_base_url_whatever_host_it_names(link: str) -> None:
    with raw_server(reply(b"{}")) as other:
        pages = iter([page(GOAL), page({"resourceType": "Goal", "id": "2"})])

        def answer(connection: socket.socket) -> None:
            bundle = next(pages)
            if bundle["entry"][0]["resource"]["id"] == "1":
                url = link.format(own=own.port, other=other.port)
                bundle["link"] = [{"relation": "next", "url": url}]
            connection.sendall(reply(exact_json.dump(bundle).encode()))

        with raw_server(answer) as own:
            result = FHIRClient(own.base_url, token=lambda: "secret").search("Goal", {"patient": "7"})
    assert isinstance(result, Found)
    assert [one["id"] for one in result.resources] == ["1", "2"]
    assert own.targets() == ["/fhir/Goal?patient=7&_count=200", "/fhir/Goal?p=2"]
    assert all(b"Authorization: Bearer secret" in request for request in own.requests)
    assert other.requests == []


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:{own}\\@127.0.0.1:{other}/",
        "http://127.0.0.1:{other}\\@127.0.0.1:{own}/",
        "//127.0.0.1:{other}/x",
        "http:///x",
        "http://127.0.0.1:{own}/fhir/../admin?p=2",
        "http://127.0.0.1:{own}/other/Goal?p=2",
        "http://[::1",
        "",
        7,
        None,
    ],
)
def test_a_next_link_that_leads_elsewhere_costs_no_page_that_came(link: Any) -> None:
    with raw_server(reply(b"{}")) as other:

        def answer(connection: socket.socket) -> None:
            url = link.format(own=own.port, other=other.port) if isinstance(link, str) else link
            bundle = {**page(GOAL), "link": [{"relation": "next", "url": url}]}
            connection.sendall(reply(exact_json.dump(bundle).encode()))

        with raw_server(answer) as own:
            client = FHIRClient(own.base_url, token=lambda: "secret")
            first, second = client.pages("Goal", {"patient": "7"})
            whole = client.search("Goal", {"patient": "7"})
    assert isinstance(first, Found)
    assert first.resources == [GOAL]
    assert isinstance(second, Unknown)
    assert second.cause is Cause.FOREIGN_LINK
    # Who needs all that there is has not got it.
    assert whole == second
    assert len(own.requests) == 2
    assert other.requests == []


@responses.activate
def test_pages_that_always_go_on_end_when_their_time_is_over() -> None:
    numbers = itertools.count(2)

    def another(_: Any) -> tuple[int, dict[str, str], str]:
        number = next(numbers)
        bundle = page({"resourceType": "Goal", "id": str(number)}, next_url=f"{BASE}?p={number}")
        return 200, FHIR_HEADERS, exact_json.dump(bundle)

    responses.add_callback(responses.GET, f"{BASE}/Goal", another)
    responses.add_callback(responses.GET, BASE, another)
    seconds = itertools.count()
    client = FHIRClient(BASE, listing_seconds=30, monotonic=lambda: float(next(seconds)))
    *pages, last = client.pages("Goal", {})
    assert all(isinstance(one, Found) for one in pages)
    assert isinstance(last, Unknown)
    assert last.cause is Cause.ENDLESS_PAGES
    assert 20 < len(responses.calls) < 40
    # The next search has time of its own.
    assert isinstance(next(client.pages("Goal", {})), Found)


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


def limited(request: Any) -> tuple[int, dict[str, str], str]:
    """A server with opinions: at most 100 resources a page."""
    count = re.search(r"_count=(\d+)", request.url)
    body = OUTCOME if count and int(count[1]) > 100 else page(GOAL)
    return 400 if body is OUTCOME else 200, FHIR_HEADERS, exact_json.dump(body)


@responses.activate
def test_how_many_a_page_has_is_a_wish(client: FHIRClient) -> None:
    responses.add_callback(responses.GET, f"{BASE}/Goal", limited)
    for _ in range(3):
        assert client.search("Goal", {"patient": "7", "_count": "500"}) == Found([GOAL])
    counted = ["_count" in str(call.request.url) for call in responses.calls]
    # Refused once, it is not wished for again.
    assert counted == [True, False, False, False]


@responses.activate
def test_a_search_that_is_refused_without_a_count_too_is_refused(client: FHIRClient) -> None:
    responses.get(f"{BASE}/Goal", json=OUTCOME, status=400, **FHIR)
    assert client.search("Goal", {"patient": "7"}) == Refused(400, outcome=OUTCOME)
    responses.get(f"{BASE}/CarePlan", json=page(), **FHIR)
    assert client.search("CarePlan", {}) == Found([])
    assert "_count=200" in str(responses.calls[-1].request.url)


@responses.activate
def test_a_search_for_any_of_many_values_is_one_answer(client: FHIRClient) -> None:
    def one_only(request: Any) -> tuple[int, dict[str, str], str]:
        ids = unquote(str(request.params["_id"])).split(",")
        found = [{"resourceType": "Goal", "id": one} for one in ids]
        body = page(*found) if len(ids) == 1 else OUTCOME
        return 200 if body is not OUTCOME else 400, FHIR_HEADERS, exact_json.dump(body)

    responses.add_callback(responses.GET, f"{BASE}/Goal", one_only)
    result = client.search_any("Goal", "_id", ["1", "2", "3"], {"status": "active"})
    assert isinstance(result, Found)
    assert [one["id"] for one in result.resources] == ["1", "2", "3"]
    # responses adds params to the requests of its calls, and its hints do not say so.
    assert all(call.request.params["status"] == "active" for call in responses.calls)  # type: ignore[attr-defined]


@responses.activate
def test_a_search_for_many_values_that_one_was_not_answered_of_is_no_answer(client: FHIRClient) -> None:
    def not_two(request: Any) -> tuple[int, dict[str, str], str]:
        body = OUTCOME if "2" in request.params["_id"] else page(GOAL)
        return 422 if body is OUTCOME else 200, FHIR_HEADERS, exact_json.dump(body)

    responses.add_callback(responses.GET, f"{BASE}/Goal", not_two)
    assert client.search_any("Goal", "_id", ["1", "2", "3"]) == Refused(422, outcome=OUTCOME)


@responses.activate
def test_what_a_search_shows_and_nobody_can_read_is_counted_over_its_pages(client: FHIRClient) -> None:
    responses.get(f"{BASE}/Goal", json=page(GOAL, {"resourceType": "Goal"}, next_url=f"{BASE}?p=2"))
    responses.get(f"{BASE}?p=2", json=page("Goal/9", {"resourceType": "OperationOutcome"}))
    assert client.search("Goal", {}) == Found([GOAL], unreadable=2)
