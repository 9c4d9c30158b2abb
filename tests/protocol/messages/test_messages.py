"""The catalogue as a whole: invariants of its tables, and every row in every edition there and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from construct import Struct
from hypothesis import given
from hypothesis import strategies as st

from protocol import catalog, codec
from protocol.catalog import Row
from protocol.fields import Bits
from protocol.header import Edition
from protocol.items import Item
from protocol.messages import EDITIONS, ITEMS
from protocol.text import RawText, encode_text
from tests.protocol.own import vectors
from tests.protocol.strategies import item_values, values

ROWS = [(edition, row) for edition, rows in EDITIONS.items() for row in rows.values()]
READINGS = [item for group in ITEMS.values() for item in group]
OWN = [
    (Edition(int(edition)), clause, vector)
    for vector in [*vectors("general"), *vectors("location")]
    for edition, clause in vector["clause"].items()
]

every_row = pytest.mark.parametrize(("edition", "row"), ROWS, ids=[f"{r.id:#06x}-{int(e)}" for e, r in ROWS])
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
    assert row.clause.startswith(f"808-{int(edition)} ")
    assert row.answer == 0 or row.answer in EDITIONS[edition]
    assert row.uplink == (row.id < 0x8000)
    assert all(sub.docs or isinstance(sub.subcon, Struct) for sub in row.layout.subcons)


def test_names_are_of_one_message() -> None:
    names = {(row.name, row.id) for _, row in ROWS}
    assert len({name for name, _ in names}) == len(names)


@every_item
def test_an_item_is_complete(item: Item) -> None:
    assert item.name.isidentifier()
    assert item.title
    assert item.clause
    assert any(item.lengths(length) for length in range(256))
    for sub in item.layout.subcons:
        if isinstance(sub.subcon, Bits):
            names = [span.name for span in sub.subcon.spans]
            assert len(set(names)) == len(names)


def test_all_that_the_first_release_promises() -> None:
    promised = {0x0001, 0x0002, 0x0003, 0x0004, 0x0005, 0x0100, 0x0102, 0x0200, 0x0201, 0x0704}
    promised |= {0x8001, 0x8003, 0x8004, 0x8100, 0x8201}
    assert promised <= set(EDITIONS[Edition.V2019])
    assert set(EDITIONS[Edition.V2011]) <= set(EDITIONS[Edition.V2013]) <= set(EDITIONS[Edition.V2019])
    promised_items = {1, 2, 3, 4, 5, 6, 0x11, 0x12, 0x13, 0x25, 0x2A, 0x2B, 0x30, 0x31, *range(0x14, 0x19)}
    assert promised_items | {0x64, 0x65, 0x66, 0x67, 0xF1, 0xF2} <= set(ITEMS)


# --- own vectors ---


def test_every_row_has_a_vector_of_its_own() -> None:
    covered = {(edition, int(vector["message"], 16)) for edition, _, vector in OWN}
    assert {(edition, row.id) for edition, row in ROWS} <= covered


@every_vector
def test_own_vector(edition: Edition, clause: str, vector: dict[str, Any]) -> None:
    message_id, body = int(vector["message"], 16), bytes.fromhex(vector["body"])
    profile = codec.Profile(edition)
    reading = profile.decode(message_id, body, present=True)
    assert reading.row is not None
    assert reading.row.clause == clause
    assert reading.edition == edition
    assert reading.fields == vector["fields"]
    assert (reading.rest, reading.breaks) == (b"", [])
    assert profile.encode(message_id, vector["fields"]) == body
    assert profile.encode(message_id, profile.decode(message_id, body).fields) == body


# --- there and back ---


@every_row
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
    json.dumps(presented.fields)
    if not has_utf8(value):
        assert catalog.encode(row.layout, json.loads(json.dumps(presented.fields))) == body
    assert b"".join(part.raw for part in presented.parts) == body


def has_utf8(value: Any) -> bool:
    """Whether a text is UTF-8, which comes back from JSON as GB18030 (protocol.text.decode_text)."""
    if isinstance(value, dict | list):
        return any(map(has_utf8, value.values() if isinstance(value, dict) else value))
    return isinstance(value, RawText) and encode_text(str.__str__(value) + "") != value.raw


@every_row
@given(body=st.binary(max_size=200), explain=st.booleans())
def test_any_bytes_are_read(edition: Edition, row: Row, body: bytes, explain: bool) -> None:
    found = catalog.decode(row.layout, body, present=True, explain=explain)
    json.dumps(found.fields)
    assert body.endswith(found.rest)
    if explain:
        assert b"".join(part.raw for part in found.parts) + found.rest == body


@every_row
@given(data=st.data())
def test_a_body_cut_or_changed_is_read(edition: Edition, row: Row, data: st.DataObject) -> None:
    body = bytearray(row.layout.build(data.draw(values(row.layout))))
    if body:
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(body[: data.draw(st.integers(0, len(body)))])
    codec.Profile(edition).decode(row.id, cut, present=True, explain=True)


@every_item
@given(data=st.data())
def test_an_item_is_read_again(item: Item, data: st.DataObject) -> None:
    value = data.draw(item_values(item, ITEMS))
    raw = catalog.encode(item.layout, value)
    found = catalog.decode(item.layout, raw)
    assert found.fields == value == {name: item.layout.parse(raw)[name] for name in value}
    assert (found.rest, found.breaks) == (b"", [])
