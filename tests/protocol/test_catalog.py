"""The machinery of the catalogue: overlays, the walk, and what encoding refuses."""

from __future__ import annotations

import pytest
from construct import If, IfThenElse, Struct, Switch, this
from hypothesis import given
from hypothesis import strategies as st

from protocol.catalog import EncodeError, Row, catalog, decode, encode, overlay
from protocol.fields import U8, U16, BcdTime, Bits, Codes, Counted, Raw, RawRest, Sized, bit

LAYOUT = Struct(
    "flags" / Bits(U8, bit(0, "long")) * "what follows",
    "value" / IfThenElse(this.flags & 1, U16, U8) * "a figure [m]",
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
    assert (flags.names, flags.meaning) == (["long", "bit1"], "what follows")
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


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "the field 'n' is missing"),
        ({"n": 256}, "n: 256 is no integer from 0 to 255"),
        ({"n": -1}, "n: -1 is no integer from 0 to 255"),
        ({"n": "x"}, "n: 'x' is no integer from 0 to 255"),
        ({"n": None}, "n: None is no integer"),
        ({"n": 1, "k": 1}, "no field k; there are n"),
    ],
)
def test_what_does_not_fit_is_named(fields: dict[str, object], text: str) -> None:
    with pytest.raises(EncodeError, match="message: ") as caught:
        encode(Struct("n" / U8), fields, name="message")
    assert text in str(caught.value)


# --- tables ---

ONE = Row(0x0001, "one", "一", Struct(), "doc 1")
TWO = Row(0x8002, "two", "二", Struct(), "doc 2")


def test_overlays() -> None:
    base = catalog(ONE, TWO)
    new = Row(0x0001, "other", "", Struct("n" / U8), "later 1")
    assert overlay(base, add=[new]) == {0x0001: new, 0x8002: TWO}
    assert overlay(base, remove=[0x0001]) == {0x8002: TWO}
    cited = overlay(base, clauses={0x8002: "later 2"})[0x8002]
    assert (cited.clause, cited.layout, cited.name) == ("later 2", TWO.layout, "two")
    assert base == {0x0001: ONE, 0x8002: TWO}
    assert (ONE.uplink, TWO.uplink) == (True, False)
    with pytest.raises(ValueError, match="two rows for 0x0001: one and other"):
        catalog(ONE, new)
    with pytest.raises(KeyError):
        overlay(base, remove=[0x0009])
