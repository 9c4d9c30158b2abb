"""Fields made of fields, against construct and against bytes that are none of them."""

from __future__ import annotations

import pytest
from construct import Struct, this
from hypothesis import given
from hypothesis import strategies as st

from protocol.catalog import EncodeError, decode, encode
from protocol.composite import Counted, Repeated, Sized, TextCounted, When, nullable, one_of
from protocol.fields import U8, U16, Bits, Raw, bit

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


def test_where_in_a_list_a_value_does_not_fit() -> None:
    layout = Struct("list" / Counted(U8, Struct("n" / U8 * "\u6570: number")) * "\u8868: numbers")
    with pytest.raises(EncodeError, match=r"^body: list\[1\]\.n: 256 is no integer from 0 to 255$"):
        encode(layout, {"list": [{"n": 1}, {"n": 256}]})
    with pytest.raises(EncodeError, match=r"^body: flags: no flag 'late'; there are timed$"):
        encode(OPTIONAL, {"flags": ["late"], "end": 2})


def test_one_of_several_schemas_and_none() -> None:
    number = {"type": "integer"}
    assert one_of([("a", number), ("b", {"type": "string"}), ("c", number), ("", {"type": "null"})]) == [
        {"type": "integer", "x-when": "a, c"},
        {"type": "string", "x-when": "b"},
        {"type": "null"},
    ]
    assert nullable(number) == {"type": ["integer", "null"]}
    assert nullable({"type": ["string", "integer"]}) == {"type": ["string", "integer", "null"]}
    assert nullable({"anyOf": [number]}) == {"anyOf": [number, {"type": "null"}]}
