"""Messages that control a vehicle, and the areas and routes that a terminal watches.

Tables. An area's attributes say which of its fields are there: a time range, a speed limit. Where editions
differ, the later one is laid over the earlier one: 2011 counts the entries of all messages and of this one,
2013 the entries, 2019 adds a speed at night and a name, and reads areas back.
"""

from __future__ import annotations

import datetime as dt
import re

from construct import Bytes, Construct, Default, Struct, Switch, len_, this

from protocol.catalog import Catalog, Row, catalog, overlay
from protocol.composite import Counted, TextCounted, When
from protocol.fields import (
    U8,
    U16,
    U32,
    Bits,
    Codes,
    Mapped,
    RawRest,
    Span,
    bit,
    decode_time,
    encode_time,
    present_time,
)
from protocol.header import Edition
from protocol.messages.information import of_all
from protocol.messages.location import REPORT

# --- control of a vehicle -----------------------------------------------------------------------------

CONTROL = Struct("flags" / Bits(U8, bit(0, "lock_doors", "0: unlock")) * "控制标志: what is to be done")

THING = Struct(
    "type" / Codes(U16, {1: "door"}) * "控制类型ID: what is controlled; from 0xf001 on the maker's own",
    # How long the parameter of another type is only its maker knows: it takes all that is left.
    "value"
    / Switch(this.type, {1: Codes(U8, {0: "lock", 1: "unlock"})}, default=RawRest)
    * "控制参数: what is to be done",
)
CONTROL_2019 = Struct(
    "controls"
    / Counted("count" / U16 * "控制类型数量: controls that follow", THING)
    * "控制类型: things to control",
)

CONTROL_ANSWER = Struct(
    "reply_serial" / U16 * "应答流水号: serial of the command; the status tells whether it succeeded",
    *REPORT.subcons,
)

# --- times of an area ---------------------------------------------------------------------------------

_PERIOD = re.compile(r"(?:\*-(\d\d|\*)-(\d\d|\*)T)?(\d\d):(\d\d)(?::(\d\d))?")


def decode_period(raw: bytes) -> int | str | bytes:
    """A bound of a time range: seconds since 1970 UTC, or, where the digits of the year are zero, a time
    that comes again (808-2013 8.35): "08:30:00" every day, "*-*-01T08:30:00" every month, "*-07-01T08:30:00"
    every year. The raw bytes where it is neither.
    """
    if raw[0]:
        return decode_time(raw)
    digits = raw.hex()
    if not digits.isdecimal():
        return raw
    month, day, hour, minute, second = (digits[at : at + 2] for at in range(2, 12, 2))
    clock = f"{hour}:{minute}:{second}"
    late = clock > "23:59:59" and clock != "24:00:00"
    if late or month > "12" or day > "31" or minute > "59" or second > "59":
        return raw
    if month == day == "00":
        return clock
    return f"*-{'*' if month == '00' else month}-{'*' if day == '00' else day}T{clock}"


def encode_period(value: int | str | bytes | dt.datetime) -> bytes:
    """The inverse of `decode_period`; seconds of a time of day may be left out."""
    if isinstance(value, str) and (period := _PERIOD.fullmatch(value)):
        digits = ("00" if part in {None, "*"} else part for part in period.groups())
        raw = bytes.fromhex("00" + "".join(digits))
        if not isinstance(decode_period(raw), str):
            raise ValueError(f"{value!r} is no time: 00:00:00 to 24:00:00, months to 12, days to 31")
        return raw
    raw = encode_time(value)
    if raw[0] == 0 and not isinstance(value, bytes) and not str(value).startswith("raw:"):
        raise ValueError(f"{present_time(decode_time(raw))}: year digits of zero mean every year")
    return raw


def present_period(value: int | str | bytes) -> str:
    return value if isinstance(value, str) else present_time(value)


PeriodTime = Mapped(
    Bytes(6),
    decode_period,
    encode_period,
    present_period,
    {
        "type": ["string", "integer"],
        "x-wire": "BCD[6]",
        "examples": ["08:30:00", "2024-05-06T07:08:09+08:00"],
    },
)
"""YYMMDDhhmmss of Beijing time: a moment, or, with zeros in front, a time that comes again."""

# --- areas --------------------------------------------------------------------------------------------

_ALARMS = (
    bit(2, "enter_alarm_driver"),
    bit(3, "enter_alarm_platform"),
    bit(4, "leave_alarm_driver"),
    bit(5, "leave_alarm_platform"),
)
_AREA_BITS: tuple[Span, ...] = (
    bit(0, "time_range"),
    bit(1, "speed_limit"),
    *_ALARMS,
    bit(6, "south"),
    bit(7, "west"),
)
AREA_2011 = Bits(U16, *_AREA_BITS)
AREA_2013 = Bits(
    U16,
    *_AREA_BITS,
    bit(8, "doors_stay_closed", "opening the doors is forbidden"),
    bit(14, "communication_off", "the communication module is off inside"),
    bit(15, "detailed_positions", "detailed positions are collected inside"),
)
ROUTE_BITS = Bits(U16, bit(0, "time_range"), *_ALARMS)
SEGMENT_BITS = Bits(U8, bit(0, "drive_time"), bit(1, "speed_limit"), bit(2, "south"), bit(3, "west"))

_TIMED, _LIMITED, _TIMED_SEGMENT = (
    f"attributes has the flag {flag}" for flag in ("time_range", "speed_limit", "drive_time")
)
_TIME_RANGE = (
    "start"
    / When(this.attributes & 1, PeriodTime, _TIMED)
    * "起始时间: a moment, or a time that comes again, GMT+8",
    "end" / When(this.attributes & 1, PeriodTime, _TIMED) * "结束时间: of the same kind, GMT+8",
)
_SPEED_LIMIT = (
    "max_speed" / When(this.attributes & 2, U16, _LIMITED) * "最高速度: highest speed allowed [km/h]",
    "overspeed_duration"
    / When(this.attributes & 2, U8, _LIMITED)
    * "超速持续时间: how long it must be exceeded [s]",
)
_NIGHT = (
    "night_max_speed"
    / When(this.attributes & 2, U16, _LIMITED)
    * "夜间最高速度: highest speed allowed at night [km/h]",
)
_NAME = (
    "name"
    / TextCounted("length" / U16 * "名称长度: bytes that follow [byte]")
    * "区域名称: name of the area",
)
_ROUTE_NAME = (
    "name"
    / TextCounted("length" / U16 * "名称长度: bytes that follow [byte]")
    * "路线名称: name of the route",
)


def _position(place: str, where: str, prefix: str = "") -> tuple[Construct, Construct]:
    hemispheres = "unsigned, the attributes have the hemisphere [1e-6 degree]"
    return (
        f"{prefix}latitude" / U32 * f"{place}纬度: latitude {where}, {hemispheres}",
        f"{prefix}longitude" / U32 * f"{place}经度: longitude {where}, {hemispheres}",
    )


def _begin(attributes: Bits) -> tuple[Construct, Construct]:
    return (
        "id" / U32 * "区域ID: 1 to 0xffffffff; an area of the same kind and id is replaced",
        "attributes" / attributes * "区域属性: when it holds, what is reported, which fields are there",
    )


def _circle(attributes: Bits, *behind: Construct) -> Struct:
    return Struct(
        *_begin(attributes),
        *_position("中心点", "of the centre"),
        "radius" / U32 * "半径: radius [m]",
        *_TIME_RANGE,
        *_SPEED_LIMIT,
        *behind,
    )


def _rectangle(attributes: Bits, *behind: Construct) -> Struct:
    return Struct(
        *_begin(attributes),
        *_position("左上点", "of the upper left corner", "upper_left_"),
        *_position("右下点", "of the lower right corner", "lower_right_"),
        *_TIME_RANGE,
        *_SPEED_LIMIT,
        *behind,
    )


_VERTEX = Struct(*_position("顶点", "of the vertex"))
_VERTICES = "vertices" / Counted("count" / U16 * "区域总顶点数: vertices", _VERTEX) * "顶点项: its outline"
_VERTICES_2011 = (
    "total" / Default(U16, len_(this.vertices)) * "区域总顶点数: vertices in all the messages",
    "vertices"
    / Counted("count" / U8 * "包顶点数: vertices in this message", _VERTEX)
    * "顶点项: its outline",
)


def _polygon(attributes: Bits, *behind: Construct) -> Struct:
    return Struct(*_begin(attributes), *_TIME_RANGE, *_SPEED_LIMIT, *behind)


_CHANGE = "type" / Codes(U8, {0: "update", 1: "append", 2: "modify"}) * "设置属性: what becomes of the areas"


def _areas(area: Struct, title: str) -> Struct:
    """0x8600 and 0x8602 since 2013."""
    count = "count" / U8 * "区域总数: areas that follow"
    return Struct(_CHANGE, "areas" / Counted(count, area) * f"区域项: {title}")


def _areas_2011(area: Struct, title: str) -> Struct:
    """0x8600 and 0x8602 of 2011, which may be spread over several messages."""
    count = "count" / U8 * "包区域数: areas in this message"
    return Struct(
        _CHANGE,
        "total" / Default(U8, len_(this.areas)) * "区域总数: areas in all the messages",
        "areas" / Counted(count, area) * f"区域项: {title}",
    )


CIRCLES_2011 = _areas_2011(_circle(AREA_2011), "circles")
CIRCLES_2013 = _areas(_circle(AREA_2013), "circles")
CIRCLES_2019 = _areas(_circle(AREA_2013, *_NIGHT, *_NAME), "circles")
RECTANGLES_2011 = _areas_2011(_rectangle(AREA_2011), "rectangles")
RECTANGLES_2013 = _areas(_rectangle(AREA_2013), "rectangles")
RECTANGLES_2019 = _areas(_rectangle(AREA_2013, *_NIGHT, *_NAME), "rectangles")
POLYGON_2011 = _polygon(AREA_2011, *_VERTICES_2011)
POLYGON_2013 = _polygon(AREA_2013, _VERTICES)
POLYGON_2019 = _polygon(AREA_2013, _VERTICES, *_NIGHT, *_NAME)

# --- routes -------------------------------------------------------------------------------------------


def _points(*, times: tuple[Construct, ...], ids: tuple[Construct, ...] = (), night: bool = False) -> Struct:
    """A turning point and the segment from it to the next."""
    return Struct(
        *ids,
        "segment_id" / U32 * "路段ID: number of the segment that begins here",
        *_position("拐点", "of the turning point"),
        "width" / U8 * "路段宽度: width of the segment [m]",
        "attributes" / SEGMENT_BITS * "路段属性: which fields are there, hemispheres",
        *times,
        *_SPEED_LIMIT,
        *(_NIGHT if night else ()),
    )


def _segment_time(name: str, docs: str) -> Construct:
    return name / When(this.attributes & 1, U16, _TIMED_SEGMENT) * docs


_THRESHOLDS = (
    _segment_time("max_drive_time", "路段行驶过长阈值: longer is reported [s]"),
    _segment_time("min_drive_time", "路段行驶不足阈值: shorter is reported [s]"),
)
_POINT_ID = ("id" / U32 * "拐点ID: number of the turning point",)
POINT_2011 = _points(times=(_segment_time("drive_time", "路段行驶时长: time for the segment [s]"),))
POINT_2013 = _points(times=_THRESHOLDS, ids=_POINT_ID)
POINT_2019 = _points(times=_THRESHOLDS, ids=_POINT_ID, night=True)


def _route(*points: Construct) -> Struct:
    return Struct(
        "id" / U32 * "路线ID: 1 to 0xffffffff; a route of the same id is replaced",
        "attributes" / ROUTE_BITS * "路线属性: when it holds, what is reported, which fields are there",
        *_TIME_RANGE,
        *points,
    )


def _turning_points(point: Struct) -> Construct:
    count = "count" / U16 * "路线总拐点数: turning points"
    return "points" / Counted(count, point) * "拐点项: turning points in their order"


ROUTE_2011 = _route(
    "total" / Default(U16, len_(this.points)) * "路线总拐点数: turning points in all the messages",
    "points"
    / Counted("count" / U8 * "包拐点数: turning points in this message", POINT_2011)
    * "拐点项: turning points in their order",
)
ROUTE_2013 = _route(_turning_points(POINT_2013))
ROUTE_2019 = _route(_turning_points(POINT_2019), *_ROUTE_NAME)

# --- deletion, reading back ----------------------------------------------------------------------------

DELETE_AREAS = Struct(
    "ids"
    / Counted("count" / U8 * "区域数: areas that follow; 0 deletes all of the kind", U32)
    * "区域ID: areas to delete, best no more than 125; none: all of the kind"
)
DELETE_ROUTES = Struct(
    "ids"
    / Counted("count" / U8 * "路线数: routes that follow; 0 deletes all", U32)
    * "路线ID: routes to delete, best no more than 125; none: all"
)

_KIND = "type" / Codes(U8, {1: "circles", 2: "rectangles", 3: "polygons", 4: "routes"})
QUERY = Struct(
    _KIND * "查询类型: kind of areas",
    "ids"
    / Counted("count" / U32 * "要查询的区域或线路的ID数量: ids that follow", U32)
    * "区域或线路ID: areas or routes that are asked for; none: all of the kind",
)


def _stored(layout: Struct) -> Counted:
    return Counted("count" / U32 * "查询返回的数据数量: entries that follow", layout)


STORED = Struct(
    _KIND * "查询类型: kind of areas",
    "data"
    / Switch(
        this.type,
        {
            1: _stored(CIRCLES_2019),
            2: _stored(RECTANGLES_2019),
            3: _stored(POLYGON_2019),
            4: _stored(ROUTE_2019),
        },
        default=RawRest,
    )
    * "查询返回的数据: each as the message that sets it",
)

# --- the tables ---------------------------------------------------------------------------------------

V2011 = catalog(
    # The terminal acknowledges the command at once; 0x0500 follows when it has been carried out.
    Row(0x8500, "control_vehicle", "车辆控制", CONTROL, "808-2011 8.26 tables 42 and 43", 0x0500),
    Row(
        0x0500,
        "control_vehicle_answer",
        "车辆控制应答",
        CONTROL_ANSWER,
        "808-2011 8.27 table 44",
        acknowledged=False,
    ),
    Row(
        0x8600,
        "set_circles",
        "设置圆形区域",
        CIRCLES_2011,
        "808-2011 8.28 tables 45 to 47",
        sense=of_all("areas"),
    ),
    Row(0x8601, "delete_circles", "删除圆形区域", DELETE_AREAS, "808-2011 8.29 table 48"),
    Row(
        0x8602,
        "set_rectangles",
        "设置矩形区域",
        RECTANGLES_2011,
        "808-2011 8.30 tables 49 and 50",
        sense=of_all("areas"),
    ),
    Row(0x8603, "delete_rectangles", "删除矩形区域", DELETE_AREAS, "808-2011 8.31 table 51"),
    Row(
        0x8604,
        "set_polygon",
        "设置多边形区域",
        POLYGON_2011,
        "808-2011 8.32 tables 52 and 53",
        sense=of_all("vertices"),
    ),
    Row(0x8605, "delete_polygons", "删除多边形区域", DELETE_AREAS, "808-2011 8.33 table 54"),
    Row(0x8606, "set_route", "设置路线", ROUTE_2011, "808-2011 8.34 tables 55 to 58", sense=of_all("points")),
    Row(0x8607, "delete_routes", "删除路线", DELETE_ROUTES, "808-2011 8.35 table 59"),
)
V2013 = overlay(
    V2011,
    clauses={
        0x8500: "808-2013 8.33 tables 53 and 54",
        0x0500: "808-2013 8.34 table 55",
        0x8601: "808-2013 8.36 table 59",
        0x8603: "808-2013 8.38 table 62",
        0x8605: "808-2013 8.40 table 65",
        0x8607: "808-2013 8.42 table 70",
    },
    add=(
        Row(0x8600, "set_circles", "设置圆形区域", CIRCLES_2013, "808-2013 8.35 tables 56 to 58"),
        Row(0x8602, "set_rectangles", "设置矩形区域", RECTANGLES_2013, "808-2013 8.37 tables 60 and 61"),
        Row(0x8604, "set_polygon", "设置多边形区域", POLYGON_2013, "808-2013 8.39 tables 63 and 64"),
        Row(0x8606, "set_route", "设置路线", ROUTE_2013, "808-2013 8.41 tables 66 to 69"),
    ),
)
V2019 = overlay(
    V2013,
    clauses={
        0x0500: "808-2019 8.31 table 44",
        0x8601: "808-2019 8.33 table 48",
        0x8603: "808-2019 8.35 table 51",
        0x8605: "808-2019 8.37 table 54",
        0x8607: "808-2019 8.39 table 59",
    },
    add=(
        Row(0x8500, "control_vehicle", "车辆控制", CONTROL_2019, "808-2019 8.30 tables 42 and 43", 0x0500),
        Row(0x8600, "set_circles", "设置圆形区域", CIRCLES_2019, "808-2019 8.32 tables 45 to 47"),
        Row(0x8602, "set_rectangles", "设置矩形区域", RECTANGLES_2019, "808-2019 8.34 tables 49 and 50"),
        Row(0x8604, "set_polygon", "设置多边形区域", POLYGON_2019, "808-2019 8.36 tables 52 and 53"),
        Row(0x8606, "set_route", "设置路线", ROUTE_2019, "808-2019 8.38 tables 55 to 58"),
        Row(
            0x8608,
            "query_areas",
            "查询区域或线路数据",
            QUERY,
            "808-2019 8.40 table 60",
            0x0608,
            acknowledged=False,
        ),
        Row(
            0x0608,
            "areas_answer",
            "查询区域或线路数据应答",
            STORED,
            "808-2019 8.41 table 61",
            acknowledged=False,
        ),
    ),
)

EDITIONS: dict[Edition, Catalog] = {Edition.V2011: V2011, Edition.V2013: V2013, Edition.V2019: V2019}
