"""Lists of parameters, with a small table: found, read, written, refused."""

from __future__ import annotations

from typing import Any

import pytest
from construct import Rebuild, Struct, len_, this
from hypothesis import given
from hypothesis import strategies as st

from protocol.catalog import EncodeError, decode, encode
from protocol.fields import U8, U16, U32, Raw, TextEnd
from protocol.parameters import (
    Limits,
    Parameter,
    Parameters,
    Part,
    fitting,
    parameter_table,
    part,
    places,
    structured,
)
from protocol.schema import example, shape

CITED = {"808-2013": "808-2013 8.9 table 12", "808-2019": "808-2019 8.12 table 13"}


def plain(number: int, layout: Any, **more: Any) -> Parameter:
    return Parameter(number, layout, CITED, fitting(layout), **more)


SETTINGS = (
    Part("volume" / U8 * "音量: of alarms", Limits(0, 8, 6, 0xFF)),
    Part("distance" / U16 * "距离: to the next [m]", Limits(unchanged=0xFFFF)),
    part("kind" / U8 * "种类: of thing", low=1),
    Part("reserved" / Raw(2) * "保留: reserved"),
)
TABLE = parameter_table(
    (
        plain(1, "interval" / U32 * "间隔: between two [s]", limits={"": Limits(low=1, default=30)}),
        plain(2, "address" / TextEnd * "地址: of the server"),
        plain(3, "colour" / U8 * "颜色: in a byte", dialect="new"),
        plain(3, "colour" / U32 * "颜色: in a word", dialect="old"),
        structured(4, "settings", "设置: of an alarm", SETTINGS, {"": "T/JSATL 12 table 4-10"}),
        plain(8, "further" / U8 * "其他: of a range", last=12),
    )
)
LIST = Struct(
    "count" / Rebuild(U8, len_(this.list)) * "总数: parameters",
    "list" / Parameters(TABLE, "new") * "列表: parameters",
)


def read(text: str, **how: Any) -> list[dict[str, Any]]:
    found = decode(LIST, bytes.fromhex(text), **how)
    assert (found.rest, found.breaks) == (b"", [])
    entries: list[dict[str, Any]] = found.fields["list"]
    return entries


def written(*entries: dict[str, Any]) -> str:
    body = encode(LIST, {"list": list(entries)}, name="set")
    return body.hex()


# --- where they are ---


def test_places() -> None:
    data = bytes.fromhex("00000001 04 0000001e 00000002 00")
    assert [(p.id, p.start, p.value, p.stop) for p in places(data, 2)[0]] == [(1, 0, 5, 9), (2, 9, 14, 14)]
    assert places(b"", 0) == ([], 0)


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_the_number_in_front_is_not_believed(count: int) -> None:
    found, missing = places(bytes.fromhex("00000001 01 1e 00000002 00"), count)
    assert ([place.id for place in found], missing) == ([1, 2], 0)


def test_what_is_behind_them() -> None:
    zeros = bytes.fromhex("00000001 01 1e 00000000 00 00000000 00")
    assert [place.id for place in places(zeros, 1)[0]] == [1]
    assert [place.id for place in places(zeros, 2)[0]] == [1, 0]
    found, missing = places(bytes.fromhex("00000001 01 1e 00000002 04 0000"), 1)
    assert ([place.id for place in found], missing) == ([1], 0)


@pytest.mark.parametrize(("cut", "missing"), [("00", 5), ("00000002", 5), ("00000002 04 0000", 9)])
def test_a_list_that_is_cut(cut: str, missing: int) -> None:
    body = bytes.fromhex("02 00000001 04 0000001e" + cut)
    assert places(body[1:], 2)[1] == missing
    found = decode(LIST, body, explain=True)
    assert [entry["id"] for entry in found.fields["list"]] == [1]
    assert (found.breaks[0].offset, found.breaks[0].path) == (10, "list[1]")
    assert found.rest == bytes.fromhex(cut)
    assert b"".join(part.raw for part in found.parts) + found.rest == body


@given(st.integers(0, 255), st.binary(max_size=60))
def test_any_bytes(count: int, data: bytes) -> None:
    found = decode(LIST, bytes((count,)) + data, present=True, explain=True)
    assert b"".join(part.raw for part in found.parts) + found.rest == bytes((count,)) + data
    if not found.breaks:
        oracle = LIST.parse(bytes((count,)) + data)
        assert [entry["id"] for entry in oracle["list"]] == [int(e["id"], 16) for e in found.fields["list"]]


# --- reading ---


def test_in_the_order_sent_and_repeated() -> None:
    assert read("03 00000002 01 62 00000001 04 0000001e 00000002 01 61") == [
        {"id": 2, "name": "address", "value": "b"},
        {"id": 1, "name": "interval", "value": 30},
        {"id": 2, "name": "address", "value": "a"},
    ]


def test_the_length_decides_between_readings() -> None:
    assert read("02 00000003 01 05 00000003 04 00000005") == [
        {"id": 3, "name": "colour", "value": 5, "dialect": "new"},
        {"id": 3, "name": "colour", "value": 5, "dialect": "old"},
    ]


def test_what_no_reading_takes_stays_as_it_is() -> None:
    text = "03 00000001 02 001e 0000f123 03 010203 00000004 05 0102030405"
    entries = read(text)
    assert entries == [
        {"id": 1, "name": "", "value": b"\x00\x1e"},
        {"id": 0xF123, "name": "", "value": b"\1\2\3"},
        {"id": 4, "name": "", "value": b"\1\2\3\4\5"},
    ]
    assert written(*entries) == written(*read(text, present=True)) == text.replace(" ", "")


def test_a_range_of_ids() -> None:
    assert read("02 00000008 01 01 0000000c 01 02") == [
        {"id": 8, "name": "further", "value": 1},
        {"id": 12, "name": "further", "value": 2},
    ]
    with pytest.raises(EncodeError, match="'further': give its id"):
        written({"name": "further", "value": 1})
    assert written({"id": 12, "name": "further", "value": 2}) == "010000000c0102"


def test_each_parameter_is_explained_with_its_own_clause() -> None:
    body = bytes.fromhex("02 00000001 04 0000001e 00000004 06 060001020000")
    parts = decode(LIST, body, explain=True, present=True, clause="808-2013 8.9 tables 10 and 11").parts
    told = [(p.path, p.title, p.unit, p.clause) for p in parts[1:6]]
    assert told == [
        ("list[0].id", "间隔", "", "808-2013 8.9 table 12"),
        ("list[0].interval", "间隔", "s", "808-2013 8.9 table 12"),
        ("list[1].id", "设置", "", "T/JSATL 12 table 4-10"),
        ("list[1].settings.volume", "音量", "", "T/JSATL 12 table 4-10"),
        ("list[1].settings.distance", "距离", "m", "T/JSATL 12 table 4-10"),
    ]
    assert parts[0].clause == "808-2013 8.9 tables 10 and 11"
    assert TABLE[1][0].cited("808-2011 8.8 table 9") == CITED["808-2019"]


# --- writing ---


def test_by_name_or_by_id() -> None:
    for entry in ({"name": "interval"}, {"id": 1}, {"id": "0x0001"}, {"id": 1, "name": "interval"}):
        assert written(entry | {"value": 30}) == "0100000001040000001e"


def test_which_of_several_readings() -> None:
    assert written({"name": "colour", "value": 5}) == "01000000030105"
    assert written({"name": "colour", "value": 5, "dialect": "old"}) == "01000000030400000005"


def test_fields_that_are_left_out_change_nothing() -> None:
    assert written({"name": "settings", "value": {"volume": 3, "kind": 1}}) == "01000000040603ffff010000"
    with pytest.raises(EncodeError, match="the field 'kind' is missing"):
        written({"name": "settings", "value": {"volume": 3}})


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (
            {"name": "interval", "value": 1 << 32},
            "list.interval: 4294967296 is no integer from 0 to 42949672",
        ),
        (
            {"name": "settings", "value": {"volume": 256, "kind": 1}},
            "list.settings.volume: 256 is no integer",
        ),
        ({"name": "settings", "value": {"loudness": 1}}, "settings: no reading has the fields loudness"),
        ({"name": "settings", "value": 5}, "settings: 5 has no fields"),
        ({"name": "intervals", "value": 1}, "no parameter 'intervals'; there are interval"),
        ({"name": "xyz", "value": 1}, "no parameter 'xyz'; there are address, colour"),
        ({"name": "address", "value": "a" * 256}, "parameter 0x0002 has 256 bytes, the most is 255"),
        ({"id": 1 << 32, "name": "", "value": b""}, "ids go from 0 to 0xffffffff"),
        ({"id": 0xF000, "value": "no hex"}, "non-hexadecimal"),
        ({"id": "0x0001"}, "the field 'value' is missing"),
    ],
)
def test_what_can_not_be_written(entry: dict[str, Any], reason: str) -> None:
    with pytest.raises(EncodeError, match=r"^set: ") as refused:
        written(entry)
    assert reason in str(refused.value)


# --- the schema ---


def test_the_schema_has_the_limits() -> None:
    entries = {entry["title"]: entry for entry in shape(LIST)["properties"]["list"]["items"]["anyOf"]}
    interval = entries["间隔"]["properties"]["value"]
    assert (interval["x-low"], interval["default"], interval["x-unit"]) == (1, 30, "s")
    assert entries["间隔"]["properties"]["id"]["enum"] == ["0x0001"]
    settings = entries["设置"]["properties"]["value"]
    assert settings["required"] == ["kind"]
    assert settings["properties"]["volume"]["x-unchanged"] == 0xFF
    assert entries["其他"]["required"] == ["value", "name", "id"]
    assert entries["其他参数值"]["properties"]["name"]["const"] == ""
    assert encode(LIST, example(LIST)) == bytes.fromhex("01 00000001 04 00000000")
