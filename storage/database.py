"""The way to Postgres: the pool, and the few conversions that every table needs.

It must not know what is stored: no table name stands here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeAlias

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

COMMAND_TIMEOUT = 60.0  # s; a statement that takes longer is cancelled

SETTINGS = {
    "application_name": "jtgate",
    # A forgotten transaction would hold back the head of the event log for everybody.
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
    # Compiling a plan over hundreds of daily partitions takes longer than any query here runs.
    "jit": "off",
}

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder()

# What a server that is away, restarting or overloaded makes of a statement.
OUTAGES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)

JSONB_VERSION = b"\x01"  # the first byte of jsonb in Postgres' binary format


async def connect(dsn: str, *, size: int = 10) -> Pool:
    """A pool of at most `size` connections, opened as they are needed.

    Raises `OSError` or `asyncpg.PostgresError` when the server can't be reached or refuses.
    """
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=size,
        command_timeout=COMMAND_TIMEOUT,
        server_settings=SETTINGS,
        init=prepare,
    )


async def prepare(connection: Connection) -> None:
    """Teach one connection jsonb, in the binary format so that COPY can carry it too."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: JSONB_VERSION + to_json(value),
        decoder=lambda data: _decoder.decode(data[1:]),
    )


def to_json(value: Any) -> bytes:
    """`value` as JSON that jsonb takes: texts of terminals are cleaned where they need it."""
    try:
        text = _encoder.encode(value)
    except UnicodeEncodeError:
        return _encoder.encode(_scrub(value))
    return _encoder.encode(_scrub(value)) if rb"\u0000" in text else text


def clean(text: str) -> str:
    """`text` without what Postgres refuses in a text: NUL, and surrogates that have no partner."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _scrub(value: Any) -> Any:
    match value:
        case str():
            return clean(value)
        case dict():
            return {_scrub(key): _scrub(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_scrub(item) for item in value]
        case msgspec.Struct():
            return {
                encoded: _scrub(getattr(value, name))
                for name, encoded in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
            }
    return value


def moment(seconds: float) -> datetime:
    """Seconds since 1970 as Postgres wants them."""
    return datetime.fromtimestamp(seconds, UTC)


def seconds(moment: datetime) -> float:
    """The reverse of `moment`, exact to the microsecond."""
    return moment.timestamp()
