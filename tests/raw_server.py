"""A server that says bytes, whatever it is asked: what no honest server would say, or not so."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

#: What is done with a connection whose request was read.
Answer = Callable[[socket.socket], None]


@dataclass
class RawServer:
    """Where it is, and the requests that came."""

    port: int
    requests: list[bytes] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/fhir"

    def targets(self) -> list[str]:
        """Return what was asked for, in order."""
        return [request.split(b" ")[1].decode() for request in self.requests]


@contextmanager
def raw_server(answer: bytes | Answer) -> Iterator[RawServer]:
    """Serve one connection after the other, a request each; ``answer`` is said, or says it."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = RawServer(listener.getsockname()[1])

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    server.requests.append(connection.recv(65536))
                    answer(connection) if callable(answer) else connection.sendall(answer)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def reply(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """Return a whole answer in FHIR JSON, after which the connection closes."""
    lines = [
        b"HTTP/1.1 " + status,
        b"Content-Type: application/fhir+json",
        b"Content-Length: %d" % len(body),
        b"Connection: close",
        *headers,
    ]
    return b"\r\n".join([*lines, b"", body])


def silent(connection: socket.socket) -> None:
    """Say nothing until the other side has gone."""
    while connection.recv(65536):
        pass


def dripping(*pieces: bytes, seconds: float = 0.02) -> Answer:
    """Say piece after piece, each soon enough after the one before."""

    def drip(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(seconds)

    return drip


def byte_by_byte(text: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in text]
