"""Keys: shown once, known by hash, ended by time or by hand, and cheap to ask for."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import keys
from storage.keys import KeyRing, create, list_, revoke, verify


def id_of(key):
    return key.split("_")[1]


async def test_made_and_known(connection):
    key = await create(connection, "centre", ["events", "read", "read"])
    found = await verify(connection, key)
    assert (found.id, found.name, found.scopes) == (id_of(key), "centre", {"read", "events"})
    assert found.allows("read")
    assert not found.allows("terminals:write")
    stored = dict(await connection.fetchrow("SELECT * FROM api_keys"))
    secret = key.split("_")[2]
    assert len(stored["secret_hash"]) == 32
    assert secret not in str(stored)
    assert secret.encode() not in stored["secret_hash"]


async def test_admin_may_everything(connection):
    found = await verify(connection, await create(connection, "admin", ["admin"]))
    assert all(found.allows(scope) for scope in keys.SCOPES)


async def test_other_keys_are_none(connection):
    key, other = [await create(connection, name, ["read"]) for name in "ab"]
    wrong = [
        "",
        "jtk_",
        key[:-1],
        key + "0",
        key + "\n",
        key.upper(),
        f"jtk_{id_of(other)}_{key.split('_')[2]}",
        f"jtk_{'0' * 12}_{key.split('_')[2]}",
        key.replace("jtk_", "gwk_"),
        key + "\0",
        "\ud800",
    ]
    for text in wrong:
        assert await verify(connection, text) is None
    assert await verify(connection, other)


async def test_a_secret_of_ones_own(connection):
    key = await create(connection, "a", ["read"], secret="s" * 32)
    assert key == f"jtk_{id_of(key)}_{'s' * 32}"
    assert await verify(connection, key)
    for secret in ("short", "s" * 129, "s" * 31 + "_", "s" * 31 + "é"):
        with pytest.raises(ValueError, match="secret"):
            await create(connection, "a", ["read"], secret=secret)


@pytest.mark.parametrize("scopes", [[], ["write"], ["read", "root"]])
async def test_unknown_scopes(connection, scopes):
    with pytest.raises(ValueError, match="scopes read, events, commands, terminals:write, admin"):
        await create(connection, "a", scopes)


async def test_expired_and_revoked(connection):
    past, future = time.time() - 1, time.time() + 3600
    assert await verify(connection, await create(connection, "a", ["read"], expires_at=past)) is None
    key = await create(connection, "b", ["read"], expires_at=future)
    assert (await verify(connection, key)).expires_at == pytest.approx(future, abs=1e-5)
    assert await revoke(connection, id_of(key))
    assert not await revoke(connection, id_of(key))
    assert not await revoke(connection, "nothing")
    assert await verify(connection, key) is None
    assert [(k.name, k.revoked_at is None) for k in await list_(connection)] == [
        ("a", True),
        ("b", False),
    ]


async def test_last_use_is_noted_once_a_minute(connection):
    key = await create(connection, "a", ["read"])
    query = "SELECT last_used_at, xmin::text FROM api_keys"
    assert await connection.fetchval(query) is None
    await verify(connection, key)
    first = tuple(await connection.fetchrow(query))
    assert first[0] is not None
    await verify(connection, key)
    assert tuple(await connection.fetchrow(query)) == first
    await connection.execute("UPDATE api_keys SET last_used_at = now() - interval '61 s'")
    await verify(connection, key)
    assert await connection.fetchval("SELECT now() - last_used_at < '1 s' FROM api_keys")


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


async def test_ring_asks_once_per_ttl(pool, connection, monkeypatch):
    asked = []

    async def counted(connection, key):
        asked.append(key)
        return await verify(connection, key)

    monkeypatch.setattr(keys, "verify", counted)
    clock = Clock()
    ring = KeyRing(pool, clock=clock)
    key = await create(connection, "a", ["read"])
    for _ in range(3):
        assert (await ring.verify(key)).name == "a"
        assert await ring.verify(key + "0") is None
    assert len(asked) == 2
    await revoke(connection, id_of(key))
    clock.now += 9.9
    assert await ring.verify(key)
    clock.now += 0.2
    assert await ring.verify(key) is None
    assert len(asked) == 3


async def test_ring_refuses_an_expired_key_on_time(pool, connection):
    ring = KeyRing(pool, ttl=3600)
    key = await create(connection, "a", ["read"], expires_at=time.time() + 0.3)
    assert await ring.verify(key)
    await connection.execute("SELECT pg_sleep(0.35)")
    assert await ring.verify(key) is None


async def test_ring_stays_small_and_holds_no_keys(pool, connection, monkeypatch):
    monkeypatch.setattr(keys, "CACHE_SIZE", 3)
    ring = KeyRing(pool)
    key = await create(connection, "a", ["read"])
    for number in range(10):
        await ring.verify(f"{key}{number}")
    assert await ring.verify(key)
    assert len(ring._known) == 3
    assert key.split("_")[2] not in repr(vars(ring))


@given(st.text(st.characters()))
def test_any_text_has_a_hash(text):
    assert len(keys._hash(text)) == 32
