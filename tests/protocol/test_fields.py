"""The vocabulary of layouts: both ways, on any bytes."""

from __future__ import annotations

import datetime as dt

import pytest
from construct import Struct, this
from hypothesis import given
from hypothesis import strategies as st

from protocol.catalog import EncodeError, decode, encode
from protocol.fields import (
    U8,
    U16,
    Bcd,
    BcdTime,
    BcdTimeUtc,
    Bits,
    Codes,
    Counted,
    Raw,
    Repeated,
    Sized,
    Text,
    TextCounted,
    TextEnd,
    TextRest,
    TextUpTo,
    When,
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


# --- fields made of fields ---

LIST = Struct("list" / Counted(U8, U16), "text" / TextCounted(U8), "rest" / Repeated(Sized(U8, Raw(2))))


@given(
    st.lists(st.integers(0, 0xFFFF), max_size=9),
    st.text(st.sampled_from("abc京"), max_size=9),
    st.lists(st.binary(min_size=2, max_size=2), max_size=4),
)
def test_lists(numbers: list[int], text: str, rest: list[bytes]) -> None:
    value = {"list": numbers, "text": text, "rest": rest}
    body = encode(LIST, value)
    assert decode(LIST, body).fields == value
    assert {key: LIST.parse(body)[key] for key in value} == value


def test_a_count_that_lies_costs_nothing() -> None:
    found = decode(Struct("list" / Counted(U16, U16)), bytes.fromhex("ffff 0001 0002 03"))
    assert found.fields == {"list": [1, 2, None]}
    assert found.rest == b"\x03"
    assert found.breaks[0].path == "list[2]"


def test_a_size_that_lies() -> None:
    layout = Struct("text" / TextCounted(U8), "after" / U8)
    found = decode(layout, b"\x09abc")
    assert found.fields == {}
    assert (found.breaks[0].detail, found.rest) == ("9 bytes announced, 3 there", b"abc")
    layout = Struct("two" / Sized(U8, U16), "after" / U8)
    found = decode(layout, bytes.fromhex("04 0001 ffff 07"), explain=True)
    assert found.fields == {"two": 1, "after": 7}
    assert found.breaks[0].detail == "2 bytes more than the layout has"
    assert b"".join(part.raw for part in found.parts) == bytes.fromhex("04 0001 ffff 07")
    found = decode(layout, bytes.fromhex("01 00 07"))
    assert found.fields == {"two": None, "after": 7}


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


# --- fields that are not always there ---

TIMED = Bits(U8, bit(0, "timed"))
OPTIONAL = Struct("flags" / TIMED, "time" / When(this.flags & 1, U16, "flags has timed"), "end" / U8)


@pytest.mark.parametrize(
    ("raw", "value"),
    [("01 0102 03", {"flags": 1, "time": 258, "end": 3}), ("02 03", {"flags": 2, "time": None, "end": 3})],
)
def test_a_field_that_others_announce(raw: str, value: dict[str, object]) -> None:
    body = bytes.fromhex(raw)
    assert decode(OPTIONAL, body).fields == value == {key: OPTIONAL.parse(body)[key] for key in value}
    assert encode(OPTIONAL, value) == body
    assert encode(OPTIONAL, {key: known for key, known in value.items() if known is not None}) == body


def test_a_field_that_others_announce_by_name() -> None:
    assert encode(OPTIONAL, {"flags": ["timed"], "time": 1, "end": 2}) == b"\1\0\1\2"


def test_a_field_that_contradicts_those_before_it() -> None:
    with pytest.raises(EncodeError, match="time: is missing, it belongs here where flags has timed"):
        encode(OPTIONAL, {"flags": 1, "end": 2})
    with pytest.raises(EncodeError, match="time: is given, it belongs here only where flags has timed"):
        encode(OPTIONAL, {"flags": 0, "time": 1, "end": 2})


def test_text_of_a_limited_length() -> None:
    layout = Struct("text" / TextUpTo(4))
    assert decode(layout, b"abcdef").fields == {"text": "abcdef"}
    assert encode(layout, {"text": "\u4e2d\u6587"}) == b"\xd6\xd0\xce\xc4"
    with pytest.raises(EncodeError, match="text: the text takes 5 bytes, at most 4 are allowed"):
        encode(layout, {"text": "abcde"})
    assert decode(Struct("text" / TextUpTo(4, padded=True)), b"ab\0 ").fields == {"text": "ab"}


def test_where_in_a_list_a_value_does_not_fit() -> None:
    layout = Struct("list" / Counted(U8, Struct("n" / U8 * "\u6570: number")) * "\u8868: numbers")
    with pytest.raises(EncodeError, match=r"^body: list\[1\]\.n: 256 is no integer from 0 to 255$"):
        encode(layout, {"list": [{"n": 1}, {"n": 256}]})
    with pytest.raises(EncodeError, match=r"^body: flags: no flag 'late'; there are timed$"):
        encode(OPTIONAL, {"flags": ["late"], "end": 2})
