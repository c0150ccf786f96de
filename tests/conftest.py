"""What every test may ask for: a clock, a FHIR server, a database; and what none may: the network."""

import ipaddress
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import pytest

from tests.clock import Clock
from tests.servers.hapi import HapiServer
from tests.servers.postgres import PostgresServer
from tests.servers.shared import shared
from tests.servers.workshop import MissingToolError

# A slow machine is no defect: no deadline, and no complaint that data takes long to make.
UNHURRIED: dict[str, Any] = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("here", **UNHURRIED)
hypothesis.settings.register_profile("ci", derandomize=True, **UNHURRIED)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


def only_loopback(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: a test that reaches for another host fails, and not with an OSError that it expects."""
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if not is_loopback(host):
        raise RuntimeError(f"a test tried to reach {host!r}; tests stay on this machine")


def is_loopback(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback or name == "0.0.0.0"  # where servers bind
    except ValueError:
        return False


sys.addaudithook(only_loopback)


Server = TypeVar("Server", HapiServer, PostgresServer)


def real_servers_required() -> bool:
    return os.environ.get("CI", "").lower() in ("true", "1") or os.environ.get("MAINSTAY_TEST_REAL") == "1"


def started(start: Callable[[], Server]) -> Server:
    try:
        return start()
    except MissingToolError as missing:
        if real_servers_required():
            pytest.fail(f"this run may not skip the real servers, but {missing}", pytrace=False)
        pytest.skip(str(missing))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def hapi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a real FHIR R4 server. It is not empty: use identifiers that no other test uses."""
    running = os.environ.get("MAINSTAY_TEST_HAPI_URL")
    if running:
        yield running.rstrip("/")
        return
    # Of a run in several processes, each has a directory of its own in one that is the run's.
    base = tmp_path_factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "hapi"
    directory.mkdir(exist_ok=True)
    with shared(lambda: started(HapiServer), directory) as base_url:
        yield base_url


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with started(PostgresServer) as server:
        yield server


@pytest.fixture
def postgres_database(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a database of the test's own, empty."""
    with postgres.empty_database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A test that asks for this runs twice: once on each engine that we support."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'mainstay.db'}"
    url: str = request.getfixturevalue("postgres_database")
    return url
