"""`mainstay serve` as it runs: several processes, slow clients, a stop, a kill, and what it logs."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.databases import opened
from tests.service.cli.running import process

GOAL = b"POST /api/v1/translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


class Server:
    """A server of its own processes, on a free port. lines: what it has logged."""

    def __init__(self, directory: Path, workers: int, **settings: str) -> None:
        self.database_url = f"sqlite:///{directory / 'mainstay.db'}"
        with opened(self.database_url):
            pass
        self._log = directory / "log"
        env = {
            "MAINSTAY_DATABASE_URL": self.database_url,
            "MAINSTAY_PORT": "0",
            "MAINSTAY_LOG_FORMAT": "json",
            "MAINSTAY_LOG_LEVEL": "DEBUG",
            **settings,
        }
        with self._log.open("wb") as log:
            self.process = process("serve", "--workers", workers, env=env, stderr=log)
        self.port = self._listening()

    def _listening(self) -> int:
        until(lambda: any("Listening at" in line["event"] for line in self.lines))
        (line,) = (line["event"] for line in self.lines if "Listening at" in line["event"])
        return int(line.partition("127.0.0.1:")[2].partition(" ")[0])

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    @property
    def workers(self) -> set[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return {int(pid) for pid in children.read_text().split()}

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def healthz(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", "/healthz")
            return connection.getresponse().status

    def is_reached(self) -> bool:
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return False
        return True


def until(holds: Callable[[], bool]) -> None:
    """Return once something holds; fail if it never does."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def serve(workers: int = 1, **settings: str) -> Server:
        started.append(Server(tmp_path, workers, **settings))
        return started[-1]

    yield serve
    for server in started:
        server.process.send_signal(signal.SIGQUIT)
        try:
            server.process.wait(30)
        except subprocess.TimeoutExpired:
            server.process.kill()
            raise


@pytest.mark.parametrize("workers", [1, 2])
def test_two_hundred_slow_clients_without_a_token_keep_nobody_from_an_answer(
    serve: Callable[..., Server], workers: int
) -> None:
    server = serve(workers)
    beginnings = [b"", b"GET /healthz HTTP/1.1\r\nX-Slow: ", GOAL + b"Content-Length: 9\r\n\r\n{"]
    slow = [server.connect() for _ in range(200)]
    for number, client in enumerate(slow):
        client.sendall(beginnings[number % len(beginnings)])
    assert [server.healthz() for _ in range(20)] == [200] * 20
    for client in slow:
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)
        client.close()


def test_a_stop_lets_a_request_that_has_begun_be_answered(serve: Callable[..., Server]) -> None:
    server = serve()
    with server.connect() as client:
        client.sendall(GOAL + b"Content-Length: 2\r\n\r\n{")
        assert server.healthz() == 200
        server.process.terminate()
        until(lambda: not server.is_reached())
        client.sendall(b"}")
        assert client.recv(10_000).startswith(b"HTTP/1.1 400 BAD REQUEST")
    assert server.process.wait(30) == 0


def test_a_worker_that_was_killed_is_followed_by_another(serve: Callable[..., Server]) -> None:
    server = serve()
    assert server.healthz() == 200
    (killed,) = server.workers
    signal_to(killed, signal.SIGKILL)
    until(lambda: server.workers not in ({killed}, set()))
    assert server.healthz() == 200


def test_workers_whose_parent_was_killed_end_too(serve: Callable[..., Server]) -> None:
    server = serve(2)
    assert server.healthz() == 200
    server.process.kill()
    until(lambda: not server.is_reached())


def test_the_issuer_is_asked_for_its_keys_before_anybody_needs_them(serve: Callable[..., Server]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as issuer:
        issuer.settimeout(60)
        server = serve(
            MAINSTAY_AUTH_ISSUER="https://issuer.example",
            MAINSTAY_AUTH_AUDIENCE="https://mainstay.example",
            MAINSTAY_AUTH_JWKS_URL=f"http://127.0.0.1:{issuer.getsockname()[1]}/keys",
        )
        asked, _ = issuer.accept()
        with asked:
            assert asked.recv(100).startswith(b"GET /keys HTTP/1.1")
            # It does not answer, and is waited for by nobody.
            assert [server.healthz() for _ in range(10)] == [200] * 10


def signal_to(pid: int, number: signal.Signals) -> None:
    subprocess.run(["kill", f"-{number.value}", str(pid)], check=True)


def whole_answer(client: socket.socket) -> bytes:
    answer = b""
    # A server that does not read all that was sent may end the connection by a reset.
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(10_000):
            answer += part
    return answer


def test_no_log_line_holds_a_piece_of_a_request_that_was_broken(serve: Callable[..., Server]) -> None:
    server = serve()
    broken = [
        b"GET /api/v1/patients?identifier=SEEDED SEEDED HTTP/1.1\r\n\r\n",
        b"GET /SEEDED HTTP/9.9\r\n\r\n",
        b"SEEDED\r\n\r\n",
        b"GET / HTTP/1.1\r\nSEEDED header: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"SEEDED" * 10_000 + b"\r\n\r\n",
        b"POST /SEEDED HTTP/1.1\r\nContent-Length: SEEDED\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nSEEDED\r\n",
        b"\x16\x03\x01SEEDED\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nSEEDED",
    ]
    for request in broken:
        with server.connect() as client:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            assert b"SEEDED" not in whole_answer(client)
    assert server.healthz() == 200
    refused = [line for line in server.lines if line["event"] == "request refused unread"]
    assert {line["status"] for line in refused} >= {400, 431}
    assert not any("SEEDED" in json.dumps(line) for line in server.lines)
