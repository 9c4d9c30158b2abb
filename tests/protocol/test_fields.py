"""The vocabulary of layouts: both ways, on any bytes."""

from __future__ import annotations

import datetime as dt

import pytest
from construct import Struct
from hypothesis import given
from hypothesis import strategies as st

from protocol.catalog import EncodeError, decode, encode
from protocol.fields import (
    U8,
    Bcd,
    BcdTime,
    BcdTimeUtc,
    Bits,
    Codes,
    Text,
    TextEnd,
    TextRest,
    TextUpTo,
    bit,
    decode_time,
    doc,
    encode_time,
    present_time,
    span,
)


@given(st.integers(0, 10**12 - 1))
def test_digits(number: int) -> None:
    field = Bcd(6)
    assert field.parse(field.build(str(number))) == f"{number:012}"


def test_digits_that_are_none_or_too_many() -> None:
    assert Bcd(2).parse(b"\x0a\xf1") == "0af1"
    with pytest.raises(EncodeError, match="more than 4 digits"):
        encode(Struct("phone" / Bcd(2)), {"phone": "12345"})


# --- times ---


@given(st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2099, 12, 31)))
def test_times_are_beijing_time(moment: dt.datetime) -> None:
    moment = moment.replace(microsecond=0)
    raw = bytes.fromhex(f"{moment:%y%m%d%H%M%S}")
    second = decode_time(raw)
    assert isinstance(second, int)
    assert dt.datetime.fromtimestamp(second, dt.UTC).replace(tzinfo=None) == moment - dt.timedelta(hours=8)
    assert encode_time(second) == encode_time(present_time(second)) == encode_time(moment.isoformat()) == raw
    assert BcdTimeUtc.decode(raw) == second + 8 * 3600
    assert BcdTimeUtc.build(BcdTimeUtc.decode(raw)) == raw
    assert BcdTimeUtc.build(BcdTimeUtc.present(BcdTimeUtc.decode(raw))) == raw


@pytest.mark.parametrize(
    "raw",
    [
        "000000000000",
        "231301000000",
        "230230000000",
        "2301012a0000",
        "230101240000",
        "ffffffffffff",
        "230101006000",
    ],
)
def test_what_is_no_time_stays_raw(raw: str) -> None:
    value = decode_time(bytes.fromhex(raw))
    assert value == bytes.fromhex(raw)
    assert present_time(value) == f"raw:{raw}"
    assert encode_time(value) == encode_time(f"raw:{raw}") == bytes.fromhex(raw)
    assert BcdTimeUtc.decode(bytes.fromhex(raw)) == bytes.fromhex(raw)


@given(st.binary(min_size=6, max_size=6))
def test_any_six_bytes_come_back(raw: bytes) -> None:
    for field in (BcdTime, BcdTimeUtc):
        assert field.build(field.parse(raw)) == raw
        assert field.build(field.present(field.parse(raw))) == raw


def test_a_time_that_has_no_two_digit_year() -> None:
    with pytest.raises(EncodeError, match="2000 to 2099"):
        encode(Struct("time" / BcdTime), {"time": 0})


# --- text ---


def test_padding_at_either_end_is_dropped() -> None:
    for raw in (b"AB12\0\0\0\0", b"AB12    ", b"\0\0\0\0AB12", b" AB12 \0\0"):
        assert Text(8).parse(raw) == "AB12"
    assert TextEnd.parse(b"AB12\0") == "AB12"
    assert Text(8).build("AB12") == b"AB12\0\0\0\0"
    assert Text(8, b" ").build("AB12") == b"AB12    "
    assert Text(8, front=True).build("AB12") == b"\0\0\0\0AB12"
    with pytest.raises(EncodeError, match="takes 4 bytes, the field has 3"):
        encode(Struct("plate" / Text(3)), {"plate": "粤粤"})


# --- words ---

FLAGS = Bits(U8, bit(0, "a"), span(1, 2, "two"), bit(7, "h"))


@given(st.integers(0, 255))
def test_flags_are_named_and_found_by_name(word: int) -> None:
    assert FLAGS.number(FLAGS.names(word)) == word
    assert FLAGS.build(FLAGS.names(word)) == FLAGS.build(word) == bytes([word])


def test_names() -> None:
    assert FLAGS.names(0b10010101) == ["a", "two=2", "h", "bit4"]
    with pytest.raises(ValueError, match="no flag 'b'; there are a, two, h"):
        FLAGS.number(["b"])
    codes = Codes(U8, {1: "one"})
    assert (codes.names(1), codes.names(2), codes.number("one"), codes.number(7)) == ("one", "", 1, 7)
    with pytest.raises(EncodeError, match="no code 'two'"):
        encode(Struct("code" / codes), {"code": "two"})


def test_text_to_the_end() -> None:
    assert decode(Struct("text" / TextRest), "京A".encode("gbk")).fields == {"text": "京A"}
    assert decode(Struct("text" / TextRest), b"").fields == {"text": ""}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("纬度: latitude, unsigned [1e-6 degree]", ("纬度", "latitude, unsigned", "1e-6 degree")),
        ("结果: 0: ok [of it] and more", ("结果", "0: ok [of it] and more", "")),
        ("only a meaning [m]", ("", "only a meaning", "m")),
        ("", ("", "", "")),
    ],
)
def test_what_is_written_behind_a_field(text: str, parts: tuple[str, str, str]) -> None:
    assert doc(text) == parts


def test_text_of_a_limited_length() -> None:
    layout = Struct("text" / TextUpTo(4))
    assert decode(layout, b"abcdef").fields == {"text": "abcdef"}
    assert encode(layout, {"text": "\u4e2d\u6587"}) == b"\xd6\xd0\xce\xc4"
    with pytest.raises(EncodeError, match="text: the text takes 5 bytes, at most 4 are allowed"):
        encode(layout, {"text": "abcde"})
    assert decode(Struct("text" / TextUpTo(4, padded=True)), b"ab\0 ").fields == {"text": "ab"}
