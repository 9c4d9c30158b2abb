"""gateway/metrics.py: the table is complete, and what is counted is what a scraper reads."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics import METRICS, Counters, Histogram, Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_each_counter_has_a_row_and_each_row_a_counter():
    assert {row.attribute for row in METRICS} == set(vars(Counters()))
    assert len({row.name for row in METRICS}) == len(METRICS)


def test_everything_starts_with_jtgate_and_carries_no_vehicle():
    metrics = Metrics()
    metrics.counters.messages[0x0200] += 1
    text = metrics.render().decode()
    names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if line[0] != "#"}
    assert all(name.startswith("jtgate_") for name in names)
    assert not {label for row in METRICS for label in row.labels} & {"phone", "plate", "terminal"}


def test_counts_become_samples():
    metrics = Metrics()
    counters = metrics.counters
    counters.reports_stored += 7
    counters.connections["tcp"] += 2
    counters.faults["checksum"] += 1
    counters.alarms["fatigue", "raised"] += 3
    counters.reading_paused = True
    counters.messages[0x0200] += 5
    found = samples(metrics)
    assert found["jtgate_reports_stored_total", ()] == 7
    assert found["jtgate_connections", (("transport", "tcp"),)] == 2
    assert found["jtgate_faults_total", (("reason", "checksum"),)] == 1
    assert found["jtgate_alarms_total", (("change", "raised"), ("kind", "fatigue"))] == 3
    assert found["jtgate_reading_paused", ()] == 1
    assert found["jtgate_messages_total", (("message", "0x0200"),)] == 5
    assert found["jtgate_process_open_fds", ()] > 0


def test_histograms_are_cumulative_with_inclusive_ends():
    metrics = Metrics()
    metrics.counters.ack_seconds.observe(0.001)
    metrics.counters.ack_seconds.observe(0.0011, times=2)
    metrics.counters.ack_seconds.observe(99)
    found = samples(metrics)
    name = "jtgate_ack_seconds_bucket"
    assert found[name, (("le", "0.001"),)] == 1
    assert found[name, (("le", "0.002"),)] == 3
    assert found[name, (("le", "10"),)] == 3
    assert found[name, (("le", "+Inf"),)] == found["jtgate_ack_seconds_count", ()] == 4
    assert found["jtgate_ack_seconds_sum", ()] == pytest.approx(99.0032)


def test_unknown_messages_make_one_series_and_not_65536():
    metrics = Metrics(known_messages={0x0200})
    for message in range(0x10000):
        metrics.counters.messages[message] += 1
    found = samples(metrics)
    assert found["jtgate_messages_total", (("message", "other"),)] == 0xFFFF
    assert sum(name == "jtgate_messages_total" for name, _ in found) == 2


def test_a_hostile_label_stays_one_line():
    metrics = Metrics()
    metrics.counters.faults['x"} 1\njtgate_forged 1'] += 1
    assert not any(name == "jtgate_forged" for name, _ in samples(metrics))


def test_a_watched_gauge_is_read_at_scrape_time():
    metrics = Metrics()
    depth = [1]
    metrics.watch("queue_depth", lambda: depth[0])
    depth[0] = 42
    assert samples(metrics)["jtgate_queue_depth", ()] == 42
    with pytest.raises(AttributeError):
        metrics.watch("no_such", lambda: 0)


def test_observing_is_bisection():
    histogram = Histogram((1, 2, 3))
    for value in (0, 1, 1.5, 3, 4):
        histogram.observe(value)
    assert histogram.counts == [2, 1, 1, 1]
