"""Messages of a link: acknowledgements, heartbeat, time, parts sent again, registration, authentication.

Tables. Where editions differ, the later one is laid over the earlier one. `sense` rates a reading where
the bytes don't say which edition they are: the header is the same in 2011 and 2013, and lies on some
devices.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from construct import Struct

from protocol.catalog import Catalog, Row, catalog, overlay
from protocol.composite import Counted, TextCounted
from protocol.fields import U8, U16, BcdTimeUtc, Codes, Text, TextEnd, TextRest
from protocol.header import Edition

EMPTY = Struct()

TERMINAL_ACK = Struct(
    "reply_serial" / U16 * "应答流水号: serial of the message that is answered",
    "reply_id" / U16 * "应答ID: id of the message that is answered",
    "result"
    / Codes(U8, {0: "ok", 1: "failed", 2: "malformed", 3: "unsupported"})
    * "结果: what became of it",
)
PLATFORM_ACK = Struct(
    "reply_serial" / U16 * "应答流水号: serial of the message that is answered",
    "reply_id" / U16 * "应答ID: id of the message that is answered",
    "result"
    / Codes(U8, {0: "ok", 1: "failed", 2: "malformed", 3: "unsupported", 4: "alarm_confirmed"})
    * "结果: what became of it; 4 since 2013",
)

SERVER_TIME = Struct("time" / BcdTimeUtc * "服务器时间: time of the platform, UTC")

RESEND_2013 = Struct(
    "first_serial" / U16 * "原始消息流水号: serial of the first part of the message",
    "parts"
    / Counted(U8 * "重传包总数: parts to send again", U16)
    * "重传包ID列表: numbers of the parts to send again",
)
RESEND_2019 = Struct(
    "first_serial" / U16 * "原始消息流水号: serial of the first part of the message",
    "parts"
    / Counted(U16 * "重传包总数: parts to send again", U16)
    * "重传包ID列表: numbers of the parts to send again",
)

# --- registration -------------------------------------------------------------------------------------

PLATE_COLOURS = {
    0: "none",
    1: "blue",
    2: "yellow",
    3: "black",
    4: "white",
    5: "green",
    9: "other",
    91: "farm_yellow",
    92: "farm_green",
    93: "yellow_green",
    94: "gradient_green",
}
"""JT/T 415-2006 5.4.12 (1 to 4, 9), JT/T 697.7-2014 and its amendments (5, 91 to 94)."""


def _register(maker: int, model: Any, terminal_id: int) -> Struct:
    return Struct(
        "province" / U16 * "省域ID: first two digits of the GB/T 2260 code; 0: the platform's default",
        "city" / U16 * "市县域ID: last four digits of the GB/T 2260 code; 0: the platform's default",
        "maker" / Text(maker) * "制造商ID: maker of the terminal",
        "model" / model * "终端型号: model of the terminal",
        "terminal_id" / Text(terminal_id) * "终端ID: number that the maker gave the terminal",
        "plate_colour"
        / Codes(U8, PLATE_COLOURS)
        * "车牌颜色: colour of the licence plate; 0: the vehicle has none",
        "plate" / TextEnd * "车辆标识: licence plate; without one, the vehicle identification number",
    )


REGISTER_2011 = _register(5, Text(8, b" "), 7)
REGISTER_2013 = _register(5, Text(20), 7)
REGISTER_2019 = _register(11, Text(30, front=True), 30)

_PLATE = re.compile(r"[\u4e00-\u9fff][A-Z][A-Z0-9]{4,6}[A-Z0-9\u4e00-\u9fff]?")
_VIN = re.compile(r"[A-HJ-NPR-Z0-9]{17}")


def printable(text: str) -> bool:
    """Whether text has neither control characters nor bytes that are no text."""
    return "\\x" not in text and text.isprintable()


def registration(fields: Mapping[str, Any]) -> int:
    """How much a reading of 0x0100 looks like a registration.

    Length does not tell: a terminal without a plate sends 37 bytes in the layout of 2013, and one of 2011
    with a VIN sends 42. A wrong layout cuts through the padding between the fields, so that NUL stands
    inside of texts and something else in the colour.
    """
    plate = fields.get("plate")
    if plate is None:
        return -12
    points = 3 if fields["plate_colour"] in PLATE_COLOURS else -3
    points += sum(2 if printable(fields[name]) else -4 for name in ("maker", "model", "terminal_id"))
    points += 1 if fields["terminal_id"] else -4
    if not printable(plate):
        return points - 6
    if _PLATE.fullmatch(plate) or _VIN.fullmatch(plate):
        return points + 4
    return points - (1 if plate and fields["plate_colour"] == 0 else 0)


AUTHENTICATE = Struct("code" / TextEnd * "鉴权码: authentication code")
AUTHENTICATE_2019 = Struct(
    "code" / TextCounted(U8) * "鉴权码: authentication code",
    "imei" / Text(15) * "终端IMEI: IMEI of the terminal",
    "software_version" / Text(20) * "软件版本号: software version, the maker's own",
)


def a_code(fields: Mapping[str, Any]) -> int:
    """A body that is all authentication code has no control character; the length of 2019 mostly is one.

    Weighed so that a header of 2013 keeps its own reading unless that of 2019 comes out even.
    """
    return 0 if printable(fields.get("code", "")) else -22


# --- the tables ---------------------------------------------------------------------------------------

V2011 = catalog(
    Row(0x0001, "terminal_ack", "终端通用应答", TERMINAL_ACK, "808-2011 8.1 table 4", acknowledged=False),
    Row(0x8001, "platform_ack", "平台通用应答", PLATFORM_ACK, "808-2011 8.2 table 5", acknowledged=False),
    Row(0x0002, "heartbeat", "终端心跳", EMPTY, "808-2011 8.3"),
    Row(0x0100, "register", "终端注册", REGISTER_2011, "808-2011 8.4 table 6", 0x8100, sense=registration),
    Row(
        0x8100,
        "register_answer",
        "终端注册应答",
        Struct(
            "reply_serial" / U16 * "应答流水号: serial of the registration",
            "result"
            / Codes(
                U8,
                {
                    0: "ok",
                    1: "vehicle_taken",
                    2: "vehicle_unknown",
                    3: "terminal_taken",
                    4: "terminal_unknown",
                },
            )
            * "结果: whether the terminal is registered",
            "code" / TextRest * "鉴权码: authentication code, where the result is 0",
        ),
        "808-2011 8.5 table 7",
        acknowledged=False,
    ),
    Row(0x0003, "logout", "终端注销", EMPTY, "808-2011 8.6"),
    Row(0x0102, "authenticate", "终端鉴权", AUTHENTICATE, "808-2011 8.7 table 8", sense=a_code),
)
V2013 = overlay(
    V2011,
    clauses={
        0x0001: "808-2013 8.1 table 4",
        0x8001: "808-2013 8.2 table 5",
        0x0002: "808-2013 8.3",
        0x8100: "808-2013 8.6 table 8",
        0x0003: "808-2013 8.7",
        0x0102: "808-2013 8.8 table 9",
    },
    add=(
        Row(0x8003, "resend_parts", "补传分包请求", RESEND_2013, "808-2013 8.4 table 6", acknowledged=False),
        Row(
            0x0100, "register", "终端注册", REGISTER_2013, "808-2013 8.5 table 7", 0x8100, sense=registration
        ),
    ),
)
V2019 = overlay(
    V2013,
    clauses={
        0x0001: "808-2019 8.1 table 4",
        0x8001: "808-2019 8.2 table 5",
        0x0002: "808-2019 8.3",
        0x8100: "808-2019 8.9 table 9",
        0x0003: "808-2019 8.10",
    },
    add=(
        Row(0x0004, "query_time", "查询服务器时间请求", EMPTY, "808-2019 8.4", 0x8004),
        Row(
            0x8004,
            "time_answer",
            "查询服务器时间应答",
            SERVER_TIME,
            "808-2019 8.5 table 6",
            acknowledged=False,
        ),
        Row(
            0x8003,
            "resend_parts",
            "服务器补传分包请求",
            RESEND_2019,
            "808-2019 8.6 table 7",
            acknowledged=False,
        ),
        Row(
            0x0005,
            "terminal_resend_parts",
            "终端补传分包请求",
            RESEND_2019,
            "808-2019 8.7 table 7",
            acknowledged=False,
        ),
        Row(
            0x0100, "register", "终端注册", REGISTER_2019, "808-2019 8.8 table 8", 0x8100, sense=registration
        ),
        Row(0x0102, "authenticate", "终端鉴权", AUTHENTICATE_2019, "808-2019 8.11 table 10"),
    ),
)

EDITIONS: dict[Edition, Catalog] = {Edition.V2011: V2011, Edition.V2013: V2013, Edition.V2019: V2019}
