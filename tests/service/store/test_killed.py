"""What was acknowledged is there, whenever the process ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.chart import Chart
from service.store.database import Database
from tests.databases import connect, contents, links, outbox

WRITER = "tests.service.store.writing_process"
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("acknowledged", [1, 7, 40])
def test_nothing_acknowledged_is_lost_by_a_kill(
    database: Database, database_url: str, chart: Chart, acknowledged: int
) -> None:
    clinic = connect(database)
    with subprocess.Popen(
        [sys.executable, "-m", WRITER, database_url], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as writer:
        assert writer.stdout
        printed = [writer.stdout.readline().strip() for _ in range(acknowledged)]
        writer.kill()
        printed += writer.stdout.read().split("\n")[:-1]  # a line without its end was not acknowledged

    assert len(printed) >= acknowledged
    stored = {row[0] for row in contents(database)["records"]}
    assert set(printed) <= stored
    history = {row[0] for row in contents(database)["history"]}
    keys = {(record_id, clinic) for record_id in stored}
    assert history == stored
    assert outbox(database).keys() == links(database).keys() == keys
    assert chart.get("Goal", printed[0]).version == 1
