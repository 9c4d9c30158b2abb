"""The message header: which layout a frame carries, and what it says.

Two layouts exist: that of 2011 and 2013 (12 bytes, BCD[6] phone) and that of 2019 (17 bytes, a version
byte and BCD[10] phone); four more bytes where the message is sub-packaged (808-2013 table 2, 808-2019
table 2). Bit 14 of the properties claims the 2019 layout, and lies on some devices, so the layout
is the one whose declared body length fits the frame. A declared length that fits neither is counted as an
oddity; the frame's delimiters are trusted over it.
"""

from __future__ import annotations

import enum

import msgspec
from construct import Bytes, If, Int8ub, Int16ub, Struct, this

from protocol.fast import fixed
from protocol.fields import Bcd, Bits, bit, span

SUBPACKAGED = 0x2000
VERSIONED = 0x4000
LENGTH_MASK = 0x03FF
ENCRYPTION_MASK = 0x1C00
RSA = 0x0400


class Edition(enum.IntEnum):
    """The editions of JT/T 808. 2011 and 2013 have the same header and can't be told apart by it."""

    V2011 = 2011
    V2013 = 2013
    V2019 = 2019


PROPERTIES = Bits(
    Int16ub,
    span(0, 9, "body_length"),
    span(10, 12, "encryption", "0 none, 1 RSA"),
    bit(13, "sub_packaged"),
    bit(14, "versioned", "header of 2019"),
    bit(15, "reserved"),
)

SUBPACKAGE = Struct(
    "total" / Int16ub * "消息总包数: parts of this message",
    "index" / Int16ub * "包序号: number of this part, from 1",
)

HEADER_2013 = Struct(  # 808-2013 clause 4.4.3 table 2; 808-2011 clause 4.4.3 table 2
    "message_id" / Int16ub * "消息ID: which message the body is",
    "properties" / PROPERTIES * "消息体属性: length of the body and what it carries",
    "phone" / Bcd(6) * "终端手机号: SIM number of the terminal, leading zeros",
    "serial" / Int16ub * "消息流水号: counts up from 0 for each message sent",
    "sub_package" / If(this.properties & SUBPACKAGED, SUBPACKAGE) * "消息包封装项: which part it is",
)
HEADER_2019 = Struct(  # 808-2019 clause 4.4.3 table 2
    "message_id" / Int16ub * "消息ID: which message the body is",
    "properties" / PROPERTIES * "消息体属性: length of the body and what it carries",
    "version" / Int8ub * "协议版本号: protocol version, 1 for the edition of 2019",
    "phone" / Bcd(10) * "终端手机号: SIM number of the terminal, leading zeros",
    "serial" / Int16ub * "消息流水号: counts up from 0 for each message sent",
    "sub_package" / If(this.properties & SUBPACKAGED, SUBPACKAGE) * "消息包封装项: which part it is",
)

# The hot path leaves the phone as bytes: a link turns it into digits once (`Phones`).
_FIXED_2013 = fixed(
    Struct("message_id" / Int16ub, "properties" / Int16ub, "phone" / Bytes(6), "serial" / Int16ub)
)
_FIXED_2019 = fixed(
    Struct(
        "message_id" / Int16ub,
        "properties" / Int16ub,
        "version" / Int8ub,
        "phone" / Bytes(10),
        "serial" / Int16ub,
    )
)
_read_2013 = _FIXED_2013.struct.unpack_from
_read_2019 = _FIXED_2019.struct.unpack_from
_PART = fixed(SUBPACKAGE).struct


class Header(msgspec.Struct, gc=False):
    """What the header of one frame says, and where its body begins."""

    message_id: int
    properties: int
    phone: bytes  # 6 or 10 bytes, as on the wire
    serial: int
    size: int  # bytes of the header
    edition: Edition  # V2013 stands for 2011 too
    version: int = 0  # protocol version byte of 2019
    total: int = 0  # parts, 0: not sub-packaged
    index: int = 0
    oddities: tuple[str, ...] = ()


def parse(frame: bytes, habit: Edition | None = None) -> Header | None:
    """The header of `frame` (unescaped, without checksum), or None where no layout can fit.

    `habit` is what earlier frames of the connection carried; it decides when the bytes don't.
    """
    properties = frame[2] << 8 | frame[3]
    claimed = Edition.V2019 if properties & VERSIONED else Edition.V2013
    declared = properties & LENGTH_MASK
    room = len(frame) - declared - (4 if properties & SUBPACKAGED else 0)
    if room == (17 if claimed is Edition.V2019 else 12):  # all but a few terminals
        return _read(frame, properties, claimed, ())
    if room == 12:
        return _read(frame, properties, Edition.V2013, ("version_bit",))
    # The other way round has not been seen; a body declared five bytes too short looks just like it.
    if room == 17 and habit is not Edition.V2013 and _digits(frame, Edition.V2019):
        return _read(frame, properties, Edition.V2019, ("version_bit",))
    return _guess(frame, properties, claimed, habit)


def _guess(frame: bytes, properties: int, claimed: Edition, habit: Edition | None) -> Header | None:
    """No layout fits the declared length: the claim, unless only the other has a phone number."""
    room = len(frame) - (4 if properties & SUBPACKAGED else 0)
    if room < 12 and properties & SUBPACKAGED and len(frame) >= 12:
        # The bit for sub-packages can't be true: there is no room for its fields.
        properties &= ~SUBPACKAGED
        room = len(frame)
    fits = [e for e, size in ((Edition.V2013, 12), (Edition.V2019, 17)) if room >= size]
    if not fits:
        return None
    chosen = claimed if claimed in fits else fits[0]
    other = [e for e in fits if e is not chosen]
    if other and not _digits(frame, chosen) and _digits(frame, other[0]):
        chosen = other[0]
    elif habit in fits and _digits(frame, habit):
        chosen = habit
    oddities = ("body_length",) if chosen is claimed else ("body_length", "version_bit")
    return _read(frame, properties, chosen, oddities)


def _digits(frame: bytes, edition: Edition) -> bool:
    """Whether the phone number is decimal under this layout."""
    return (frame[5:15] if edition is Edition.V2019 else frame[4:10]).hex().isdecimal()


def _read(frame: bytes, properties: int, edition: Edition, oddities: tuple[str, ...]) -> Header:
    if edition is Edition.V2019:
        message_id, _, version, phone, serial = _read_2019(frame)
        size = 17
    else:
        message_id, _, phone, serial = _read_2013(frame)
        size, version = 12, 0
    if properties & SUBPACKAGED:
        total, index = _PART.unpack_from(frame, size)
        return Header(
            message_id,
            properties,
            phone,
            serial,
            size + 4,
            edition,
            version,
            total,
            index,
            oddities,
        )
    return Header(message_id, properties, phone, serial, size, edition, version, 0, 0, oddities)


def phone_text(raw: bytes) -> str:
    """The identity of a terminal: the digits of its phone number without leading zeros.

    Some devices put a binary IMEI into the BCD field; its hex letters stay. Never turned into a number.
    """
    return raw.hex().lstrip("0") or "0"


def phone_bytes(phone: str, edition: Edition) -> bytes:
    """The phone number as the header of `edition` carries it."""
    width = 20 if edition is Edition.V2019 else 12
    if len(phone) > width:
        raise ValueError(f"phone {phone!r} has more than the {width} digits of a {edition} header")
    return bytes.fromhex(phone.rjust(width, "0"))


def build(
    message_id: int,
    phone: bytes,
    serial: int,
    length: int,
    *,
    version: int = 1,
    total: int = 0,
    index: int = 0,
    encryption: int = 0,
) -> bytes:
    """A header; the length of `phone` chooses its layout (6 bytes: 2013, 10 bytes: 2019)."""
    if length > LENGTH_MASK:
        raise ValueError(f"a body of {length} bytes does not fit one packet; the most is {LENGTH_MASK}")
    properties = length | encryption & ENCRYPTION_MASK | (SUBPACKAGED if total else 0)
    if len(phone) == 10:
        head = _FIXED_2019.struct.pack(message_id, properties | VERSIONED, version, phone, serial)
    else:
        head = _FIXED_2013.struct.pack(message_id, properties, phone, serial)
    return head + _PART.pack(total, index) if total else head
