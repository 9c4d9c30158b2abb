"""Active-safety alarms as additional items 0x64 to 0x67 (T/JSATL 12, the Su standard).

This file knows layouts, not what an alarm means to a centre: that is `alarms/kinds.py`. Every province
took these layouts over and changed the alarm identifier and some codes; `safety_items` makes the items
of a dialect from its identifier, so a further dialect is one more call. The length of an item tells the
dialects apart; ids 0x64 to 0x67 of other lengths are other makers' items and stay raw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from construct import Construct, ConstructError, Struct

from protocol.composite import Repeated
from protocol.fields import U8, U16, U32, BcdTime, Bits, Codes, Raw, Text, bit
from protocol.items import Item, ItemValue, exactly, steps

FLAGS = {0: "none", 1: "start", 2: "end"}  # table 4-15, flag state

ADAS_CODES = {  # table 4-15, type; other codes are the maker's own
    0x01: "forward_collision",
    0x02: "lane_departure",
    0x03: "headway",
    0x04: "pedestrian",
    0x05: "frequent_lane_change",
    0x06: "road_sign_violation",
    0x07: "obstacle",
    0x10: "road_sign_recognised",
    0x11: "active_capture",
}
DRIVER_CODES = {  # table 4-17, type
    0x01: "fatigue",
    0x02: "phone_use",
    0x03: "smoking",
    0x04: "distraction",
    0x05: "driver_abnormal",
    0x10: "auto_capture",
    0x11: "driver_change",
}
TYRE_BITS = (  # table 4-19, type
    bit(0, "tyre_report", "sent at intervals"),
    bit(1, "tyre_pressure_high"),
    bit(2, "tyre_pressure_low"),
    bit(3, "tyre_temperature_high"),
    bit(4, "tyre_sensor_fault"),
    bit(5, "tyre_pressure_imbalance"),
    bit(6, "tyre_slow_leak"),
    bit(7, "tyre_battery_low"),
)
BLIND_SPOT_CODES = {  # table 4-20, type
    0x01: "blind_spot_rear",
    0x02: "blind_spot_left",
    0x03: "blind_spot_right",
}
SIGNS = {1: "speed_limit", 2: "height_limit", 3: "weight_limit"}  # table 4-15, kind of road sign

VEHICLE_STATUS = Bits(  # table 5-9; T/GDRTA 002 table 6-9
    U16,
    bit(0, "acc_on"),
    bit(1, "left_turn"),
    bit(2, "right_turn"),
    bit(3, "wipers"),
    bit(4, "braking"),
    bit(5, "card_inserted"),
    bit(10, "fixed"),
)


class AsSent(Struct):
    """An alarm identifier. Encoding takes its bytes (or their hex) as well as its fields: a command must
    repeat it as it came, and fields give the padding up."""

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        if not isinstance(obj, bytes | str):
            return super()._build(obj, stream, context, path)
        raw, size = bytes.fromhex(obj) if isinstance(obj, str) else obj, self.sizeof()
        if len(raw) != size:
            raise ConstructError(f"{len(raw)} bytes, the identifier has {size}", path=path)
        stream.write(raw)
        return obj


def identifier(terminal_id: int, reserved: int) -> Struct:
    """The layout of an alarm identifier whose terminal id and reserve take so many bytes."""
    return AsSent(
        "terminal_id" / Text(terminal_id) * "终端ID: capital letters and digits",
        "time" / BcdTime * "时间: time of the alarm, GMT+8",
        "serial" / U8 * "序号: number among the alarms of the same time, from 0",
        "attachments" / U8 * "附件数量: evidence files that belong to the alarm",
        "reserved" / Raw(reserved) * "预留: not used",
    )


BEGIN = (  # how every item begins
    "alarm_id" / U32 * "报警ID: counts the terminal's alarms from 0, whatever their type",
    "flag" / Codes(U8, FLAGS) * "标志状态: start or end; none for an alarm without duration",
)


def place(alarm_identifier: Struct) -> tuple[Construct, ...]:
    """Where a vehicle was at an alarm, and the identifier of the alarm: the end of every item."""
    return (
        "speed" / U8 * "车速: vehicle speed, 0 to 250 [km/h]",
        "altitude" / U16 * "高程: height above sea level [m]",
        "latitude" / U32 * "纬度: latitude, unsigned [1e-6 degree]",
        "longitude" / U32 * "经度: longitude, unsigned [1e-6 degree]",
        "time" / BcdTime * "日期时间: time of the alarm, GMT+8",
        "vehicle_status" / VEHICLE_STATUS * "车辆状态: state of the vehicle",
        "identifier" / alarm_identifier * "报警标识号: what evidence is asked for by",
    )


def safety_items(
    alarm_identifier: Struct,
    dialect: str,
    *,
    clauses: Sequence[str],
    adas: Mapping[int, str] = ADAS_CODES,
    driver: Mapping[int, str] = DRIVER_CODES,
    signs: Mapping[int, str] = SIGNS,
) -> tuple[Item, ...]:
    """The items 0x64, 0x65, 0x66 and 0x67 of a dialect, whose `clauses` stand in that order."""
    where = place(alarm_identifier)
    adas_alarm = Struct(
        *BEGIN,
        "type" / Codes(U8, adas) * "报警/事件类型: type of alarm or event",
        "level" / U8 * "报警级别: 1 or 2, 2 is graver",
        "front_speed" / U8 * "前车车速: speed of the vehicle ahead, types 1 and 2 only [km/h]",
        "front_distance" / U8 * "前车/行人距离: distance ahead in time, types 1, 2 and 4 only [100 ms]",
        "deviation" / Codes(U8, {1: "left", 2: "right"}) * "偏离类型: side of a departure, type 2 only",
        "sign" / Codes(U8, signs) * "道路标志识别类型: kind of road sign, types 6 and 0x10 only",
        "sign_value" / U8 * "道路标志识别数据: figure on the road sign",
        *where,
    )
    driver_alarm = Struct(
        *BEGIN,
        "type" / Codes(U8, driver) * "报警/事件类型: type of alarm or event",
        "level" / U8 * "报警级别: 1 or 2, 2 is graver",
        "fatigue" / U8 * "疲劳程度: degree of fatigue, 1 to 10, type 1 only",
        "reserved" / Raw(4) * "预留: not used",
        *where,
    )
    tyre_head = Struct(*BEGIN, *where, "count" / U8 * "报警/事件列表总数: number of tyres that follow")
    blind_spot_alarm = Struct(
        *BEGIN, "type" / Codes(U8, BLIND_SPOT_CODES) * "报警/事件类型: type of alarm", *where
    )

    def one(item_id: int, name: str, title: str, layout: Struct) -> Item:
        clause = clauses[item_id - 0x64]
        size = exactly(layout.sizeof())
        return Item(item_id, f"{dialect}_{name}", title, layout, clause, size, dialect)

    def tyres(name: str, position: Construct) -> Item:
        tyre = Struct(
            "position" / position * "胎压报警位置: number of the tyre from 0, front left first, in a Z",
            "type" / Bits(U16, *TYRE_BITS) * "报警/事件类型: alarms of this tyre",
            "pressure" / U16 * "胎压: pressure [kPa]",
            "temperature" / U16 * "胎温: temperature [°C]",
            "battery" / U16 * "电池电量: charge of the sensor's battery [%]",
        )
        layout = Struct(
            *tyre_head.subcons, "tyres" / Repeated(tyre) * "报警/事件信息列表: tyres with an alarm"
        )
        lengths = steps(tyre_head.sizeof(), tyre.sizeof())
        return Item(
            0x66,
            f"{dialect}_{name}",
            "胎压监测系统报警信息",
            layout,
            clauses[2],
            lengths,
            dialect,
            lambda fields: fields["count"] == len(fields["tyres"]),
        )

    return (
        one(0x64, "adas", "高级驾驶辅助系统报警信息", adas_alarm),
        one(0x65, "driver", "驾驶员状态监测系统报警信息", driver_alarm),
        # Tables 4-19 and 5-19 give the position two bytes by their offsets (Guangdong by its length
        # too); devices send one, as table 5-46 has it. Where both lengths fit the count decides.
        tyres("tyres", U8),
        tyres("tyres_wide", U16),
        one(0x67, "blind_spot", "盲区监测系统报警信息", blind_spot_alarm),
    )


SU_IDENTIFIER = identifier(7, 1)  # T/JSATL 12 table 4-16
GUANGDONG_IDENTIFIER = identifier(30, 2)  # T/GDRTA 002 table 5-16

SAFETY_ITEMS = safety_items(
    SU_IDENTIFIER,
    "su",
    clauses=(
        "T/JSATL 12 clause 4.4.1 table 4-15",
        "T/JSATL 12 clause 4.4.2 table 4-17",
        "T/JSATL 12 clause 4.4.3 tables 4-18 and 4-19",
        "T/JSATL 12 clause 4.4.4 table 4-20",
    ),
)


@cache
def _identifier_place(item: Item) -> tuple[int, int]:
    """Where the alarm identifier begins and ends in values of `item`; (0, 0) where it has none."""
    at = 0
    for sub in item.layout.subcons:
        if sub.name == "identifier":
            return at, at + sub.sizeof()
        if isinstance(sub.subcon, Repeated):
            break
        at += sub.sizeof()
    return 0, 0


def identifier_of(value: ItemValue) -> bytes:
    """The alarm identifier byte for byte, as evidence commands must repeat it; empty without one."""
    if value.item is None:
        return b""
    start, end = _identifier_place(value.item)
    return value.raw[start:end]
