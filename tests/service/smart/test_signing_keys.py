"""Fetching the issuer's keys has an end, in time and in size, whatever answers."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from service.smart import signing_keys

KEYS = b'{"keys":[]}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


@contextmanager
def issuer(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server on loopback that reads one request and answers as it is told."""

    def serve() -> None:
        with listening, contextlib.suppress(OSError):
            client, _ = listening.accept()
            with client:
                client.recv(10_000)
                answer(client)

    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/keys"
    finally:
        thread.join()


def dripping(whole: bytes) -> Callable[[socket.socket], None]:
    """Send a byte every twentieth of a second: sooner than any timeout of a single read."""

    def answer(client: socket.socket) -> None:
        for byte in whole:
            client.sendall(bytes([byte]))
            threading.Event().wait(0.05)

    return answer


def test_the_key_set_is_read() -> None:
    with issuer(lambda client: client.sendall(HEAD % len(KEYS) + KEYS)) as url:
        assert signing_keys.fetch(url) == {"keys": []}


@pytest.mark.parametrize(
    "dripped",
    [
        HEAD % len(KEYS) + KEYS,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20 + b"Content-Length: 11\r\n\r\n" + KEYS,
        HEAD % 61 + b" " * 50 + KEYS,
    ],
)
def test_an_issuer_that_drips_is_not_waited_for(dripped: bytes) -> None:
    with issuer(dripping(dripped)) as url, pytest.raises(OSError, match=r"."):
        signing_keys.fetch(url, timeout_seconds=0.5)


def test_an_answer_that_is_too_large_is_not_read() -> None:
    def endless(client: socket.socket) -> None:
        client.sendall(HEAD % 100_000_000)
        while True:
            client.sendall(b" " * 100_000)

    with issuer(endless) as url, pytest.raises(ValueError, match="too large"):
        signing_keys.fetch(url)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/keys\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        HEAD % 100 + KEYS,
        b"nonsense",
    ],
)
def test_what_is_no_whole_answer_of_200_raises(answer: bytes) -> None:
    with issuer(lambda client: client.sendall(answer)) as url, pytest.raises(OSError, match=r"."):
        signing_keys.fetch(url)
