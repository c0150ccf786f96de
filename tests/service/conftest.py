"""A database and a chart for every test of the service that asks for it, once on each engine."""

from collections.abc import Iterator

import pytest

from service.chart import Chart
from service.store.database import Database
from tests.clock import Clock
from tests.databases import opened


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with opened(database_url) as database:
        yield database


@pytest.fixture
def chart(database: Database, clock: Clock) -> Chart:
    return Chart(database, clock)
