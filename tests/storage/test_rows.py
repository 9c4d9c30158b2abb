"""A report as a binary COPY row."""

from __future__ import annotations

import datetime as dt

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.fields import encode_time
from protocol.location import FIXED, read
from storage.partitions import make_ahead
from storage.rows import (
    ABSURD_POSITION,
    COPY_HEADER,
    COPY_TRAILER,
    TIME_FUTURE,
    TIME_GOOD,
    TIME_STALE,
    TIME_UNREADABLE,
    Clock,
    digest,
    pack_row,
)

NOW = 1_790_000_000  # 2026-09-21
CLOCK = Clock()


def body(
    time: int | bytes = NOW, *, status: int = 3, latitude: int = 23_020_000, longitude: int = 113_120_000
) -> bytes:
    return FIXED.pack(0xFFFF_FFFF, status, latitude, longitude, -5, 65_535, 359, time) + b"\x01\x04\0\0\0\x64"


async def stored(dsn: str, rows: list[bytes]) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        await make_ahead(connection, today=dt.datetime.fromtimestamp(NOW, dt.UTC).date(), back=40, ahead=3)

        async def source():
            yield COPY_HEADER + b"".join(rows) + COPY_TRAILER

        await connection.copy_to_table("locations", source=source(), format="binary")
        return await connection.fetch("SELECT * FROM locations ORDER BY terminal_id")
    finally:
        await connection.close()


async def test_every_column_says_what_the_body_says(database):
    raw = body(NOW - 7, status=3 | 1 << 2 | 1 << 3)
    row = pack_row(42, read(raw), raw, NOW + 0.25, 1 << 4, CLOCK)
    assert row.believed and row.time == NOW - 7
    [got] = await stored(database, [row.data])
    assert got["terminal_id"] == 42
    assert got["time"].timestamp() == NOW - 7
    assert got["received_at"].timestamp() == NOW + 0.25
    assert got["digest"] == int.from_bytes(digest(raw).to_bytes(8), signed=True)
    assert got["alarm"] & 0xFFFF_FFFF == 0xFFFF_FFFF
    assert got["status"] & 0xFFFF_FFFF == 3 | 1 << 2 | 1 << 3
    assert (got["latitude"], got["longitude"]) == (-23_020_000, -113_120_000)
    assert (got["altitude"], got["speed"], got["heading"]) == (-5, 65_535, 359)
    assert got["items"] == b"\x01\x04\0\0\0\x64"
    assert got["raw"] is None and got["flags"] == 1 << 4


@pytest.mark.parametrize(
    ("time", "quality"),
    [
        (NOW, TIME_GOOD),
        (NOW - 29 * 86400, TIME_GOOD),
        (NOW + 3599, TIME_GOOD),
        (NOW - 31 * 86400, TIME_STALE),
        (1_168_654_841, TIME_STALE),  # 2007-01-13, a device whose week counter rolled over
        (NOW + 3601, TIME_FUTURE),
        (NOW + 10 * 365 * 86400, TIME_FUTURE),
        (bytes(6), TIME_UNREADABLE),  # month 0
        (bytes.fromhex("26132a9a0000"), TIME_UNREADABLE),
    ],
)
async def test_a_wrong_clock_is_kept_raw_under_the_time_of_reception(database, time, quality):
    raw = body(time)
    row = pack_row(1, read(raw), raw, NOW, 0, CLOCK)
    [got] = await stored(database, [row.data])
    assert got["flags"] & 0b11 == quality
    assert row.believed == (quality == TIME_GOOD)
    if quality == TIME_GOOD:
        assert got["raw"] is None and got["time"].timestamp() == time
    else:
        assert got["raw"] == raw and got["time"].timestamp() == NOW


async def test_coordinates_beyond_the_earth_are_kept_raw(database):
    raw = body(latitude=0x7FFF_FFFF)
    row = pack_row(1, read(raw), raw, NOW, 0, CLOCK)
    [got] = await stored(database, [row.data])
    assert got["flags"] & ABSURD_POSITION and got["raw"] == raw
    assert (got["latitude"], got["longitude"]) == (0, 113_120_000)


def test_twos_complement_is_read_as_a_negative_coordinate():
    raw = body(latitude=(1 << 32) - 23_000_000)
    assert read(raw).signed == (-23_000_000, 113_120_000)


@given(st.binary(min_size=28, max_size=400), st.integers(0, 2**32), st.integers(1, 2**40))
def test_any_body_packs_and_the_same_body_has_the_same_key(raw, received, terminal):
    one = pack_row(terminal, read(raw), raw, received, 0, CLOCK)
    two = pack_row(terminal, read(raw), raw, received, 0, CLOCK)
    assert one == two
    assert int.from_bytes(one.data[:2]) == 14


@given(st.integers(NOW - 20 * 86400, NOW))
def test_time_survives_bcd_and_the_microseconds_of_postgres(time):
    raw = body(time)
    assert encode_time(read(raw).time) == raw[22:28]
    assert pack_row(1, read(raw), raw, NOW, 0, CLOCK).time == time
