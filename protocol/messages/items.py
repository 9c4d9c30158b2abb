"""The additional items of JT/T 808 itself, all three editions.

A table; what chooses between readings is `protocol/items.py`. 808-2011 table 20, 808-2013 and 808-2019
table 27. Ids that an edition reserves are read all the same: a terminal does not care which edition its
header claims.
"""

from __future__ import annotations

from construct import Bytes, Struct

from protocol.fields import U8, U16, U32, Bits, Codes, Mapped, RawRest, bit
from protocol.items import Item, exactly

AREA_TYPE = Codes(
    U8, {0: "no_area", 1: "circle", 2: "rectangle", 3: "polygon", 4: "route"}
)  # 4 is a route's segment in table 28

SIGNAL = Bits(  # 808-2013 and 808-2019 table 31
    U32,
    bit(0, "low_beam"),
    bit(1, "high_beam"),
    bit(2, "right_turn"),
    bit(3, "left_turn"),
    bit(4, "brake"),
    bit(5, "reverse"),
    bit(6, "fog_light"),
    bit(7, "position_light"),
    bit(8, "horn"),
    bit(9, "air_conditioning"),
    bit(10, "neutral"),
    bit(11, "retarder"),
    bit(12, "abs"),
    bit(13, "heater"),
    bit(14, "clutch"),
)

IO = Bits(U16, bit(0, "deep_sleep"), bit(1, "sleep"))  # 808-2013 and 808-2019 table 32


def _sign_magnitude(raw: int) -> int:
    return -(raw & 0x7FFF) if raw & 0x8000 else raw


def _to_sign_magnitude(value: int) -> int:
    if not -0x7FFF <= value <= 0x7FFF:
        raise ValueError(f"{value} is outside of -32767 to 32767")
    return 0x8000 | -value if value < 0 else value


ALL = "808-2011 table 20, 808-2013 and 808-2019 table 27"
SINCE_2013 = "808-2013 and 808-2019 table 27"
SINCE_2019 = "808-2019 table 27"

ITEMS_808: tuple[Item, ...] = (
    Item(
        0x01,
        "mileage",
        "里程",
        Struct("mileage" / U32 * "里程: by the odometer [0.1 km]"),
        ALL,
        exactly(4),
    ),
    Item(
        0x02,
        "fuel",
        "油量",
        Struct("fuel" / U16 * "油量: by the fuel gauge; some devices set bit 15 and send per cent [0.1 L]"),
        ALL,
        exactly(2),
    ),
    Item(
        0x03,
        "recorder_speed",
        "行驶记录功能获取的速度",
        Struct("speed" / U16 * "行驶记录功能获取的速度: speed by the driving recorder [0.1 km/h]"),
        ALL,
        exactly(2),
    ),
    Item(
        0x04,
        "confirm_event",
        "需要人工确认报警事件的ID",
        Struct("event" / U16 * "报警事件ID: number of the alarm that a person must confirm, from 1"),
        SINCE_2013,
        exactly(2),
    ),
    Item(
        0x05,
        "tyre_pressure",
        "胎压",
        Struct(
            "pressures"
            / Mapped(Bytes(30), list, bytes)
            * "胎压: wheels from the front, left to right; 255: none [Pa]"
        ),
        SINCE_2019,
        exactly(30),
    ),
    Item(
        0x06,
        "carriage_temperature",
        "车厢温度",
        Struct(
            "temperature"
            / Mapped(U16, _sign_magnitude, _to_sign_magnitude)
            * "车厢温度: bit 15 is the sign [°C]"
        ),
        SINCE_2019,
        exactly(2),
    ),
    Item(
        0x11,
        "overspeed",
        "超速报警附加信息",
        Struct("area_type" / AREA_TYPE * "位置类型: where the limit holds"),
        "808-2011 table 21, 808-2013 and 808-2019 table 28",
        exactly(1),
    ),
    Item(
        0x11,
        "overspeed",
        "超速报警附加信息",
        Struct(
            "area_type" / AREA_TYPE * "位置类型: where the limit holds",
            "area_id" / U32 * "区域或路段ID: area or segment",
        ),
        "808-2011 table 21, 808-2013 and 808-2019 table 28",
        exactly(5),
    ),
    Item(
        0x12,
        "area_crossing",
        "进出区域/路线报警附加信息",
        Struct(
            "area_type" / AREA_TYPE * "位置类型: what was crossed",
            "area_id" / U32 * "区域或线路ID: area or route",
            "direction" / Codes(U8, {0: "in", 1: "out"}) * "方向: way of the crossing",
        ),
        "808-2011 table 22, 808-2013 and 808-2019 table 29",
        exactly(6),
    ),
    Item(
        0x13,
        "segment_time",
        "路段行驶时间不足/过长报警附加信息",
        Struct(
            "segment_id" / U32 * "路段ID: segment of a route",
            "duration" / U16 * "路段行驶时间: time taken [s]",
            "result" / Codes(U8, {0: "too_short", 1: "too_long"}) * "结果: what is wrong with it",
        ),
        "808-2011 table 23, 808-2013 and 808-2019 table 30",
        exactly(7),
    ),
    Item(
        0x25,
        "signals",
        "扩展车辆信号状态位",
        Struct("signals" / SIGNAL * "扩展车辆信号状态位: state of lights and controls"),
        SINCE_2013,
        exactly(4),
    ),
    Item(
        0x2A,
        "io",
        "IO状态位",
        Struct("io" / IO * "IO状态位: state of the terminal"),
        SINCE_2013,
        exactly(2),
    ),
    Item(
        0x2B,
        "analog",
        "模拟量",
        Struct(
            "ad1" / U16 * "模拟量AD1: input 1, bits 16 to 31",
            "ad0" / U16 * "模拟量AD0: input 0, bits 0 to 15",
        ),
        SINCE_2013,
        exactly(4),
    ),
    Item(
        0x30,
        "network_signal",
        "无线通信网络信号强度",
        Struct("strength" / U8 * "无线通信网络信号强度: strength of the radio network"),
        SINCE_2013,
        exactly(1),
    ),
    Item(
        0x31,
        "satellites",
        "GNSS定位卫星数",
        Struct("satellites" / U8 * "GNSS定位卫星数: satellites in use"),
        SINCE_2013,
        exactly(1),
    ),
    Item(
        0xE0,
        "custom_length",
        "后续自定义信息长度",
        Struct("length" / RawRest * "后续自定义信息长度: length of the maker's own items that follow"),
        SINCE_2013,
        lambda length: length > 0,
    ),
)
