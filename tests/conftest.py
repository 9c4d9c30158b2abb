"""Postgres for tests.

`postgres_dsn` (session) is a server, `database` (function) a fresh and migrated database on it,
`postgres` (function) a server of the test's own, for tests that kill it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from itertools import count

import asyncpg
import pytest
import pytest_asyncio

from storage.migrate import migrate
from tests.postgres import Server, with_database

NUMBERS = count(1)


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """A server where databases may be made: JTGATE_TEST_DATABASE_URL, or a throwaway one."""
    if named := os.environ.get("JTGATE_TEST_DATABASE_URL"):
        yield named
        return
    server = Server()
    try:
        server.start()
        yield server.dsn
    finally:
        server.remove()


@pytest.fixture
def postgres() -> Iterator[Server]:
    """A running server that belongs to one test: `dsn`, `pid`, `kill()`, `start()`, `stop()`."""
    server = Server()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _template(postgres_dsn: str) -> AsyncIterator[str]:
    name = f"jtgate_template_{os.getpid()}"
    await _execute(postgres_dsn, f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    connection = await asyncpg.connect(with_database(postgres_dsn, name))
    try:
        await migrate(connection)
    finally:
        await connection.close()
    yield name
    await _execute(postgres_dsn, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(postgres_dsn: str, _template: str) -> AsyncIterator[str]:
    """The DSN of a fresh database with the whole schema and no partitions."""
    name = f"jtgate_test_{os.getpid()}_{next(NUMBERS)}"
    await _execute(postgres_dsn, f"CREATE DATABASE {name} TEMPLATE {_template}")
    yield with_database(postgres_dsn, name)
    await _execute(postgres_dsn, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def blank_database(postgres_dsn: str) -> AsyncIterator[str]:
    """The DSN of a database without any schema."""
    name = f"jtgate_blank_{os.getpid()}_{next(NUMBERS)}"
    await _execute(postgres_dsn, f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    yield with_database(postgres_dsn, name)
    await _execute(postgres_dsn, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
