"""What an alarm is, in the one vocabulary of this program.

Values only: no decoding, no storage, no clock. A `Signal` is one observation in one report; an `Alarm`
is what a row of the table `alarms` holds; a `Transition` is what a report did to an alarm, and becomes
an event of the log.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec


class Phase(enum.StrEnum):
    """What a signal says about its alarm (T/JSATL 12 table 4-15, flag state; 808 table 24)."""

    START = "start"  # the alarm begins, or still stands
    END = "end"  # the alarm is over
    MOMENT = "moment"  # an event without duration


class State(enum.StrEnum):
    OPEN = "open"
    ENDED = "ended"
    MOMENTARY = "momentary"


class Change(enum.StrEnum):
    RAISED = "raised"
    UPDATED = "updated"
    ENDED = "ended"


class Position(msgspec.Struct, frozen=True, gc=False):
    latitude: int  # 1e-6 degree, south negative
    longitude: int  # 1e-6 degree, west negative
    altitude: int  # m
    speed: int  # 0.1 km/h


class Signal(msgspec.Struct, frozen=True):
    kind: str  # of kinds.py: "fatigue", "phone_use", …
    family: str  # "driver", "adas", "tyre", "blind_spot", "vehicle", "video", …
    level: int  # as sent, else by kinds.py: 0 a status, 1 mild, upwards
    phase: Phase
    source: str  # "su:0x65", "guangdong:0x64", "808:alarm", "1078:0x14", "undecoded:0x64" …
    code: int  # type code or bit number as the terminal sent it
    key: str  # what makes this alarm itself: the same alarm sent again has the same key
    pairing: str  # what a start and its end have in common: source, code, and the tyre's position
    occurred_at: int  # seconds since 1970, UTC
    position: Position
    details: dict[str, Any]  # JSON-ready, names of the layout
    raw: bytes  # the item's value, byte for byte (alarm bits: the DWORD)
    attachments: int = 0


class Alarm(msgspec.Struct, frozen=True):
    """An alarm as it stands after one revision; a further revision is a new value."""

    id: str  # UUID text made from terminal and key
    kind: str
    family: str
    level: int
    state: State
    rev: int  # from 1; storage takes a revision only if it is newer than what it has
    occurred_at: int
    ended_at: int | None  # of an alarm whose end never came: when it was last known to stand
    end_reason: str | None  # "reported", "cleared", "superseded", "stale"
    received_at: float  # of the report that raised it
    backfilled: bool
    position: Position
    source: str
    code: int
    pairing: str
    details: dict[str, Any]
    raw: bytes
    attachments: int


class Transition(msgspec.Struct, frozen=True):
    change: Change
    alarm: Alarm
