"""The app over a database of the test's own, open and with tokens required."""

from contextlib import contextmanager

import pytest

from service.app import create_app
from service.config import Config
from service.store.database import Database
from tests.service.routes.caller import GUARDED, Api, published_keys, token


@pytest.fixture
def database(tmp_path):
    with opened(f"sqlite:///{tmp_path / 'mainstay.db'}") as database:
        yield database


@contextmanager
def opened(url):
    """Open a database that is ready for use."""
    database = Database(url)
    database.upgrade()
    yield database
    database.close()


@pytest.fixture
def app(database, clock):
    """The app as it stands on a laptop: no authentication, loopback only."""
    return create_app(Config(), database=database, clock=clock)


@pytest.fixture
def guarded_app(database, clock):
    """The app as it stands in a hospital: nothing without a token."""
    return create_app(Config(**GUARDED), database=database, clock=clock, fetch_keys=published_keys)


@pytest.fixture
def api(app):
    return Api(app)


@pytest.fixture
def as_principal(guarded_app):
    """Return an Api for a token with the claims given."""
    return lambda **claims: Api(guarded_app, token(**claims))
