"""A pool and a connection for the tests of this room; a test file may have a pool of its own."""

from __future__ import annotations

import pytest

from storage.database import connect


@pytest.fixture
async def pool(database):
    pool = await connect(database, size=8)
    yield pool
    await pool.close()


@pytest.fixture
async def connection(pool):
    async with pool.acquire() as connection:
        yield connection
