"""The app over a database of the test's own, open and with tokens required."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask

from service.app import create_app
from service.config import Config
from service.store.database import Database
from tests.clock import Clock
from tests.service.routes.caller import GUARDED, Api, AsPrincipal, published_keys, token


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(f"sqlite:///{tmp_path / 'mainstay.db'}") as database:
        yield database


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """Open a database that is ready for use."""
    database = Database(url)
    database.upgrade()
    yield database
    database.close()


@pytest.fixture
def app(database: Database, clock: Clock) -> Flask:
    """The app as it stands on a laptop: no authentication, loopback only."""
    return create_app(Config(), database=database, clock=clock)


@pytest.fixture
def guarded_app(database: Database, clock: Clock) -> Flask:
    """The app as it stands in a hospital: nothing without a token."""
    return create_app(Config(**GUARDED), database=database, clock=clock, fetch_keys=published_keys)


@pytest.fixture
def api(app: Flask) -> Api:
    return Api(app)


@pytest.fixture
def as_principal(guarded_app: Flask) -> AsPrincipal:
    """Return an Api for a token with the claims given."""
    return lambda **claims: Api(guarded_app, token(**claims))
