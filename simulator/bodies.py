"""The bodies of a terminal's messages, built by the rows of the catalogue.

Knows layouts by their names and nothing of connections. What a report needs is packed by `protocol.fast`,
as one process plays thousands of terminals; the rest is encoded as the rows say.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import msgspec
from construct import Struct

from protocol.catalog import encode
from protocol.fast import Fixed, fixed
from protocol.header import Edition
from protocol.location import FIXED, Location
from protocol.messages import EDITIONS, general
from protocol.messages.items import ITEMS_808

REGISTER, AUTHENTICATE, HEARTBEAT, LOGOUT = 0x0100, 0x0102, 0x0002, 0x0003
REPORT, BATCH, ANSWER = 0x0200, 0x0704, 0x0201
ACK, REGISTERED, QUERY = 0x8001, 0x8100, 0x8201

BACKFILL = 1  # type of a 0x0704, 808-2013 table 76

_ack = fixed(general.PLATFORM_ACK).struct


class Say(msgspec.Struct, frozen=True):
    """A message that a terminal has to say."""

    message_id: int
    body: bytes = b""
    after: float = 0.0  # s
    media: int = 0  # of a 0x0801: the recording
    parts: tuple[int, ...] = ()  # of a 0x0801: only these packets, as they were sent before


def fill(layout: Struct, fields: Mapping[str, object], *, name: str) -> bytes:
    """`layout` out of `fields`, which may hold what it has no place for."""
    keys = [sub.name for sub in layout.subcons]
    return encode(layout, {key: fields[key] for key in keys if key in fields}, name=name)


def register(edition: Edition, fields: Mapping[str, object]) -> bytes:
    return encode(EDITIONS[edition][REGISTER].layout, fields, name="register")


def authenticate(edition: Edition, code: str, imei: str) -> bytes:
    """Editions before 2019 carry the code alone."""
    fields = {"code": code, "imei": imei, "software_version": "1.0"}
    return fill(EDITIONS[edition][AUTHENTICATE].layout, fields, name="authenticate")


def read_ack(body: bytes) -> tuple[int, int, int] | None:
    """Serial and id of the message that a 0x8001 answers, and the result."""
    return _ack.unpack_from(body) if len(body) >= _ack.size else None


def read_registered(body: bytes) -> tuple[int, int, str] | None:
    """Serial of the registration that a 0x8100 answers, result, and authentication code."""
    if len(body) < 3:
        return None
    fields = EDITIONS[Edition.V2013][REGISTERED].layout.parse(body)
    return fields["reply_serial"], fields["result"], str(fields["code"])


def report(draft: Location) -> bytes:
    """The body of a 0x0200."""
    head = FIXED.pack(
        draft.alarm,
        draft.status,
        draft.latitude,
        draft.longitude,
        draft.altitude,
        draft.speed,
        draft.heading,
        draft.time,
    )
    return head + b"".join([bytes((i, len(raw))) + raw for i, raw in draft.items]) + draft.left


def answer(serial: int, body: bytes) -> bytes:
    """The body of a 0x0201. The table of 2011 has no serial; terminals of 2011 send it all the same."""
    return serial.to_bytes(2) + body


def batch(bodies: Sequence[bytes], kind: int = BACKFILL) -> bytes:
    """The body of a 0x0704 out of reports that are encoded already (808-2013 tables 76 and 77)."""
    items = b"".join([len(body).to_bytes(2) + body for body in bodies])
    return struct.pack(">HB", len(bodies), kind) + items


# --- additional items ---------------------------------------------------------------------------------

_FAST: dict[str, tuple[int, Fixed]] = {
    item.name: (item.id, fixed(item.layout))
    for item in ITEMS_808
    if item.name
    in ("mileage", "fuel", "recorder_speed", "signals", "io", "analog", "network_signal", "satellites")
}


def item(name: str, *values: int) -> tuple[int, bytes]:
    """One additional item of 808 itself: its id and its value."""
    item_id, layout = _FAST[name]
    return item_id, layout.pack(*values)
