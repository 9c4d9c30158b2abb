"""A location report as a row of `locations`, in the binary format of COPY (hot).

This file decides under which time a report is stored, and how its fields lie in the columns; it knows
neither connections nor sessions. The columns stand once, in COLUMNS, in the order of the table; the
`struct` format is derived from them.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import msgspec
from xxhash import xxh3_64_intdigest

from protocol.location import MAX_COORDINATE, Location

_POSTGRES_EPOCH = 946_684_800  # 2000-01-01 in seconds since 1970

# --- flags, the meaning of the bits of locations.flags ----------------------------------------------

TIME_GOOD, TIME_UNREADABLE, TIME_STALE, TIME_FUTURE = range(4)
TIME_QUALITY = 0b11
TIME_QUALITIES = ("good", "unreadable", "stale", "future")
BACKFILLED = 1 << 2  # from a 0x0704 of type 1, 808-2013 table 79
ABSURD_POSITION = 1 << 3  # coordinates beyond the earth: the columns hold 0, `raw` the truth
ANSWER = 1 << 4  # from a 0x0201, the answer to a query
EDITION_2019 = 1 << 5  # header layout of 2019

# --- columns ----------------------------------------------------------------------------------------

# name, bytes, struct code. Unsigned words of the wire lie in signed columns of the same width.
COLUMNS = (
    ("terminal_id", 8, "q"),
    ("time", 8, "q"),  # microseconds since 2000
    ("digest", 8, "Q"),
    ("received_at", 8, "q"),
    ("alarm", 4, "I"),
    ("status", 4, "I"),
    ("latitude", 4, "i"),
    ("longitude", 4, "i"),
    ("altitude", 2, "h"),
    ("speed", 4, "i"),
    ("heading", 2, "H"),
    ("flags", 2, "h"),
)
VARIABLE = ("items", "raw")

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = b"\xff\xff"

_pack = struct.Struct(">h" + "".join(f"i{code}" for _, _, code in COLUMNS) + "i").pack
_FIELDS = len(COLUMNS) + len(VARIABLE)
_NULL = b"\xff\xff\xff\xff"


class Row(NamedTuple):
    """One packed row and what the writer must know of it."""

    data: bytes
    time: float  # seconds since 1970: under which it is stored
    believed: bool  # False: the device's own time is not used, and `misdated` remembers the row


class Clock(msgspec.Struct, frozen=True):
    """Which device times are believed."""

    back: float = 30 * 86400.0  # seconds before reception: older reports are not back-fill but a wrong clock
    ahead: float = 3600.0  # seconds after reception

    def quality(self, time: int | bytes, received: float) -> int:
        if isinstance(time, bytes):
            return TIME_UNREADABLE
        if time < received - self.back:
            return TIME_STALE
        return TIME_FUTURE if time > received + self.ahead else TIME_GOOD


def digest(body: bytes) -> int:
    """What makes a report itself, next to terminal and time: xxh3-64 of its body (0.03 µs; MD5 0.35)."""
    return xxh3_64_intdigest(body)


def pack_row(
    terminal_id: int, location: Location, body: bytes, received: float, flags: int, clock: Clock
) -> Row:
    """`location`, read from `body`, as a row. `received` is in seconds since 1970."""
    time = location.time
    quality = clock.quality(time, received)
    moment: float = received if quality else time  # type: ignore[assignment]  # good: it is a number
    latitude, longitude = location.signed
    if quality or location.latitude > MAX_COORDINATE or location.longitude > MAX_COORDINATE:
        flags |= quality
        if location.absurd:
            flags |= ABSURD_POSITION
        tail = len(body).to_bytes(4) + body
    else:
        tail = _NULL
    items = body[28:]
    fixed = _pack(
        _FIELDS,
        8, terminal_id,
        8, int((moment - _POSTGRES_EPOCH) * 1_000_000),
        8, xxh3_64_intdigest(body),
        8, int((received - _POSTGRES_EPOCH) * 1_000_000),
        4, location.alarm,
        4, location.status,
        4, latitude,
        4, longitude,
        2, location.altitude,
        4, location.speed,
        2, location.heading,
        2, flags,
        len(items),
    )  # fmt: skip
    return Row(fixed + items + tail, moment, not quality)
