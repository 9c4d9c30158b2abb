"""Where a simulated vehicle is at any moment: it drives up and down a route, with stops.

Pure: a position is a function of time, so a terminal that was silent for an hour can still say where it
was in between. Knows nothing of messages. Routes are way points (WGS-84 degrees, metres) in `routes/`.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from functools import cache
from importlib.resources import files
from itertools import accumulate, pairwise

import msgspec

EARTH = 6_371_000.0  # m, mean radius

ACCELERATION = 0.9  # m/s²: a loaded lorry, not a sports car
CORNER = 8.0  # m/s through a way point where the road turns
DWELL = (15.0, 90.0)  # s at a stop
TURNAROUND = (60.0, 180.0)  # s at either end
STOP_CHANCE = 0.4  # of a stop at a way point in between


class Fix(msgspec.Struct, frozen=True, gc=False):
    """One position."""

    latitude: int  # 1e-6 degree
    longitude: int  # 1e-6 degree
    altitude: int  # m
    speed: float  # m/s
    heading: int  # degree, clockwise from north
    mileage: float  # m since the track began


class Route(msgspec.Struct):
    """A polyline of way points."""

    title: str
    limit: float  # km/h
    points: list[tuple[float, float, float]]  # latitude and longitude [degree], altitude [m]


class _Phase(msgspec.Struct, frozen=True, gc=False):
    """A time of constant acceleration."""

    start: float  # s since the beginning of the round
    place: float  # m since the beginning of the round
    speed: float  # m/s at its start
    acceleration: float  # m/s²


@cache
def routes() -> dict[str, Route]:
    """The routes that come with the program, by name."""
    folder = files("simulator") / "routes"
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".json")), key=lambda f: f.name)
    return {f.name.removesuffix(".json"): msgspec.json.decode(f.read_bytes(), type=Route) for f in found}


class Track:
    """One vehicle's way along `route` and back, for ever; `seed` makes its stops and its pace."""

    def __init__(self, route: Route, seed: int = 0) -> None:
        rng = random.Random(seed)
        there = [(math.radians(lat), math.radians(lon), up) for lat, lon, up in route.points]
        self._points = there + there[-2::-1]
        self._places = [0.0, *accumulate(_distance(a, b) for a, b in pairwise(self._points))]
        self._headings = [_bearing(a, b) for a, b in pairwise(self._points)]
        self._phases: list[_Phase] = []
        self.period = 0.0  # s of one round
        self._plan(rng, route.limit / 3.6 * rng.uniform(0.75, 0.97))
        self._starts = [phase.start for phase in self._phases]
        self.top_speed = max(phase.speed for phase in self._phases)

    @property
    def length(self) -> float:
        """m of one round."""
        return self._places[-1]

    def at(self, time: float) -> Fix:
        """The position `time` seconds after the start (also before it)."""
        rounds, time = divmod(time, self.period)
        phase = self._phases[bisect_right(self._starts, time) - 1]
        elapsed = time - phase.start
        speed = max(0.0, phase.speed + phase.acceleration * elapsed)
        place = phase.place + (phase.speed + speed) / 2 * elapsed
        leg = min(bisect_right(self._places, place), len(self._places) - 1) - 1
        begin, end = self._places[leg], self._places[leg + 1]
        part = min(1.0, (place - begin) / (end - begin))
        a, b = self._points[leg], self._points[leg + 1]
        return Fix(
            round(math.degrees(a[0] + (b[0] - a[0]) * part) * 1e6),
            round(math.degrees(a[1] + (b[1] - a[1]) * part) * 1e6),
            round(a[2] + (b[2] - a[2]) * part),
            speed,
            self._headings[leg],
            rounds * self.length + place,
        )

    def _plan(self, rng: random.Random, cruise: float) -> None:
        """The phases of one round: between two way points as fast as stops and turns allow."""
        lengths = [b - a for a, b in pairwise(self._places)]
        last = len(lengths)
        ends = {0, last // 2, last}
        speeds = [
            0.0 if n in ends or rng.random() < STOP_CHANCE else min(cruise, self._turn(n))
            for n in range(last + 1)
        ]
        for n in range(last):  # what can be reached from the point before
            speeds[n + 1] = min(speeds[n + 1], math.sqrt(speeds[n] ** 2 + 2 * ACCELERATION * lengths[n]))
        for n in reversed(range(last)):  # from where one can still brake for the point behind
            speeds[n] = min(speeds[n], math.sqrt(speeds[n + 1] ** 2 + 2 * ACCELERATION * lengths[n]))
        for n in range(last):
            if speeds[n] == 0.0:
                self._add(self._places[n], 0.0, 0.0, rng.uniform(*(TURNAROUND if n in ends else DWELL)))
            self._drive(
                self._places[n], lengths[n], (speeds[n], speeds[n + 1]), cruise * rng.uniform(0.85, 1.0)
            )

    def _drive(self, place: float, length: float, speeds: tuple[float, float], cruise: float) -> None:
        """Speeds up, keeps on and brakes over `length` metres, between two given speeds."""
        entry, end = speeds
        peak = math.sqrt((2 * ACCELERATION * length + entry**2 + end**2) / 2)
        top = max(entry, end, min(cruise, peak))
        rise = (top**2 - entry**2) / (2 * ACCELERATION)
        fall = (top**2 - end**2) / (2 * ACCELERATION)
        self._add(place, entry, ACCELERATION, (top - entry) / ACCELERATION)
        self._add(place + rise, top, 0.0, max(0.0, length - rise - fall) / top)
        self._add(place + length - fall, top, -ACCELERATION, (top - end) / ACCELERATION)

    def _add(self, place: float, speed: float, acceleration: float, lasts: float) -> None:
        if lasts > 0.0:
            self._phases.append(_Phase(self.period, place, speed, acceleration))
            self.period += lasts

    def _turn(self, n: int) -> float:
        """The speed through way point `n` [m/s]: the sharper its turn, the slower."""
        angle = abs((self._headings[n] - self._headings[n - 1] + 180) % 360 - 180)
        return CORNER + max(0.0, 90.0 - angle) / 4


def _distance(a: tuple[float, float, float], b: tuple[float, float, float]) -> float:
    """m between two points [radian] that are a few kilometres apart."""
    east = (b[1] - a[1]) * math.cos((a[0] + b[0]) / 2)
    return EARTH * math.hypot(b[0] - a[0], east)


def _bearing(a: tuple[float, float, float], b: tuple[float, float, float]) -> int:
    """Degrees clockwise from north, 0 to 359."""
    east = (b[1] - a[1]) * math.cos((a[0] + b[0]) / 2)
    return round(math.degrees(math.atan2(east, b[0] - a[0]))) % 360
