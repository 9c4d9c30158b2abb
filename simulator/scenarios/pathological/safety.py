"""Safety items of other provinces' lengths, and alarms whose flags don't add up."""

from __future__ import annotations

import msgspec

from protocol.location import Location
from simulator.behaviour import Behaviour
from simulator.identity import Config, Dialect
from simulator.signals import END, NONE, START

FLAG = 4  # offset of the flag state in items 0x64 to 0x67, T/JSATL 12 table 4-15
BEFORE_IDENTIFIER = 31  # bytes of item 0x64 in front of the alarm identifier
SAFETY = range(0x64, 0x68)


class Alarming(Behaviour):
    """Raises alarms as safety items, whatever was asked for."""

    @classmethod
    def configure(cls, config: Config) -> Config:
        dialect = Dialect.SU if config.dialect is Dialect.PLAIN else config.dialect
        return msgspec.structs.replace(config, dialect=dialect, alarm_every=config.alarm_every or 4)


class SafetyLength(Alarming):
    """Brings every item 0x64 to one length, by its identifier."""

    length = 47

    def draft(self, draft: Location, number: int) -> None:
        draft.items = [
            (item_id, self._sized(raw) if item_id in SAFETY else raw) for item_id, raw in draft.items
        ]

    def _sized(self, raw: bytes) -> bytes:
        return raw[: self.length].ljust(self.length, b"0" if self.length > BEFORE_IDENTIFIER else b"\0")


def safety_length(length: int) -> type[SafetyLength]:
    """A scenario whose items 0x64 to 0x67 all have `length` bytes."""
    body = {"length": length, "title": f"safety items of {length} bytes"}
    return type(f"SafetyLength{length}", (SafetyLength,), body)


class Flagged(Alarming):
    """Every safety item carries the same flag."""

    flag = NONE

    def draft(self, draft: Location, number: int) -> None:
        draft.items = [
            (item_id, raw[:FLAG] + bytes((self.flag,)) + raw[FLAG + 1 :] if item_id in SAFETY else raw)
            for item_id, raw in draft.items
        ]


class AlwaysFlag0(Flagged):
    title = "alarms without start and end: flag 0"


class AlwaysFlag1(Flagged):
    title = "every alarm item says start"
    flag = START


class AlwaysFlag2(Flagged):
    title = "every alarm item says end"
    flag = END


class MissingEnd(Alarming):
    title = "alarms that start and never end"

    def draft(self, draft: Location, number: int) -> None:
        draft.items = [
            (item_id, raw) for item_id, raw in draft.items if item_id not in SAFETY or raw[FLAG] != END
        ]
