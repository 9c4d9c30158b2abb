"""Evidence of active-safety alarms: asking for it, announcing its files, the vehicle states in them.

T/JSATL 12 (Su) clauses 4.5 and 4.6, T/GDRTA 002 (Guangdong) clauses 5.5 and 5.6. The two differ in the size
of terminal ids and alarm identifiers and in the kinds of files; `rows` makes the messages of a dialect from
those, so that a further one is a call (`provinces.py`). The Su rows stand in every edition, for terminals of
either standard come with headers of either edition; the other dialects lie over them (`DIALECTS`), and what
comes out even and makes sense is taken. File data in packets of its own (Su table 4-26) is no 808 message and
not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from construct import Struct

from protocol.catalog import Break, Catalog, EncodeError, Row, catalog, decode, encode
from protocol.composite import Counted, TextCounted
from protocol.fields import S16, U8, U16, U32, BcdTime, Codes, Raw, Text
from protocol.header import Edition
from protocol.location import ALARM, STATUS
from protocol.messages.general import printable
from protocol.messages.safety import GUANGDONG_IDENTIFIER, SU_IDENTIFIER

FILE_TYPES = {0: "picture", 1: "audio", 2: "video", 3: "text", 4: "other"}  # Su table 4-25
GUANGDONG_FILE_TYPES = FILE_TYPES | {0: "panorama", 4: "face", 5: "other"}  # Guangdong table 5-25

FILE = Struct(  # Su table 4-24, Guangdong table 5-24
    "name" / TextCounted() * "文件名称: name of the file",
    "size" / U32 * "文件大小: size of the file [byte]",
)
MISSING = Struct(  # Su table 4-29 (whose second offset should be 4), Guangdong table 5-29
    "offset" / U32 * "数据偏移量: where in the file they begin [byte]",
    "length" / U32 * "数据长度: how many are missing [byte]",
)
_number = "number" / Text(32) * "报警编号: number that the platform gave the alarm"
_name = "name" / TextCounted() * "文件名称: name of the file"


def identified(fields: Mapping[str, Any]) -> int:
    """How much a reading looks like evidence of an alarm. Identifiers of other sizes cut through texts."""
    identifier = fields.get("identifier") or {}
    points = 3 if isinstance(identifier.get("time"), int) else -6
    return points + (1 if printable(fields.get("number", "")) else -4)


def of_type(types: Mapping[int, str]) -> Any:
    """Whether the type of a file is one of a dialect."""
    return lambda fields: 1 if fields.get("type") in types else -4


def rows(
    identifier: Struct,
    clauses: Mapping[int, str],
    *,
    terminal_id: int,
    types: Mapping[int, str] | None = None,
    dialect: str,
) -> Catalog:
    """The messages of a dialect. `terminal_id`: its bytes in front of 0x1210; 0: none there. Without `types`
    only those that carry an identifier."""
    terminal = ("terminal_id" / Text(terminal_id) * "终端ID: the maker's own, capital letters and digits",)
    announced = Struct(
        *(terminal if terminal_id else ()),
        "identifier" / identifier * "报警标识号: which alarm, as its item had it",
        _number,
        "kind"
        / Codes(U8, {0: "normal", 1: "resumed"})
        * "信息类型: the first list of the files, or what is left",
        "files" / Counted(U8 * "附件数量: files that follow", FILE) * "附件信息列表: files of the alarm",
    )
    asked = Struct(
        "server" / TextCounted() * "附件服务器IP地址: address of the evidence server",
        "tcp_port" / U16 * "附件服务器端口(TCP): its TCP port",
        "udp_port" / U16 * "附件服务器端口(UDP): its UDP port",
        "identifier" / identifier * "报警标识号: which alarm, byte for byte as its item had it",
        _number,
        "reserved" / Raw(16) * "预留: not used",
    )
    found = [
        Row(0x1210, "evidence_files", "报警附件信息消息", announced, clauses[0x1210], sense=identified),
        Row(0x9208, "evidence_upload", "报警附件上传指令", asked, clauses[0x9208], sense=identified),
    ]
    if types is not None:
        found += _of_files(types, clauses)
    return catalog(*(msgspec.structs.replace(row, dialect=dialect) for row in found))


def _of_files(types: Mapping[int, str], clauses: Mapping[int, str]) -> Iterable[Row]:
    kind = "type" / Codes(U8, types) * "文件类型: kind of file"
    file = Struct(_name, kind, "size" / U32 * "文件大小: size of the file [byte]")
    done = Struct(
        _name,
        kind,
        "result" / Codes(U8, {0: "complete", 1: "missing"}) * "上传结果: whether bytes are missing",
        "missing"
        / Counted(U8 * "补传数据包数量: pieces that follow", MISSING)
        * "补传数据包列表: pieces to send again",
    )
    sense = of_type(types)
    return (
        Row(0x1211, "evidence_file", "文件信息上传", file, clauses[0x1211], sense=sense),
        Row(
            0x1212,
            "evidence_file_done",
            "文件上传完成消息",
            file,
            clauses[0x1212],
            0x9212,
            acknowledged=False,
            sense=sense,
        ),
        Row(
            0x9212,
            "evidence_file_answer",
            "文件上传完成消息应答",
            done,
            clauses[0x9212],
            acknowledged=False,
            sense=sense,
        ),
    )


SU = rows(
    SU_IDENTIFIER,
    {
        0x9208: "T/JSATL 12 clause 4.5 table 4-21",
        0x1210: "T/JSATL 12 clause 4.6.2 tables 4-23 and 4-24",
        0x1211: "T/JSATL 12 clause 4.6.3 table 4-25",
        0x1212: "T/JSATL 12 clause 4.6.5 table 4-27",
        0x9212: "T/JSATL 12 clause 4.6.6 tables 4-28 and 4-29",
    },
    terminal_id=7,
    types=FILE_TYPES,
    dialect="su",
)
GUANGDONG = rows(
    GUANGDONG_IDENTIFIER,
    {
        0x9208: "T/GDRTA 002 clause 5.5 table 5-21",
        0x1210: "T/GDRTA 002 clause 5.6.2 tables 5-23 and 5-24",
        0x1211: "T/GDRTA 002 clause 5.6.3 table 5-25",
        0x1212: "T/GDRTA 002 clause 5.6.5 table 5-27",
        0x9212: "T/GDRTA 002 clause 5.6.6 tables 5-28 and 5-29",
    },
    terminal_id=30,
    types=GUANGDONG_FILE_TYPES,
    dialect="guangdong",
)

EDITIONS: dict[Edition, Catalog] = dict.fromkeys(Edition, SU)
DIALECTS: dict[str, Catalog] = {"guangdong": GUANGDONG}

# --- vehicle state --------------------------------------------------------------------------------------

_SIZE = 64

STATE_CLAUSE = "T/JSATL 12 clause 4.6.1 table 4-22, T/GDRTA 002 clause 5.6.1 table 5-22"

# The words of motion have a sign: the tables say so of the steering wheel, and nature of the others.
STATE = Struct(
    "total" / U32 * "数据块总数量: blocks of this file",
    "number" / U32 * "当前数据块序号: place of this block in the file",
    "alarm" / ALARM * "报警标志: alarm flags, as a report has them",
    "status" / STATUS * "车辆状态: state flags, as a report has them",
    "latitude" / U32 * "纬度: latitude, unsigned [1e-6 degree]",
    "longitude" / U32 * "经度: longitude, unsigned [1e-6 degree]",
    "altitude" / S16 * "卫星高程: height above sea level [m]",
    "speed" / U16 * "卫星速度: speed by satellite [0.1 km/h]",
    "heading" / U16 * "卫星方向: clockwise from north [degree]",
    "time" / BcdTime * "时间: time of the block, GMT+8",
    "acceleration_x" / S16 * "X轴加速度: acceleration along x [0.01 g]",
    "acceleration_y" / S16 * "Y轴加速度: acceleration along y [0.01 g]",
    "acceleration_z" / S16 * "Z轴加速度: acceleration along z [0.01 g]",
    "rotation_x" / S16 * "X轴角速度: rotation about x [0.01 degree/s]",
    "rotation_y" / S16 * "Y轴角速度: rotation about y [0.01 degree/s]",
    "rotation_z" / S16 * "Z轴角速度: rotation about z [0.01 degree/s]",
    "pulse_speed" / U16 * "脉冲速度: speed by pulses [0.1 km/h]",
    "obd_speed" / U16 * "OBD速度: speed by OBD [0.1 km/h]",
    "gear" / Codes(U8, {0: "neutral", 10: "reverse", 11: "park"}) * "档位状态: gear; 1 to 9 forward",
    "accelerator" / U8 * "加速踏板行程值: accelerator pedal, 1 to 100 [%]",
    "brake_pedal" / U8 * "制动踏板行程值: brake pedal, 1 to 100 [%]",
    "braking" / Codes(U8, {0: "no", 1: "yes"}) * "制动状态: whether the vehicle brakes",
    "engine_speed" / U16 * "发动机转速: engine speed [rpm]",
    "steering" / S16 * "方向盘角度: steering wheel, clockwise positive [degree]",
    "indicator" / Codes(U8, {0: "none", 1: "left", 2: "right"}) * "转向灯状态: direction indicator",
    "reserved" / Raw(2) * "预留: not used",
    "checksum" / U8 * "校验位: sum of the bytes before it, lowest eight bits",
)
_UNSUMMED = Struct(*STATE.subcons[:-1])


class States(msgspec.Struct):
    """What a file of vehicle states holds."""

    blocks: list[dict[str, Any]]
    rest: bytes = b""  # fewer bytes than a block, behind the last one
    breaks: list[Break] = msgspec.field(default_factory=list)


def read_states(data: bytes, *, present: bool = False) -> States:
    """The blocks of a `.bin` file, broken ones with the rest; what is wrong with them is in `breaks`.

    Never raises for what a terminal may send. Offsets count from the first byte of the file.
    """
    whole = len(data) // _SIZE * _SIZE
    found = States([], data[whole:])
    for number, start in enumerate(range(0, whole, _SIZE)):
        raw = data[start : start + _SIZE]
        block = decode(STATE, raw, present=present).fields
        found.blocks.append(block)
        path = f"blocks[{number}]"
        if block["checksum"] != checksum(raw):
            detail = f"checksum {block['checksum']:#04x} should be {checksum(raw):#04x}"
            found.breaks.append(Break(start + _SIZE - 1, f"{path}.checksum", detail))
        if block["total"] != whole // _SIZE:
            detail = f"{block['total']} blocks announced, {whole // _SIZE} there"
            found.breaks.append(Break(start, f"{path}.total", detail))
    if found.rest:
        found.breaks.append(Break(whole, "rest", f"{len(found.rest)} bytes, a block has {_SIZE}"))
    return found


def write_states(blocks: Sequence[Mapping[str, Any]]) -> bytes:
    """A `.bin` file of these blocks; `total`, `number` (from 0) and `checksum` are made where they are
    absent. EncodeError where one does not fit."""
    written = []
    for number, block in enumerate(blocks):
        given = {"total": len(blocks), "number": number, "reserved": b"", **block}
        wanted = given.pop("checksum", None)
        raw = encode(_UNSUMMED, given, name=f"vehicle state {number}")
        if wanted is not None and not 0 <= wanted <= 0xFF:
            raise EncodeError(f"vehicle state {number}: checksum: {wanted} is no integer from 0 to 255")
        written.append(raw + bytes([checksum(raw) if wanted is None else wanted]))
    return b"".join(written)


def checksum(block: bytes) -> int:
    """The sum of a block's bytes without its checksum, modulo 256."""
    return sum(block[: _SIZE - 1]) & 0xFF
