"""A report says where the vehicle is, what its alarms are, and is bent where a behaviour bends it."""

from __future__ import annotations

import random
from typing import Any

from protocol.header import Edition
from protocol.location import Location, read
from simulator.behaviour import Behaviour
from simulator.identity import Config, Dialect
from simulator.reports import MOVING, Reporter
from simulator.tally import Tally
from simulator.track import Track, routes

START = 1_750_000_000.0
TRACK = Track(routes()["city-deliveries"], 1)


class Bent(Behaviour):
    def clock(self, time: int) -> int | bytes:
        return b"\xff" * 6

    def draft(self, draft: Location, number: int) -> None:
        draft.heading = number


def reporter(behaviour: type[Behaviour] = Behaviour, **settings: Any) -> Reporter:
    config, rng = Config("13800000001", **settings), random.Random(5)
    return Reporter(config, TRACK, behaviour(config, rng), Tally(), rng, START)


def test_reports_are_numbered_and_on_the_track() -> None:
    made = reporter(edition=Edition.V2019)
    found = [made.compose(START + n) for n in range(300)]
    assert [report.number for report in found] == list(range(300))
    assert [report.time for report in found] == [int(START) + n for n in range(300)]
    assert len({report.body for report in found}) == 300
    statuses = {bool(read(report.body).status & MOVING): read(report.body).speed for report in found}
    assert set(statuses) == {True, False} or statuses[True] > 0


def test_bits_that_commands_set() -> None:
    made = reporter()
    assert read(made.compose(START, 1 << 12).body).status & 1 << 12
    assert not read(made.compose(START).body).status & 1 << 12


def test_a_behaviour_bends_it() -> None:
    made = reporter(Bent)
    made.compose(START)
    report = made.compose(START)
    assert report.time == b"\xff" * 6 and read(report.body).heading == 1


def test_reports_with_alarms_are_key_ones() -> None:
    made = reporter(dialect=Dialect.SU, alarm_every=2)
    found = [made.compose(START + n) for n in range(20)]
    with_items = [any(0x64 <= i <= 0x67 for i, _ in read(report.body).items) for report in found]
    assert [report.key for report in found] == with_items
    assert 10 <= sum(with_items) < 20
