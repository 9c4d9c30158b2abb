"""Percentiles are right to a bucket's width."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.tally import Latency, Tally


@given(st.lists(st.floats(1e-4, 100.0), min_size=1), st.floats(0.01, 1.0))
def test_percentiles(values: list[float], part: float) -> None:
    latency = Latency()
    for value in values:
        latency.add(value)
    exact = sorted(values)[max(0, -int(-part * len(values) // 1) - 1)]
    assert latency.percentile(part) == pytest.approx(exact, rel=0.06)
    assert latency.percentile(part) <= latency.highest


def test_extremes() -> None:
    latency = Latency()
    assert latency.percentile(0.5) == 0.0
    for value in (-1.0, 0.0, 1e-9, 1e9):
        latency.add(value)
    assert latency.count == 4
    assert latency.percentile(1.0) > 100


def test_summary() -> None:
    tally = Tally(acked=3)
    assert tally.summary()["acked"] == 3
    assert tally.summary()["latency_p99_ms"] == 0.0
