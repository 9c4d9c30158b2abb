"""Frame to record: what the codec alone costs, and what deriving it costs over writing it by hand."""

from __future__ import annotations

import struct
from typing import Any

from benchmarks.common import Options, alternately, best
from protocol.fields import decode_time, encode_time
from protocol.frame import escape
from protocol.header import Edition, build, phone_bytes
from protocol.link import Link, Role
from protocol.location import FIXED, LOCATION, Location, read

QUESTION = "How many reports a second does one core turn from bytes into records?"

# 28 bytes and six items: mileage, fuel, recorder speed, vehicle signals, network, satellites.
ITEMS = bytes.fromhex("0104000001f4020200fa030200002504000000003001183101" + "0b")
BODY = FIXED.pack(0, 3, 23_020_000, 113_120_000, 35, 600, 90, encode_time(1_790_000_000)) + ITEMS

_hand = struct.Struct(">IIIIhHH6s")


def by_hand(body: bytes) -> Location:
    """The same record written out, as the measure of what deriving costs."""
    alarm, status, latitude, longitude, altitude, speed, heading, time = _hand.unpack_from(body)
    items = []
    at, end = 28, len(body)
    while at + 2 <= end:
        stop = at + 2 + body[at + 1]
        if stop > end:
            break
        items.append((body[at], body[at + 2 : stop]))
        at = stop
    return Location(
        alarm, status, latitude, longitude, altitude, speed, heading, decode_time(time), items,
        body[at:] if at < end else b"",
    )  # fmt: skip


def run(options: Options) -> dict[str, Any]:
    frames = b"".join(
        escape(build(0x0200, phone_bytes("13800000001", Edition.V2013), n, len(BODY)) + BODY)
        for n in range(100)
    )
    link = Link(Role.PLATFORM)

    def whole() -> None:
        for message in link.receive(frames, 0.0):
            read(message.body)  # type: ignore[union-attr]

    per_frame = best(whole, 200) / 100
    derived, hand = alternately(lambda: read(BODY), lambda: by_hand(BODY), 10_000)
    interpreted = best(lambda: LOCATION.parse(BODY), 2_000)
    return {
        "frame_bytes": len(frames) // 100,
        "reports_per_second": round(1 / per_frame),
        "us_per_report": round(per_frame * 1e6, 2),
        "us_body_derived": round(derived * 1e6, 2),
        "us_body_by_hand": round(hand * 1e6, 2),
        "derived_to_by_hand": round(derived / hand, 2),
        "us_fixed_part_interpreted_construct": round(interpreted * 1e6, 2),
    }
