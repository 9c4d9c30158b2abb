"""A pool on a fresh database with today's partitions, and ways to write events."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from storage.database import connect
from storage.events import NewEvent, append
from storage.partitions import make_ahead


@pytest.fixture
async def pool(database):
    pool = await connect(database, size=8)
    await prepare(pool)
    yield pool
    await pool.close()


async def prepare(pool):
    async with pool.acquire() as connection:
        await make_ahead(connection, today=datetime.now(UTC).date(), back=1, ahead=1)


async def write(pool, *ids, type_="alarm.raised", size=0, **fields):
    """Append events in one transaction; `size` pads their data."""
    rows = [NewEvent(type_, str(id_), {"n": id_, "pad": "x" * size}, **fields) for id_ in ids]
    async with pool.acquire() as connection, connection.transaction():
        await append(connection, rows)
