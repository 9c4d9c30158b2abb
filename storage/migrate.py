"""The schema, brought to where this program expects it: plain SQL files, each applied once.

A file is `migrations/NNNN_name.sql` and runs in one transaction. A first line
`-- transaction: off` is for statements that refuse one (CREATE INDEX CONCURRENTLY): the file's
statements, each ending with a semicolon at the end of a line, then run one by one and must bear
being run again. It must not know what the files do.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import NamedTuple

import asyncpg

from storage.database import Connection

OLDEST_SERVER = 14
LOCK = int.from_bytes(b"jtgate.m")  # pg_advisory_lock keys are bigints
LOCK_PATIENCE = 300.0  # s
LOCK_POLL = 0.1  # s
STATEMENT_LIMIT = 6 * 3600.0  # s; building an index on a large table takes its time

FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
WITHOUT_TRANSACTION = re.compile(r"-- transaction: off\s*\n")
STATEMENT_END = re.compile(r";[ \t]*(?:--.*)?$", re.MULTILINE)

HISTORY = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class MigrationError(RuntimeError):
    """The schema can't be brought up to date; the text is a sentence for operators."""


class Migration(NamedTuple):
    version: int
    name: str  # the file's name without ".sql"
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def transactional(self) -> bool:
        return WITHOUT_TRANSACTION.match(self.sql) is None

    @property
    def statements(self) -> list[str]:
        """The statements of a file that runs without a transaction."""
        return [part for text in STATEMENT_END.split(self.sql) if (part := text.strip())]


def available() -> list[Migration]:
    """The migrations that came with this program, in order."""
    found = []
    for entry in (files("storage") / "migrations").iterdir():
        if not entry.name.endswith(".sql"):
            continue
        if (parts := FILE_NAME.fullmatch(entry.name)) is None:
            raise MigrationError(f"{entry.name} is not named like 0001_base.sql.")
        # Newlines are made alike, so that a checkout on another system has the same checksum.
        sql = entry.read_text(encoding="utf-8").replace("\r\n", "\n")
        found.append(Migration(int(parts[1]), entry.name.removesuffix(".sql"), sql))
    found.sort()
    if [item.version for item in found] != list(range(1, len(found) + 1)):
        names = ", ".join(item.name for item in found)
        raise MigrationError(f"The migrations are not numbered from 0001 without gaps: {names}.")
    return found


async def migrate(connection: Connection, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Apply what is missing and return its names. Safe when several processes start at once.

    Raises `MigrationError`. What was applied before the error stays applied.
    """
    known = available() if migrations is None else migrations
    await _check_server(connection)
    applied = []
    async with _lock(connection):
        await connection.execute(HISTORY)
        for migration in await _missing(connection, known):
            await _apply(connection, migration)
            applied.append(migration.name)
    return applied


async def pending(connection: Connection, migrations: Sequence[Migration] | None = None) -> list[str]:
    """The names of what `migrate` would apply; nothing is written. Raises `MigrationError`."""
    known = available() if migrations is None else migrations
    await _check_server(connection)
    if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return [migration.name for migration in known]
    return [migration.name for migration in await _missing(connection, known)]


async def _check_server(connection: Connection) -> None:
    version = connection.get_server_version()
    if version.major < OLDEST_SERVER:
        raise MigrationError(
            f"PostgreSQL {OLDEST_SERVER} or newer is needed; this server is {version.major}.{version.minor}."
        )
    encoding = await connection.fetchval("SHOW server_encoding")
    if encoding != "UTF8":
        raise MigrationError(
            f"The database has the encoding {encoding}, which can't hold every plate; "
            "make one with: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
        )


async def _missing(connection: Connection, known: Sequence[Migration]) -> list[Migration]:
    rows = await connection.fetch("SELECT version, name, checksum FROM schema_migrations")
    applied = {row["version"]: row for row in rows}
    by_version = {migration.version: migration for migration in known}
    if newer := sorted(applied.keys() - by_version.keys()):
        names = ", ".join(applied[version]["name"] for version in newer)
        raise MigrationError(
            f"The database is newer than this program: it holds {names}, which this version does "
            "not know. Start the newer version again, or restore a backup taken before it."
        )
    for version, row in sorted(applied.items()):
        migration = by_version[version]
        if (row["name"], row["checksum"]) != (migration.name, migration.checksum):
            raise MigrationError(
                f"{row['name']} was applied to this database in another form than this program "
                "carries. An applied migration is never edited: put the file back as it was and "
                "add a new one."
            )
    return [migration for migration in known if migration.version not in applied]


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        if migration.transactional:
            async with connection.transaction():
                await connection.execute(migration.sql, timeout=STATEMENT_LIMIT)
                await _record(connection, migration)
        else:
            for statement in migration.statements:
                await connection.execute(statement, timeout=STATEMENT_LIMIT)
            await _record(connection, migration)
    except asyncpg.PostgresError as error:
        left = "nothing of it was applied" if migration.transactional else "it can be run again"
        raise MigrationError(f"{migration.name} failed ({left}): {error}.") from error


async def _record(connection: Connection, migration: Migration) -> None:
    await connection.execute(
        "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
        migration.version,
        migration.name,
        migration.checksum,
    )


@asynccontextmanager
async def _lock(connection: Connection) -> AsyncIterator[None]:
    # Polled, not waited for: a statement that waits has a snapshot, and CREATE INDEX CONCURRENTLY
    # in the process that holds the lock would wait for that snapshot in turn.
    deadline = time.monotonic() + LOCK_PATIENCE
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
        if time.monotonic() > deadline:
            raise MigrationError(
                "Another process has been migrating this database for "
                f"{LOCK_PATIENCE:.0f} s; look for it, or for a lock on the key {LOCK}, "
                "in pg_locks and pg_stat_activity."
            )
        await asyncio.sleep(LOCK_POLL)
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)
