"""What a terminal collects: the driving recorder, waybills, the driver's identity, the CAN bus.

Tables, and the packet of the driving recorder that 0x8700, 0x0700 and 0x8701 carry. That packet is of
GB/T 19056-2012 appendix A (its tables are cited as A.n); blocks of other editions stay bytes.
"""

from __future__ import annotations

import datetime as dt
import functools
import io
import operator
from collections.abc import Mapping
from typing import Any

from construct import Bytes, Construct, ConstructError, Rebuild, Struct, len_, this

from protocol.catalog import Catalog, Row, catalog, overlay
from protocol.composite import Composite, Repeated, Sized, TextCounted, Walker, end_of
from protocol.fields import (
    S16,
    S32,
    U8,
    U16,
    U32,
    Bcd,
    BcdTime,
    Bits,
    Codes,
    Mapped,
    Raw,
    RawRest,
    Text,
    bit,
    span,
)
from protocol.fitting import Choice, Form, FormTable, IfLeft, Sampler, Shaper, Times, Within
from protocol.header import Edition
from protocol.messages.general import printable

# --- digits -------------------------------------------------------------------------------------------


def _decode_date(raw: bytes) -> str:
    digits = raw.hex()
    try:
        return dt.date.fromisoformat(digits if len(digits) == 8 else "20" + digits).isoformat()
    except ValueError:
        return digits


def BcdDate(size: int) -> Mapped:  # noqa: N802 - a field type
    """A day in BCD, YYYYMMDD or YYMMDD, as 2026-01-31; digits that are no day stay as they are."""

    def encode(value: str) -> bytes:
        raw = bytes.fromhex(value.replace("-", ""))[-size:]
        if len(raw) < size:
            raise ValueError(f"{value!r} is no day of {2 * size} digits")
        return raw

    shape = {"type": "string", "x-wire": f"BCD[{size}]", "examples": ["2026-01-31"]}
    return Mapped(Bytes(size), _decode_date, encode, shape=shape)


def _present_digits(value: int | bytes | str) -> int | str:
    return "raw:" + value.hex() if isinstance(value, bytes) else value


def BcdNumber(size: int) -> Mapped:  # noqa: N802 - a field type
    """A number in BCD; bytes that are no digits stay as they are."""

    def decode(raw: bytes) -> int | bytes:
        digits = raw.hex()
        return int(digits) if digits.isdecimal() else raw

    def encode(value: int | bytes | str) -> bytes:
        if isinstance(value, str):
            value = bytes.fromhex(value.removeprefix("raw:"))
        if isinstance(value, bytes):
            return value
        if not 0 <= value < 100**size:
            raise ValueError(f"{value} has no place in {2 * size} digits")
        return bytes.fromhex(f"{value:0{2 * size}}")

    shape = {
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": 100**size - 1},
            {"type": "string", "pattern": "^raw:"},
        ],
        "x-wire": f"BCD[{size}]",
        "examples": [0],
    }
    return Mapped(Bytes(size), decode, encode, _present_digits, shape)


def _decode_clock(raw: bytes) -> str | bytes:
    hour, minute, second, millis = raw[:1].hex(), raw[1:2].hex(), raw[2:3].hex(), raw[3:].hex()
    if (hour + minute + second + millis).isdecimal():
        within = int(hour) < 24 and int(minute) < 60 and int(second) < 60 and int(millis) < 1000
        if within:
            return f"{hour}:{minute}:{second}.{millis[1:]}"
    return raw


def _encode_clock(value: str | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    if value.startswith("raw:"):
        return bytes.fromhex(value[4:])
    moment = dt.time.fromisoformat(value)
    return bytes.fromhex(f"{moment:%H%M%S}{moment.microsecond // 1000:04}")


BcdClock = Mapped(
    Bytes(5),
    _decode_clock,
    _encode_clock,
    _present_digits,
    {"type": "string", "x-wire": "BCD[5]", "examples": ["20:00:05.350"]},
)
"""hh-mm-ss-msms: a time of day to the millisecond, as 20:00:05.350."""

# --- blocks of the driving recorder -------------------------------------------------------------------

COMMANDS = {
    0x00: "standard",
    0x01: "driver",
    0x02: "time",
    0x03: "mileage",
    0x04: "pulse_coefficient",
    0x05: "vehicle",
    0x06: "signals",
    0x07: "unique_number",
    0x08: "speeds",
    0x09: "positions",
    0x10: "accidents",
    0x11: "overtime_driving",
    0x12: "driver_changes",
    0x13: "power_supply",
    0x14: "parameter_changes",
    0x15: "speed_status",
    0x82: "set_vehicle",
    0x83: "set_installation",
    0x84: "set_signals",
    0xC2: "set_time",
    0xC3: "set_pulse_coefficient",
    0xC4: "set_mileage",
    0xE0: "enter_test",
    0xE1: "test_mileage",
    0xE2: "test_pulse_coefficient",
    0xE3: "test_time",
    0xE4: "leave_test",
    0xFA: "collecting_failed",
    0xFB: "setting_failed",
}
"""GB/T 19056-2012 A.4.1; an up packet of 0xFA or 0xFB says that a command could not be carried out."""

COMMAND = Codes(U8, COMMANDS)

SIGNALS = Bits(
    U8,
    bit(3, "low_beam"),
    bit(4, "high_beam"),
    bit(5, "right_turn"),
    bit(6, "left_turn"),
    bit(7, "brake"),
)

POSITION = Struct(  # table A.20
    "longitude" / S32 * "经度: longitude, 0x7fffffff: unknown [1e-4 minute]",
    "latitude" / S32 * "纬度: latitude, 0x7fffffff: unknown [1e-4 minute]",
    "altitude" / S16 * "海拔高度: height above sea level [m]",
)

_licence = "licence" / Text(18) * "机动车驾驶证号码: number of the driving licence"
_time = "time" / BcdTime * "实时时间: time of the recorder, GMT+8"
_since = "start" / BcdTime * "开始时间: where the records begin, GMT+8"
_until = "end" / BcdTime * "结束时间: where they end, GMT+8"
_names = "names" / Repeated(Text(10)) * "状态信号名称: names of the signals D0 to D7 of each byte"

DRIVING = Struct(
    "speed" / U8 * "速度: 255: not recorded [km/h]",
    "signals" / SIGNALS * "状态信号: state of the signals; D0 to D2 are the maker's own",
)
STANDARD = Struct(  # table A.6
    "year" / Bcd(1) * "执行标准年号: last two digits of the standard's year",
    "amendment" / U8 * "修改单号: number of its amendment",
)
CLOCK = Struct(_time)  # table A.8
MILEAGE = Struct(  # table A.9
    _time,
    "installed" / BcdTime * "初次安装时间: first installation, GMT+8",
    "initial" / BcdNumber(4) * "初始里程: mileage at installation [0.1 km]",
    "total" / BcdNumber(4) * "累计行驶里程: mileage since [0.1 km]",
)
PULSE_COEFFICIENT = Struct(
    _time, "pulses" / U16 * "脉冲系数: pulses of the speed sensor [1/km]"
)  # table A.10
VEHICLE = Struct(  # table A.11
    "vin" / Text(17) * "车辆识别代号: vehicle identification number",
    "plate" / Text(12) * "机动车号牌号码: licence plate",
    "plate_class" / Text(12) * "机动车号牌分类: class of the licence plate",
)
SIGNAL_NAMES = Struct(  # tables A.12 and A.13
    _time,
    "bytes"
    / U8
    * "状态信号字节个数: bytes of signals in a record; some recorders have the signals' state here",
    _names,
)
UNIQUE_NUMBER = Struct(  # table A.14
    "ccc" / Text(7) * "生产厂CCC认证代码: maker's code of the compulsory certification",
    "model" / Text(16) * "认证产品型号: certified model",
    "made" / BcdDate(3) * "生产日期: day of production",
    "serial" / U32 * "产品生产流水号: number of the product",
    "reserved" / Raw(5) * "备用: reserved",
)
SPEEDS = Struct(  # table A.17
    _since,
    "seconds" / Times(60, DRIVING) * "每秒平均速度和状态信号: one entry for each second of the minute",
)
POSITIONS = Struct(  # table A.19
    _since,
    "minutes"
    / Times(60, Struct(*POSITION.subcons, "speed" / U8 * "平均速度: mean of the minute [km/h]"))
    * "每分钟位置和平均速度: one entry for each minute of the hour",
)
ACCIDENT = Struct(  # table A.22
    "end" / BcdTime * "行驶结束时间: end of the drive, GMT+8",
    _licence,
    "states" / Times(100, DRIVING) * "结束前20s状态: backwards from the end of the drive, 0.2 s apart",
    "position" / POSITION * "最近一次有效位置: last known position",
)
OVERTIME = Struct(  # table A.24
    _licence,
    _since,
    _until,
    "start_position" / POSITION * "开始位置: where the drive began",
    "end_position" / POSITION * "结束位置: where it ended",
)
DRIVER_CHANGE = Struct(  # table A.26
    "time" / BcdTime * "事件发生时间: time of the event, GMT+8",
    _licence,
    "event" / Codes(U8, {1: "login", 2: "logout"}) * "事件类型: kind of the event",
)
POWER_SUPPLY = Struct(  # table A.28
    "time" / BcdTime * "事件发生时间: time of the event, GMT+8",
    "event" / Codes(U8, {1: "on", 2: "off"}) * "事件类型: kind of the event",
)
PARAMETER_CHANGE = Struct(  # table A.30
    "time" / BcdTime * "事件发生时间: time of the event, GMT+8",
    "event" / COMMAND * "事件类型: command that changed a parameter",
)
SPEED_STATUS = Struct(  # table A.32
    "status" / Codes(U8, {1: "normal", 2: "abnormal"}) * "速度状态: whether the two speeds agree",
    _since,
    _until,
    "seconds"
    / Times(
        60,
        Struct(
            "recorded" / U8 * "记录速度: by the sensor [km/h]",
            "reference" / U8 * "参考速度: by satellite [km/h]",
        ),
    )
    * "每秒速度: one entry for each second of the first minute",
)
RANGE = Struct(  # A.4.2: what 0x08 to 0x15 are collected with
    _since,
    _until,
    "blocks" / U16 * "最大单位数据块个数: most unit blocks in the answer",
)
EMPTY = Struct()


def _block(layout: Construct, table: str) -> tuple[Form, ...]:
    return (Form(layout, f"GB/T 19056-2012 {table}"),)


_SETTING = (0x82, 0x83, 0x84, 0xC2, 0xC3, 0xC4)
_TESTING = (0xE0, 0xE1, 0xE2, 0xE3, 0xE4)

UP_BLOCKS: FormTable = {
    0x00: _block(STANDARD, "table A.6"),
    0x01: _block(Struct(_licence), "table A.7"),
    0x02: _block(CLOCK, "table A.8"),
    0x03: _block(MILEAGE, "table A.9"),
    0x04: _block(PULSE_COEFFICIENT, "table A.10"),
    0x05: _block(VEHICLE, "table A.11"),
    0x06: _block(SIGNAL_NAMES, "tables A.12 and A.13"),
    0x07: _block(UNIQUE_NUMBER, "table A.14"),
    0x08: _block(Repeated(SPEEDS), "table A.17"),
    0x09: _block(Repeated(POSITIONS), "tables A.19 and A.20"),
    0x10: _block(Repeated(ACCIDENT), "table A.22"),
    0x11: _block(Repeated(OVERTIME), "table A.24"),
    0x12: _block(Repeated(DRIVER_CHANGE), "table A.26"),
    0x13: _block(Repeated(POWER_SUPPLY), "table A.28"),
    0x14: _block(Repeated(PARAMETER_CHANGE), "table A.30"),
    0x15: _block(Repeated(SPEED_STATUS), "table A.32"),
    **{command: _block(EMPTY, "A.4.3") for command in (*_SETTING, *_TESTING)},
}
DOWN_BLOCKS: FormTable = {
    **{command: _block(EMPTY, "A.4.2") for command in (*range(0x08), *_TESTING)},
    **{command: _block(RANGE, "A.4.2") for command in (0x08, 0x09, *range(0x10, 0x16))},
    0x82: _block(VEHICLE, "table A.11"),
    0x83: _block(CLOCK, "table A.8"),
    # A.13 has the names alone; recorders take the whole of A.12 as well.
    0x84: (*_block(Struct(_names), "table A.13"), *_block(SIGNAL_NAMES, "tables A.12 and A.13")),
    0xC2: _block(CLOCK, "table A.8"),
    0xC3: _block(PULSE_COEFFICIENT, "table A.10"),
    0xC4: _block(MILEAGE, "table A.9"),
}

# --- the packet around a block ------------------------------------------------------------------------

FROM_RECORDER, TO_RECORDER = 0x557A, 0xAA75
STARTS = {start.to_bytes(2): start for start in (FROM_RECORDER, TO_RECORDER)}
REFUSALS = (0xFA, 0xFB)


class Packet(Composite):
    """A packet of the recorder: start, command, length, a reserved byte, block, XOR of all before it.

    Bytes that begin otherwise have no layout, and stay bytes. `start` is what packets in this direction
    begin with; either start is read, for some platforms send the recorder's own. Encoding takes the
    command from the message, and makes start, length and checksum.
    """

    def __init__(self, start: int, blocks: FormTable) -> None:
        super().__init__()
        self.start = start
        self.block = Choice("command", blocks)
        head = (
            "start" / Codes(U16, {FROM_RECORDER: "recorder", TO_RECORDER: "host"}) * "起始字头: who sends it",
            "command" / COMMAND * "命令字: command of the recorder",
        )
        reserved = "reserved" / U8 * "保留字: reserved"
        self.refusal = Struct(*head, reserved)
        self.packet = Struct(
            *head,
            "length" / Rebuild(U16, self._length) * "数据块长度: bytes of the block [byte]",
            reserved,
            "block" / Within("length", self.block) * "数据块: content",
        )

    def _length(self, context: Any) -> int:
        stream = io.BytesIO()
        self.block._build(context["block"], stream, context, "")
        return len(stream.getvalue())

    def _layout(self, raw: bytes) -> Construct:
        """What reads `raw`."""
        if raw[:2] not in STARTS:
            return RawRest
        return self.refusal if raw[2:3] and raw[2] in REFUSALS else self.packet

    def walk(self, walker: Walker, context: Any, path: str) -> Any:
        raw = walker.peek(walker.left)
        layout = self._layout(raw)
        found = walker.value(layout, context, path)
        if layout is RawRest or walker.stopped:
            return found
        wanted = _xor(raw[: len(raw) - walker.left])
        where = f"{path}.checksum"
        if not walker.left:
            walker.stop(walker.at, where, "0 bytes there, fewer than the field has")
        elif walker.peek(1)[0] != wanted:
            walker.stop(walker.at, where, f"checksum {walker.peek(1)[0]:#04x} should be {wanted:#04x}")
        else:
            walker.skip(1, where, wanted, "校验字: XOR of the packet before it")
        return found

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        here = stream.tell()
        raw = stream.read(end_of(stream) - here)
        layout = self._layout(raw)
        inner = io.BytesIO(raw)
        found = layout._parsereport(inner, context, path)
        if layout is not RawRest:
            wanted = _xor(raw[: inner.tell()])
            if inner.read(1) != bytes((wanted,)):
                raise ConstructError(f"the checksum should be {wanted:#04x}", path=path)
        stream.seek(here + inner.tell())
        return found

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        if isinstance(obj, bytes | str):
            return RawRest._build(obj, stream, context, path)
        packet = {"start": self.start, "command": context.get("command", 0), "reserved": 0} | dict(obj)
        refused = COMMAND.number(packet["command"]) in REFUSALS
        raw = (self.refusal if refused else self.packet).build(packet)
        stream.write(raw + bytes((_xor(raw),)))
        return obj

    def shape(self, shape: Shaper) -> dict[str, Any]:
        told = shape(self.packet)
        told["required"] = ["block"]
        return {"anyOf": [told, shape(self.refusal), shape(RawRest)], "x-wire": "packet of GB/T 19056"}

    def sample(self, example: Sampler) -> Any:
        command = min(self.block.table)
        (form, *_) = self.block.table[command]
        block = example(form.layout)
        size = len(form.layout.build(block))
        return {
            "start": self.start,
            "command": command,
            "length": size,
            "reserved": 0,
            "block": block,
        }


def _xor(raw: bytes) -> int:
    return functools.reduce(operator.xor, raw, 0)


UP_PACKET = Packet(FROM_RECORDER, UP_BLOCKS)
DOWN_PACKET = Packet(TO_RECORDER, DOWN_BLOCKS)
_UP, _DOWN = "数据块: packet of the recorder", "数据块: packet for the recorder"

_command = "command" / COMMAND * "命令字: command of the recorder"

COLLECT_2011 = Struct(_command)
COLLECT = Struct(_command, "packet" / IfLeft(DOWN_PACKET) * _DOWN)
RECORDS_2011 = Struct(
    "command" / COMMAND * "命令字: that of the platform",
    "total" / U16 * "数据块总长度: bytes of the whole block, over all messages [byte]",
    "packet" / Sized(U16 * "包数据长度: bytes in this message [byte]", UP_PACKET) * _UP,
)
RECORDS = Struct(
    "reply_serial" / U16 * "应答流水号: serial of the command",
    "command" / COMMAND * "命令字: that of the platform",
    "packet" / UP_PACKET * _UP,
)
PARAMETERS = Struct(_command, "packet" / DOWN_PACKET * _DOWN)


def recorded(fields: Mapping[str, Any]) -> int:
    """How much a reading of 0x0700 looks like one: the packet begins as packets do, with that command."""
    packet = fields.get("packet")
    if not isinstance(packet, Mapping):
        return 0
    return 5 if packet.get("command") in (fields["command"], *REFUSALS) else 2


# --- waybill, driver, CAN -----------------------------------------------------------------------------

WAYBILL = Struct(
    "waybill"
    / Sized(U32 * "电子运单长度: bytes of the waybill [byte]", RawRest)
    * "电子运单内容: the waybill"
)

DRIVER_2011 = Struct(
    "name" / TextCounted(U8) * "驾驶员姓名: name of the driver",
    "identity" / Text(20) * "驾驶员身份证编码: number of the identity card",
    "qualification" / Text(40) * "从业资格证编码: number of the certificate of qualification",
    "issuer" / TextCounted(U8) * "发证机构名称: who issued the certificate",
)


def _driver(*more: Construct) -> Struct:
    return Struct(
        "status" / Codes(U8, {1: "inserted", 2: "removed"}) * "状态: of the card of qualification",
        "time" / BcdTime * "时间: when the card was inserted or removed, GMT+8",
        "result"
        / IfLeft(
            Codes(
                U8,
                {
                    0: "ok",
                    1: "key_refused",
                    2: "card_locked",
                    3: "card_removed",
                    4: "checksum_wrong",
                },
            )
        )
        * "IC卡读取结果: what became of reading the card; a removed card has none",
        "name"
        / IfLeft(TextCounted(U8), after="result")
        * "驾驶员姓名: name of the driver, where reading was ok",
        "qualification"
        / IfLeft(Text(20), after="name")
        * "从业资格证编码: number of the certificate of qualification",
        "issuer"
        / IfLeft(TextCounted(U8), after="qualification")
        * "发证机构名称: who issued the certificate",
        "expires" / IfLeft(BcdDate(4), after="issuer") * "证件有效期: last day of the certificate",
        *more,
    )


DRIVER_2013 = _driver()
DRIVER_2019 = _driver(
    "identity" / IfLeft(Text(20), after="expires") * "驾驶员身份证号: number of the identity card"
)


def an_identity(fields: Mapping[str, Any]) -> int:
    """How much a reading of 0x0702 since 2013 looks like one. Terminals leave off what they have not read."""
    return 6 if fields.get("status") in (1, 2) and isinstance(fields.get("time"), int) else -6


def a_driver(fields: Mapping[str, Any]) -> int:
    """How much a reading of 0x0702 of 2011 looks like one."""
    texts = [fields.get(name) for name in ("name", "identity", "qualification", "issuer")]
    return 3 if all(text is not None and printable(text) for text in texts) else -6


CAN_ID = Bits(
    U32,
    span(0, 28, "id"),
    bit(29, "averaged", "mean over the interval of collection"),
    bit(30, "extended", "frame with an id of 29 bits"),
    bit(31, "can2", "second channel"),
)
CAN = Struct(
    "count" / Rebuild(U16, len_(this.items)) * "数据项个数: frames in this message",
    "time" / BcdClock * "CAN总线数据接收时间: reception of the first frame, GMT+8",
    "items"
    / Times(
        "count",
        Struct(
            "can_id" / CAN_ID * "CAN总线ID: id of the frame, and how it was taken",
            "data" / Raw(8) * "CAN数据: data of the frame",
        ),
    )
    * "CAN总线数据项: frames",
)

# --- the tables ---------------------------------------------------------------------------------------

V2011 = catalog(
    Row(
        0x8700,
        "collect_records",
        "行驶记录数据采集命令",
        COLLECT_2011,
        "808-2011 8.36 table 60",
        0x0700,
        acknowledged=False,
    ),
    Row(0x0700, "records", "行驶记录数据上传", RECORDS_2011, "808-2011 8.37 table 61", sense=recorded),
    # The clause prints the id as 0x8101; the list of messages in annex B has 0x8701.
    Row(0x8701, "set_recorder", "行驶记录参数下传命令", PARAMETERS, "808-2011 8.38 table 62"),
    Row(0x0701, "waybill", "电子运单上报", WAYBILL, "808-2011 8.39 table 63"),
    # Table 64 puts the issuer's name where its length is; it stands one byte behind.
    Row(
        0x0702,
        "driver_identity",
        "驾驶员身份信息采集上报",
        DRIVER_2011,
        "808-2011 8.40 table 64",
        sense=a_driver,
    ),
)
V2013 = overlay(
    V2011,
    clauses={0x8701: "808-2013 8.45 table 73", 0x0701: "808-2013 8.46 table 74"},
    add=(
        Row(
            0x8700,
            "collect_records",
            "行驶记录数据采集命令",
            COLLECT,
            "808-2013 8.43 table 71",
            0x0700,
            acknowledged=False,
        ),
        Row(0x0700, "records", "行驶记录数据上传", RECORDS, "808-2013 8.44 table 72", sense=recorded),
        Row(
            0x8702,
            "query_driver",
            "上报驾驶员身份信息请求",
            EMPTY,
            "808-2013 8.47",
            0x0702,
            acknowledged=False,
        ),
        Row(
            0x0702,
            "driver_identity",
            "驾驶员身份信息采集上报",
            DRIVER_2013,
            "808-2013 8.48 table 75",
            sense=an_identity,
        ),
        Row(0x0705, "can", "CAN总线数据上传", CAN, "808-2013 8.50 tables 78 and 79"),
    ),
)
V2019 = overlay(
    V2013,
    clauses={
        0x8700: "808-2019 8.42 table 62",
        0x0700: "808-2019 8.43 table 63",
        0x8701: "808-2019 8.44 table 64",
        0x0701: "808-2019 8.45 table 65",
        0x8702: "808-2019 8.46",
        0x0705: "808-2019 8.49 tables 69 and 70",
    },
    add=(
        Row(
            0x0702,
            "driver_identity",
            "驾驶员身份信息采集上报",
            DRIVER_2019,
            "808-2019 8.47 table 66",
            sense=an_identity,
        ),
    ),
)

EDITIONS: dict[Edition, Catalog] = {Edition.V2011: V2011, Edition.V2013: V2013, Edition.V2019: V2019}
