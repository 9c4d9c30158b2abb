"""The body of a location report, 0x0200: a fixed part and additional items (hot).

This file knows where the items are, not what they mean: that is `protocol/messages/items.py`. 808-2011
clause 8.12 tables 16 to 19, 808-2013 clause 8.18 tables 23 to 26, 808-2019 clause 8.21 tables 23 to 26.
"""

from __future__ import annotations

import msgspec
from construct import Struct

from protocol.fast import fixed
from protocol.fields import S16, U16, U32, BcdTime, Bits, bit, span

ALARM = Bits(  # 808-2013 table 24; bits 15 to 17 named by 808-2019 table 25, which has no bit 31
    U32,
    bit(0, "emergency"),
    bit(1, "overspeed"),
    bit(2, "fatigue"),
    bit(3, "danger_warning"),
    bit(4, "gnss_fault"),
    bit(5, "gnss_antenna_open"),
    bit(6, "gnss_antenna_short"),
    bit(7, "undervoltage"),
    bit(8, "power_off"),
    bit(9, "display_fault"),
    bit(10, "tts_fault"),
    bit(11, "camera_fault"),
    bit(12, "ic_card_fault"),
    bit(13, "overspeed_warning"),
    bit(14, "fatigue_warning"),
    bit(15, "illegal_driving"),
    bit(16, "tyre_pressure_warning"),
    bit(17, "right_turn_blind_spot_fault"),
    bit(18, "driving_overtime"),
    bit(19, "parking_overtime"),
    bit(20, "area_crossing"),
    bit(21, "route_crossing"),
    bit(22, "segment_time"),
    bit(23, "route_deviation"),
    bit(24, "vss_fault"),
    bit(25, "fuel_fault"),
    bit(26, "stolen"),
    bit(27, "illegal_ignition"),
    bit(28, "illegal_displacement"),
    bit(29, "collision"),
    bit(30, "rollover"),
    bit(31, "illegal_door_opening"),
)

STATUS_SOUTH = 1 << 2
STATUS_WEST = 1 << 3
STATUS_FIXED = 1 << 1

STATUS = Bits(  # 808-2013 table 25; bits 6, 7 and 22 by 808-2019 table 24
    U32,
    bit(0, "acc_on"),
    bit(1, "fixed", "a position has been found"),
    bit(2, "south"),
    bit(3, "west"),
    bit(4, "out_of_service"),
    bit(5, "coordinates_encrypted"),
    bit(6, "forward_collision_warning"),
    bit(7, "lane_departure_warning"),
    span(8, 9, "load", "0 empty, 1 half, 3 full"),
    bit(10, "fuel_cut"),
    bit(11, "circuit_cut"),
    bit(12, "doors_locked"),
    bit(13, "door1_open", "front"),
    bit(14, "door2_open", "middle"),
    bit(15, "door3_open", "rear"),
    bit(16, "door4_open", "driver"),
    bit(17, "door5_open"),
    bit(18, "gps"),
    bit(19, "beidou"),
    bit(20, "glonass"),
    bit(21, "galileo"),
    bit(22, "moving"),
)

LOCATION = Struct(  # 808-2011 table 16, 808-2013 and 808-2019 table 23
    "alarm" / ALARM * "报警标志: alarm flags",
    "status" / STATUS * "状态: state flags; bits 2 and 3 give the sign of the coordinates",
    "latitude" / U32 * "纬度: latitude, unsigned [1e-6 degree]",
    "longitude" / U32 * "经度: longitude, unsigned [1e-6 degree]",
    "altitude" / S16 * "高程: height above sea level [m]",
    "speed" / U16 * "速度: speed by satellite [0.1 km/h]",
    "heading" / U16 * "方向: clockwise from north [degree]",
    "time" / BcdTime * "时间: device time, GMT+8",
)

FIXED = fixed(LOCATION)
SIZE = FIXED.size
_unpack = FIXED.unpack


class Location(msgspec.Struct, gc=False):
    """The fixed part as on the wire, and the additional items in their order, duplicates included."""

    alarm: int
    status: int
    latitude: int  # 1e-6 degree, unsigned: see `signed`
    longitude: int
    altitude: int  # m
    speed: int  # 0.1 km/h
    heading: int  # degree
    time: int | bytes  # seconds since 1970 UTC; the raw six bytes where they are no time
    items: list[tuple[int, bytes]]
    left: bytes = b""  # bytes after the last whole item

    @property
    def signed(self) -> tuple[int, int]:
        """Latitude and longitude in 1e-6 degree with their signs; 0 for a magnitude that is none."""
        return (
            _coordinate(self.latitude, self.status & STATUS_SOUTH),
            _coordinate(self.longitude, self.status & STATUS_WEST),
        )

    @property
    def absurd(self) -> bool:
        """Whether a coordinate is beyond every place on earth, so that `signed` can't hold it."""
        return self.latitude > MAX_COORDINATE or self.longitude > MAX_COORDINATE


MAX_COORDINATE = 180_000_000


def _coordinate(magnitude: int, negative: int) -> int:
    """Some devices send two's complement where the standard has a magnitude and a status bit."""
    if magnitude <= MAX_COORDINATE:
        return -magnitude if negative else magnitude
    value = magnitude - (1 << 32)
    return value if value >= -MAX_COORDINATE else 0


def read(body: bytes) -> Location:
    """`body` of 0x0200; struct.error where it is shorter than the fixed part (28 bytes)."""
    values = _unpack(body)
    items: list[tuple[int, bytes]] = []
    at, end = SIZE, len(body)
    while at + 2 <= end:
        stop = at + 2 + body[at + 1]
        if stop > end:
            break
        items.append((body[at], body[at + 2 : stop]))
        at = stop
    values += (items, body[at:] if at < end else b"")
    return Location(*values)
