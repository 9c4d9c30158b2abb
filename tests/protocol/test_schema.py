"""What is told of a layout holds for every value of it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from construct import Array, Bytes, Const, If, IfThenElse, Int24sb, Rebuild, Struct, Switch, len_, this
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import catalog
from protocol.catalog import Row
from protocol.composite import Counted, Repeated, Sized
from protocol.fields import S16, U8, U16, BcdTime, Bits, Codes, Mapped, Raw, Text, bit, span
from protocol.items import Item
from protocol.messages import EDITIONS, ITEMS
from protocol.schema import example, schema, shape
from tests.protocol.strategies import values

ROWS = list({id(row.layout): row for rows in EDITIONS.values() for row in rows.values()}.values())
READINGS = [item for group in ITEMS.values() for item in group]
every_row = pytest.mark.parametrize("row", ROWS, ids=[f"{row.id:#06x}" for row in ROWS])
every_item = pytest.mark.parametrize("item", READINGS, ids=[f"{i.id:#04x}-{i.name}" for i in READINGS])

TYPES: dict[str, Any] = {
    "integer": int,
    "number": int | float,
    "string": str,
    "array": list,
    "object": dict,
    "null": type(None),
    "boolean": bool,
}


def faults(told: dict[str, Any], value: Any, path: str = "") -> list[str]:
    """Where `value` is not as a schema says: the keywords that ours have."""
    kinds = told.get("type", [])
    if kinds and not any(isinstance(value, TYPES[k]) for k in ([kinds] if isinstance(kinds, str) else kinds)):
        return [f"{path}: {value!r} is no {kinds}"]
    if "anyOf" in told and all(faults(one, value, path) for one in told["anyOf"]):
        return [f"{path}: {value!r} fits none of {told['anyOf']}"]
    if value not in told.get("enum", [value]) or value != told.get("const", value):
        return [f"{path}: {value!r} is not in the list"]
    found = []
    if isinstance(value, int) and not told.get("minimum", value) <= value <= told.get("maximum", value):
        found.append(f"{path}: {value} is out of range")
    elif isinstance(value, str):
        found += faults_of_text(told, value, path)
    elif isinstance(value, list) and "items" in told:
        found += [
            fault for n, one in enumerate(value) for fault in faults(told["items"], one, f"{path}[{n}]")
        ]
    elif isinstance(value, dict):
        found += faults_of_object(told, value, path)
    return found


def faults_of_text(told: dict[str, Any], value: str, path: str) -> list[str]:
    shown_bytes = "\\x" in value  # takes more characters than the field has bytes
    fits = shown_bytes or len(value) <= told.get("maxLength", len(value))
    found = [] if fits else [f"{path}: {value!r} is too long"]
    return (
        found if re.search(told.get("pattern", ""), value) else [*found, f"{path}: {value!r} is no such text"]
    )


def faults_of_object(told: dict[str, Any], value: dict[str, Any], path: str) -> list[str]:
    known = told.get("properties", {})
    found = [f"{path}: {name} is missing" for name in told.get("required", ()) if name not in value]
    if not told.get("additionalProperties", True):
        found += [f"{path}: {name} is not known" for name in value if name not in known]
    for name in value.keys() & known.keys():
        found += faults(known[name], value[name], f"{path}.{name}")
    return found


def test_the_checker_finds_faults() -> None:
    told = shape(Struct("n" / U8, "t" / Text(2), "b" / Bits(U8, bit(0, "one"))))
    assert faults(told, {"n": 1, "t": "ab", "b": ["one"]}) == []
    assert len(faults(told, {"n": 256, "t": "abc", "x": 1})) == 4
    assert len(faults(told, {"n": "1", "t": 1, "b": "one"})) == 3


# --- rows ---


@every_row
@settings(max_examples=10)
@given(data=st.data())
def test_what_a_row_reads_is_as_its_schema_says(row: Row, data: st.DataObject) -> None:
    body = catalog.encode(row.layout, data.draw(values(row.layout)), name=row.name)
    fields = catalog.decode(row.layout, body, present=True).fields
    assert faults(shape(row.layout), json.loads(json.dumps(fields))) == []


@every_row
def test_the_example_of_a_row(row: Row) -> None:
    told = schema(row.layout, title=row.title)
    assert json.loads(json.dumps(told)) == told == schema(row.layout, title=row.title)
    (given_,) = told["examples"]
    assert faults(told, given_) == []
    body = catalog.encode(row.layout, given_, name=row.name)
    found = catalog.decode(row.layout, body, present=True)
    assert (found.rest, found.breaks) == (b"", [])
    assert {name: found.fields[name] for name in given_} == given_


@every_item
@settings(max_examples=10)
@given(data=st.data())
def test_what_an_item_reads_is_as_its_schema_says(item: Item, data: st.DataObject) -> None:
    raw = catalog.encode(item.layout, data.draw(values(item.layout)))
    fields = catalog.decode(item.layout, raw, present=True).fields
    assert faults(shape(item.layout), json.loads(json.dumps(fields))) == []


@every_item
def test_the_example_of_an_item(item: Item) -> None:
    given_ = example(item.layout)
    found = catalog.decode(item.layout, catalog.encode(item.layout, given_), present=True)
    assert ({name: found.fields[name] for name in given_}, found.breaks) == (given_, [])


# --- kinds of fields ---


def test_a_field_tells_its_name_meaning_and_unit() -> None:
    told = schema(Struct("speed" / U16 * "速度: by satellite [0.1 km/h]"), title="位置")
    assert told == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "位置",
        "type": "object",
        "properties": {
            "speed": {
                "type": "integer",
                "minimum": 0,
                "maximum": 65535,
                "title": "速度",
                "description": "by satellite",
                "x-unit": "0.1 km/h",
                "x-wire": "WORD",
                "examples": [0],
            }
        },
        "required": ["speed"],
        "additionalProperties": False,
        "examples": [{"speed": 0}],
    }


def test_numbers() -> None:
    assert (shape(S16)["minimum"], shape(S16)["maximum"], shape(S16)["x-wire"]) == (
        -32768,
        32767,
        "WORD, signed",
    )
    assert (shape(Int24sb)["maximum"], shape(Int24sb)["x-wire"]) == (8388607, "BYTE[3], signed")
    codes = shape(Codes(U8, {1: "one", 2: "two"}))
    assert codes["anyOf"] == [{"type": "integer", "minimum": 0, "maximum": 255}, {"enum": ["one", "two"]}]
    assert (codes["x-codes"], codes["examples"]) == ({"1": "one", "2": "two"}, [1])
    bits = shape(Bits(U8, bit(0, "on"), span(1, 2, "load", "how much")))
    assert bits["x-bits"] == [
        {"bits": "0", "name": "on"},
        {"bits": "1-2", "name": "load", "note": "how much"},
    ]
    assert faults(bits, ["on", "load=3", "bit7"]) == []


@pytest.mark.parametrize(
    ("layout", "wire", "value"),
    [
        (Raw(2), "BYTE[2]", "0000"),
        (Bytes(2), "BYTE[2]", "0000"),
        (BcdTime, "BCD[6]", "2024-05-06T07:08:09+08:00"),
        (Text(3), "STRING[3]", "TEX"),
        (Sized(U8, Text(3)), "BYTE n, STRING[3] in n bytes", "TEX"),
        (Counted(U8, U16), "BYTE n, n x WORD", [0]),
        (Repeated(U16), "to the end, WORD", [0]),
        (Mapped(U8, str, int), "BYTE", "0"),
        (IfThenElse(this.x, U8, U16), "BYTE or WORD", 0),
        (Rebuild(U8, len_(this.x)), "BYTE", 0),
    ],
)
def test_wire_and_example(layout: Any, wire: str, value: Any) -> None:
    assert (shape(layout)["x-wire"], example(layout, {"x": 0})) == (wire, value)


def test_fields_that_depend_on_others() -> None:
    layout = Struct(
        "n" / Rebuild(U8, len_(this.list)),
        "kind" / Codes(U8, {1: "one"}),
        "more" / If(this.kind == 2, U8),
        "less" / If(this.kind == 1, U8),
        "by" / Switch(this.kind, {1: Struct("a" / U8), 2: U16}, default=U8),
        "list" / Repeated(Struct("x" / If(this._.kind == 1, U8))),
    )
    told = shape(layout)
    assert told["required"] == ["kind", "by", "list"]
    assert told["properties"]["n"]["readOnly"]
    assert told["properties"]["more"]["type"] == ["integer", "null"]
    by = [(one.get("x-when"), one.get("x-wire")) for one in told["properties"]["by"]["anyOf"]]
    assert by == [("0x01", None), ("0x02", "WORD"), (None, "BYTE")]
    assert example(layout) == {"kind": 1, "more": None, "less": 0, "by": {"a": 0}, "list": [{"x": 0}]}


def test_a_kind_that_nobody_told_of() -> None:
    assert shape(Const(b"\x01"))["x-wire"] == "BYTE[n]"
    assert shape(Array(2, U8))["type"] == "string"
