"""A short visit to the database that the settings name, for commands: one connection, then gone.

Must not know what the visitor does there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from gateway.config import Settings, masked
from storage.database import SETTINGS, Connection, prepare
from storage.embedded import DataFolderBusyError, EmbeddedPostgres

CONNECT_TIMEOUT = 10.0  # s
EMPTY = "the database has no tables yet: start the gateway once, or run jtgate migrate."


class VisitError(Exception):
    """The database can't be visited; the message is one sentence for the operator."""


@asynccontextmanager
async def visit(settings: Settings, *, tables: bool = True) -> AsyncIterator[Connection]:
    """A connection. An embedded server is used where it runs, else started for the visit.

    With `tables`, only to a database that has been set up: none is made on the way. Raises
    `VisitError`, and what EmbeddedPostgres or Postgres itself raise.
    """
    dsn, embedded = settings.database_url, None
    if dsn is None:
        if tables and not (settings.data_dir / "postgres" / "PG_VERSION").exists():
            raise VisitError(EMPTY)
        embedded = EmbeddedPostgres(settings.data_dir)
        try:
            dsn = await embedded.start()
        except DataFolderBusyError:
            dsn = embedded.attach()
    try:
        connection = await _connect(dsn)
        try:
            if tables and not await connection.fetchval("SELECT to_regclass('api_keys')"):
                raise VisitError(EMPTY)
            await prepare(connection)
            yield connection
        finally:
            await connection.close()
    finally:
        if embedded is not None:
            await embedded.stop()


async def _connect(dsn: str) -> asyncpg.Connection[asyncpg.Record]:
    try:
        return await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT, server_settings=SETTINGS)
    except (OSError, TimeoutError) as error:
        reason = str(error) or "no answer"
        raise VisitError(f"{masked(dsn)} can't be reached: {reason}.") from None
