"""Migrations: applied once, by one process at a time, and refused with a sentence."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from storage.migrate import Migration, MigrationError, available, migrate, pending

ONE = Migration(1, "0001_one", "CREATE TABLE one (x int);\nINSERT INTO one VALUES (1);\n")
TWO = Migration(2, "0002_two", "ALTER TABLE one ADD y int;\n")
INDEX = Migration(
    2,
    "0002_index",
    "-- transaction: off\n"
    "DROP INDEX CONCURRENTLY IF EXISTS one_x;\n"
    "CREATE INDEX CONCURRENTLY one_x ON one (x);  -- said twice; that's why\n",
)


@pytest.fixture
async def connection(blank_database):
    connection = await asyncpg.connect(blank_database)
    yield connection
    await connection.close()


async def test_ours_apply_once(connection):
    names = [migration.name for migration in available()]
    assert names[0] == "0001_base"
    assert await pending(connection) == names
    assert await migrate(connection) == names
    assert await migrate(connection) == []
    assert await pending(connection) == []
    found = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {"terminals", "locations", "alarms", "events", "rejected"} <= {r[0] for r in found}


async def test_pending_writes_nothing(connection):
    assert await pending(connection, [ONE]) == ["0001_one"]
    assert await connection.fetchval("SELECT to_regclass('schema_migrations')") is None


async def test_in_order_and_without_a_transaction(connection):
    assert await migrate(connection, [ONE, INDEX]) == ["0001_one", "0002_index"]
    assert await connection.fetchval(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = $1::regclass", "one_x"
    )


@pytest.mark.parametrize("second", [TWO, INDEX], ids=["transaction", "concurrently"])
async def test_many_processes_at_once(blank_database, second):
    connections = [await asyncpg.connect(blank_database) for _ in range(5)]
    try:
        applied = await asyncio.gather(*(migrate(c, [ONE, second]) for c in connections))
        assert sorted(name for names in applied for name in names) == [ONE.name, second.name]
        assert await connections[0].fetchval("SELECT count(*) FROM one") == 1
        assert not await connections[0].fetch("SELECT FROM pg_locks WHERE locktype = 'advisory'")
    finally:
        for connection in connections:
            await connection.close()


async def test_refuses_a_newer_database(connection):
    await migrate(connection, [ONE, TWO])
    for attempt in (migrate, pending):
        with pytest.raises(MigrationError, match=r"newer than this program: it holds 0002_two"):
            await attempt(connection, [ONE])


async def test_refuses_a_changed_file(connection):
    await migrate(connection, [ONE])
    with pytest.raises(MigrationError, match=r"0001_one was applied .* in another form"):
        await migrate(connection, [ONE._replace(sql=ONE.sql + " "), TWO])
    assert await pending(connection, [ONE, TWO]) == ["0002_two"]


async def test_a_failure_leaves_nothing(connection):
    broken = TWO._replace(sql=TWO.sql + "SELECT nonsense;\n")
    with pytest.raises(MigrationError, match=r"0002_two failed \(nothing of it was applied\)"):
        await migrate(connection, [ONE, broken])
    assert await migrate(connection, [ONE, TWO]) == ["0002_two"]


async def test_waits_for_the_lock_only_so_long(connection, blank_database, monkeypatch):
    monkeypatch.setattr("storage.migrate.LOCK_PATIENCE", 0.3)
    other = await asyncpg.connect(blank_database)
    try:
        await other.execute("SELECT pg_advisory_lock($1)", int.from_bytes(b"jtgate.m"))
        with pytest.raises(MigrationError, match=r"Another process has been migrating"):
            await migrate(connection, [ONE])
    finally:
        await other.close()


async def test_refuses_an_encoding_that_cannot_hold_plates(postgres_dsn):
    from tests.postgres import with_database

    server = await asyncpg.connect(postgres_dsn)
    await server.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    connection = await asyncpg.connect(with_database(postgres_dsn, "latin"))
    try:
        with pytest.raises(MigrationError, match="LATIN1"):
            await migrate(connection)
    finally:
        await connection.close()
        await server.execute("DROP DATABASE latin WITH (FORCE)")
        await server.close()
