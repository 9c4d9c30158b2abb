"""Partitions come and go by the day, and nobody who reads or writes notices."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from storage import partitions
from storage.partitions import drop_expired, make_ahead

TODAY = date(2026, 11, 23)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEEP = {"location_days": 3, "event_days": 3, "rejected_days": 3}

LOCATION = (
    "INSERT INTO locations (terminal_id, time, digest, received_at, alarm, status, latitude,"
    " longitude, altitude, speed, heading, flags, items)"
    " VALUES (1, $1, 1, now(), 0, 0, 0, 0, 0, 0, 0, 0, '')"
)
EVENT = "INSERT INTO events (time, type, id, data) VALUES ($1, 'x', 'x', '{}') RETURNING seq"


def days(count, ago):
    """`count` days, the first of which is `ago` days before TODAY."""
    return [f"{TODAY - timedelta(days=ago - n):%Y%m%d}" for n in range(count)]


async def attached(connection):
    return [row["name"] for row in await connection.fetch(partitions.ATTACHED)]


async def test_made_once(connection):
    made = await make_ahead(connection, today=TODAY, back=2, ahead=1)
    assert made == [
        *(f"locations_{day}" for day in days(4, 2)),
        *(f"events_{day}" for day in days(3, 1)),
    ]
    assert await make_ahead(connection, today=TODAY, back=2, ahead=1) == []
    later = await make_ahead(connection, today=TODAY + timedelta(days=1), back=2, ahead=1)
    assert later == ["locations_20261125", "events_20261125"]
    assert sorted(made + later) == await attached(connection)


async def test_days_are_utc_and_leave_no_gap(connection):
    await connection.execute("SET timezone = 'Asia/Shanghai'")
    await make_ahead(connection, today=TODAY, back=1, ahead=1)
    for time in (NOON.replace(hour=0), NOON.replace(hour=0) - timedelta(microseconds=1)):
        await connection.execute(LOCATION, time)
        await connection.execute(EVENT, time)
        for table in ("locations", "events"):
            where = await connection.fetchval(
                f"SELECT tableoid::regclass::text FROM {table} WHERE time = $1", time
            )
            assert where == f"{table}_{time:%Y%m%d}"
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute(LOCATION, NOON + timedelta(days=2))


async def test_partitions_are_whole(connection):
    """Keys and defaults are those of the parent, and numbers go on across days."""
    await make_ahead(connection, today=TODAY, back=0, ahead=0)
    await connection.execute(LOCATION, NOON)
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(LOCATION, NOON)
    numbers = [await connection.fetchval(EVENT, NOON - timedelta(days=n % 2)) for n in range(4)]
    assert numbers == [1, 2, 3, 4]
    assert await connection.fetchval("SELECT count(*) FROM events WHERE xid IS NULL") == 0


async def test_many_processes_at_once(pool):
    async def one():
        async with pool.acquire() as connection:
            return await make_ahead(connection, today=TODAY, back=5, ahead=2)

    made = await asyncio.gather(*(one() for _ in range(8)))
    names = sorted(name for part in made for name in part)
    async with pool.acquire() as connection:
        assert names == await attached(connection)
    assert len(names) == 8 + 4


async def test_making_does_not_wait_for_writers_nor_they_for_it(pool):
    async with pool.acquire() as writer, pool.acquire() as maker:
        await make_ahead(maker, today=TODAY, back=0, ahead=0)
        async with writer.transaction():
            await writer.execute(LOCATION, NOON)
            async with maker.transaction(), asyncio.timeout(5):
                assert await make_ahead(maker, today=TODAY, back=3, ahead=3)
                await writer.execute(LOCATION, NOON + timedelta(seconds=1))


async def test_dropping_lets_writers_pass(pool):
    async with pool.acquire() as slow, pool.acquire() as quick, pool.acquire() as dropper:
        await make_ahead(dropper, today=TODAY, back=5, ahead=0)
        async with slow.transaction():
            await slow.execute(LOCATION, NOON)
            dropping = asyncio.create_task(drop_expired(dropper, today=TODAY, **KEEP))
            for second in range(1, 20):
                async with asyncio.timeout(2):
                    await quick.execute(LOCATION, NOON + timedelta(seconds=second))
                await asyncio.sleep(0.01)
            assert not dropping.done()
        assert await dropping == [f"locations_{day}" for day in days(2, 5)]
        assert await attached(quick) == [
            *(f"events_{day}" for day in days(2, 1)),
            *(f"locations_{day}" for day in days(4, 3)),
        ]


async def test_a_long_reader_is_left_for_the_next_run(pool, monkeypatch):
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT", "200ms")
    async with pool.acquire() as reader, pool.acquire() as dropper:
        await make_ahead(dropper, today=TODAY, back=5, ahead=0)
        async with reader.transaction():
            await reader.fetch("SELECT FROM locations")
            for _ in range(2):
                assert await drop_expired(dropper, today=TODAY, **KEEP) == []
            async with asyncio.timeout(5):
                await dropper.execute(LOCATION, NOON)
        assert await dropper.fetchval("SHOW lock_timeout") == "0"
        dropped = await drop_expired(dropper, today=TODAY, **KEEP)
        assert dropped == [f"locations_{day}" for day in days(2, 5)]


async def test_one_process_drops(pool):
    async with pool.acquire() as one, pool.acquire() as other:
        await make_ahead(one, today=TODAY, back=5, ahead=0)
        await other.execute("SELECT pg_advisory_lock($1)", partitions.DROP_LOCK)
        assert await drop_expired(one, today=TODAY, **KEEP) == []
        await other.execute("SELECT pg_advisory_unlock($1)", partitions.DROP_LOCK)
        assert len(await drop_expired(one, today=TODAY, **KEEP)) == 2


async def test_what_an_operator_detached_stays(connection):
    await make_ahead(connection, today=TODAY, back=5, ahead=0)
    kept, dropped = (f"locations_{day}" for day in days(2, 5))
    await connection.execute(f"ALTER TABLE locations DETACH PARTITION {kept}")
    assert await drop_expired(connection, today=TODAY, **KEEP) == [dropped]
    assert await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", kept)


@pytest.mark.parametrize("step", ["marked", "detached"])
async def test_a_drop_that_was_cut_short_is_finished(connection, step):
    await make_ahead(connection, today=TODAY, back=4, ahead=0)
    name = f"locations_{days(1, 4)[0]}"
    await connection.execute(f"COMMENT ON TABLE {name} IS '{partitions.DOOMED}'")
    if step == "detached":
        await connection.execute(f"ALTER TABLE locations DETACH PARTITION {name} CONCURRENTLY")
    assert await drop_expired(connection, today=TODAY, **KEEP) == [name]


async def test_a_leftover_comes_back_when_days_are_kept_longer(connection):
    await make_ahead(connection, today=TODAY, back=4, ahead=0)
    name = f"locations_{days(1, 4)[0]}"
    await connection.execute(LOCATION, NOON - timedelta(days=4))
    await connection.execute(f"COMMENT ON TABLE {name} IS '{partitions.DOOMED}'")
    await connection.execute(f"ALTER TABLE locations DETACH PARTITION {name} CONCURRENTLY")
    assert await make_ahead(connection, today=TODAY, back=4, ahead=0) == [name]
    assert await connection.fetchval("SELECT count(*) FROM locations") == 1
    assert await drop_expired(connection, today=TODAY, **KEEP | {"location_days": 4}) == []


async def test_old_rows_go_too(connection, monkeypatch):
    monkeypatch.setattr(partitions, "CHUNK", 2)
    for day in range(7):
        time = NOON - timedelta(days=day)
        await connection.execute("INSERT INTO rejected (received_at, reason, raw) VALUES ($1, 'x', '')", time)
        await connection.execute("INSERT INTO misdated VALUES (1, $1, $2)", day, time)
    await drop_expired(connection, today=TODAY, location_days=5, event_days=1, rejected_days=2)
    assert await connection.fetchval("SELECT count(*) FROM rejected") == 3
    assert await connection.fetchval("SELECT count(*) FROM misdated") == 6


async def test_refuses_a_transaction(connection):
    await make_ahead(connection, today=TODAY, back=5, ahead=0)
    with pytest.raises(RuntimeError):
        async with connection.transaction():
            await drop_expired(connection, today=TODAY, **KEEP)
