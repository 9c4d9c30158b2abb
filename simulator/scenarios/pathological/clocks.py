"""Device clocks that are wrong."""

from __future__ import annotations

from simulator.behaviour import Behaviour

YEARS = 365 * 86400


class ClockZero(Behaviour):
    title = "a device time of all zeros"

    def clock(self, time: int) -> bytes:
        return bytes(6)


class ClockNotBcd(Behaviour):
    title = "a device time that is binary instead of BCD"

    def clock(self, time: int) -> bytes:
        return bytes((0x1A, 0x0B, 0x1F, 0x17, 0x3B, 0xAA ^ time & 0x0F))


class Clock2007(Behaviour):
    title = "a clock that was never set and stands in January 2007"

    def clock(self, time: int) -> int:
        return 1_168_654_841 + time % 86400


class ClockFuture(Behaviour):
    title = "a clock two years ahead"

    def clock(self, time: int) -> int:
        return time + 2 * YEARS


class ClockUtc(Behaviour):
    title = "a clock that runs on UTC instead of Beijing time"

    def clock(self, time: int) -> int:
        return time - 8 * 3600
