"""Run by a test: creates goals without end, and prints the id of each when it is stored."""

import sys
from datetime import UTC, datetime

from service.chart import Chart
from service.store.database import Database
from tests import builders
from tests.databases import patient


def main(url: str) -> None:
    chart = Chart(Database(url), lambda: datetime.now(UTC))
    person = patient(chart)
    while True:
        entry = chart.create(builders.goal(person), "nurse")
        print(entry.id, flush=True)


main(sys.argv[1])
