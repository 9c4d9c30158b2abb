"""A track is continuous: no vehicle jumps, or drives faster than its route allows."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.track import EARTH, Fix, Track, routes


def apart(a: Fix, b: Fix) -> float:
    """m between two fixes."""
    north = math.radians((b.latitude - a.latitude) / 1e6)
    east = math.radians((b.longitude - a.longitude) / 1e6) * math.cos(math.radians(a.latitude / 1e6))
    return EARTH * math.hypot(north, east)


@pytest.mark.parametrize("name", routes())
def test_a_route_lies_where_it_says(name: str) -> None:
    track = Track(routes()[name])
    assert 10_000 < track.length < 120_000
    for time in range(0, int(track.period), 97):
        fix = track.at(time)
        assert 22_000_000 < fix.latitude < 24_000_000
        assert 112_500_000 < fix.longitude < 114_000_000
        assert 0 <= fix.heading < 360
        assert -10 < fix.altitude < 500


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(sorted(routes())),
    seed=st.integers(0, 50),
    time=st.floats(-1e5, 1e6),
    step=st.floats(0.05, 30.0),
)
def test_no_vehicle_jumps(name: str, seed: int, time: float, step: float) -> None:
    route = routes()[name]
    track = Track(route, seed)
    before, after = track.at(time), track.at(time + step)
    # rounding to 1e-6 degree moves each point by up to 0.08 m
    assert apart(before, after) <= route.limit / 3.6 * step + 0.3
    assert 0.0 <= before.speed <= route.limit / 3.6 + 1e-6
    driven = after.mileage - before.mileage
    assert -1e-6 <= driven <= route.limit / 3.6 * step + 1e-6


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 20), time=st.floats(0, 1e5))
def test_the_speed_is_that_of_the_way(seed: int, time: float) -> None:
    track = Track(routes()["shunde-nansha"], seed)
    before, after = track.at(time), track.at(time + 1.0)
    pace = after.mileage - before.mileage
    assert abs(pace - (before.speed + after.speed) / 2) < 1.0


def test_the_same_seed_gives_the_same_way() -> None:
    route = routes()["xiqiao-hill"]
    one, same, other = Track(route, 7), Track(route, 7), Track(route, 8)
    assert [one.at(t) for t in range(0, 3000, 50)] == [same.at(t) for t in range(0, 3000, 50)]
    assert one.period != other.period


def test_it_stops_and_drives() -> None:
    track = Track(routes()["city-deliveries"], 3)
    speeds = [track.at(t).speed for t in range(int(track.period))]
    assert speeds.count(0.0) > 100
    assert max(speeds) > 8.0


def test_a_round_ends_where_it_began() -> None:
    track = Track(routes()["airport-ring"], 1)
    start, end = track.at(0.0), track.at(track.period)
    assert (start.latitude, start.longitude) == (end.latitude, end.longitude)
    assert end.mileage == pytest.approx(start.mileage + track.length)
