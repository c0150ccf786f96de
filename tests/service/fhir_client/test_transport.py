"""How a request reaches a server: in time, to its own host alone, and never with an exception."""

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from service.fhir_client.outcomes import Cause, NotSent, Unknown
from service.fhir_client.transport import Reply, Transport
from service.timed_session import TimedSession
from tests.raw_server import Answer, RawServer, byte_by_byte, dripping, raw_server, reply, silent

BODY = b'{"resourceType":"Goal","id":"1"}'


def transport(base_url: str, *, timeout_seconds: float = 20.0, token: str | None = None) -> Transport:
    return Transport(base_url, lambda: token, timeout_seconds, None, 1_000_000)


def ask(
    base_url: str, path: str = "/Goal/1", *, timeout_seconds: float = 20.0, token: str | None = None
) -> Reply | NotSent | Unknown:
    asker = transport(base_url, timeout_seconds=timeout_seconds, token=token)
    return asker.send("GET", path, headers={})


HEAD, _, _ = reply(BODY).partition(BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = [b"1\r\n" + one + b"\r\n" for one in byte_by_byte(BODY)]
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        dripping(*byte_by_byte(reply(BODY))),
        dripping(HEAD, *byte_by_byte(BODY)),
        dripping(CHUNKED, *CHUNKS, b"0\r\n\r\n"),
        dripping(*[CONTINUE] * 50, reply(BODY)),
        dripping(HEAD[:-2], *[b"X-More: 1\r\n"] * 50, b"\r\n" + BODY),
    ],
    ids=["head", "body", "chunks", "continue", "headers"],
)
def test_an_answer_that_drips_is_given_up_when_its_time_is_over(answer: Answer) -> None:
    """Each piece comes well within the time allowed; all of them would take longer, and be an answer."""
    with raw_server(answer) as server:
        outcome = ask(server.base_url, timeout_seconds=0.4)
    assert isinstance(outcome, Unknown)
    assert outcome.cause is Cause.TIMEOUT


def test_an_answer_that_drips_within_its_time_is_taken() -> None:
    with raw_server(dripping(*byte_by_byte(reply(BODY)), seconds=0)) as server:
        outcome = ask(server.base_url)
    assert isinstance(outcome, Reply)
    assert outcome.text == BODY


def test_each_answer_has_its_own_time() -> None:
    """What one answer took of its time is not missing to the next on the same connection."""
    kept_open = reply(BODY).replace(b"Connection: close\r\n", b"")

    def answer_each(connection: socket.socket) -> None:
        more = b"the first request"
        while more:
            dripping(kept_open[:40], seconds=0.15)(connection)
            connection.sendall(kept_open[40:])
            more = connection.recv(65536)

    with raw_server(answer_each) as server, TimedSession() as session:
        one = Transport(server.base_url, None, 0.5, session, 1_000_000)
        outcomes = [one.send("GET", "/Goal/1", headers={}) for _ in range(5)]
    assert len(server.requests) == 1
    assert all(isinstance(outcome, Reply) for outcome in outcomes)


@pytest.mark.parametrize(
    "header",
    [
        b"Location: http://[::1",
        b"Location: \xff\xfe\xfd",
        b"Location: http://\x00/",
        b"Content-Length: 7, 8",
        b"Content-Length: many",
        b"Set-Cookie: \xff=\xff; expires=never; domain=\xff",
        b'ETag: W/"\xff\x01"',
        b"\xff\xff: \xff",
        b": nothing",
        b"no colon at all",
        b"X: " + b"x" * 70_000,
        b"\r\n".join(b"X-%d: 1" % number for number in range(150)),
    ],
)
@pytest.mark.parametrize("status", [b"200 OK", b"302 Found", b"308 Permanent Redirect"])
@pytest.mark.parametrize("session", [TimedSession, requests.Session], ids=["ours", "handed in"])
def test_odd_headers_are_an_outcome(header: bytes, status: bytes, session: type[requests.Session]) -> None:
    with raw_server(reply(BODY, header, status=status)) as server:
        one = Transport(server.base_url, None, 20.0, session(), 1_000_000)
        outcome = one.send("POST", "/Goal", body=BODY, headers={})
    # It was sent: whatever comes back, nothing may say that it was not.
    assert isinstance(outcome, Reply | Unknown)


@pytest.mark.parametrize("status", [b"", b"OK", b"20", b"2000 OK", b"-1 OK", b"\xff\xff\xff"])
def test_an_odd_status_line_is_an_outcome(status: bytes) -> None:
    with raw_server(reply(BODY, status=status)) as server:
        assert isinstance(ask(server.base_url), Unknown)


def test_the_body_of_a_redirect_is_read_no_further_than_any_other() -> None:
    megabytes: list[int] = []

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /fhir/Goal\r\nContent-Type: text/html\r\n\r\n")
        for number in range(64):
            connection.sendall(b"x" * 1_000_000)
            megabytes.append(number)

    with raw_server(answer) as server:
        outcome = Transport(server.base_url, None, 20.0, None, 10_000).send("GET", "/Goal/1", headers={})
    assert isinstance(outcome, Unknown)
    assert outcome.cause is Cause.TOO_LARGE
    # What the two kernels hold between them, and not all of it.
    assert len(megabytes) < 32


@pytest.mark.parametrize("token", ["two words", "two\nlines", "tück", "", "\x00", "x\r\nHost: other.test"])
def test_what_is_no_token_is_not_sent(token: str) -> None:
    with raw_server(reply(BODY)) as server:
        outcome = ask(server.base_url, token=token)
    assert isinstance(outcome, NotSent)
    assert outcome.cause is Cause.NO_TOKEN
    assert server.requests == []


def test_a_token_that_cannot_be_decoded_is_not_sent() -> None:
    def undecodable() -> str:
        return b"\xff".decode("utf-8")

    outcome = Transport("http://127.0.0.1:1/fhir", undecodable, 1.0, None, 1_000).send("GET", "", headers={})
    assert isinstance(outcome, NotSent)
    assert outcome.cause is Cause.NO_TOKEN


@pytest.mark.parametrize(
    "base",
    [
        "http://127.0.0.1:{own}\\@127.0.0.1:{other}",
        "http://127.0.0.1:{own}@127.0.0.1:{other}",
        "http://127.0.0.1:{own}#@127.0.0.1:{other}/",
        "ftp://127.0.0.1:{own}/fhir",
        "http://[::1/fhir",
        "http://127.0.0.1:99999999/fhir",
        "//127.0.0.1:{own}/fhir",
        "",
    ],
)
def test_an_address_of_which_two_readings_are_possible_is_an_outcome_and_never_two_hosts(base: str) -> None:
    with raw_server(reply(BODY)) as own, raw_server(reply(BODY)) as other:
        base_url = base.format(own=own.port, other=other.port)
        for path in ("/Goal", "?p=2", ""):
            assert isinstance(ask(base_url, path, token="secret"), Reply | NotSent | Unknown)
    assert not (own.requests and other.requests)


@pytest.mark.parametrize(
    "path",
    [
        "@{other}/",
        ":80@{other}/",
        "0/",
        "\\@{other}/",
        ".evil.test/",
        "//{other}/x",
        "/\\{other}",
        "/@{other}",
    ],
)
def test_a_token_is_shown_to_the_connections_host_alone(path: str) -> None:
    """Whatever is put after the base URL, and however it is read."""
    with raw_server(reply(BODY)) as own, raw_server(reply(BODY)) as other:
        base_url = f"http://127.0.0.1:{own.port}"
        ask(base_url, path.format(other=f"127.0.0.1:{other.port}"), token="secret")
    assert other.requests == []
    assert all(b"Authorization: Bearer secret" in request for request in own.requests)


@contextmanager
def tls_server(folder: Path, spoil: bool) -> Iterator[tuple[RawServer, Path]]:
    """Serve TLS; spoil: break it in the middle of an answer. Gives the certificate too."""
    certificate, key = _certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    served: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        connection.setblocking(True)
        with context.wrap_socket(connection.dup(), server_side=True) as secure:
            served.append(secure.recv(65536))
            secure.sendall(reply(BODY)[:60])
            if spoil:
                connection.sendall(b"\x17\x03\x03\x00\x20" + b"not what was agreed upon, I fear")
            else:
                secure.sendall(reply(BODY)[60:])
            secure.recv(1)

    listener = socket.create_server(("127.0.0.1", 0))
    server = RawServer(listener.getsockname()[1], served)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    answer(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server, certificate
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    with open(folder / "key.pem", "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    return folder / "certificate.pem", folder / "key.pem"


def over_tls(port: int, trusted: Path | None = None) -> Reply | NotSent | Unknown:
    session = TimedSession()
    session.trust_env = False  # the machine may have an authority of its own
    session.verify = True if trusted is None else str(trusted)
    one = Transport(f"https://127.0.0.1:{port}/fhir", None, 20.0, session, 1_000_000)
    return one.send("POST", "/Goal", body=BODY, headers={})


def test_a_trusted_server_is_spoken_to(tmp_path: Path) -> None:
    with tls_server(tmp_path, spoil=False) as (server, certificate):
        outcome = over_tls(server.port, certificate)
    assert isinstance(outcome, Reply)


def test_a_server_that_is_not_trusted_got_nothing(tmp_path: Path) -> None:
    with tls_server(tmp_path, spoil=False) as (server, _):
        outcome = over_tls(server.port)
    assert outcome == NotSent(Cause.UNREACHABLE, "no trusted connection: the certificate or TLS was refused")
    assert server.requests == []


def test_tls_that_breaks_in_the_middle_of_an_answer_leaves_it_unknown(tmp_path: Path) -> None:
    with tls_server(tmp_path, spoil=True) as (server, certificate):
        outcome = over_tls(server.port, certificate)
    assert server.requests
    assert isinstance(outcome, Unknown)


def test_a_server_that_speaks_no_tls_got_nothing() -> None:
    with raw_server(reply(BODY)) as server:
        outcome = over_tls(server.port)
    assert isinstance(outcome, NotSent)


def test_a_server_that_never_ends_the_handshake_got_nothing() -> None:
    with raw_server(silent) as server:
        one = Transport(f"https://127.0.0.1:{server.port}/fhir", None, 0.2, None, 1_000_000)
        assert isinstance(one.send("GET", "/Goal", headers={}), NotSent)
