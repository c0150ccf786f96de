"""One loop takes in all requests: whoever is slow holds no thread, and is not waited for for ever."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service.http_server.loop import Loop
from service.http_server.patience import Patience

PATIENCE = Patience(idle=40, head=10, body=20, answer=30, connections=100)
HEAD = b"GET /seeded-path?seeded-query HTTP/1.1\r\nHost: localhost\r\n"
GET = HEAD + b"\r\n"
BODY = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"

BEGINNINGS = {"nothing": b"", "head": HEAD, "body": BODY + b"{", "chunks": CHUNKED + b"1\r\n{\r\n"}


class Served:
    """An app behind a loop that the test turns by hand, on a clock that it sets."""

    def __init__(self, app: Any, patience: Patience = PATIENCE) -> None:
        self.now = 0.0
        listening = socket.create_server(("127.0.0.1", 0))
        self.address = listening.getsockname()
        self.loop = Loop(
            app, listening, threads=1, max_body_bytes=1000, patience=patience, clock=lambda: self.now
        )
        self._clients: list[socket.socket] = []

    def client(self, sends: bytes = b"") -> socket.socket:
        client = socket.create_connection(self.address)
        client.setblocking(False)
        self._clients.append(client)
        self.turn()
        if sends:
            client.sendall(sends)
            self.turn()
        return client

    def turn(self) -> None:
        # What was sent on loopback is here at once; a second turn takes what the first one led to.
        self.loop.turn(0.01)
        self.loop.turn(0)

    def answer(self, client: socket.socket) -> bytes:
        """What a client got, up to the end of a first answer or of the connection."""
        got = b""
        for _ in range(2000):
            self.loop.turn(0.01)
            try:
                part = client.recv(100_000)
            except BlockingIOError:
                continue
            got += part
            if not part or _is_whole(got):
                return got
        pytest.fail(f"no answer, but {got!r}")

    def is_open(self, client: socket.socket) -> bool:
        self.turn()
        try:
            return client.recv(1) != b""
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False

    def close(self) -> None:
        self.loop.finish(0)
        for client in self._clients:
            client.close()


def _is_whole(got: bytes) -> bool:
    head, end, body = got.partition(b"\r\n\r\n")
    lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return bool(end and lengths) and len(body) >= int(lengths[0].split(b":")[1])


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer with the body that came, or with its absence."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body or b"no body"]


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    started: list[Served] = []

    def serve(app: Any = echo, patience: Patience = PATIENCE) -> Served:
        started.append(Served(app, patience))
        return started[-1]

    yield serve
    for served in started:
        served.close()


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_slow_clients_hold_no_thread(serve: Callable[..., Served], beginning: str) -> None:
    served = serve()
    slow = [served.client(BEGINNINGS[beginning]) for _ in range(60)]
    assert served.answer(served.client(GET)).endswith(b"no body")
    assert all(served.is_open(client) for client in slow)


def test_a_client_that_does_not_take_its_answer_holds_no_thread(serve: Callable[..., Served]) -> None:
    large = b"x" * 20_000_000

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [large if environ["PATH_INFO"] == "/large" else b"small"]

    served = serve(app)
    slow = [served.client(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(3)]
    assert served.answer(served.client(GET)).endswith(b"small")
    served.now += 31
    served.turn()
    assert all(b"".join(_rest(client)).count(b"x") < len(large) for client in slow)


def _rest(client: socket.socket) -> Iterator[bytes]:
    while part := client.recv(1_000_000):
        yield part


@pytest.mark.parametrize(
    ("beginning", "seconds", "answered"),
    [("nothing", 40, b""), ("head", 10, b"408"), ("body", 20, b"408"), ("chunks", 20, b"408")],
)
def test_what_does_not_arrive_in_its_time_is_ended(
    serve: Callable[..., Served], beginning: str, seconds: int, answered: bytes
) -> None:
    served = serve()
    client = served.client(BEGINNINGS[beginning])
    served.now += seconds - 1
    assert served.is_open(client)
    served.now += 2
    answer = served.answer(client)
    assert answer[9:12] == answered
    assert served.answer(client) == b""


@pytest.mark.parametrize(
    ("beginning", "drop", "seconds"), [("head", b"a", 10), ("body", b" ", 20), ("chunks", b"1\r\n \r\n", 20)]
)
def test_a_little_now_and_then_wins_no_time(
    serve: Callable[..., Served], beginning: str, drop: bytes, seconds: int
) -> None:
    served = serve()
    client = served.client(BEGINNINGS[beginning])
    for _ in range(4):
        served.now += seconds / 4
        client.sendall(drop)
        assert served.is_open(client)
    served.now += 1
    assert served.answer(client)[9:12] == b"408"


def test_each_request_of_a_connection_has_all_its_time(serve: Callable[..., Served]) -> None:
    served = serve()
    client = served.client()
    for _ in range(4):
        served.now += 39
        assert served.is_open(client)
        client.sendall(HEAD)
        assert served.is_open(client)
        served.now += 9
        client.sendall(b"\r\n")
        assert served.answer(client).endswith(b"no body")


def test_a_request_that_is_worked_on_is_given_all_the_time_it_takes(serve: Callable[..., Served]) -> None:
    may_end = threading.Event()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        may_end.wait()
        return echo(environ, start_response)

    served = serve(app)
    client = served.client(GET)
    served.now += 100_000
    assert served.is_open(client)
    may_end.set()
    assert served.answer(client).endswith(b"no body")


def test_where_all_connections_are_taken_the_slowest_client_makes_room(serve: Callable[..., Served]) -> None:
    served = serve(patience=Patience(connections=3))
    slow = []
    for beginning in (HEAD, b"", BODY):
        slow.append(served.client(beginning))
        served.now += 1
    assert served.answer(served.client(GET)).endswith(b"no body")
    assert [served.is_open(client) for client in slow] == [False, True, True]


def test_a_body_in_chunks_is_handed_over_whole(serve: Callable[..., Served]) -> None:
    served = serve()
    assert served.answer(served.client(CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")).endswith(b"abcde")


def test_who_asks_first_whether_to_send_a_body_is_told_to(serve: Callable[..., Served]) -> None:
    served = serve()
    client = served.client(BODY.replace(b"Host", b"Expect: 100-continue\r\nHost"))
    assert client.recv(100).startswith(b"HTTP/1.1 100 Continue")
    client.sendall(b"0123456789")
    assert served.answer(client).endswith(b"0123456789")


@pytest.mark.parametrize(
    ("request_text", "status", "problem"),
    [
        (b"seeded\r\nX: seeded\r\n\r\n", b"400", "not an HTTP request"),
        (b"GET /seeded HTTP/1.1\r\nseeded name: 1\r\n\r\n", b"400", "not an HTTP request"),
        (BODY.replace(b"10", b"seeded") + b"x", b"400", "not an HTTP request"),
        (BODY.replace(b"10", b"3000") + b"x", b"413", "body is larger"),
        (CHUNKED + b"c00\r\n" + b"x" * 0xC00 + b"\r\n", b"413", "body is larger"),
        (b"GET / HTTP/1.1\r\nX: " + b"seeded" * 6000, b"431", "head of the request is larger"),
        (CHUNKED.replace(b"chunked", b"seeded"), b"501", "transfer coding"),
    ],
)
def test_what_is_no_request_is_refused_with_nothing_of_it_in_the_answer(
    serve: Callable[..., Served], request_text: bytes, status: bytes, problem: str
) -> None:
    served = serve()
    answer = served.answer(served.client(request_text))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head[9:12] == status
    assert b"Content-Type: application/fhir+json" in head
    assert problem in json.loads(body)["issue"][0]["diagnostics"]
    assert b"seeded" not in answer


def test_a_loop_that_ends_accepts_nobody_and_finishes_what_it_has_in_hand(
    serve: Callable[..., Served],
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        begun.set()
        may_end.wait()
        return echo(environ, start_response)

    served = serve(app)
    working, idle, arriving = served.client(GET), served.client(), served.client(HEAD)
    assert begun.wait(10)
    turns = iter(range(1000))

    def meanwhile() -> None:
        if next(turns) == 0:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(served.address)
            arriving.sendall(b"\r\n")
            may_end.set()

    served.loop.finish(10, meanwhile)
    for client in (working, arriving):
        assert client.recv(10_000).endswith(b"no body")
    assert idle.recv(1) == b""
