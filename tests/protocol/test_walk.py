"""The walk over a body: what it finds, and what it makes of bytes that are no such body."""

from __future__ import annotations

from construct import Array, If, IfThenElse, Rebuild, Struct, Switch, len_, this
from hypothesis import given
from hypothesis import strategies as st

from protocol.catalog import decode
from protocol.composite import Counted, Repeated, Sized
from protocol.fields import U8, U16, U32, BcdTime, Bits, Codes, Mapped, Raw, RawRest, bit
from protocol.walk import step

LAYOUT = Struct(
    "flags" / Bits(U8, bit(0, "long")) * "标志: what follows",
    "value" / IfThenElse(this.flags & 1, U16, U8) * "数值: a figure [m]",
    "more" / If(this.flags & 2, Struct("time" / BcdTime * "of it")),
    "kind" / Codes(U8, {1: "one"}),
    "by_kind" / Switch(this.kind, {1: Struct("a" / U8)}, default=Raw(1)),
    "list" / Counted(U8, Struct("n" / U8)),
)
BODY = bytes.fromhex("03 0102 230727150914 01 ff 02 0a 0b")


def test_a_body_field_by_field() -> None:
    found = decode(LAYOUT, BODY, present=True, explain=True, clause="clause 1")
    assert found.fields == {
        "flags": 3,
        "value": 258,
        "more": {"time": "2023-07-27T15:09:14+08:00"},
        "kind": 1,
        "by_kind": {"a": 255},
        "list": [{"n": 10}, {"n": 11}],
    }
    assert (found.rest, found.breaks) == (b"", [])
    assert [(part.path, part.offset, part.raw.hex()) for part in found.parts] == [
        ("flags", 0, "03"),
        ("value", 1, "0102"),
        ("more.time", 3, "230727150914"),
        ("kind", 9, "01"),
        ("by_kind.a", 10, "ff"),
        ("list.count", 11, "02"),
        ("list[0].n", 12, "0a"),
        ("list[1].n", 13, "0b"),
    ]
    flags, value, time, kind, *_ = found.parts
    assert (flags.names, flags.title, flags.meaning) == (["long", "bit1"], "标志", "what follows")
    assert (value.meaning, value.unit) == ("a figure", "m")
    assert (time.value, kind.names, kind.clause) == ("2023-07-27T15:09:14+08:00", "one", "clause 1")


@given(st.integers(0, len(BODY) - 1))
def test_a_body_that_is_cut_gives_what_it_holds(size: int) -> None:
    found = decode(LAYOUT, BODY[:size], explain=True)
    assert len(found.breaks) == 1
    assert found.breaks[0].offset + len(found.rest) == size
    assert b"".join(part.raw for part in found.parts) + found.rest == BODY[:size]
    whole = decode(LAYOUT, BODY).fields
    for name, value in found.fields.items():
        if name not in {"list", "more", "by_kind"}:
            assert value == whole[name]


@given(st.binary(max_size=40), st.booleans(), st.booleans())
def test_any_bytes(body: bytes, present: bool, explain: bool) -> None:
    found = decode(LAYOUT, body, present=present, explain=explain)
    assert body.endswith(found.rest)


def test_the_break_names_its_place() -> None:
    found = decode(LAYOUT, BODY[:8])
    assert found.breaks[0].path == "more.time"
    assert found.breaks[0].offset == 3
    assert found.breaks[0].detail == "5 bytes there, fewer than the field has"
    assert found.rest == BODY[3:8]


def test_a_break_inside_a_sized_field_is_shown_with_its_bytes() -> None:
    layout = Struct("sized" / Sized(U8, Struct("a" / U8, "b" / U16)), "after" / U8)
    found = decode(layout, bytes.fromhex("02 0a 0b 0c"), explain=True)
    assert found.fields == {"sized": {"a": 10}, "after": 12}
    assert (found.breaks[0].path, found.breaks[0].offset) == ("sized.b", 2)
    assert [(part.path, part.raw.hex()) for part in found.parts] == [
        ("sized.length", "02"),
        ("sized.a", "0a"),
        ("sized.rest", "0b"),
        ("after", "0c"),
    ]


def test_bytes_behind_the_layout() -> None:
    assert decode(Struct("n" / U8), b"\x01\x02\x03").rest == b"\x02\x03"
    assert decode(Struct(), b"").fields == {}
    assert decode(Struct("all" / RawRest), b"\x01", present=True).fields == {"all": "01"}


@given(st.binary(max_size=40), st.booleans())
def test_fields_read_at_once_are_those_read_one_by_one(body: bytes, present: bool) -> None:
    at_once, one_by_one = (
        decode(LAYOUT, body, present=present, explain=explain) for explain in (False, True)
    )
    assert (at_once.fields, at_once.rest) == (one_by_one.fields, one_by_one.rest)
    assert at_once.breaks == one_by_one.breaks


def test_a_field_takes_the_docs_of_the_one_around_it_where_it_has_none() -> None:
    layout = Struct("list" / Counted(U8 * "总数: how many", U16) * "编号: of it [m]", "bare" / U8)
    parts = decode(layout, bytes.fromhex("01 0002 03"), explain=True).parts
    assert [(p.path, p.title, p.meaning, p.unit) for p in parts] == [
        ("list.count", "总数", "how many", ""),
        ("list[0]", "编号", "of it", "m"),
        ("bare", "", "", ""),
    ]
    parts = decode(Struct("all" / Sized(U8, Counted(U8, RawRest))), b"\x02\x01a", explain=True).parts
    assert [p.title for p in parts] == ["长度", "个数", ""]


def test_a_field_that_is_not_there_is_none_and_not_shown() -> None:
    layout = Struct("flag" / U8, "more" / If(this.flag, U8))
    found = decode(layout, b"\x00", explain=True)
    assert (found.fields, len(found.parts)) == ({"flag": 0, "more": None}, 1)


def test_what_only_building_needs_is_read_like_any_number() -> None:
    layout = Struct("n" / Rebuild(Codes(U8, {1: "one"}), len_(this.all)), "all" / Counted(U8, U8))
    found = decode(layout, b"\x01\x01\x05", explain=True)
    assert (found.fields, found.parts[0].names) == ({"n": 1, "all": [5]}, "one")


def _refuse(raw: int) -> int:
    raise ValueError("it is no such number")


def _refuse_without_a_word(raw: int) -> int:
    raise ValueError


def test_a_field_that_refuses_without_a_reason() -> None:
    found = decode(Struct("bad" / Mapped(U8, _refuse_without_a_word, int)), b"\x01")
    assert (found.breaks[0].detail, found.rest) == ("it can't be read", b"\x01")


def test_a_field_that_refuses_its_bytes_breaks_the_walk_there() -> None:
    layout = Struct("first" / U8, "bad" / Mapped(U8, _refuse, int), "last" / U8)
    for explain in (False, True):
        found = decode(layout, b"\x01\x02\x03", explain=explain)
        assert (found.fields, found.rest) == ({"first": 1}, b"\x02\x03")
        assert (found.breaks[0].path, found.breaks[0].detail) == ("bad", "it is no such number")


def test_fields_of_construct_itself() -> None:
    layout = Struct("array" / Array(2, U8), "outer" / Struct("a" / U8, "b" / If(this._.array[0] == 1, U8)))
    assert decode(layout, b"\x01\x02\x03\x04").fields == {"array": [1, 2], "outer": {"a": 3, "b": 4}}
    found = decode(layout, b"\x01")
    assert (found.breaks[0].path, found.rest) == ("array", b"\x01")


def test_conditions_may_be_constants() -> None:
    layout = Struct("yes" / IfThenElse(True, U8, U16), "one" / Switch(1, {1: U8}, default=U16))
    assert decode(layout, b"\x01\x02").fields == {"yes": 1, "one": 2}


def test_how_a_layout_is_walked_is_made_out_once() -> None:
    assert step(LAYOUT) is step(LAYOUT)


def _even(raw: int) -> int:
    if raw % 2:
        raise ValueError("it is odd")
    return raw


@given(st.binary(max_size=30), st.booleans())
def test_a_list_read_at_once_is_the_one_read_one_by_one(body: bytes, present: bool) -> None:
    element = Struct("n" / Mapped(U8, _even, int, str), "raw" / Raw(2))
    for layout in (
        Struct("list" / Counted(U8, element), "rest" / U8),
        Struct("list" / Repeated(element)),
        Struct("sized" / Sized(U8, Repeated(element)), "rest" / U8),
    ):
        at_once, one_by_one = (decode(layout, body, present=present, explain=why) for why in (False, True))
        assert (at_once.fields, at_once.rest) == (one_by_one.fields, one_by_one.rest)
        assert at_once.breaks == one_by_one.breaks


def test_a_list_is_no_longer_than_its_bytes() -> None:
    nothing = Struct("x" / If(this._.none, U8))
    layout = Struct("none" / U8, "list" / Counted(U32, nothing))
    found = decode(layout, b"\x00\xff\xff\xff\xff")
    assert (found.fields, found.breaks) == ({"none": 0, "list": [{"x": None}]}, [])
    found = decode(Struct("list" / Counted(U32, Struct("n" / U16))), b"\xff\xff\xff\xff\x00\x01\x02")
    assert found.fields == {"list": [{"n": 1}, {}]}
    assert (found.breaks[0].path, found.rest) == ("list[1].n", b"\x02")
