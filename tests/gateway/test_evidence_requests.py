"""Asking for evidence: once, of terminals that are away too, after a restart, and of many at once."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import time

import pytest

from gateway.evidence_requests import new_number
from protocol.upload import MAGIC
from tests.gateway.rig import Terminal, fetch, location, running
from tests.gateway.test_evidence import asked, events, raised, rows
from tests.gateway.uploader import JPEG, NUMBER, Uploader, alarm_item, identifier, pieces
from tests.protocol.test_content import STATES

ALARMS = int(os.environ.get("JTGATE_TEST_ALARMS", "20"))
"""The measure of the house is 100: JTGATE_TEST_ALARMS=100 -s."""


def test_numbers_are_random_and_hold_no_magic():
    made = {new_number() for _ in range(1000)}
    assert len(made) == 1000
    assert all(NUMBER.fullmatch(number.encode()) and MAGIC not in number.encode() for number in made)


async def test_a_terminal_that_is_away_is_asked_when_it_comes(database, tmp_path):
    async with running(database, data_dir=tmp_path) as gateway:
        terminal = await Terminal(gateway).enter()
        named = identifier("su", 1)
        terminal.send(0x0200, location(items=alarm_item("su", named)))
        terminal.leave()  # before it could be asked, or before it could answer
        async with asyncio.timeout(10):
            while not await fetch(gateway.dsn, "SELECT FROM evidence_requests"):
                await asyncio.sleep(0.02)
        await gateway.pool.execute("UPDATE evidence_requests SET issued_at = issued_at - interval '1 hour'")
        back = await Terminal(gateway).connect()
        back.code = terminal.code
        await back.authenticate()
        states = await fetch(gateway.dsn, "SELECT state FROM commands")
        if states[0]["state"] not in ("queued", "sent"):  # it had been sent: then it is asked again
            await gateway.requests.look()
        assert (await asked(back, named)).identifier == named


async def test_what_was_not_asked_is_found_after_a_restart(database, tmp_path):
    async with running(database, data_dir=tmp_path) as gateway:
        terminal = await Terminal(gateway).enter()
        first = await raised(terminal, "su", 1)
        await gateway.pool.execute("DELETE FROM evidence_requests")  # as if killed after the alarm's commit
        code = terminal.code
    async with running(database, data_dir=tmp_path) as gateway:
        terminal = await Terminal(gateway).connect()
        terminal.code = code
        await terminal.authenticate()
        await gateway.requests.look()
        second = await asked(terminal, first.identifier)
        assert second.number != first.number


async def test_an_alarm_without_files_is_not_asked_for(database, tmp_path):
    async with running(database, data_dir=tmp_path) as gateway:
        terminal = await Terminal(gateway).enter()
        assert await terminal.result(0x0200, location(items=alarm_item("su", identifier("su", 0)))) == 0
        await gateway.requests.look()
        assert await fetch(gateway.dsn, "SELECT FROM evidence_requests") == []


@pytest.mark.timeout(300)
async def test_many_alarms_at_once_with_losses_and_cuts(database, tmp_path):
    """3 JPEG, a video of 2 MB and a file of states each; 5 % of chunks lost, doubled or reordered, every
    fifth connection cut."""
    chance = random.Random(1)
    video = b"\0\0\0\x18ftypisom" + chance.randbytes(2_000_000)
    sent: set[bytes] = set()

    async def one(gateway, number: int) -> None:
        phone = f"1390000{number:04d}"
        terminal = await Terminal(gateway, phone).enter()
        question = await raised(terminal, "su", 5)
        contents = [JPEG + bytes([n]) + number.to_bytes(2) for n in range(3)]
        contents += [video + number.to_bytes(2), STATES]
        files = {f"0{n}_65_6501_{n}_{question.number}.x": data for n, data in enumerate(contents)}
        sent.update(hashlib.sha256(data).digest() for data in contents)
        cut = number % 5 == 0
        while files:
            try:
                async with Uploader(question.tcp_port, phone) as uploader:
                    listed = [(name, len(data)) for name, data in files.items()]
                    assert await uploader.announce(question, listed) == 0
                    for name, data in list(files.items()):
                        assert await uploader.begin(name, len(data)) == 0
                        parts = spoiled(pieces(data), chance)
                        if cut and len(parts) > 5:
                            cut = False
                            await uploader.send(name, parts[:5])
                            raise ConnectionError("cut")
                        await uploader.send(name, parts)
                        while missing := await uploader.end(name, len(data)):
                            gaps = [(at, data[at : at + size]) for at, size in missing]
                            await uploader.send(name, spoiled(gaps, chance))
                        del files[name]
            except ConnectionError:
                continue

    async with running(database, data_dir=tmp_path) as gateway:
        start = time.monotonic()
        await asyncio.gather(*(one(gateway, number) for number in range(ALARMS)))
        seconds = time.monotonic() - start
        assert len(await events(gateway, "alarm.evidence.complete", ALARMS)) == ALARMS
        whole = await rows(gateway, "complete")
        assert len(whole) == 5 * ALARMS and {r["sha256"] for r in whole} == sent
        for sha in sent:
            assert hashlib.sha256(gateway.store.path(sha).read_bytes()).digest() == sha
        again = gateway.counters.evidence_missing
        print(f"{ALARMS} alarms with 5 files in {seconds:.1f} s, {again} re-requests")


def spoiled(parts: list[tuple[int, bytes]], chance: random.Random) -> list[tuple[int, bytes]]:
    made: list[tuple[int, bytes]] = []
    for part in parts:
        fate = chance.random()
        if fate < 0.05 / 3:
            continue
        made += [part, part] if fate < 0.1 / 3 else [part]
        if fate > 1 - 0.05 / 3 and len(made) > 1:
            made[-1], made[-2] = made[-2], made[-1]
    return made
