"""Every metric of the program, declared in one table.

The hot path bumps plain attributes of `Counters`; they become Prometheus samples only when somebody
scrapes. No metric carries a phone or a plate: what is per vehicle belongs into the database. There
is no module state: a `Metrics` has its own registry. Knows nothing of who counts or scrapes.
"""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector


class Histogram:
    """Counts of observations in buckets; `bounds` are the inclusive upper ends, ascending."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times


LATENCIES = (
    *(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1),
    *(0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0),
)
ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


class Counters:
    """What the hot path counts: plain numbers, dictionaries by label, histograms."""

    def __init__(self) -> None:
        self.connections: dict[str, int] = defaultdict(int)  # by transport: "tcp", "udp"
        self.authenticated = 0
        self.messages: dict[int, int] = defaultdict(int)  # by message id
        self.faults: dict[str, int] = defaultdict(int)
        self.reports_stored = 0
        self.reports_duplicate = 0
        self.batch_rows = Histogram(ROWS)
        self.batch_seconds = Histogram(LATENCIES)
        self.commit_failures = 0
        self.queue_depth = 0
        self.reading_paused = False
        self.rejected: dict[str, int] = defaultdict(int)
        self.alarms: dict[tuple[str, str], int] = defaultdict(int)  # by kind and change
        self.auth_failures: dict[str, int] = defaultdict(int)
        self.events: dict[str, int] = defaultdict(int)  # by type, as the stream reads them
        self.stream_readers = 0
        self.stream_lag_seconds = 0.0  # commit to rendering, of the latest event
        self.stream_blocked = 0
        self.evidence_connections = 0
        self.evidence_bytes = 0
        self.evidence_files: dict[str, int] = defaultdict(int)  # by state
        self.evidence_missing = 0
        self.evidence_refused: dict[str, int] = defaultdict(int)
        self.ack_seconds = Histogram(LATENCIES)  # bytes received to acknowledgement written


class Row(NamedTuple):
    """One metric: what scrapers call it, what it is, its labels, the attribute that holds it."""

    name: str
    family: type[CounterMetricFamily] | type[GaugeMetricFamily] | type[HistogramMetricFamily]
    help: str
    attribute: str
    labels: tuple[str, ...] = ()


_C, _G, _H = CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
METRICS = (
    Row("connections", _G, "Open terminal connections.", "connections", ("transport",)),
    Row("sessions_authenticated", _G, "Sessions that have authenticated.", "authenticated"),
    Row("messages", _C, "Messages received, by message id.", "messages", ("message",)),
    Row("faults", _C, "Faults in what terminals sent, by reason.", "faults", ("reason",)),
    Row("reports_stored", _C, "Location reports committed as new rows.", "reports_stored"),
    Row("reports_duplicate", _C, "Reports that were stored already.", "reports_duplicate"),
    Row("batch_rows", _H, "Rows in a committed batch.", "batch_rows"),
    Row("batch_seconds", _H, "Seconds from BEGIN to the end of COMMIT.", "batch_seconds"),
    Row("commit_failures", _C, "Transactions of the writer that failed.", "commit_failures"),
    Row("queue_depth", _G, "Entries that wait for the writer.", "queue_depth"),
    Row("reading_paused", _G, "1 while sockets are not read.", "reading_paused"),
    Row("rejected", _C, "Messages parked in the table rejected.", "rejected", ("reason",)),
    Row("alarms", _C, "Changes of alarms committed.", "alarms", ("kind", "change")),
    Row("auth_failures", _C, "Refused authentications.", "auth_failures", ("reason",)),
    Row("events", _C, "Events that entered the stream, by type.", "events", ("type",)),
    Row("stream_readers", _G, "Readers of the event stream.", "stream_readers"),
    Row("stream_lag_seconds", _G, "Age of the latest event when read.", "stream_lag_seconds"),
    Row("stream_blocked", _C, "Stream readers closed as they did not read.", "stream_blocked"),
    Row("evidence_connections", _G, "Connections that bring evidence.", "evidence_connections"),
    Row("evidence_bytes", _C, "Bytes of files written.", "evidence_bytes"),
    Row("evidence_files", _C, "Files that ended, by state.", "evidence_files", ("state",)),
    Row("evidence_missing", _C, "Times that missing bytes were asked for.", "evidence_missing"),
    Row("evidence_refused", _C, "Uploads refused, by reason.", "evidence_refused", ("reason",)),
    Row("ack_seconds", _H, "Seconds from reception to acknowledgement.", "ack_seconds"),
)


class Metrics(Collector):
    """The counters of one process and the registry that renders them.

    `known_messages` bounds the label of `jtgate_messages_total`: ids outside are summed as "other",
    else a hostile terminal could make 65,536 time series.
    """

    def __init__(self, known_messages: Container[int] | None = None) -> None:
        self.counters = Counters()
        self.known_messages = known_messages
        self._watched: dict[str, Callable[[], float]] = {}
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(namespace="jtgate", registry=self.registry)

    def watch(self, attribute: str, read: Callable[[], float]) -> None:
        """Read a gauge at scrape time from `read` instead of from the counter `attribute`."""
        if not hasattr(self.counters, attribute):
            raise AttributeError(attribute)
        self._watched[attribute] = read

    def render(self) -> bytes:
        """The exposition in Prometheus' text format 0.0.4."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Any]:
        for row in METRICS:
            read = self._watched.get(row.attribute)
            value: Any = read() if read else getattr(self.counters, row.attribute)
            family = row.family("jtgate_" + row.name, row.help, labels=row.labels)
            if isinstance(family, HistogramMetricFamily):
                _add_histogram(family, value)
            elif row.labels:
                for labels, number in self._by_label(row, value):
                    family.add_metric(labels, number)
            else:
                family.add_metric([], float(value))
            yield family
        yield InfoMetricFamily(
            "jtgate_build",
            "The program and the Python that runs it.",
            value={"version": _version(), "python": platform.python_version()},
        )

    def _by_label(self, row: Row, values: dict[Any, int]) -> Iterable[tuple[list[str], float]]:
        if row.attribute != "messages":
            for key, number in list(values.items()):
                yield ([key] if isinstance(key, str) else list(key)), number
            return
        other = 0
        for message, number in sorted(values.items()):
            if self.known_messages is None or message in self.known_messages:
                yield [f"0x{message:04X}"], number
            else:
                other += number
        if other:
            yield ["other"], other


def _add_histogram(family: HistogramMetricFamily, histogram: Histogram) -> None:
    ends = [*(format(bound, "g") for bound in histogram.bounds), "+Inf"]
    counts = list(accumulate(histogram.counts))
    family.add_metric([], list(zip(ends, counts, strict=True)), histogram.total)


def _version() -> str:
    try:
        return version("jtgate")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0"
