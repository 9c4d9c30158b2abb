"""The vocabulary of layouts: what a field of these standards can be.

This file knows bytes and values, not messages. A layout is a `construct.Struct` of these fields, each
with its Chinese name, its meaning and, in square brackets at the end, its unit:

    "speed" / U16 * "速度: speed by satellite [0.1 km/h]"

Values are plain: int for numbers, bit words and codes (their names are shown, not stored), str for text
and BCD digits, bytes for what has no layout, seconds since 1970 (UTC) for times. `present` turns a value
into what JSON carries; encoding takes either form.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from construct import (
    Adapter,
    Bytes,
    Construct,
    GreedyBytes,
    Int8sb,
    Int8ub,
    Int16sb,
    Int16ub,
    Int32sb,
    Int32ub,
    Int64ub,
    MappingError,
    Subconstruct,
)

from protocol.text import decode_text, encode_text

U8, U16, U32, U64 = Int8ub, Int16ub, Int32ub, Int64ub
S8, S16, S32 = Int8sb, Int16sb, Int32sb

GMT8 = dt.timezone(dt.timedelta(hours=8))
"""Times on the wire are Beijing time (808-2013 clause 4.2 and each time field)."""


class Doc(NamedTuple):
    """What is written behind a field, taken apart."""

    title: str  # Chinese
    meaning: str
    unit: str


@lru_cache(8192)
def doc(text: str) -> Doc:
    """`纬度: latitude, unsigned [1e-6 degree]` as its three parts; what is missing is empty."""
    title, colon, rest = text.partition(": ")
    if not colon:
        title, rest = "", text
    meaning, _, unit = rest[:-1].rpartition("[") if rest.endswith("]") else (rest, "", "")
    return Doc(title, meaning.rstrip(), unit)


class Mapped(Adapter):
    """A field whose value is a function of the value below it, both ways."""

    def __init__(
        self,
        subcon: Construct,
        decode: Callable[[Any], Any],
        encode: Callable[[Any], Any],
        present: Callable[[Any], Any] | None = None,
        shape: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(subcon)
        self.decode = decode
        self.encode = encode
        self.present = present or (lambda value: value)
        self.shape = shape or {}  # what protocol/schema.py can't see: JSON Schema, with an example

    def _decode(self, obj: Any, context: Any, path: str) -> Any:
        return self.decode(obj)

    def _encode(self, obj: Any, context: Any, path: str) -> Any:
        try:
            return self.encode(obj)
        except (ValueError, TypeError, AttributeError) as error:
            raise MappingError(str(error), path=path) from error


# --- digits and times ---------------------------------------------------------------------------------


def Bcd(size: int) -> Mapped:  # noqa: N802 - a field type, named as construct names its own
    """`size` bytes of BCD as a string of 2 * size digits; other nibbles stay as hex letters."""

    def encode(value: str) -> bytes:
        if len(value) > 2 * size:
            raise ValueError(f"{value!r} has more than {2 * size} digits")
        return bytes.fromhex(value.rjust(2 * size, "0"))

    digits = {"type": "string", "pattern": f"^[0-9a-f]{{0,{2 * size}}}$", "examples": ["0" * (2 * size)]}
    return Mapped(Bytes(size), bytes.hex, encode, shape=digits | {"x-wire": f"BCD[{size}]"})


_DIGIT_PAIRS = {int(f"{n:02}", 16): n for n in range(100)}  # the byte 0x59 reads 59
_HOURS = {byte: n * 3600 for byte, n in _DIGIT_PAIRS.items() if n < 24}
_MINUTES = {byte: n * 60 for byte, n in _DIGIT_PAIRS.items() if n < 60}
_SECONDS = {byte: n for byte, n in _DIGIT_PAIRS.items() if n < 60}
_EIGHT_HOURS = 8 * 3600


def _midnights() -> dict[bytes, int]:
    """YYMMDD to the second at which that day began in Beijing; every day of the two-digit years."""
    days = {}
    day = dt.date(2000, 1, 1)
    second = calendar.timegm(day.timetuple()) - _EIGHT_HOURS
    while day.year < 2100:
        days[bytes.fromhex(f"{day:%y%m%d}")] = second
        day += dt.timedelta(days=1)
        second += 86400
    return days


_MIDNIGHTS = _midnights()  # 36,525 days, 4 MB: a table look-up where datetime would take 1.3 µs


def decode_time(raw: bytes) -> int | bytes:
    """BCD YYMMDDhhmmss of Beijing time as seconds since 1970 UTC; the raw bytes if it is no time.

    0.35 µs. Two-digit years are 2000 to 2099.
    """
    try:
        return _MIDNIGHTS[raw[:3]] + _HOURS[raw[3]] + _MINUTES[raw[4]] + _SECONDS[raw[5]]
    except KeyError:
        return raw


def encode_time(value: int | bytes | str | dt.datetime) -> bytes:
    """The inverse of `decode_time`; takes ISO 8601 text too (Beijing time where it names no zone)."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        if value.startswith("raw:"):
            return bytes.fromhex(value[4:])
        value = dt.datetime.fromisoformat(value)
        if value.tzinfo is None:
            value = value.replace(tzinfo=GMT8)
    if isinstance(value, dt.datetime):
        value = int(value.timestamp())
    moment = dt.datetime.fromtimestamp(value, GMT8)
    if not 2000 <= moment.year < 2100:
        raise ValueError(f"{moment.isoformat()} is outside of 2000 to 2099, the years of a BCD time")
    return bytes.fromhex(f"{moment:%y%m%d%H%M%S}")


def present_time(value: int | bytes) -> str:
    if isinstance(value, bytes):
        return "raw:" + value.hex()
    return dt.datetime.fromtimestamp(value, GMT8).isoformat()


_TIME_SHAPE = {"type": ["string", "integer"], "format": "date-time", "x-wire": "BCD[6]"}

BcdTime = Mapped(
    Bytes(6),
    decode_time,
    encode_time,
    present_time,
    _TIME_SHAPE | {"examples": ["2024-05-06T07:08:09+08:00"]},
)
"""YYMMDDhhmmss of Beijing time, seconds since 1970 UTC in the program."""


def _decode_utc(raw: bytes) -> int | bytes:
    value = decode_time(raw)
    return value if isinstance(value, bytes) else value + _EIGHT_HOURS


def _encode_utc(value: int | bytes | str | dt.datetime) -> bytes:
    if isinstance(value, str) and not value.startswith("raw:"):
        value = dt.datetime.fromisoformat(value)
    if isinstance(value, dt.datetime):
        value = int(value.replace(tzinfo=value.tzinfo or dt.UTC).timestamp())
    return encode_time(value - _EIGHT_HOURS if isinstance(value, int) else value)


def _present_utc(value: int | bytes) -> str:
    if isinstance(value, bytes):
        return present_time(value)
    return dt.datetime.fromtimestamp(value, dt.UTC).isoformat()


BcdTimeUtc = Mapped(
    Bytes(6),
    _decode_utc,
    _encode_utc,
    _present_utc,
    _TIME_SHAPE | {"examples": ["2024-05-05T23:08:09+00:00"]},
)
"""YYMMDDhhmmss of UTC: the one time of 808-2019 that is not Beijing's (clause 8.5 table 6)."""


# --- text ---------------------------------------------------------------------------------------------


def _stripped(raw: bytes) -> str:
    return decode_text(raw.strip(b"\0 "))


def _text_shape(size: int | None = None) -> dict[str, Any]:
    """Of text that takes at most `size` bytes (GB18030: a character takes one to four of them)."""
    shape: dict[str, Any] = {"type": "string", "x-wire": "STRING", "examples": ["TEXT"[:size]]}
    return shape | ({} if size is None else {"maxLength": size})


def Text(size: int, pad: bytes = b"\0", *, front: bool = False) -> Mapped:  # noqa: N802
    """Text in a field of `size` bytes, padded behind (or in front). Devices pad either end, with NUL or
    space, whatever their standard says: both are dropped at both ends."""

    def encode(value: str) -> bytes:
        raw = encode_text(value)
        if len(raw) > size:
            raise ValueError(f"{value!r} takes {len(raw)} bytes, the field has {size}")
        return raw.rjust(size, pad) if front else raw.ljust(size, pad)

    return Mapped(Bytes(size), _stripped, encode, shape=_text_shape(size) | {"x-wire": f"STRING[{size}]"})


TextRest = Mapped(GreedyBytes, decode_text, encode_text, shape=_text_shape())
"""Text up to the end of the body."""


class TextUpTo(Mapped):
    """Text up to the end of the body; what is sent has no more than `size` bytes, what comes may.

    `padded`: devices fill it up, as they do a field of a fixed size."""

    def __init__(self, size: int, *, padded: bool = False) -> None:
        decode = _stripped if padded else decode_text
        super().__init__(GreedyBytes, decode, self._limited, shape=_text_shape(size))
        self.size = size

    def _limited(self, value: str) -> bytes:
        raw = encode_text(value)
        if len(raw) > self.size:
            raise ValueError(f"the text takes {len(raw)} bytes, at most {self.size} are allowed")
        return raw


TextEnd = Mapped(GreedyBytes, _stripped, encode_text, shape=_text_shape())
"""Text up to the end of the body, without the padding that some devices add at either end."""


def _hex_or_bytes(value: bytes | str) -> bytes:
    return bytes.fromhex(value) if isinstance(value, str) else bytes(value)


def _raw_shape(size: int | None = None) -> dict[str, Any]:
    times, wire = ("*", "BYTE[n]") if size is None else (f"{{0,{size}}}", f"BYTE[{size}]")
    return {
        "type": "string",
        "pattern": f"^([0-9a-fA-F]{{2}}){times}$",
        "x-wire": wire,
        "examples": ["00" * (size or 0)],
    }


def Raw(size: int) -> Mapped:  # noqa: N802
    """`size` bytes that have no layout; hexadecimal where they are shown."""

    def encode(value: bytes | str) -> bytes:
        raw = _hex_or_bytes(value)
        if len(raw) > size:
            raise ValueError(f"{len(raw)} bytes, the field has {size}")
        return raw.ljust(size, b"\0")

    return Mapped(Bytes(size), bytes, encode, bytes.hex, _raw_shape(size))


RawRest = Mapped(GreedyBytes, bytes, _hex_or_bytes, bytes.hex, _raw_shape())
"""Bytes without a layout up to the end of the body."""


# --- words of bits, codes ------------------------------------------------------------------------------


class Span(NamedTuple):
    """Neighbouring bits of a word; `low` is the least significant one."""

    low: int
    high: int
    name: str
    note: str = ""


def bit(number: int, name: str, note: str = "") -> Span:
    return Span(number, number, name, note)


def span(low: int, high: int, name: str, note: str = "") -> Span:
    return Span(low, high, name, note)


class Named(Subconstruct):
    """A number whose values have names. The value stays a number; `names` says what it means."""

    def names(self, value: int) -> list[str] | str:
        raise NotImplementedError

    def number(self, value: Any) -> int:
        """What encoding takes: the number itself, or the names as they are shown."""
        raise NotImplementedError

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        return self.subcon._parsereport(stream, context, path)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        try:
            number = self.number(obj)
        except (ValueError, TypeError, AttributeError) as error:
            raise MappingError(str(error), path=path) from error
        self.subcon._build(number, stream, context, path)
        return number  # fields that depend on this one see no names


class Bits(Named):
    """A word of flags and small numbers."""

    def __init__(self, subcon: Construct, *spans: Span) -> None:
        super().__init__(subcon)
        self.spans = spans
        self._by_name = {s.name: s for s in spans}

    def names(self, value: int) -> list[str]:
        """Flags that are set; a field of several bits as name=number. Unnamed bits as bitN."""
        found, seen = [], 0
        for s in self.spans:
            mask = (1 << s.high - s.low + 1) - 1
            part = value >> s.low & mask
            seen |= mask << s.low
            if part:
                found.append(s.name if mask == 1 else f"{s.name}={part}")
        rest = value & ~seen
        found.extend(f"bit{n}" for n in range(rest.bit_length()) if rest >> n & 1)
        return found

    def number(self, value: int | Sequence[str]) -> int:
        if isinstance(value, int):
            return value
        word = 0
        for name in value:
            key, _, part = name.partition("=")
            if key in self._by_name:
                word |= int(part or 1) << self._by_name[key].low
            elif key.startswith("bit") and key[3:].isdigit():
                word |= 1 << int(key[3:])
            else:
                known = ", ".join(self._by_name)
                raise ValueError(f"no flag {key!r}; there are {known}")
        return word


class Codes(Named):
    """A number out of a list; numbers outside of it are kept."""

    def __init__(self, subcon: Construct, names: Mapping[int, str]) -> None:
        super().__init__(subcon)
        self.table = dict(names)
        self._by_name = {name: number for number, name in names.items()}

    def names(self, value: int) -> str:
        return self.table.get(value, "")

    def number(self, value: int | str) -> int:
        if isinstance(value, int):
            return value
        if value in self._by_name:
            return self._by_name[value]
        raise ValueError(f"no code {value!r}; there are {', '.join(self._by_name)}")
