"""Who is let in: codes, limits, take-over, and what a session may say before it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission import CODE_LENGTH, PER_PHONE, Failures, new_code
from protocol.header import Edition
from tests.gateway.rig import Terminal, fetch, location, running


async def test_a_code_is_random_stored_hashed_and_survives_a_restart(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).connect()
        fields = await terminal.register()
        assert fields["result"] == 0 and len(terminal.code) == CODE_LENGTH
        assert await terminal.authenticate() == 0
        terminal.leave()
    [row] = await fetch(database, "SELECT * FROM terminals")
    assert terminal.code.encode() not in bytes(row["code_hash"])
    assert (row["plate"], row["plate_color"], row["terminal_no"], row["edition"]) == (
        "粤E12345",
        2,
        "T000001",
        2013,
    )
    async with running(database) as worker:
        again = await Terminal(worker).connect()
        assert await again.authenticate(terminal.code) == 0
        assert await again.result(0x0200, location()) == 0
        again.leave()


async def test_the_first_code_of_an_unknown_terminal_becomes_its_code(database):
    async with running(database) as worker:
        one = await Terminal(worker).connect()
        assert await one.authenticate("from-another-platform") == 0
        one.leave()
        two = await Terminal(worker).connect()
        assert await two.authenticate("something else") == 1
        assert await two.authenticate("from-another-platform") == 0
        two.leave()
        three = await Terminal(worker, "13800000003").connect()
        assert await three.authenticate("") == 1
        three.leave()


async def test_a_new_registration_leaves_the_old_code_until_the_new_one_is_used(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        old = terminal.code
        thief = await Terminal(worker).connect()
        await thief.register()
        new = thief.code
        thief.leave()
        again = await Terminal(worker).connect()
        assert await again.authenticate(old) == 0
        assert await again.authenticate(new) == 0
        third = await Terminal(worker).connect()
        assert await third.authenticate(old) == 1
        for t in (terminal, again, third):
            t.leave()


async def test_known_registration_takes_only_the_provisioned(database):
    async with running(database, registration="known") as worker:
        stranger = await Terminal(worker).connect()
        assert (await stranger.register())["result"] == 4
        assert await stranger.authenticate("guess") == 1
        stranger.leave()
        await fetch(database, "INSERT INTO terminals (phone, state) VALUES ('13800000002', 'provisioned')")
        known = await Terminal(worker, "13800000002").enter()
        assert await known.result(0x0200, location()) == 0
        known.leave()
        await fetch(database, "UPDATE terminals SET state = 'blocked'")
        blocked = await Terminal(worker, "13800000002").connect()
        assert await blocked.authenticate(known.code) == 1
        assert (await blocked.register())["result"] == 4
        blocked.leave()


async def test_guessing_is_limited_and_does_not_lock_the_terminal_out(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        await fetch(database, "UPDATE terminals SET last_address = '203.0.113.9'")
        thief = await Terminal(worker).connect()
        for n in range(PER_PHONE):
            assert await thief.authenticate(f"guess {n}") == 1
        assert await thief.authenticate(terminal.code) == 1, "still looked up although locked"
        assert worker.counters.auth_failures["locked"] == 1
        await fetch(database, "UPDATE terminals SET last_address = '127.0.0.1'")
        assert await thief.authenticate(terminal.code) == 0, "the address it comes from is never locked out"
        for t in (terminal, thief):
            t.leave()


async def test_data_before_authentication_is_neither_stored_nor_answered(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).connect()
        terminal.send(0x0200, location(3))
        assert await terminal.result(0x0002) == 0
        assert worker.counters.faults["unauthenticated"] == 1
        await terminal.register()
        assert await terminal.authenticate() == 0
        assert await terminal.result(0x0200, location(3)) == 0
        assert len(await fetch(database, "SELECT FROM locations")) == 1
        terminal.leave()


async def test_data_before_authentication_is_taken_where_the_settings_say_so(database):
    async with running(database, unauthenticated="accept") as worker:
        terminal = await Terminal(worker).connect()
        for second in range(20):
            terminal.send(0x0200, location(second))
        for _ in range(20):
            assert (await terminal.receive()).id == 0x8001
        assert len(await fetch(database, "SELECT FROM locations")) == 20
        terminal.leave()


async def test_what_comes_right_behind_the_authentication_waits_for_it(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).connect()
        await terminal.register()
        terminal.send(0x0102, terminal.profile.encode(0x0102, {"code": terminal.code}))
        for second in range(200):
            terminal.send(0x0200, location(second))
        ids = [int.from_bytes((await terminal.receive()).body[2:4]) for _ in range(201)]
        assert ids == [0x0102] + 200 * [0x0200]
        terminal.leave()


async def test_the_newest_connection_wins_and_the_old_ones_end_hurts_nobody(database):
    async with running(database) as worker:
        old = await Terminal(worker).enter()
        new = await Terminal(worker).connect()
        assert await new.authenticate(old.code) == 0
        assert await old.closed()
        old.leave()
        await asyncio.sleep(0.1)
        assert worker.registry.session("13800000001") is not None
        assert await new.result(0x0200, location()) == 0
        assert worker.counters.authenticated == 1
        new.leave()


async def test_an_old_session_stays_until_the_new_one_has_proved_itself(database):
    async with running(database) as worker:
        old = await Terminal(worker).enter()
        thief = await Terminal(worker).connect()
        assert await thief.authenticate("wrong") == 1
        assert await old.result(0x0200, location()) == 0
        for t in (old, thief):
            t.leave()


async def test_another_phone_inside_a_session_is_refused(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        other = Terminal(worker, "13900000009")
        other.writer = terminal.writer
        other.send(0x0200, location(7))
        other.send(0x0102, other.profile.encode(0x0102, {"code": "x"}))
        assert await terminal.result(0x0200, location(8)) == 0
        assert worker.counters.faults["foreign_phone"] == 2
        assert len(await fetch(database, "SELECT FROM locations")) == 1
        assert len(await fetch(database, "SELECT FROM terminals")) == 1
        terminal.leave()


async def test_nobody_may_stay_without_authenticating(database):
    async with running(database, preauth_timeout=0.5) as worker:
        silent = await Terminal(worker).connect()
        lingering = await Terminal(worker, "13800000002").connect()
        assert await lingering.result(0x0002) == 0
        assert await silent.closed(4) and await lingering.closed(4)
        assert len(worker.registry) == 0
        for t in (silent, lingering):
            t.leave()


async def test_silence_ends_a_session(database):
    async with running(database, idle_timeout=1) as worker:
        terminal = await Terminal(worker).enter()
        assert await terminal.closed(5)
        terminal.leave()


async def test_one_address_has_only_so_many_unproven_connections(database):
    async with running(database, max_connections_per_address=3) as worker:
        crowd = [await Terminal(worker, f"1380000{n:04}").connect() for n in range(5)]
        assert [await t.closed(0.3) for t in crowd] == [False, False, False, True, True]
        for t in crowd:
            t.leave()


@pytest.mark.parametrize("edition", [Edition.V2011, Edition.V2013, Edition.V2019])
async def test_hostile_text_is_stored_as_text(database, edition):
    async with running(database) as worker:
        terminal = await Terminal(worker, edition=edition).connect()
        plate = "'; DROP TABLE terminals; --\0\x01"
        assert (await terminal.register(plate=plate))["result"] == 0
        [row] = await fetch(database, "SELECT plate FROM terminals")
        assert row["plate"].startswith("'; DROP TABLE") and "\0" not in row["plate"]
        terminal.leave()


def test_codes_differ():
    assert len({new_code() for _ in range(1000)}) == 1000


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2000)), max_size=60))
def test_failures_lock_exactly_within_their_window(notes):
    failures = Failures(most=3, window=100.0)
    seen: dict[str, list[int]] = {}
    for key, now in sorted(notes, key=lambda n: n[1]):
        failures.note(key, now)
        seen.setdefault(key, []).append(now)
        for k, times in seen.items():
            assert failures.locked(k, now) == (len([t for t in times[-3:] if now - t < 100]) == 3)
