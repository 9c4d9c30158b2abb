"""Terminals: what a registration changes, which code counts, and texts that devices send."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from storage.terminals import (
    adopt,
    authenticated,
    delete,
    disconnected,
    find,
    provision,
    register,
    reset_code,
)

PHONE = "13800138000"
OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
FACTS = {
    "province": 44,
    "city": 300,
    "maker": "MAKER",
    "model": "M1",
    "terminal_no": "0000001",
    "plate": "粤B12345",
    "plate_color": 2,
}


async def codes(connection):
    terminal = await find(connection, PHONE)
    return terminal.code_hash, terminal.pending_hash


async def test_first_registration(connection):
    assert await find(connection, PHONE) is None
    terminal = await register(connection, PHONE, FACTS, OLD, 2019)
    assert terminal == await find(connection, PHONE)
    assert (terminal.phone, terminal.state, terminal.edition) == (PHONE, "active", 2019)
    assert {name: getattr(terminal, name) for name in FACTS} == FACTS
    assert (terminal.code_hash, terminal.pending_hash) == (OLD, None)
    assert terminal.registered_at == pytest.approx(terminal.created_at, abs=1)
    assert terminal.authenticated_at is terminal.connected_at is terminal.last_address is None


async def test_the_old_code_counts_until_the_new_one_is_used(connection):
    terminal = await register(connection, PHONE, FACTS, OLD, 2013)
    again = await register(connection, PHONE, {"plate": "粤B54321", "city": None}, NEW, 2019)
    assert (again.id, again.edition) == (terminal.id, 2019)
    assert (again.plate, again.city, again.maker) == ("粤B54321", 300, "MAKER")
    assert await codes(connection) == (OLD, NEW)
    success = {"address": "192.0.2.1", "edition": 2019, "at": 1_700_000_000.25}
    await authenticated(connection, terminal.id, used_pending=False, **success)
    assert await codes(connection) == (OLD, NEW)
    await authenticated(connection, terminal.id, used_pending=True, **success)
    assert await codes(connection) == (NEW, None)
    await authenticated(connection, terminal.id, used_pending=True, **success)
    assert await codes(connection) == (NEW, None)
    now = await find(connection, PHONE)
    assert now.last_address == "192.0.2.1"
    assert now.authenticated_at == now.connected_at == 1_700_000_000.25


async def test_a_registration_in_between_is_not_promoted(connection):
    terminal = await register(connection, PHONE, FACTS, OLD, 2013)
    await register(connection, PHONE, FACTS, NEW, 2013)
    await register(connection, PHONE, FACTS, OTHER, 2013)
    await authenticated(
        connection, terminal.id, used_pending=True, address="", edition=None, at=1, code_hash=NEW
    )
    assert await codes(connection) == (NEW, OTHER)
    assert (await find(connection, PHONE)).edition == 2013


async def test_registrations_at_once_are_one_terminal(pool):
    async def one(number):
        async with pool.acquire() as connection:
            return await register(connection, PHONE, FACTS, bytes([number]) * 32, 2019)

    found = await asyncio.gather(*(one(number) for number in range(8)))
    assert len({terminal.id for terminal in found}) == 1
    assert len({terminal.code_hash for terminal in found}) == 1


async def test_adopt_lets_one_code_in(connection):
    first = await adopt(connection, PHONE, OLD, 2013)
    assert (first.state, first.code_hash, first.registered_at) == ("active", OLD, None)
    second = await adopt(connection, PHONE, NEW, 2013)
    assert (second.id, second.code_hash) == (first.id, OLD)


async def test_states(connection):
    assert (await provision(connection, PHONE, {"note": "depot 7"})).state == "provisioned"
    assert (await register(connection, PHONE, FACTS, OLD, 2019)).state == "active"
    blocked = await provision(connection, PHONE, {"state": "blocked"})
    assert (blocked.state, blocked.note, blocked.plate) == ("blocked", "depot 7", "粤B12345")
    assert (await register(connection, PHONE, FACTS, NEW, 2019)).state == "blocked"
    assert (await provision(connection, PHONE, {"plate": None})).plate is None
    assert (await provision(connection, PHONE, {})).state == "blocked"
    with pytest.raises(asyncpg.CheckViolationError):
        await provision(connection, PHONE, {"state": "happy"})
    with pytest.raises(ValueError, match="no field code_hash, id"):
        await provision(connection, PHONE, {"id": 1, "code_hash": OLD, "plate": "x"})
    with pytest.raises(ValueError, match="no field state"):
        await register(connection, PHONE, {"state": "active"}, OLD, 2019)


async def test_provisioned_becomes_active_when_it_comes(connection):
    for phone in ("1", "2"):
        await provision(connection, phone, {})
    assert (await adopt(connection, "1", OLD, 2013)).state == "active"
    two = await find(connection, "2")
    await authenticated(connection, two.id, used_pending=False, address="a", edition=2013, at=1)
    assert (await find(connection, "2")).state == "active"


async def test_reset_and_delete(connection):
    assert not await reset_code(connection, PHONE)
    assert not await delete(connection, PHONE)
    await register(connection, PHONE, FACTS, OLD, 2019)
    await register(connection, PHONE, FACTS, NEW, 2019)
    assert await reset_code(connection, PHONE)
    assert await codes(connection) == (None, None)
    assert (await adopt(connection, PHONE, OTHER, 2019)).code_hash == OTHER
    assert await delete(connection, PHONE)
    assert await find(connection, PHONE) is None


async def test_an_old_session_does_not_end_a_new_one(connection):
    terminal = await register(connection, PHONE, FACTS, OLD, 2019)
    for at in (100.5, 200.5):
        await authenticated(connection, terminal.id, used_pending=False, address="a", edition=None, at=at)
    await disconnected(connection, terminal.id, 300, connected_at=100.5)
    assert (await find(connection, PHONE)).disconnected_at is None
    await disconnected(connection, terminal.id, 301, connected_at=200.5)
    assert (await find(connection, PHONE)).disconnected_at == 301
    await disconnected(connection, terminal.id, 302)
    assert (await find(connection, PHONE)).disconnected_at == 302


async def test_hostile_texts(connection):
    facts = {"plate": "粤B\0\0", "maker": "\ud800", "model": "'; DROP TABLE terminals; --"}
    terminal = await register(connection, PHONE, facts, OLD, 2019)
    assert (terminal.plate, terminal.maker) == ("粤B", "?")
    assert terminal.model == facts["model"]
    assert (await provision(connection, "1\0", {"plate": "a\0b"})).plate == "ab"
    assert (await find(connection, "\x001")).phone == "1"
    await authenticated(connection, terminal.id, used_pending=False, address="\0", edition=None, at=1)
