"""The test server itself: it survives being killed, and leaves nothing behind."""

from __future__ import annotations

import os

import asyncpg
import pytest

from tests.postgres import Server, with_database


async def test_killed_and_started_again(postgres):
    connection = await asyncpg.connect(postgres.dsn)
    assert await connection.fetchval("SHOW fsync") == "on"
    await connection.execute("CREATE TABLE t (x int)")
    await connection.execute("INSERT INTO t VALUES (1)")
    first = postgres.pid
    for _ in range(2):
        postgres.kill()
        assert postgres.pid is None
        connection.terminate()
        postgres.start()
        connection = await asyncpg.connect(postgres.dsn)
        assert await connection.fetchval("SELECT count(*) FROM t") == 1
    assert postgres.pid not in (None, first)
    await connection.close()
    postgres.stop()
    assert postgres.pid is None
    postgres.start()


def test_removed_without_a_trace():
    server = Server()
    server.start()
    pid = server.pid
    server.remove()
    assert not server.home.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_databases_are_fresh(database):
    connection = await asyncpg.connect(database)
    assert await connection.fetchval("SELECT count(*) FROM terminals") == 0
    await connection.close()


def test_with_database():
    assert with_database("postgresql://u:p@h:1/a?x=y", "b") == "postgresql://u:p@h:1/b?x=y"
    dsn = with_database("postgresql://postgres@/postgres?host=/run/x", "b")
    assert dsn == "postgresql://postgres@/b?host=/run/x"
