"""One order of a terminal's reports: the state that the next report follows on.

The words of bits after the last report, the alarms that are open, and when each was last said to stand. It
knows how a report is followed, not what becomes of alarms: that is `lifecycle.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from alarms.model import Alarm
from alarms.normalise import LEVEL_SOURCES, LEVELS, SAFETY_MIN, WORD
from protocol.location import Location

STALE = 3600
"""Seconds without a sign of an alarm after which its end is taken to be lost."""

NEVER = 1 << 62


class Past(NamedTuple):
    """What is remembered of an alarm that is over."""

    id: str
    pairing: str  # empty where nothing that comes late can be about it
    start: int
    end: int  # NEVER for the bit of a momentary kind that still stands


def past_of(alarm: Alarm, end: int) -> Past:
    pairing = alarm.pairing if alarm.source in LEVEL_SOURCES or alarm.end_reason == "reported" else ""
    return Past(alarm.id, pairing, alarm.occurred_at, end)


class Track:
    """One order of reports: the words of bits after the last one, and the alarms that are open."""

    __slots__ = ("affirmed", "due", "open", "raws", "received", "time", "word", "words")

    def __init__(self) -> None:
        self.time = 0  # of the last report
        self.received = 0.0
        self.word = 0  # the alarm word
        self.due: int = NEVER  # from this time on a quiet report is looked at too
        # Made when they are needed: most terminals have nothing of the kind.
        self.words: dict[str, int] | None = None  # other words of bits, where not zero
        self.raws: dict[int, bytes] | None = None  # last value of items with such bits, where not zero
        self.open: dict[str, Alarm] | None = None  # by pairing
        self.affirmed: dict[str, int] | None = None  # pairing or source: when it last said that it stands

    def news(self, item_id: int, raw: bytes, time: int) -> bool:
        """Whether a watched item says something that the one before it did not say."""
        level = LEVELS.get(item_id)
        if level is None:
            return len(raw) >= SAFETY_MIN
        if self.raws is None or item_id not in self.raws:
            stands = self.words is not None and level.source in self.words
            return (stands or any(raw)) and len(raw) in level.lengths
        if raw != self.raws[item_id]:
            return True
        if any(raw):
            self.affirm(level.source, time)
        return False

    def affirm(self, what: str, time: int) -> None:
        if self.affirmed is None:
            self.affirmed = {}
        self.affirmed[what] = max(time, self.affirmed.get(what, 0))

    def seen(self, alarm: Alarm) -> int:
        """When `alarm` was last said to stand."""
        known = self.affirmed or {}
        return max(alarm.occurred_at, known.get(alarm.pairing, 0), known.get(alarm.source, 0))

    def standing_words(self, time: int) -> dict[str, int]:
        """The words of bits as far as alarms that were open at `time` tell them."""
        found = {WORD: 0}
        for alarm in (self.open or {}).values():
            if alarm.source in LEVEL_SOURCES and alarm.occurred_at <= time:
                found[alarm.source] = found.get(alarm.source, 0) | 1 << alarm.code
        return found

    def before(self, time: int) -> dict[str, int]:
        """The words of bits that a report of `time` follows on; after a gap only what is open counts."""
        if 0 <= time - self.time <= STALE:
            return {**(self.words or {}), WORD: self.word}
        return self.standing_words(time)

    def close(self, alarm: Alarm) -> None:
        """`alarm` is open no longer, and if its bit is still told it begins anew."""
        self.open = {p: a for p, a in (self.open or {}).items() if p != alarm.pairing} or None
        if alarm.source == WORD:
            self.word &= ~(1 << alarm.code)
        elif self.words is not None and alarm.source in self.words:
            self.words[alarm.source] &= ~(1 << alarm.code)
            self.raws = None

    def follow(self, location: Location, after: Mapping[str, int], time: int) -> None:
        """Takes what a report said as the state that the next one follows on."""
        self.time, self.word = time, location.alarm
        self.words = {s: w for s, w in after.items() if w and s != WORD} or None
        for item_id, raw in location.items:
            level = LEVELS.get(item_id)
            if level is None or len(raw) not in level.lengths:
                continue
            if any(raw):
                self.affirm(level.source, time)
            if self.words or any(raw):
                self.raws = (self.raws or {}) | {item_id: raw}
        if not self.words:
            self.raws = None
        if self.open:
            self.affirm(WORD, time)
        else:
            self.affirmed = None
