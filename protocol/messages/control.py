"""Control of a terminal: commands, properties, upgrades, tracking, confirmation of alarms.

0x8105, 0x8107, 0x0107, 0x8108, 0x0108, 0x1FC4, 0x8202, 0x8203, 0x8204: tables, and the one text that
carries numbers (`CommandFields`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from construct import Construct, ConstructError, IfThenElse, Struct, Switch, this

from protocol.catalog import Catalog, Row, catalog, overlay
from protocol.composite import Composite, Sized, TextCounted, Walker, end_of
from protocol.fields import U8, U16, U32, Bcd, Bits, Codes, RawRest, Text, TextRest, bit
from protocol.fitting import IfLeft
from protocol.header import Edition
from protocol.messages.general import EMPTY
from protocol.text import encode_text

# --- 0x8105 -------------------------------------------------------------------------------------------------

COMMANDS = {
    1: "upgrade",  # not in 808-2019, which T/GDRTA 002 table 5-30 extends by it
    2: "connect",
    3: "power_off",  # not in 808-2019
    4: "reset",
    5: "factory_reset",
    6: "close_data",  # not in 808-2019
    7: "close_wireless",  # not in 808-2019
    # makers' own
    0x64: "fuel_cut_64",
    0x65: "fuel_restored_65",
    0x74: "restart_74",
    0xF0: "fuel_cut",
    0xF1: "fuel_restored",
}

SEPARATOR = b";"


class Column:
    """One field between semicolons; `number` is its layout in binary, if it is a number."""

    def __init__(self, name: str, docs: str, number: Construct | None = None) -> None:
        self.name = name
        self.text = TextRest * docs
        self.number = None if number is None else number * docs
        self.size = 0 if number is None else number.sizeof()

    def ends(self, data: bytes, at: int) -> Iterator[int]:
        """Where the field that begins at `at` may end, the likeliest first."""
        stop = data.find(SEPARATOR, at)
        stop = len(data) if stop < 0 else stop
        token = data[at:stop]
        textual = self.number is None or not token or token.isdigit()
        if textual:
            yield stop
        if self.number is not None:
            binary = at + self.size
            if binary != stop and (binary == len(data) or data[binary : binary + 1] == SEPARATOR):
                yield binary
        if not textual:
            yield stop

    def layout(self, raw: bytes) -> Construct:
        """How `raw` is read: as a number if it is one in binary."""
        binary = self.number is not None and len(raw) == self.size and not raw.isdigit()
        return self.number if binary else self.text

    def built(self, value: Any) -> bytes:
        if isinstance(value, str):
            raw = encode_text(value)
            if SEPARATOR in raw:
                raise ConstructError(f"{self.name}: {value!r} has a semicolon, which separates fields")
            return raw
        if self.number is None:
            raise ConstructError(f"{self.name}: {value!r} is no text")
        built: bytes = self.number.build(value)
        return built


_CONTROL = Column("control", "连接控制: 0: to the named server, 1: back to the old one", U8)
_CODE = Column("code", "监管平台鉴权码: authentication code for the named server")
_APN = Column("apn", "拨号点名称: access point; CDMA: the PPP dial number")
_USER = Column("user", "拨号用户名: user name for dialling in")
_PASSWORD = Column("password", "拨号密码: password for dialling in")
_ADDRESS = Column("address", "地址: IP or name of the server")
_TCP = Column("tcp_port", "TCP端口: of the server", U16)
_UDP = Column("udp_port", "UDP端口: of the server", U16)
_MAKER = Column("maker", "制造商ID: maker of the terminal")
_HARDWARE = Column("hardware_version", "硬件版本: the maker's own")
_FIRMWARE = Column("firmware_version", "固件版本: the maker's own")
_URL = Column("url", "URL地址: of the file")
_MINUTES = Column("minutes", "连接到指定服务器时限: until the terminal goes back; 0: never [min]", U16)

UPGRADE = (_URL, _APN, _USER, _PASSWORD, _ADDRESS, _TCP, _UDP, _MAKER, _HARDWARE, _FIRMWARE, _MINUTES)
"""808-2011 table 14, 808-2013 table 18, T/GDRTA 002 table 5-30."""

CONNECT = (_CONTROL, _CODE, _APN, _USER, _PASSWORD, _ADDRESS, _TCP, _UDP, _MINUTES)
"""808-2011 table 14, 808-2013 table 18, 808-2019 table 19."""

IN_TABLE_ORDER = (
    *(_CONTROL, _APN, _USER, _PASSWORD, _ADDRESS, _TCP, _UDP),
    *(_MAKER, _CODE, _HARDWARE, _FIRMWARE, _URL, _MINUTES),
)
"""What many platforms send with both commands: all fields, as the table that explains them has them
(808-2011 table 15, 808-2013 table 19, T/GDRTA 002 table 5-31)."""

_MORE = Column("more", "更多: fields that the command does not have")

Order = tuple[Column, ...]


def _splits(data: bytes, order: Order, at: int = 0) -> Iterator[list[tuple[Column, int, int]]]:
    """The ways in which `data` may be cut into fields, the likeliest first.

    A binary number may hold a semicolon, so there can be several; bytes behind the last field are `more`.
    """
    if not order:
        yield [(_MORE, at, len(data))]
        return
    for stop in order[0].ends(data, at):
        field = (order[0], at, stop)
        if stop == len(data):
            yield [field]
            continue
        for others in _splits(data, order[1:], stop + 1):
            yield [field, *others]


class CommandFields(Composite):
    """The fields of a command between semicolons: a mapping of those that are there, in their order.

    Tables give WORD for ports and minutes. Some platforms write them as two bytes, some as digits: an int
    is the former, a str the latter, both ways. `orders` are the sequences that a command may have; the
    first that comes out even is taken, and in encoding the first that has all the fields given.
    """

    def __init__(self, *orders: Order) -> None:
        super().__init__()
        self.orders = orders

    def split(self, data: bytes) -> list[tuple[Column, int, int]]:
        likeliest = [next(_splits(data, order)) for order in self.orders]
        others = (fields for order in self.orders for fields in _splits(data, order))
        for fields in itertools.chain(likeliest, others):
            if self._even(fields, len(data)):
                return fields
        return likeliest[0]

    def _even(self, fields: list[tuple[Column, int, int]], end: int) -> bool:
        """Whether these are all fields of their order, with nothing but a semicolon behind them."""
        last, start, _ = fields[-1]
        columns = tuple(column for column, _, _ in fields if column is not _MORE)
        return columns in self.orders and (last is not _MORE or start == end)

    def walk(self, walker: Walker, context: Any, path: str) -> Any:
        data = walker.peek(walker.left)
        found: dict[str, Any] = {}
        for column, start, stop in self.split(data):
            if start:
                walker.skip(1, f"{path}.separator", ";", "分隔符: between fields")
            layout = column.layout(data[start:stop])
            found[column.name] = walker.within(stop - start, layout, context, f"{path}.{column.name}")
        return found

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        data = stream.read(end_of(stream) - stream.tell())
        return {
            column.name: column.layout(data[start:stop]).parse(data[start:stop])
            for column, start, stop in self.split(data)
        }

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        order = next((order for order in self.orders if obj.keys() <= _names(order)), None)
        if order is None:
            known = dict.fromkeys(column.name for order in self.orders for column in order)
            raise ConstructError(
                f"no command has all of {', '.join(obj)}; there are {', '.join(known)}", path=path
            )
        last = max((n for n, column in enumerate(order) if column.name in obj), default=-1)
        if order is not self.orders[0] or "more" in obj:
            last = len(order) - 1
        fields = [column.built(obj.get(column.name, "")) for column in order[: last + 1]]
        if "more" in obj:
            fields.append(encode_text(obj["more"]))
        stream.write(SEPARATOR.join(fields))
        return obj

    def shape(self, shape: Any) -> dict[str, Any]:
        columns = dict.fromkeys((*self.orders[0], *(c for order in self.orders for c in order), _MORE))
        told = {}
        for column in columns:
            told[column.name] = shape(column.text)
            if column.number is not None:
                told[column.name] |= {"type": ["integer", "string"], "x-wire": "binary, or STRING of digits"}
        return {
            "type": "object",
            "properties": told,
            "additionalProperties": False,
            "x-wire": "STRING, fields between semicolons",
        }

    def sample(self, example: Any) -> Any:
        return {column.name: 0 if column.number is not None else "" for column in self.orders[0]}


def _names(order: Order) -> set[str]:
    return {column.name for column in (*order, _MORE)}


CONTROL = Struct(
    "command" / Codes(U8, COMMANDS) * "命令字: what the terminal shall do",
    "parameters"
    / Switch(
        this.command,
        {1: CommandFields(UPGRADE, IN_TABLE_ORDER), 2: CommandFields(CONNECT, IN_TABLE_ORDER)},
        default=TextRest,
    )
    * "命令参数: what the command needs to know",
)

# --- 0x0107 -------------------------------------------------------------------------------------------------

TERMINAL_TYPE = Bits(
    U16,
    bit(0, "passenger"),
    bit(1, "dangerous_goods"),
    bit(2, "freight"),
    bit(3, "taxi"),
    bit(6, "disk_recording"),
    bit(7, "split", "0: in one piece"),
    bit(8, "trailer", "2019"),
)
GNSS = Bits(U8, bit(0, "gps"), bit(1, "beidou"), bit(2, "glonass"), bit(3, "galileo"))
MODEM = Bits(
    U8,
    bit(0, "gprs"),
    bit(1, "cdma"),
    bit(2, "td_scdma"),
    bit(3, "wcdma"),
    bit(4, "cdma2000"),
    bit(5, "td_lte"),
    bit(7, "other"),
)

_ICCID = 10
_MODEL_2019 = _ID_2019 = 30


class Maker(Composite):
    """The maker in 0x0107 of 2019: 5 bytes in table 20, 11 from many terminals, as in the registration.

    The 11 are taken only where with them, and not with 5, the body comes out even. A maker of more than 5
    bytes is written in 11.
    """

    short, long = Text(5), Text(11)

    def text(self, data: bytes) -> Construct:
        fits = not _comes_out_even(data[5:]) and _comes_out_even(data[11:])
        return self.long if fits else self.short

    def walk(self, walker: Walker, context: Any, path: str) -> Any:
        return walker.value(self.text(walker.peek(walker.left)), context, path)

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        here = stream.tell()
        data = stream.read(end_of(stream) - here)
        stream.seek(here)
        return self.text(data)._parsereport(stream, context, path)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        text = self.short if len(encode_text(obj)) <= 5 else self.long
        return text._build(obj, stream, context, path)

    def shape(self, shape: Any) -> dict[str, Any]:
        return dict(shape(self.short)) | {"x-wire": "BYTE[5], or BYTE[11]", "maxLength": 11}

    def sample(self, example: Any) -> Any:
        return example(self.short)


def _comes_out_even(data: bytes) -> bool:
    """Whether the fields behind the maker end where the body does."""
    at = _MODEL_2019 + _ID_2019 + _ICCID
    for _ in range(2):
        if at >= len(data):
            return False
        at += 1 + data[at]
    return at + 2 == len(data)


def _properties(maker: Construct, model: int, terminal_id: int) -> Struct:
    return Struct(
        "type" / TERMINAL_TYPE * "终端类型: vehicles that the terminal is made for",
        "maker" / maker * "制造商ID: maker of the terminal",
        "model" / Text(model) * "终端型号: model of the terminal",
        "terminal_id" / Text(terminal_id) * "终端ID: number that the maker gave the terminal",
        "iccid" / Bcd(_ICCID) * "终端SIM卡ICCID: of the SIM card",
        "hardware_version"
        / TextCounted(U8 * "终端硬件版本号长度: bytes of the version [byte]")
        * "终端硬件版本号: the maker's own",
        "firmware_version"
        / TextCounted(U8 * "终端固件版本号长度: bytes of the version [byte]")
        * "终端固件版本号: the maker's own",
        "gnss" / GNSS * "GNSS模块属性: systems that it can use",
        "modem" / MODEM * "通信模块属性: networks that it can use",
    )


PROPERTIES_2013 = _properties(Text(5), 20, 7)
PROPERTIES_2019 = _properties(Maker(), _MODEL_2019, _ID_2019)

# --- upgrades -----------------------------------------------------------------------------------------------

_DEVICES = {0: "terminal", 12: "card_reader", 52: "gnss_module"}
_PERIPHERALS = {0x64: "adas", 0x65: "driver_monitoring", 0x66: "tyre_pressure", 0x67: "blind_spot"}
DEVICES = Codes(U8, _DEVICES | _PERIPHERALS)
"""808-2013 tables 21 and 22; from 0x64 on T/JSATL 12 table 4-30, T/GDRTA 002 table 5-32."""

UPGRADE_RESULTS = {  # 808-2013 table 22; from 0x10 on T/JSATL 12 table 4-30, T/GDRTA 002 table 5-32
    0x00: "ok",
    0x01: "failed",
    0x02: "cancelled",
    0x10: "no_such_device",
    0x11: "hardware_unsupported",
    0x12: "same_version",
    0x13: "version_unsupported",
}
UPGRADE_STATES = {  # T/GDRTA 002 table 5-33
    0x01: "downloading",
    0x02: "downloaded",
    0x03: "download_failed",
    0x04: "installing",
    0x05: "installed",
    0x06: "installation_failed",
    0x07: "no_such_device",
    0x08: "hardware_unsupported",
    0x09: "same_version",
    0x0A: "version_unsupported",
    0x0B: "other",
}

PACKAGE = Struct(
    "type" / DEVICES * "升级类型: what is upgraded",
    "maker" / Text(5) * "制造商ID: maker of the terminal",
    "version" / TextCounted(U8 * "版本号长度: bytes of the version [byte]") * "版本号: of the firmware",
    "data" / Sized(U32 * "升级数据包长度: bytes of the package [byte]", RawRest) * "升级数据包: the file",
)
RESULT = Struct(
    "type" / DEVICES * "升级类型: what was upgraded",
    "result" / Codes(U8, UPGRADE_RESULTS) * "升级结果: what became of it",
)
PROGRESS = Struct(
    "reply_serial" / U16 * "流水号: serial of the command to upgrade",
    "type" / DEVICES * "升级类型: what is upgraded",
    "state" / Codes(U8, UPGRADE_STATES) * "升级状态: how far it has come",
    "progress" / U8 * "升级进度: 0 to 100 [%]",
    "error" / U8 * "错误码: the maker's own",
)

# --- tracking, alarms ---------------------------------------------------------------------------------------

_VALIDITY = IfThenElse(this.interval > 0, U32, IfLeft(U32))
_VALIDITY.flagbuildnone = True  # with an interval of 0 encoding takes no such field

TRACK = Struct(
    "interval" / U16 * "时间间隔: between reports; 0 stops tracking [s]",
    "validity" / _VALIDITY * "位置跟踪有效期: how long; need not be there where tracking stops [s]",
)
CONFIRM = Struct(
    "alarm_serial" / U16 * "报警消息流水号: of the report with the alarm; 0: all of the types",
    "types"
    / Bits(
        U32,
        bit(0, "emergency"),
        bit(3, "danger_warning"),
        bit(20, "area_crossing"),
        bit(21, "route_crossing"),
        bit(22, "segment_time"),
        bit(27, "illegal_ignition"),
        bit(28, "illegal_displacement"),
    )
    * "人工确认报警类型: alarms that are confirmed, by the bits of the alarm flags",
)

# --- the tables ---------------------------------------------------------------------------------------------


def _answer(layout: Struct, clause: str) -> Row:
    return Row(0x0107, "properties_answer", "查询终端属性应答", layout, clause, acknowledged=False)


V2011 = catalog(
    Row(0x8105, "control", "终端控制", CONTROL, "808-2011 8.11 tables 13 to 15"),
    Row(0x8202, "track", "临时位置跟踪控制", TRACK, "808-2011 8.15 table 25"),
)
V2013 = overlay(
    V2011,
    clauses={0x8105: "808-2013 8.13 tables 17 to 19", 0x8202: "808-2013 8.21 table 34"},
    add=(
        Row(0x8107, "query_properties", "查询终端属性", EMPTY, "808-2013 8.14", 0x0107, acknowledged=False),
        _answer(PROPERTIES_2013, "808-2013 8.15 table 20"),
        Row(0x8108, "upgrade_package", "下发终端升级包", PACKAGE, "808-2013 8.16 table 21"),
        Row(0x0108, "upgrade_result", "终端升级结果通知", RESULT, "808-2013 8.17 table 22"),
        Row(0x8203, "confirm_alarms", "人工确认报警消息", CONFIRM, "808-2013 8.22 tables 35 and 36"),
    ),
)
V2019 = overlay(
    V2013,
    clauses={
        0x8105: "808-2019 8.16 tables 18 and 19",
        0x8107: "808-2019 8.17",
        0x8108: "808-2019 8.19 table 21",
        0x0108: "808-2019 8.20 table 22",
        0x8202: "808-2019 8.24 table 34",
        0x8203: "808-2019 8.25 tables 35 and 36",
    },
    add=(
        _answer(PROPERTIES_2019, "808-2019 8.18 table 20"),
        Row(0x8204, "check_link", "链路检测", EMPTY, "808-2019 8.26"),
        Row(
            0x1FC4,
            "upgrade_progress",
            "终端升级进度上报",
            PROGRESS,
            "T/GDRTA 002 clause 5.7.3 table 5-33",
            dialect="guangdong",
        ),
    ),
)

EDITIONS: dict[Edition, Catalog] = {Edition.V2011: V2011, Edition.V2013: V2013, Edition.V2019: V2019}
