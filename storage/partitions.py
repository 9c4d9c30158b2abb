"""Daily partitions of `locations` and `events` (UTC days): made ahead of time, dropped after it.

Neither may stall ingest. A partition is made as a table of its own and then attached, and detached
CONCURRENTLY before it is dropped: both take a lock on the parent that reads and writes pass.
It must not know what the rows mean.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta

import asyncpg

from storage.database import Connection

TABLES = ("locations", "events")
NAME = re.compile(r"(locations|events)_(\d{8})")
DAY = timedelta(days=1)

MAKE_LOCK = int.from_bytes(b"jtgate.p")  # pg_advisory_lock keys are bigints
DROP_LOCK = int.from_bytes(b"jtgate.d")
LOCK_TIMEOUT = "5s"  # longer readers are waited for by the next run
DOOMED = "jtgate: expired, to be dropped"  # tells our leftovers from what an operator detached
CHUNK = 10_000  # rows a DELETE

ATTACHED = """
SELECT c.relname::text AS name, i.inhdetachpending AS pending
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = ANY ('{locations,events}'::regclass[])
ORDER BY 1
"""
LEFTOVERS = """
SELECT relname::text FROM pg_class
WHERE relkind = 'r' AND NOT relispartition AND obj_description(oid, 'pg_class') = $1
"""
# The floor rises before the partition goes: a reader that misses rows sees the floor that says so.
RAISE_FLOOR = """
UPDATE event_floor f SET xid = last.xid, seq = last.seq
FROM (
    SELECT xid, seq FROM events WHERE time >= $1 AND time < $2
    ORDER BY xid DESC, seq DESC LIMIT 1
) last
WHERE (f.xid, f.seq) < (last.xid, last.seq)
"""
DELETE_REJECTED = """
DELETE FROM rejected WHERE id IN (
    SELECT id FROM rejected WHERE received_at < $1 ORDER BY received_at LIMIT $2
)
"""
DELETE_MISDATED = """
DELETE FROM misdated WHERE (terminal_id, digest) IN (
    SELECT terminal_id, digest FROM misdated WHERE time < $1 ORDER BY time LIMIT $2
)
"""


def name(table: str, day: date) -> str:
    return f"{table}_{day:%Y%m%d}"


async def make_ahead(connection: Connection, *, today: date, back: int, ahead: int) -> list[str]:
    """Make the missing partitions and return their names.

    `locations` gets the days from `back` before today, for late reports; `events` from yesterday,
    for a transaction that began before midnight. Both reach `ahead` days into the future. Safe
    when several processes do it at once.
    """
    wanted = [("locations", today + day * DAY) for day in range(-back, ahead + 1)]
    wanted += [("events", today + day * DAY) for day in range(-1, ahead + 1)]
    if not await _missing(connection, wanted):
        return []
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", MAKE_LOCK)
        missing = await _missing(connection, wanted)
        for table, day in missing:
            await _make(connection, table, day)
    return [name(table, day) for table, day in missing]


async def drop_expired(
    connection: Connection,
    *,
    today: date,
    location_days: int,
    event_days: int,
    rejected_days: int,
) -> list[str]:
    """Drop the partitions of days before today minus the days to keep; return their names.

    Rows of `rejected` and `misdated` go likewise. What another process is dropping, or a long
    reader still holds, is left for the next run. Raises `RuntimeError` within a transaction.
    """
    if connection.is_in_transaction():
        raise RuntimeError("Partitions can't be detached concurrently within a transaction.")
    oldest = {
        "locations": today - location_days * DAY,
        "events": today - event_days * DAY,
    }
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", DROP_LOCK):
        return []
    try:
        async with _lock_timeout(connection):
            dropped = [
                partition for table in TABLES for partition in await _drop(connection, table, oldest[table])
            ]
        await _delete(connection, DELETE_REJECTED, today - rejected_days * DAY)
        await _delete(connection, DELETE_MISDATED, oldest["locations"])
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", DROP_LOCK)
    return dropped


async def _missing(connection: Connection, wanted: Iterable[tuple[str, date]]) -> list[tuple[str, date]]:
    there = {row["name"] for row in await connection.fetch(ATTACHED)}
    return [(table, day) for table, day in wanted if name(table, day) not in there]


async def _make(connection: Connection, table: str, day: date) -> None:
    partition = name(table, day)
    # A drop that was cut short and a retention that was then prolonged leave it here, detached.
    await connection.execute(
        f"CREATE TABLE IF NOT EXISTS {partition} (LIKE {table} INCLUDING ALL EXCLUDING IDENTITY)"
    )
    await connection.execute(f"COMMENT ON TABLE {partition} IS NULL")
    await connection.execute(
        f"ALTER TABLE {table} ATTACH PARTITION {partition} "
        f"FOR VALUES FROM ('{day} 00:00Z') TO ('{day + DAY} 00:00Z')"
    )


async def _drop(connection: Connection, table: str, oldest: date) -> list[str]:
    dropped = []
    try:
        for row in await connection.fetch(ATTACHED):
            partition = row["name"]
            if (parts := NAME.fullmatch(partition)) is None or parts[1] != table:
                continue
            if row["pending"]:  # a run was cut short
                await connection.execute(f"ALTER TABLE {table} DETACH PARTITION {partition} FINALIZE")
            elif (day := datetime.strptime(parts[2], "%Y%m%d").date()) < oldest:
                await _detach(connection, table, partition, day)
        for partition in sorted(
            row[0] for row in await connection.fetch(LEFTOVERS, DOOMED) if row[0].startswith(f"{table}_")
        ):
            await connection.execute(f"DROP TABLE {partition}")
            dropped.append(partition)
    except asyncpg.LockNotAvailableError:
        pass  # one partition at a time can be leaving a table: the rest waits for it
    return dropped


async def _detach(connection: Connection, table: str, partition: str, day: date) -> None:
    if table == "events":
        await connection.execute(RAISE_FLOOR, _midnight(day), _midnight(day + DAY))
    await connection.execute(f"COMMENT ON TABLE {partition} IS '{DOOMED}'")
    await connection.execute(f"ALTER TABLE {table} DETACH PARTITION {partition} CONCURRENTLY")


async def _delete(connection: Connection, statement: str, oldest: date) -> None:
    while await connection.execute(statement, _midnight(oldest), CHUNK) == f"DELETE {CHUNK}":
        pass


@asynccontextmanager
async def _lock_timeout(connection: Connection) -> AsyncIterator[None]:
    await connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("RESET lock_timeout")


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
