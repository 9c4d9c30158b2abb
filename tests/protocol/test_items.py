"""Item lists: where the items are, and which reading is taken."""

from __future__ import annotations

from typing import Any

import pytest
from construct import Struct
from hypothesis import given
from hypothesis import strategies as st

from protocol.catalog import EncodeError, decode, encode
from protocol.fields import U8, U16, U32
from protocol.items import Item, Items, exactly, item_table, places, read_item, reread, steps
from protocol.location import SIZE, read
from protocol.messages import ITEMS
from protocol.messages.location import REPORT
from tests.protocol.strategies import entries, values

TABLE = item_table(
    [
        Item(0x01, "word", "字", Struct("word" / U16), "doc 1", exactly(2)),
        Item(0x01, "long", "长", Struct("long" / U32), "doc 2", exactly(4)),
    ],
    [
        Item(0x02, "even", "", Struct("n" / U8), "doc", exactly(1), "a", lambda fields: fields["n"] % 2 == 0),
        Item(0x02, "any", "", Struct("n" / U8), "doc", exactly(1), "b"),
        Item(0x03, "short", "", Struct("n" / U32), "doc", exactly(3)),  # its layout can't read that length
    ],
)
LIST = Struct("items" / Items(TABLE))
HEAD = bytes(SIZE)


def at(data: str) -> list[tuple[int, str]]:
    raw = bytes.fromhex(data)
    return [(place.id, raw[place.value : place.stop].hex()) for place in places(raw)]


# --- where the items are ---


def test_the_coding_of_the_standard() -> None:
    assert at("0102000a 020105 f900") == [(1, "000a"), (2, "05"), (0xF9, "")]
    assert at("") == []


def test_a_list_that_is_cut() -> None:
    assert at("0102000a 02") == [(1, "000a")]
    assert at("0102000a 0205010203") == [(1, "000a")]


def test_zeros_at_the_end_are_no_items() -> None:
    assert at("0102000a" + "00" * 9) == [(1, "000a")]
    assert at("0102000a" + "00" * 8) == [(1, "000a")]
    assert at("00" * 20) == []
    assert at("0000 0102000a") == [(0, ""), (1, "000a")]  # in the middle they are


def test_other_codings_behind_standard_items() -> None:
    """Two-byte ids, two-byte lengths, and four-byte lengths, each with a value of 66 bytes or more."""
    value = "ab" * 66
    assert at("01040000006402020037" + "00de42" + value) == [(1, "00000064"), (2, "0037"), (0xDE, value)]
    assert at("0102000a" + "00de0042" + value) == [(1, "000a"), (0xDE, value)]
    assert at("0102000a" + "6200000042" + value) == [(1, "000a"), (0x62, value)]
    assert at("0005 02 000a 0006 01 07") == [(5, "000a"), (6, "07")]


def test_a_reading_of_the_standard_goes_first() -> None:
    assert at("0002 0003") == [(0, "0003")]
    assert at("0102 0003") == [(1, "0003")]


def test_twenty_bytes_are_a_record_of_one_maker() -> None:
    assert at("0405" + "aa" * 18) == []
    assert at("0112" + "aa" * 18) == [(1, "aa" * 18)]


@given(st.binary(max_size=300))
def test_places_are_in_order_and_inside(data: bytes) -> None:
    end = 0
    for place in places(data):
        assert end <= place.start < place.value <= place.stop <= len(data)
        end = place.stop


@given(st.binary(max_size=200))
def test_the_hot_path_sees_the_same_where_nothing_is_left(data: bytes) -> None:
    report = read(HEAD + data)
    if not report.left and (not report.items or report.items[-1] != (0, b"")):
        assert [(p.id, data[p.value : p.stop]) for p in places(data)] == report.items


def test_reread() -> None:
    body = HEAD + bytes.fromhex("0102000a" + "00de42" + "ab" * 66)
    report = reread(read(body), body)
    assert report.items == [(1, b"\x00\x0a"), (0xDE, b"\xab" * 66)]
    assert report.left == b""
    body = HEAD + bytes.fromhex("0102000a 000000")
    assert reread(read(body), body).items == [(1, b"\x00\x0a")]
    assert reread(read(body), body).left == b""
    body = HEAD + bytes.fromhex("0102000a 0209aa")
    assert reread(read(body), body).left == bytes.fromhex("0209aa")


# --- which reading ---


def name(item_id: int, raw: str, **options: Any) -> str:
    found = read_item(TABLE, item_id, bytes.fromhex(raw), **options)
    return found.item.name if found.item else ""


def test_the_length_chooses() -> None:
    assert name(1, "0001") == "word"
    assert name(1, "00000001") == "long"
    assert name(1, "000001") == ""
    assert name(9, "00") == ""
    assert name(3, "000001") == ""  # a layout that fails is no reading


def test_then_the_sense_and_the_dialect() -> None:
    assert name(2, "04") == "even"
    assert name(2, "05") == "any"
    assert name(2, "04", dialect="b") == "any"
    assert name(2, "04", dialect="c") == "even"


def test_steps() -> None:
    assert [n for n in range(60) if steps(41, 9)(n)] == [41, 50, 59]


def test_the_list_as_a_field() -> None:
    body = bytes.fromhex("0102000a 020105 f90101")
    found = decode(LIST, body, present=True, explain=True)
    assert found.fields["items"] == [
        {"id": "0x01", "name": "word", "value": {"word": 10}},
        {"id": "0x02", "name": "any", "value": {"n": 5}, "dialect": "b"},
        {"id": "0xf9", "name": "", "value": "01"},
    ]
    assert [(p.path, p.offset, p.raw.hex(), p.clause) for p in found.parts] == [
        ("items[0].word", 0, "0102", "doc 1"),
        ("items[0].word.word", 2, "000a", "doc 1"),
        ("items[1].any", 4, "0201", "doc"),
        ("items[1].any.n", 6, "05", "doc"),
        ("items[2]", 7, "f901", ""),
        ("items[2]", 9, "01", ""),
    ]
    assert encode(LIST, found.fields) == body
    plain = decode(LIST, body).fields
    assert plain["items"][0]["id"] == 1
    assert encode(LIST, plain) == body
    assert LIST.parse(body)["items"] == plain["items"]


def test_a_pinned_dialect() -> None:
    body = bytes.fromhex("020104")
    assert decode(LIST, body).fields["items"][0]["name"] == "even"
    assert decode(LIST, body, dialect="b").fields["items"][0]["name"] == "any"


def test_encoding_finds_the_reading_that_the_fields_fit() -> None:
    for entry in ({"id": 1, "value": {"long": 7}}, {"name": "long", "value": {"long": 7}}):
        assert encode(LIST, {"items": [entry]}) == bytes.fromhex("010400000007")
    assert encode(LIST, {"items": [{"name": "word", "value": b"\x01"}]}) == bytes.fromhex("010101")
    assert encode(LIST, {"items": [{"id": "0xf9", "value": "aabb"}]}) == bytes.fromhex("f902aabb")


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"name": "none", "value": {}}, "no item 'none'; there are any, even, long, short, word"),
        ({"id": 0xF9, "value": {"n": 1}}, "no layout; give its bytes"),
        ({"id": 1, "value": {"other": 1}}, "no reading has the fields other"),
        ({"id": 0, "value": b""}, "ids go from 0x01 to 0xff"),
        ({"id": 1, "value": bytes(256)}, "the most is 255"),
        ({"id": 1}, "value"),
        ({"id": 1, "value": {"word": 70000}}, ""),
    ],
)
def test_what_can_not_be_encoded_is_named(entry: dict[str, Any], text: str) -> None:
    with pytest.raises(EncodeError) as caught:
        encode(LIST, {"items": [entry]})
    assert text in str(caught.value)


@given(st.lists(entries(ITEMS), max_size=5))
def test_every_reading_of_every_item_comes_back(items: list[dict[str, Any]]) -> None:
    layout = Struct("items" / Items(ITEMS))
    body = encode(layout, {"items": items})
    assert decode(layout, body).fields == {"items": items}
    assert layout.parse(body)["items"] == items
    presented = decode(layout, body, present=True).fields
    assert encode(layout, presented) == body


@given(values(REPORT))
def test_a_report_comes_back_by_every_way(value: dict[str, Any]) -> None:
    body = encode(REPORT, value)
    assert decode(REPORT, body).fields == value
    report = read(body)
    assert [entry["id"] for entry in value["items"]] == [item_id for item_id, _ in report.items]
    assert [getattr(report, name) for name in ("alarm", "status", "time")] == [
        value[name] for name in ("alarm", "status", "time")
    ]
