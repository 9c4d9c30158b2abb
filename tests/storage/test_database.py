"""The pool: settings, jsonb both ways, and texts that Postgres would refuse."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.database import clean, connect, moment, seconds, to_json


@pytest.fixture
async def pool(database):
    pool = await connect(database, size=2)
    yield pool
    await pool.close()


async def test_settings(pool):
    for name, value in {
        "application_name": "jtgate",
        "idle_in_transaction_session_timeout": "1min",
        "timezone": "UTC",
        "jit": "off",
    }.items():
        assert await pool.fetchval(f"SHOW {name}") == value


class Row(msgspec.Struct, rename="camel"):
    plate_text: str


async def test_jsonb_both_ways(pool):
    hostile = {"a\0": ["\0x", {"b": "\ud800y"}, ("t\0",)], "n": 1.5, "s": Row("粤B\0")}
    assert await pool.fetchval("SELECT $1::jsonb", hostile) == {
        "a": ["x", {"b": "?y"}, ["t"]],
        "n": 1.5,
        "s": {"plateText": "粤B"},
    }
    # A backslash that only looks like the escape of NUL stays.
    assert await pool.fetchval("SELECT $1::jsonb", {"x": "\\u0000"}) == {"x": "\\u0000"}


async def test_jsonb_by_copy(pool):
    async with pool.acquire() as connection:
        await connection.execute("CREATE TEMP TABLE t (x jsonb)")
        await connection.copy_records_to_table("t", records=[({"x": "粤\0"},), (None,)])
        assert [row[0] for row in await connection.fetch("SELECT x FROM t")] == [{"x": "粤"}, None]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=20,
)


@given(json_values)
def test_json_never_carries_what_postgres_refuses(value):
    decoded = msgspec.json.decode(to_json(value))
    assert to_json(decoded) == msgspec.json.encode(decoded)


@given(st.text(st.characters()))
def test_clean(text):
    assert "\0" not in clean(text)
    assert clean(clean(text)) == clean(text)
    clean(text).encode()


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_times_are_exact(time):
    assert moment(seconds(time)) == time
