"""One terminal's reports: where it is, what its alarms are, as the body of a 0x0200.

Pure: the time comes in. Knows the track, the signals and the bends of a behaviour, not when a report is due
nor what becomes of it.
"""

from __future__ import annotations

import random

import msgspec

from protocol.fields import decode_time
from protocol.header import Edition
from protocol.location import SIZE, Location
from simulator import bodies
from simulator.behaviour import Behaviour
from simulator.identity import Config
from simulator.signals import Signals
from simulator.tally import Tally
from simulator.track import Track

ACC_FIXED_BEIDOU = 1 << 0 | 1 << 1 | 1 << 19
MOVING = 1 << 22
MOVING_SPEED = 0.3  # m/s


class Report(msgspec.Struct, gc=False):
    """One report as recorded."""

    number: int  # counts the terminal's reports, from 0
    time: int | bytes  # device time: seconds since 1970, or its bytes where they are no time
    body: bytes  # of the 0x0200
    key: bool  # carries an alarm: saved and sent before others, 808-2013 clause 6.1.2.1


class Reporter:
    """Makes the reports of one terminal."""

    __slots__ = ("_behaviour", "_config", "_number", "_start", "_tally", "_track", "signals")

    def __init__(
        self,
        config: Config,
        track: Track,
        behaviour: Behaviour,
        tally: Tally,
        rng: random.Random,
        start: float,
    ) -> None:
        self._config = config
        self._track = track
        self._behaviour = behaviour
        self._tally = tally
        self._start = start - rng.uniform(0.0, track.period)
        self._number = 0
        self.signals = Signals(config, rng)

    def compose(self, now: float, status: int = 0) -> Report:
        """The report of `now`; `status` has bits of the status word that are set beside its own."""
        number = self._number
        self._number += 1
        self._tally.recorded += 1
        fix = self._track.at(now - self._start)
        moving = fix.speed > MOVING_SPEED and self._config.edition is Edition.V2019
        speed = round(fix.speed * 36)
        draft = Location(
            0,
            ACC_FIXED_BEIDOU | (MOVING if moving else 0) | status,
            fix.latitude,
            fix.longitude,
            fix.altitude,
            speed,
            fix.heading,
            self._behaviour.clock(int(now)),
            [
                bodies.item("mileage", int(fix.mileage / 100) & 0xFFFFFFFF),
                bodies.item("recorder_speed", speed),
                # An open analog input reads noise. It also makes no two reports of a terminal the same,
                # so that a ledger can tell them apart: the factor is odd, hence the product is unique.
                bodies.item("analog", number * 40_503 & 0xFFFF, number >> 16 & 0xFFFF),
                bodies.item("network_signal", 18 + number % 12),
                bodies.item("satellites", 9 + number % 5),
            ],
        )
        self._tally.alarms += self.signals.add(draft, number)
        self._behaviour.draft(draft, number)
        body = self._behaviour.report(draft)
        key = draft.alarm != 0 or any(0x64 <= item_id <= 0x67 for item_id, _ in draft.items)
        return Report(number, decode_time(body[SIZE - 6 : SIZE]), body, key)
