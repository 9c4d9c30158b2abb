"""Bytes for others: 0x0900/0x8900 (passthrough), 0x0901 (compressed), 0x0A00/0x8A00 (keys).

Tables, and `inflate`. What becomes of keys is `protocol/cipher.py`.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from construct import Struct

from protocol.catalog import Catalog, Row, catalog, overlay
from protocol.composite import Sized
from protocol.fields import U8, U16, U32, Codes, Raw, RawRest
from protocol.fitting import Choice, Form, FormTable
from protocol.header import Edition
from protocol.messages import peripherals

TYPE = Codes(  # 808-2013 table 93, 808-2019 table 83
    U8,
    {
        0x00: "gnss_detail",
        0x0B: "transport_card",
        0x41: "serial_port1",
        0x42: "serial_port2",
        **{number: f"custom_{number:02x}" for number in range(0xF0, 0x100)},
        peripherals.STATE_TYPE: "peripheral_state",
        peripherals.MAKE_TYPE: "peripheral_make",
    },
)

_CARD = "808-2013 table 93, 808-2019 table 83"

UP: FormTable = {
    0x0B: (Form(Struct("card" / Raw(64) * "道路运输证IC卡信息: of the transport permit"), _CARD),),
    **{kind: (Form(layout, peripherals.CLAUSE),) for kind, layout in peripherals.PERIPHERALS.items()},
}
DOWN: FormTable = {
    0x0B: (Form(Struct("card" / Raw(24) * "道路运输证IC卡信息: answer for the transport permit"), _CARD),),
    **{kind: (Form(layout, peripherals.CLAUSE),) for kind, layout in peripherals.PERIPHERAL_QUERIES.items()},
}
"""What the content of a type looks like; content that no form takes, and of all other types, stays bytes."""


def _passthrough(content: FormTable) -> tuple[Struct, Struct]:
    """The layouts of 2011, and since 2013."""
    kind = "type" / TYPE * "透传消息类型: what the content is"
    body = Choice("type", content)
    counted = Struct(
        kind,
        "total" / U32 * "信息总长度: bytes of the whole content, over all messages [byte]",
        "content" / Sized(U16 * "包信息长度: bytes in this message [byte]", body) * "透传消息内容: content",
    )
    return counted, Struct(kind, "content" / body * "透传消息内容: content")


UPLINK_2011, UPLINK = _passthrough(UP)
DOWNLINK_2011, DOWNLINK = _passthrough(DOWN)


def counted(fields: Mapping[str, Any]) -> int:
    """How much a reading with lengths looks like one: they agree, and something is there.

    All bytes are a passthrough of 2013, so six bytes that come out even are worth more than the header's
    word.
    """
    content = fields.get("content")
    return 8 if content and fields["total"] and fields["total"] < 1 << 24 else -8


COMPRESSED = Struct(
    "data"
    / Sized(U32 * "压缩消息长度: bytes of the data [byte]", RawRest)
    * "压缩消息体: a message, packed by GZIP"
)

MAX_INFLATED = 1 << 20
"""Bytes of an unpacked message; the longest body that is joined from parts has as many."""


def inflate(data: bytes, limit: int = MAX_INFLATED) -> bytes:
    """What was packed by GZIP (or zlib, as some terminals do) into `data`.

    ValueError for what is neither, is cut, has more behind it, or unpacks to more than `limit` bytes; no
    more than that is ever held.
    """
    engine = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # either header
    try:
        found = engine.decompress(data, limit + 1)
    except zlib.error as error:
        raise ValueError(f"no packed data: {error}") from error
    if len(found) > limit:
        raise ValueError(f"{len(data)} bytes unpack to more than {limit}")
    if not engine.eof:
        raise ValueError(f"the packed data is cut after {len(data)} bytes")
    if engine.unused_data.strip(b"\0"):
        raise ValueError(f"{len(engine.unused_data)} bytes behind the packed data")
    return found


def _key(whose: str) -> Struct:
    return Struct(
        "e" / U32 * f"公钥指数: exponent of the {whose}'s public key",
        "n" / Raw(128) * f"公钥模数: modulus of the {whose}'s public key",
    )


PLATFORM_KEY, TERMINAL_KEY = _key("platform"), _key("terminal")

# --- the tables ---------------------------------------------------------------------------------------

_DOWN_KEY = Row(
    0x8A00, "platform_key", "平台RSA公钥", PLATFORM_KEY, "808-2011 8.52 table 77", 0x0A00, acknowledged=False
)  # the table puts n at byte 1; e has four
_UP_KEY = Row(
    0x0A00, "terminal_key", "终端RSA公钥", TERMINAL_KEY, "808-2011 8.53 table 78", acknowledged=False
)

V2011 = catalog(
    Row(0x8900, "passthrough_down", "数据下行透传", DOWNLINK_2011, "808-2011 8.49 table 74", sense=counted),
    Row(0x0900, "passthrough_up", "数据上行透传", UPLINK_2011, "808-2011 8.50 table 75", sense=counted),
    Row(0x0901, "compressed", "数据压缩上报", COMPRESSED, "808-2011 8.51 table 76"),
    _DOWN_KEY,
    _UP_KEY,
)
V2013 = overlay(
    V2011,
    clauses={
        0x0901: "808-2013 8.63 table 94",
        0x8A00: "808-2013 8.64 table 95",
        0x0A00: "808-2013 8.65 table 96",
    },
    add=(
        Row(0x8900, "passthrough_down", "数据下行透传", DOWNLINK, "808-2013 8.61 tables 91 and 93"),
        Row(0x0900, "passthrough_up", "数据上行透传", UPLINK, "808-2013 8.62 tables 92 and 93"),
    ),
)
V2019 = overlay(
    V2013,
    clauses={
        0x8900: "808-2019 8.60 tables 82 and 83",
        0x0900: "808-2019 8.61 tables 84 and 83",
        0x0901: "808-2019 8.62 table 85",
        0x8A00: "808-2019 8.63 table 86",
        0x0A00: "808-2019 8.64 table 87",
    },
)

EDITIONS: dict[Edition, Catalog] = {Edition.V2011: V2011, Edition.V2013: V2013, Edition.V2019: V2019}
