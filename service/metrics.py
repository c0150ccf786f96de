"""Prometheus metrics: requests counted here, queues read from the database when asked.

Labels are methods, route patterns, statuses, states and names of connections; never an id.
"""

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.values import MutexValue, ValueClass

from service.errors import ServiceError
from service.sync.engine import Sync

#: What the queues look like: metric name → its labels and values.
Gauges = dict[str, tuple[str, tuple[str, ...], list[tuple[tuple[str, ...], float]]]]


class _Queues(Collector):
    """Reads the gauges at scrape, so that any process tells the same."""

    def __init__(self, read: Callable[[], Gauges]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        # Registering must not touch the database.
        return []

    def collect(self) -> Iterable[Metric]:
        try:
            gauges = self._read()
        except ServiceError:
            gauges = {}
        yield GaugeMetricFamily("mainstay_database_up", "Whether the database answers.", float(bool(gauges)))
        for name, (meaning, labels, values) in gauges.items():
            family = GaugeMetricFamily(name, meaning, labels=labels)
            for of, value in values:
                family.add_metric(of, value)
            yield family


class Metrics:
    """The metrics of one app.

    With several server processes, PROMETHEUS_MULTIPROC_DIR has to name an empty directory before
    Python starts (prometheus_client's own rule): counts are then added up over all processes.
    Without it a scrape tells of the one process that answered.
    """

    def __init__(self, read_gauges: Callable[[], Gauges]) -> None:
        self._registry = CollectorRegistry()
        self._shown = CollectorRegistry()
        if ValueClass is MutexValue:
            self._shown = self._registry
        else:
            MultiProcessCollector(self._shown)  # type: ignore[no-untyped-call]
        self._shown.register(_Queues(read_gauges))
        self._requests = Counter(
            "mainstay_http_requests",
            "Requests answered, by method, route and status.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "mainstay_http_request_seconds",
            "Time to answer a request, by method and route.",
            ["method", "route"],
            registry=self._registry,
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. route: its pattern, not its path."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        text: Any = generate_latest(self._shown)
        return bytes(text)


def queue_gauges(sync: Sync) -> Gauges:
    """Return how many records stand where with each server, and how long the oldest has waited."""
    states: list[tuple[tuple[str, ...], float]] = []
    ages: list[tuple[tuple[str, ...], float]] = []
    for connection in sync.connections():
        summary = sync.summary(connection.name)
        states.extend(((connection.name, state), float(count)) for state, count in summary.states.items())
        ages.append(((connection.name,), summary.oldest_pending_seconds or 0.0))
    return {
        "mainstay_records": ("Records by connection and state.", ("connection", "state"), states),
        "mainstay_oldest_pending_seconds": (
            "How long the oldest unsent record has waited.",
            ("connection",),
            ages,
        ),
    }
