"""An idle pass over 10,000 synced records: what it asks of the server, counted there."""

from collections import Counter
from collections.abc import Iterator

from benchmarks.stage import stage
from service.sandbox import create_sandbox, running

RECORDS = 10_000


def run() -> Iterator[str]:
    """Yield how many requests and writes a pass over synced records makes."""
    sandbox = create_sandbox()
    with running(sandbox) as base_url, stage(base_url) as one:
        for number in range(RECORDS):
            one.chart.create(one.goal(number), "benchmark")
        one.sync.run()
        one.sync.run()
        one.require_synced()
        asked = sandbox.extensions["mainstay_sandbox"].requests
        asked.clear()
        one.sync.run()
        methods = Counter(logged.method for logged in asked)
        writes = sum(count for method, count in methods.items() if method != "GET")
        yield f"idle pass over {RECORDS} synced records: {methods.total()} requests, {writes} writes"
