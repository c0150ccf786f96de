"""The sandbox misbehaves as networks and servers do, when it is told to."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests
from flask import Request, Response

from service.sandbox import create_sandbox, faults, running

GOAL = {"resourceType": "Goal", "identifier": [{"system": "urn:test", "value": "1"}]}
FHIR = {"Content-Type": "application/fhir+json"}


def create(base: str) -> requests.Response:
    return requests.post(f"{base}/Goal", json=GOAL, headers=FHIR, timeout=5)


def stored(base: str) -> int:
    total: int = requests.get(f"{base}/Goal?_summary=count", timeout=5).json()["total"]
    return total


def on_post(answer: Callable[[], Response]) -> faults.Before:
    return lambda request: answer() if request.method == "POST" else None


@contextmanager
def failing_before(answer: Callable[[], Response]) -> Iterator[str]:
    with running(create_sandbox(faults=on_post(answer))) as base:
        yield base


def test_a_connection_dropped_before_the_work_leaves_nothing() -> None:
    with failing_before(faults.dropped) as base:
        with pytest.raises(requests.ConnectionError):
            create(base)

        assert stored(base) == 0


def test_a_connection_dropped_after_the_work_leaves_the_work() -> None:
    def drop(request: Request, response: Response) -> Response | None:
        return faults.dropped() if request.method == "POST" else None

    with running(create_sandbox(after_commit=drop)) as base:
        with pytest.raises(requests.ConnectionError):
            create(base)

        assert stored(base) == 1


def test_a_body_can_end_in_the_middle() -> None:
    def cut(request: Request, response: Response) -> Response | None:
        return faults.truncated(response) if request.method == "POST" else None

    with running(create_sandbox(after_commit=cut)) as base:
        with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
            create(base)

        assert stored(base) == 1


@pytest.mark.parametrize("wait", ["7", "Mon, 02 Mar 2026 08:31:00 GMT"])
def test_an_overloaded_server_says_when_to_come_back(wait: str) -> None:
    with failing_before(lambda: faults.overloaded(429, wait)) as base:
        response = create(base)

        assert (response.status_code, response.headers["Retry-After"]) == (429, wait)
        assert stored(base) == 0


def test_an_overloaded_server_need_not_say_when() -> None:
    with failing_before(faults.overloaded) as base:
        response = create(base)

        assert response.status_code == 503
        assert "Retry-After" not in response.headers


def test_a_web_page_can_stand_in_the_place_of_fhir() -> None:
    with failing_before(faults.web_page) as base:
        response = create(base)

        assert response.headers["Content-Type"].startswith("text/html")
        assert "<html>" in response.text


def test_a_dropped_connection_is_closed_even_for_a_client_that_would_keep_it() -> None:
    with failing_before(faults.dropped) as base:
        host, port = base.removeprefix("http://").removesuffix("/fhir").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(
                b"POST /fhir/Goal HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"
            )
            assert connection.recv(100) == b""


def test_a_connection_is_dropped_at_once_even_under_a_large_body() -> None:
    """What of a body nobody had read would keep the connection open until the client gives up."""
    large = {**GOAL, "description": {"text": "x" * 200_000}}

    with failing_before(faults.dropped) as base, pytest.raises(requests.ConnectionError):
        requests.post(f"{base}/Goal", json=large, headers=FHIR, timeout=5)
