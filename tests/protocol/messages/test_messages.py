"""The catalogue as a whole: invariants of its tables, and every row in every edition there and back."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from construct import Struct
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol import catalog, codec
from protocol.catalog import Row
from protocol.composite import Counted
from protocol.fields import U8, Bits
from protocol.header import Edition
from protocol.items import Item
from protocol.messages import DIALECTS, EDITIONS, ITEMS
from protocol.schema import shape
from protocol.text import RawText, encode_text
from tests.protocol.own import chapters, vectors
from tests.protocol.strategies import item_values, values

ROWS = [(edition, row) for edition, rows in EDITIONS.items() for row in rows.values()]
READINGS = [item for group in ITEMS.values() for item in group]
OWN = [
    (Edition(int(edition)), clause, vector)
    for chapter in chapters()
    for vector in vectors(chapter)
    for edition, clause in vector["clause"].items()
]

HAN = re.compile("[\u4e00-\u9fff]")
_DOCUMENT = r"(808-20(11|13|19)|JT/T 1078-2016|T/JSATL 12|T/GDRTA 002)"
_TABLES = r"tables? [A-Z]?[\d.-]+((, | to | and )[A-Z]?[\d.-]+)*"
_CITED = rf"{_DOCUMENT}(( clause)? [A-Z]?\d[\d.]*)?( {_TABLES})?"
CLAUSE = re.compile(rf"{_CITED}((, | and ){_CITED})*(, {_TABLES})?")
"""Document, clause, and the tables where the message has a body: `808-2013 8.49 tables 76 and 77`."""
STANDARDS = {"", "su", "guangdong", "1078"}
"""Dialects that a standard lays down; other items are makers' own, and cite what is known of them."""

FORMS = [(dialect, row) for dialect, rows in DIALECTS.items() for row in rows.values()]
LAYOUTS = list(
    {id(row.layout): (e, row) for e, row in [*((Edition.V2019, row) for _, row in FORMS), *ROWS]}.values()
)
"""Rows whose layouts differ: what holds for a layout is not tried again for each edition that has it."""

every_row = pytest.mark.parametrize(("edition", "row"), ROWS, ids=[f"{r.id:#06x}-{int(e)}" for e, r in ROWS])
every_form = pytest.mark.parametrize(("dialect", "row"), FORMS, ids=[f"{r.id:#06x}-{d}" for d, r in FORMS])
every_layout = pytest.mark.parametrize(
    ("edition", "row"),
    LAYOUTS,
    ids=[f"{r.id:#06x}-{int(e)}{r.dialect and '-'}{r.dialect}" for e, r in LAYOUTS],
)
every_item = pytest.mark.parametrize("item", READINGS, ids=[f"{i.id:#04x}-{i.name}" for i in READINGS])
every_vector = pytest.mark.parametrize(
    ("edition", "clause", "vector"),
    OWN,
    ids=[f"{v['message']}-{int(e)}-{n}" for n, (e, _, v) in enumerate(OWN)],
)


# --- the tables ---


@every_row
def test_a_row_is_complete(edition: Edition, row: Row) -> None:
    assert row.name.isidentifier()
    assert row.title
    assert CLAUSE.fullmatch(row.clause), row.clause
    assert not row.clause.startswith("808-") or row.clause.startswith(f"808-{int(edition)} ")
    assert "table" in row.clause or not row.layout.subcons
    assert row.answer == 0 or row.answer in EDITIONS[edition]
    assert row.answer == 0 or EDITIONS[edition][row.answer].uplink != row.uplink
    assert row.uplink == (row.id < 0x8000)
    assert HAN.search(row.title)
    assert not undescribed(shape(row.layout))


@every_form
def test_a_form_of_a_dialect_is_complete(dialect: str, row: Row) -> None:
    standard = next((rows[row.id] for rows in EDITIONS.values() if row.id in rows), None)
    assert standard is None or row.name == standard.name
    assert row.dialect == dialect
    assert CLAUSE.fullmatch(row.clause) or dialect not in STANDARDS, row.clause
    assert HAN.search(row.title)
    assert not undescribed(shape(row.layout))


def undescribed(told: Any, path: str = "") -> list[str]:
    """Fields of a schema, however deep, without a Chinese name or without a meaning."""
    found = []
    for name, field in told.get("properties", {}).items():
        where = f"{path}.{name}"
        if not (HAN.search(field.get("title", "")) and field.get("description")):
            found.append(where)
        found += undescribed(field, where)
    for inner in [*told.get("anyOf", ()), told.get("items")]:
        found += undescribed(inner, path) if inner else []
    return found


def test_what_lacks_a_name_is_found() -> None:
    layout = Struct("a" / U8, "b" / Counted(U8, Struct("c" / U8 * "名: c", "d" / U8 * "名: ")) * "名: b")
    assert undescribed(shape(layout)) == [".a", ".b.d"]


def test_names_are_of_one_message() -> None:
    names = {(row.name, row.id) for _, row in ROWS}
    assert len({name for name, _ in names}) == len(names)


@every_item
def test_an_item_is_complete(item: Item) -> None:
    assert item.name.isidentifier()
    assert HAN.search(item.title)
    assert CLAUSE.match(item.clause) or item.dialect not in STANDARDS, item.clause
    assert not undescribed(shape(item.layout))
    assert any(item.lengths(length) for length in range(256))
    for sub in item.layout.subcons:
        if isinstance(sub.subcon, Bits):
            names = [span.name for span in sub.subcon.spans]
            assert len(set(names)) == len(names)


def test_all_that_the_first_release_promises() -> None:
    promised = {0x0001, 0x0002, 0x0003, 0x0004, 0x0005, 0x0100, 0x0102, 0x0200, 0x0201, 0x0704}
    promised |= {0x8001, 0x8003, 0x8004, 0x8100, 0x8201}
    assert promised <= set(EDITIONS[Edition.V2019])
    assert set(EDITIONS[Edition.V2011]) <= set(EDITIONS[Edition.V2013])
    removed = {0x8301, 0x0301, 0x8302, 0x0302, 0x8303, 0x0303, 0x8304}  # 808-2019, foreword
    assert set(EDITIONS[Edition.V2013]) - removed <= set(EDITIONS[Edition.V2019])
    assert not removed & set(EDITIONS[Edition.V2019])
    promised_items = {1, 2, 3, 4, 5, 6, 0x11, 0x12, 0x13, 0x25, 0x2A, 0x2B, 0x30, 0x31, *range(0x14, 0x19)}
    assert promised_items | {0x64, 0x65, 0x66, 0x67, 0xF1, 0xF2} <= set(ITEMS)


# --- own vectors ---


def test_every_row_has_a_vector_of_its_own() -> None:
    covered = {(edition, int(vector["message"], 16)) for edition, _, vector in OWN}
    assert {(edition, row.id) for edition, row in ROWS} <= covered


@every_vector
def test_own_vector(edition: Edition, clause: str, vector: dict[str, Any]) -> None:
    message_id, body = int(vector["message"], 16), bytes.fromhex(vector["body"])
    profile = codec.Profile(edition, vector.get("dialect"))
    reading = profile.decode(message_id, body, present=True)
    assert reading.row is not None
    assert reading.row.clause == clause
    assert reading.edition == edition
    assert reading.fields == vector["fields"]
    assert (reading.rest, reading.breaks) == (b"", [])
    assert profile.encode(message_id, vector["fields"]) == body
    assert profile.encode(message_id, profile.decode(message_id, body).fields) == body


# --- there and back ---


@every_layout
@given(data=st.data())
def test_what_is_written_is_read_again(edition: Edition, row: Row, data: st.DataObject) -> None:
    value = data.draw(values(row.layout))
    body = catalog.encode(row.layout, value, name=row.name)
    found = catalog.decode(row.layout, body)
    assert {name: found.fields[name] for name in value} == value
    assert (found.rest, found.breaks) == (b"", [])
    oracle = row.layout.parse(body)
    assert {name: oracle[name] for name in value} == value
    presented = catalog.decode(row.layout, body, present=True, explain=True)
    assert [part.path for part in presented.parts if not (HAN.search(part.title) and part.meaning)] == []
    json.dumps(presented.fields)
    if not has_utf8(value):
        assert catalog.encode(row.layout, json.loads(json.dumps(presented.fields))) == body
    assert b"".join(part.raw for part in presented.parts) == body


def has_utf8(value: Any) -> bool:
    """Whether a text is UTF-8, which comes back from JSON as GB18030 (protocol.text.decode_text)."""
    if isinstance(value, dict | list):
        return any(map(has_utf8, value.values() if isinstance(value, dict) else value))
    return isinstance(value, RawText) and encode_text(str.__str__(value) + "") != value.raw


@every_layout
@settings(max_examples=25)  # tests/protocol/fuzz.py goes much further
@given(body=st.binary(max_size=200), explain=st.booleans())
def test_any_bytes_are_read(edition: Edition, row: Row, body: bytes, explain: bool) -> None:
    found = catalog.decode(row.layout, body, present=True, explain=explain)
    json.dumps(found.fields)
    assert body.endswith(found.rest)
    if explain:
        assert b"".join(part.raw for part in found.parts) + found.rest == body


@every_layout
@settings(max_examples=25)  # tests/protocol/fuzz.py goes much further
@given(data=st.data())
def test_a_body_cut_or_changed_is_read(edition: Edition, row: Row, data: st.DataObject) -> None:
    body = bytearray(row.layout.build(data.draw(values(row.layout))))
    if body:
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(body[: data.draw(st.integers(0, len(body)))])
    codec.Profile(edition).decode(row.id, cut, present=True, explain=True)


@every_item
@settings(max_examples=40, suppress_health_check=[HealthCheck.filter_too_much])  # few texts are an IMEI
@given(data=st.data())
def test_an_item_is_read_again(item: Item, data: st.DataObject) -> None:
    value = data.draw(item_values(item, ITEMS, item.dialect or None))
    raw = catalog.encode(item.layout, value)
    found = catalog.decode(item.layout, raw)
    assert found.fields == value == {name: item.layout.parse(raw)[name] for name in value}
    assert (found.rest, found.breaks) == (b"", [])
