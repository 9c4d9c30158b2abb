"""Provinces and makers that go ways of their own: overlays over the Su standard, and trackers' items.

What stands here is not from a standard's text: it was seen on devices, and each row says so. A province
changes the alarm identifier (its length, and with it that of every item and message that carries one) and
some codes; the rest is the Su standard's. Lengths tell most of them apart; a reading is taken only where it
comes out even and its identifier has a time. Where two provinces have one length, Su is taken unless the
terminal's dialect is pinned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from construct import Bytes, GreedyBytes, Struct

from protocol.catalog import Catalog
from protocol.composite import Counted, Repeated, Sized
from protocol.fields import U8, U16, U32, Bcd, Mapped, RawRest, Text
from protocol.items import Item, exactly
from protocol.messages.evidence import rows
from protocol.messages.safety import (
    ADAS_CODES,
    BEGIN,
    DRIVER_CODES,
    SU_IDENTIFIER,
    identifier,
    place,
    safety_items,
)


class Province(NamedTuple):
    """What a province has of its own."""

    dialect: str
    title: str  # as clauses have it
    identifiers: tuple[Struct, ...]  # the first is that of its messages
    terminal_id: int = 7  # bytes in front of 0x1210; 0: none
    adas: Mapping[int, str] = ADAS_CODES
    driver: Mapping[int, str] = DRIVER_CODES


PROVINCES = (
    Province("sichuan", "Sichuan", (identifier(30, 1), SU_IDENTIFIER), 30),  # both have been seen
    Province("heilongjiang", "Heilongjiang", (identifier(30, 0),), 0),
    Province(
        "hunan",
        "Hunan",
        (identifier(7, 17), SU_IDENTIFIER),  # both have been seen
        adas=ADAS_CODES | {0x12: "device_fault"},
        driver=DRIVER_CODES | {0x09: "phone_use"},
    ),
    Province("chongqing", "Chongqing", (SU_IDENTIFIER,)),
)


def _seen(table: str, title: str, alarm_identifier: Struct) -> str:
    return f"T/JSATL 12 {table}, its identifier of {alarm_identifier.sizeof()} bytes seen in {title}"


def dated(fields: Mapping[str, Any]) -> bool:
    """Whether the identifier of an alarm has a time."""
    time = fields["identifier"]["time"]
    return isinstance(time, int) or (isinstance(time, str) and not time.startswith("raw:"))


def _both(
    one: Callable[[Mapping[str, Any]], bool] | None, other: Callable[[Mapping[str, Any]], bool]
) -> Callable[[Mapping[str, Any]], bool]:
    return other if one is None else lambda fields: one(fields) and other(fields)


def _items(province: Province, alarm_identifier: Struct) -> tuple[Item, ...]:
    tables = ("table 4-15", "table 4-17", "tables 4-18 and 4-19", "table 4-20")
    items = safety_items(
        alarm_identifier,
        province.dialect,
        clauses=[_seen(table, province.title, alarm_identifier) for table in tables],
        adas=province.adas,
        driver=province.driver,
    )
    return tuple(msgspec.structs.replace(item, plausible=_both(item.plausible, dated)) for item in items)


def _harsh_driving(alarm_identifier: Struct, dialect: str) -> Item:
    layout = Struct(
        *BEGIN,
        "type" / U8 * "报警/事件类型: acceleration, braking, turn and others; codes differ",
        "duration" / U16 * "时间阈值: how long before it counts [s]",
        "threshold" / U16 * "阈值1: from where on it counts",
        "threshold2" / U16 * "阈值2: second threshold",
        *place(alarm_identifier),
    )
    return Item(
        0x70,
        f"{dialect}_harsh_driving",
        "激烈驾驶报警信息",
        layout,
        f"seen on devices, with an identifier of {alarm_identifier.sizeof()} bytes",
        exactly(layout.sizeof()),
        dialect,
        dated,
    )


_EACH = [(province, form) for province in PROVINCES for form in province.identifiers]

PROVINCE_ITEMS: tuple[Item, ...] = (
    *(item for province, form in _EACH for item in _items(province, form)),
    *(_harsh_driving(form, province.dialect) for province, form in _EACH),
)
"""Lengths of 0x64, 0x65 and 0x70: 70 or 47 in Sichuan, 69 in Heilongjiang, 63 or 47 in Hunan, 47 in
Chongqing."""


def _rows(province: Province) -> Catalog:
    form = province.identifiers[0]
    clauses = {
        0x1210: _seen("tables 4-23 and 4-24", province.title, form),
        0x9208: _seen("table 4-21", province.title, form),
    }
    return rows(form, clauses, terminal_id=province.terminal_id, dialect=province.dialect)


DIALECTS: dict[str, Catalog] = {province.dialect: _rows(province) for province in PROVINCES}

# --- trackers -------------------------------------------------------------------------------------------


class Characters(Mapped):
    """Text of these characters only, in so many bytes (None: all that are left, at least one). Other bytes
    can't be read, so that an item of another maker stays raw."""

    def __init__(self, size: int | None, characters: str) -> None:
        shape = {
            "type": "string",
            "x-wire": f"STRING[{'n' if size is None else size}]",
            "examples": [characters[1] * (size or 1)],
        }
        below = GreedyBytes if size is None else Bytes(size)
        super().__init__(below, self._read, self._written, shape=shape)
        self.size = size
        self.characters = characters

    def _read(self, raw: bytes) -> str:
        text = raw.decode("latin-1")
        if not text or text.strip(self.characters):
            raise ValueError(f"{raw.hex()} is no such text")
        return text

    def _written(self, value: str) -> bytes:
        if self.size is not None and len(value) != self.size:
            raise ValueError(f"{value!r} has {len(value)} characters, the field {self.size}")
        if not value or value.strip(self.characters):
            raise ValueError(f"{value!r} has other characters than {self.characters}")
        return value.encode("latin-1")


DIGITS = "0123456789"
PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def _temperature(raw: int) -> int | None:
    if raw == 0xFFFF:
        return None
    return -(raw & 0x7FFF) if raw & 0x8000 else raw


def _to_temperature(value: int | None) -> int:
    if value is None:
        return 0xFFFF
    if not -0x7FFE <= value <= 0x7FFF:
        raise ValueError(f"{value} is outside of -32766 to 32767")
    return 0x8000 | -value if value < 0 else value


TEMPERATURE = Mapped(
    U16,
    _temperature,
    _to_temperature,
    shape={"type": ["integer", "null"], "x-wire": "WORD", "examples": [0]},
)
"""Sign and magnitude; 0xFFFF (None) where there is no sensor."""

SATELLITE = Struct(
    "number" / U8 * "卫星编号: number of the satellite",
    "elevation" / U8 * "仰角: angle above the horizon [degree]",
    "azimuth" / U16 * "方位角: clockwise from north [degree]",
)
_in_use = U8 * "卫星个数: satellites that follow"

_SEEN = "seen on devices"


def _tracker(
    item_id: int,
    name: str,
    title: str,
    layout: Struct,
    lengths: Callable[[int], bool],
    plausible: Callable[[Mapping[str, Any]], bool] | None = None,
) -> Item:
    return Item(item_id, name, title, layout, _SEEN, lengths, "tracker", plausible)


TRACKER_ITEMS: tuple[Item, ...] = (
    _tracker(
        0x07,
        "satellite_details",
        "卫星状态",
        Struct(
            "beidou" / Counted(_in_use, SATELLITE) * "北斗卫星: satellites of BeiDou",
            "gps" / Counted(_in_use, SATELLITE) * "GPS卫星: satellites of GPS",
            "glonass" / Counted(_in_use, SATELLITE) * "GLONASS卫星: satellites of GLONASS",
            "galileo" / Counted(_in_use, SATELLITE) * "Galileo卫星: satellites of Galileo",
        ),
        lambda length: length >= 4 and length % 4 == 0,
    ),
    _tracker(
        0x51,
        "temperatures",
        "温度",
        Struct("temperatures" / Repeated(TEMPERATURE) * "温度: by sensor; none: no sensor [0.1 °C]"),
        exactly(2, 8, 16),
    ),
    _tracker(
        0x58,
        "humidities",
        "湿度",
        Struct("humidities" / Repeated(U16) * "湿度: by sensor [0.1 %]"),
        exactly(2, 4, 8, 16),
    ),
    _tracker(
        0x61,
        "supply_voltage",
        "外接电压",
        Struct("voltage" / U16 * "外接电压: voltage of the supply [0.01 V]"),
        exactly(2),
    ),
    _tracker(
        0x82,
        "supply_voltage_82",
        "外接电压",
        Struct("voltage" / U16 * "外接电压: voltage of the supply [0.1 V]"),
        exactly(2),
    ),
    _tracker(
        0xE1,
        "battery_level",
        "电池电量",
        Struct("battery" / U8 * "电池电量: charge of the battery [%]"),
        exactly(1),
        lambda fields: fields["battery"] <= 100,
    ),
    _tracker(
        0xE1,
        "supply_voltage_e1",
        "外接电压",
        Struct("voltage" / U16 * "外接电压: voltage of the supply [0.1 V]"),
        exactly(2),
    ),
    _tracker(
        0xE2,
        "firmware",
        "固件版本",
        Struct("version" / Characters(None, PRINTABLE) * "固件版本: version of the firmware"),
        lambda length: length > 0,
    ),
    _tracker(
        0xE4,
        "battery_state",
        "电池状态",
        Struct(
            "state" / U8 * "状态: the maker's own",
            "battery" / U8 * "电池电量: charge of the battery [%]",
        ),
        exactly(2),
        lambda fields: fields["battery"] <= 100,
    ),
    _tracker(
        0xEB,
        "blocks",
        "扩展信息块",
        Struct(
            "blocks"
            / Repeated(
                Sized(
                    U16 * "长度: bytes of the block that follow [byte]",
                    Struct(
                        "id" / U16 * "块ID: what the block tells",
                        "value" / RawRest * "块内容: value of the block",
                    ),
                )
            )
            * "扩展信息块: the maker's blocks"
        ),
        lambda length: length >= 4,
        lambda fields: all(block["id"] for block in fields["blocks"]),
    ),
    _tracker(
        0xF1,
        "iccid",
        "SIM卡卡号",
        Struct("iccid" / Characters(20, DIGITS + "ABCDEFabcdef") * "SIM卡卡号: number of the SIM card"),
        exactly(20),
    ),
    _tracker(
        0xF6,
        "imei",
        "终端IMEI",
        Struct("imei" / Characters(None, DIGITS) * "终端IMEI: number of the modem"),
        exactly(8, 15),
    ),
    _tracker(
        0xF8,
        "tracker_identity",
        "终端标识",
        Struct(
            "kind" / U8 * "类型: the maker's own",
            "imei" / Bcd(8) * "终端IMEI: number of the modem, after a zero",
            "iccid" / Bcd(10) * "SIM卡卡号: number of the SIM card",
            "model" / Text(9) * "型号: model of the device",
        ),
        exactly(28),
    ),
    _tracker(
        0xFA,
        "tracker_alarm",
        "扩展报警",
        Struct("alarm" / U32 * "扩展报警: alarm, the maker's own code"),
        exactly(4),
    ),
    _tracker(
        0xFB,
        "power",
        "电源状态",
        Struct(
            "battery" / U8 * "电池电量: charge of the battery [%]",
            "voltage" / U16 * "电压: voltage of the supply [0.01 V]",
            "state" / U8 * "状态: the maker's own",
        ),
        exactly(4),
    ),
)
