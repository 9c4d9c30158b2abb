"""Fields that are what the bytes allow."""

from __future__ import annotations

import pytest
from construct import Rebuild, Struct, len_, this

from protocol.catalog import EncodeError, decode, encode
from protocol.composite import Counted, Repeated
from protocol.fields import U8, U16, Codes, RawRest, Text
from protocol.fitting import Choice, Form, IfLeft, Times, Within, takes

TAIL = Struct("a" / U8, "b" / IfLeft(U16), "c" / IfLeft(Counted(U8, U8), after="b"))

LISTED = Struct(
    "count" / Rebuild(U8, len_(this.items)),
    "fixed" / Times(2, U8),
    "items" / Times("count", Struct("x" / U16)),
)

FORMS = {
    1: (Form(Struct("n" / U16), "clause of one"),),
    2: (Form(Struct("short" / U8), dialect="su"), Form(Struct("other" / U8), dialect="guangdong")),
    3: (Form(Repeated(Struct("x" / U16))),),
    4: (Form(Struct("list" / Counted(U8, U8))),),
}
CHOSEN = Struct("kind" / Codes(U8, {1: "one"}), "content" / Choice("kind", FORMS))


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ("01", {"a": 1, "b": None, "c": None}),
        ("01 0002", {"a": 1, "b": 2, "c": None}),
        ("01 0002 00", {"a": 1, "b": 2, "c": []}),
        ("01 0002 02 0304", {"a": 1, "b": 2, "c": [3, 4]}),
    ],
)
def test_fields_that_are_left_off(body: str, fields: dict[str, object]) -> None:
    raw = bytes.fromhex(body)
    found = decode(TAIL, raw, explain=True)
    assert (found.fields, found.rest, found.breaks) == (fields, b"", [])
    assert {name: TAIL.parse(raw)[name] for name in fields} == fields
    assert encode(TAIL, fields) == raw
    assert encode(TAIL, {name: value for name, value in fields.items() if value is not None}) == raw


def test_a_field_that_is_cut_is_not_left_off() -> None:
    found = decode(TAIL, b"\1\2")
    assert (found.fields, found.rest) == ({"a": 1}, b"\2")
    assert found.breaks[0].path == "b"


def test_a_hole_is_refused() -> None:
    with pytest.raises(EncodeError, match="c: is given, it belongs here only behind b"):
        encode(TAIL, {"a": 1, "c": [1]})


def test_lists_of_a_known_number() -> None:
    body = bytes.fromhex("02 0a0b 0001 0002")
    found = decode(LISTED, body)
    assert found.fields == {"count": 2, "fixed": [10, 11], "items": [{"x": 1}, {"x": 2}]}
    assert encode(LISTED, found.fields) == body
    assert LISTED.parse(body)["items"] == found.fields["items"]
    assert Times(2, U16).sizeof() == 4
    with pytest.raises(EncodeError, match="fixed: has 3 entries, not 2"):
        encode(LISTED, {"fixed": [1, 2, 3], "items": []})


def test_a_number_that_lies() -> None:
    found = decode(LISTED, bytes.fromhex("ff 0a0b 0001 00"))
    assert found.fields["items"] == [{"x": 1}, {}]
    assert (found.rest, found.breaks[0].path) == (b"\0", "items[1].x")
    assert decode(LISTED, bytes.fromhex("00 0a0b 0001")).rest == b"\0\1"


def test_a_size_further_in_front() -> None:
    layout = Struct("size" / U8, "between" / U8, "text" / Within("size", RawRest), "after" / U8)
    assert decode(layout, bytes.fromhex("02 ff 0102 03")).fields == {
        "size": 2,
        "between": 255,
        "text": b"\1\2",
        "after": 3,
    }
    found = decode(layout, bytes.fromhex("09 ff 0102 03"))
    assert (found.fields, found.rest) == ({"size": 9, "between": 255}, b"\1\2\3")
    assert found.breaks[0].detail == "9 bytes announced, 3 there"


@pytest.mark.parametrize(
    ("body", "content"),
    [
        ("01 0002", {"n": 2}),
        ("01 000203", b"\0\2\3"),
        ("01", b""),
        ("02 07", {"short": 7}),
        ("03", []),
        ("03 0001 0002", [{"x": 1}, {"x": 2}]),
        ("03 0001 00", b"\0\1\0"),
        ("04 02 0102", {"list": [1, 2]}),
        ("04 02 01", b"\2\1"),
        ("05 01", b"\1"),
    ],
)
def test_the_form_that_takes_all_bytes(body: str, content: object) -> None:
    raw = bytes.fromhex(body)
    found = decode(CHOSEN, raw)
    assert found.fields["content"] == content == CHOSEN.parse(raw).content
    assert (found.rest, found.breaks) == (b"", [])
    assert encode(CHOSEN, found.fields) == raw


def test_the_dialect_goes_first_and_the_clause_is_cited() -> None:
    assert decode(CHOSEN, b"\2\7", dialect="guangdong").fields["content"] == {"other": 7}
    assert encode(CHOSEN, {"kind": 2, "content": {"other": 7}}) == b"\2\7"
    parts = decode(CHOSEN, b"\1\0\7", explain=True, clause="clause of all").parts
    assert [part.clause for part in parts] == ["clause of all", "clause of one"]


def test_what_no_form_has() -> None:
    assert encode(CHOSEN, {"kind": "one", "content": {"n": 1}}) == b"\1\0\1"
    assert encode(CHOSEN, {"kind": 9, "content": "0a0b"}) == b"\x09\x0a\x0b"
    with pytest.raises(EncodeError, match="no field m; there are n"):
        encode(CHOSEN, {"kind": 1, "content": {"m": 1}})
    with pytest.raises(EncodeError, match="0x09 has no layout; give bytes"):
        encode(CHOSEN, {"kind": 9, "content": {"n": 1}})
    with pytest.raises(EncodeError, match="0 to 65535"):
        encode(CHOSEN, {"kind": 1, "content": {"n": 65536}})


def test_what_a_layout_takes() -> None:
    assert takes(Struct("t" / Text(3)), b"abc")
    assert not takes(Struct("t" / Text(3)), b"abcd")
    assert takes(Repeated(U16), b"") and takes(Repeated(U16), b"abcd")
    assert not takes(Repeated(U16), b"abc")
    assert takes(Struct("n" / Counted(U8, U8)), b"\1\2")
    assert not takes(Struct("n" / Counted(U8, U8)), b"\2\2")
