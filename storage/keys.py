"""Keys of the HTTP interface: made once, stored as a hash, known by what they may do.

A key is "jtk_<id>_<secret>". The secret is 256 random bits, so a plain SHA-256 is as good as a slow
hash, and cheap. It must not know HTTP.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

import asyncpg
import msgspec

from storage.database import Connection, Pool, clean, moment, seconds

SCOPES = ("read", "events", "commands", "terminals:write", "admin")
KEY = re.compile(r"jtk_([0-9a-f]{12})_([0-9A-Za-z-]{32,128})")
SECRET = re.compile(r"[0-9A-Za-z-]{32,128}")

CACHE_TTL = 10.0  # s; a revoked key works that much longer at most
CACHE_SIZE = 1024  # keys, wrong ones included

FIND = """
SELECT *, coalesce(last_used_at < now() - interval '1 minute', true) AS stale
FROM api_keys
WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""
# The condition again: of several processes that see it stale, one writes.
USED = """
UPDATE api_keys SET last_used_at = now()
WHERE id = $1 AND coalesce(last_used_at < now() - interval '1 minute', true)
"""
CREATE = """
INSERT INTO api_keys (id, secret_hash, name, scopes, expires_at) VALUES ($1, $2, $3, $4, $5)
"""
REVOKE = """
UPDATE api_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING true
"""
LIST = "SELECT * FROM api_keys ORDER BY created_at, id"


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its secret; times in seconds since 1970, UTC."""

    id: str
    name: str
    scopes: frozenset[str]
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None

    def allows(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes


async def create(
    connection: Connection,
    name: str,
    scopes: Iterable[str],
    *,
    expires_at: float | None = None,
    secret: str | None = None,
) -> str:
    """Make a key and return it: this is the only time that it can be seen.

    `secret` sets its secret half (32 to 128 letters, digits, hyphens) instead of a random one.
    Raises `ValueError` for a scope that there is not, or an unfit secret.
    """
    wanted = sorted(set(scopes))
    if not wanted or not set(wanted) <= set(SCOPES):
        raise ValueError(f"A key has one or more of the scopes {', '.join(SCOPES)}.")
    if secret is not None and not SECRET.fullmatch(secret):
        raise ValueError("A secret has 32 to 128 letters, digits and hyphens.")
    id_, secret = secrets.token_hex(6), secret or secrets.token_hex(32)
    expires = None if expires_at is None else moment(expires_at)
    await connection.execute(CREATE, id_, _hash(secret), clean(name), wanted, expires)
    return f"jtk_{id_}_{secret}"


async def verify(connection: Connection, key: str) -> ApiKey | None:
    """The key, if it is one, and neither expired nor revoked; notes its use once a minute."""
    if (parts := KEY.fullmatch(key)) is None:
        return None
    row = await connection.fetchrow(FIND, parts[1])
    # Compared even when there is no row, so that the time does not tell which ids exist.
    matches = hmac.compare_digest(_hash(parts[2]), row["secret_hash"] if row else bytes(32))
    if row is None or not matches:
        return None
    if row["stale"]:
        await connection.execute(USED, row["id"])
    return _from_row(row)


async def list_(connection: Connection) -> list[ApiKey]:
    """All keys, the oldest first, revoked and expired ones included."""
    return [_from_row(row) for row in await connection.fetch(LIST)]


async def revoke(connection: Connection, id_: str) -> bool:
    """End a key; False if there is none, or it had ended."""
    return bool(await connection.fetchval(REVOKE, clean(id_)))


class KeyRing:
    """`verify` for a server that is asked with every request: answers are kept for `CACHE_TTL`.

    Wrong keys are kept too, so that guessing does not reach the database with every try. Keys are
    held as their hashes only.
    """

    def __init__(
        self, pool: Pool, *, ttl: float = CACHE_TTL, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pool = pool
        self._ttl = ttl
        self._clock = clock
        self._known: dict[bytes, tuple[float, ApiKey | None]] = {}  # until when, oldest first

    async def verify(self, key: str) -> ApiKey | None:
        """As `keys.verify`; a key that expires within the TTL is refused on time."""
        digest = _hash(key)
        until, found = self._known.get(digest, (0.0, None))
        if self._clock() >= until:
            async with self._pool.acquire() as connection:
                found = await verify(connection, key)
            self._remember(digest, found)
        if found and found.expires_at is not None and found.expires_at <= time.time():
            return None
        return found

    def _remember(self, digest: bytes, found: ApiKey | None) -> None:
        self._known.pop(digest, None)
        while len(self._known) >= CACHE_SIZE:
            del self._known[next(iter(self._known))]
        self._known[digest] = (self._clock() + self._ttl, found)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _from_row(row: asyncpg.Record) -> ApiKey:
    times: dict[str, Any] = {
        name: None if row[name] is None else seconds(row[name])
        for name in ("created_at", "expires_at", "revoked_at", "last_used_at")
    }
    return ApiKey(id=row["id"], name=row["name"], scopes=frozenset(row["scopes"]), **times)
