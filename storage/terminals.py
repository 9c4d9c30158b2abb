"""Who the terminals are: what they said at registration, their codes (hashed), when they came and went.

Texts come from devices: they are cleaned here of what Postgres refuses. It must not compare codes:
admission does, in constant time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg
import msgspec

from storage.database import Connection, clean, moment, seconds

# What a terminal says of itself in 0x0100 (JT/T 808-2019 table 10), and what an operator may say.
FACTS = ("province", "city", "maker", "model", "terminal_no", "plate", "plate_color")
FIELDS = (*FACTS, "state", "note")


class Terminal(msgspec.Struct, kw_only=True):
    """A row of `terminals`; times in seconds since 1970, UTC."""

    id: int
    phone: str  # digits without leading zeros
    state: str  # 'provisioned': not seen yet; 'active'; 'blocked'
    edition: int | None  # 2011, 2013 or 2019, as last seen
    province: int | None
    city: int | None
    maker: str | None
    model: str | None
    terminal_no: str | None
    plate: str | None
    plate_color: int | None
    code_hash: bytes | None  # SHA-256 of the authentication code
    pending_hash: bytes | None  # of a code that was issued later and not used yet
    registered_at: float | None
    authenticated_at: float | None
    last_address: str | None
    connected_at: float | None
    disconnected_at: float | None
    created_at: float
    note: str | None


TIMES = tuple(name for name in Terminal.__struct_fields__ if name.endswith("_at"))

FIND = "SELECT * FROM terminals WHERE phone = $1"

# A code that is in use stays valid until the new one is used: the answer to a registration can be
# lost, and anybody may send one.
REGISTER = f"""
INSERT INTO terminals (phone, edition, code_hash, registered_at, {", ".join(FACTS)})
VALUES ($1, $2, $3, now(), $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (phone) DO UPDATE SET
    edition = coalesce(excluded.edition, terminals.edition),
    registered_at = excluded.registered_at,
    state = CASE terminals.state WHEN 'provisioned' THEN 'active' ELSE terminals.state END,
    code_hash = coalesce(terminals.code_hash, excluded.code_hash),
    pending_hash = CASE WHEN terminals.code_hash IS NULL THEN NULL ELSE excluded.code_hash END,
    {", ".join(f"{name} = coalesce(excluded.{name}, terminals.{name})" for name in FACTS)}
RETURNING *
"""  # noqa: S608 - put together from constants

ADOPT = """
INSERT INTO terminals (phone, code_hash, edition) VALUES ($1, $2, $3)
ON CONFLICT (phone) DO UPDATE SET
    code_hash = coalesce(terminals.code_hash, excluded.code_hash),
    edition = coalesce(excluded.edition, terminals.edition),
    state = CASE terminals.state WHEN 'provisioned' THEN 'active' ELSE terminals.state END
RETURNING *
"""

AUTHENTICATED = """
UPDATE terminals SET
    code_hash = CASE WHEN $2 THEN coalesce($3, pending_hash, code_hash) ELSE code_hash END,
    pending_hash = CASE WHEN $2 AND ($3 IS NULL OR pending_hash = $3) THEN NULL
                        ELSE pending_hash END,
    last_address = $4, edition = coalesce($5, edition), authenticated_at = $6, connected_at = $6,
    state = CASE state WHEN 'provisioned' THEN 'active' ELSE state END
WHERE id = $1
"""

DISCONNECTED = """
UPDATE terminals SET disconnected_at = $2
WHERE id = $1 AND ($3::timestamptz IS NULL OR connected_at = $3)
"""

RESET_CODE = """
UPDATE terminals SET code_hash = NULL, pending_hash = NULL WHERE phone = $1 RETURNING true
"""

DELETE = "DELETE FROM terminals WHERE phone = $1 RETURNING true"


async def find(connection: Connection, phone: str) -> Terminal | None:
    row = await connection.fetchrow(FIND, clean(phone))
    return None if row is None else from_row(row)


async def register(
    connection: Connection,
    phone: str,
    facts: Mapping[str, Any],
    code_hash: bytes,
    edition: int | None,
) -> Terminal:
    """Take in what a terminal said when it registered, with the code that it will be answered.

    `facts` are some of `FACTS`; one that is missing or None keeps what is known. Where a code is in
    use already the new one becomes the pending one. A blocked terminal stays blocked.
    """
    known = _checked(facts, FACTS)
    rows = await connection.fetch(
        REGISTER, clean(phone), edition, code_hash, *(known.get(name) for name in FACTS)
    )
    return from_row(rows[0])


async def adopt(connection: Connection, phone: str, code_hash: bytes | None, edition: int | None) -> Terminal:
    """Take in a terminal that authenticates without having registered here.

    The code becomes its own, unless it has one: the caller compares with what comes back, so that
    of two that come at once only one is let in.
    """
    rows = await connection.fetch(ADOPT, clean(phone), code_hash, edition)
    return from_row(rows[0])


async def authenticated(
    connection: Connection,
    terminal_id: int,
    *,
    used_pending: bool,
    address: str,
    edition: int | None,
    at: float,
    code_hash: bytes | None = None,
) -> None:
    """Note a success. With `used_pending` the pending code takes the place of the old one.

    `code_hash` is the hash that matched: with it, a code that yet another registration has made
    the pending one meanwhile is not promoted in its stead.
    """
    await connection.execute(
        AUTHENTICATED, terminal_id, used_pending, code_hash, clean(address), edition, moment(at)
    )


async def disconnected(
    connection: Connection, terminal_id: int, at: float, *, connected_at: float | None = None
) -> None:
    """Note the end of a connection; with `connected_at`, only if no newer one has begun."""
    since = None if connected_at is None else moment(connected_at)
    await connection.execute(DISCONNECTED, terminal_id, moment(at), since)


async def provision(connection: Connection, phone: str, fields: Mapping[str, Any]) -> Terminal:
    """Make a terminal known, or change the given fields (some of `FIELDS`) of one that is.

    Raises `ValueError` for another field, `asyncpg.CheckViolationError` for a state that is none.
    """
    known = _checked(fields, FIELDS)
    written = {"phone": clean(phone), "state": "provisioned"} | known
    places = ", ".join(f"${number}" for number in range(1, len(written) + 1))
    changes = ", ".join(f"{name} = excluded.{name}" for name in known or ("phone",))
    rows = await connection.fetch(
        f"INSERT INTO terminals ({', '.join(written)}) VALUES ({places})"  # noqa: S608 - of FIELDS
        f" ON CONFLICT (phone) DO UPDATE SET {changes} RETURNING *",
        *written.values(),
    )
    return from_row(rows[0])


async def delete(connection: Connection, phone: str) -> bool:
    """Forget a terminal. Its reports and alarms stay until their time is over."""
    return bool(await connection.fetchval(DELETE, clean(phone)))


async def reset_code(connection: Connection, phone: str) -> bool:
    """Forget a terminal's codes, so that it must register again or is adopted anew."""
    return bool(await connection.fetchval(RESET_CODE, clean(phone)))


def from_row(row: asyncpg.Record) -> Terminal:
    """A row with all the columns of `terminals`, and perhaps others."""
    fields = {name: row[name] for name in Terminal.__struct_fields__}
    for name in TIMES:
        if fields[name] is not None:
            fields[name] = seconds(fields[name])
    return Terminal(**fields)


def _checked(fields: Mapping[str, Any], allowed: tuple[str, ...]) -> dict[str, Any]:
    if unknown := sorted(fields.keys() - set(allowed)):
        raise ValueError(f"A terminal has no field {', '.join(unknown)}.")
    return {name: clean(value) if isinstance(value, str) else value for name, value in fields.items()}
