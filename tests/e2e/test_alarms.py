"""Alarms from a socket to a reader of the stream, and over restarts."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
import pytest

from protocol.header import Edition
from storage import keys
from storage.database import connect
from tests.alarms.reports import item
from tests.gateway.rig import Rig, Terminal, fetch, location, running


@pytest.fixture
async def key(database) -> str:
    pool = await connect(database, size=1)
    async with pool.acquire() as connection:
        made = await keys.create(connection, "centre", ["events", "read"])
    await pool.close()
    return made


def driver_item(dialect: str, kind: int, **fields: Any) -> bytes:
    """0x65 as the end of a body of 0x0200, of three seconds ago."""
    item_id, value = item(f"{dialect}_driver", int(time.time()) - 3, type=kind, **fields)
    return bytes([item_id, len(value)]) + value


async def events(worker: Rig, key: str, count: int, **parameters) -> list[dict]:
    """The first `count` events over SSE."""
    found: list[dict] = []
    url = f"http://127.0.0.1:{worker.http.port}/api/v1/events/stream"
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        asyncio.timeout(10),
        httpx.AsyncClient(timeout=None) as client,
        client.stream("GET", url, params={"cursor": "earliest", **parameters}, headers=headers) as stream,
    ):
        async for line in stream.aiter_lines():
            if line.startswith("data:"):
                event = json.loads(line[5:])
                if not event["type"].startswith("stream."):
                    found.append(event)
            if len(found) == count:
                break
    return found


async def test_an_alarm_reaches_the_stream_with_its_evidence_and_ends(database, key):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        start = driver_item("su", 1, flag=1, level=2, attachments=3, named=1_790_000_000)
        end = driver_item("su", 1, flag=2, level=2, attachments=3, named=1_790_000_000)
        assert await terminal.result(0x0200, location(2, items=start)) == 0
        assert await terminal.result(0x0200, location(2, items=start)) == 0  # sent again
        assert await terminal.result(0x0200, location(1)) == 0
        assert await terminal.result(0x0200, location(0, items=end)) == 0
        raised, ended = await events(worker, key, 2, type="alarm.*")
        assert (raised["type"], ended["type"]) == ("alarm.raised", "alarm.ended")
        assert raised["data"]["kind"] == "fatigue" and raised["data"]["level"] == 2
        assert raised["data"]["evidence"]["expected"] == 3
        assert raised["data"]["alarm_id"] == ended["data"]["alarm_id"]
        [row] = await fetch(database, "SELECT state, rev FROM alarms")
        assert (row["state"], row["rev"]) == ("ended", 2)


async def test_a_bit_that_stands_is_one_alarm_over_reconnection_and_restart(database, key):
    overspeed, emergency = 1 << 1, 1 << 0
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        assert await terminal.result(0x0200, location(60, alarm=overspeed | emergency)) == 0
        again = await Terminal(worker).connect()
        assert await again.authenticate(terminal.code) == 0
        assert await again.result(0x0200, location(50, alarm=overspeed | emergency)) == 0
    async with running(database) as worker:
        third = await Terminal(worker).connect()
        assert await third.authenticate(terminal.code) == 0
        assert await third.result(0x0200, location(40, alarm=overspeed | emergency)) == 0
        assert await third.result(0x0200, location(30)) == 0
        found = await events(worker, key, 3, type="alarm.*")
        assert sorted((e["type"], e["data"]["kind"]) for e in found) == [
            ("alarm.ended", "overspeed"),
            ("alarm.raised", "emergency"),
            ("alarm.raised", "overspeed"),
        ]
        assert len(await fetch(database, "SELECT FROM alarms")) == 2


async def test_back_filled_alarms_are_marked(database, key):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        bodies = [location(7200 - n, alarm=2 if 10 < n < 20 else 0) for n in range(30)]
        batch = b"\0\x1e\1" + b"".join(len(b).to_bytes(2) + b for b in bodies)
        assert await terminal.result(0x0704, batch[:3] + batch[3:]) == 0
        found = await events(worker, key, 2, type="alarm.*")
        assert [e["type"] for e in found] == ["alarm.raised", "alarm.ended"]
        assert all(e["data"]["backfilled"] for e in found)


async def test_filters_and_guangdong_on_2019(database, key):
    async with running(database) as worker:
        one = await Terminal(worker, "13800000001", Edition.V2019).enter()
        two = await Terminal(worker, "13800000002").enter()
        assert await one.result(0x0200, location(1, items=driver_item("guangdong", 2))) == 0
        assert await two.result(0x0200, location(1, items=driver_item("su", 3))) == 0
        [smoking] = await events(worker, key, 1, kind="smoking")
        assert smoking["data"]["phone"] == "13800000002" and smoking["data"]["source"] == "su:0x65"
        [phoning] = await events(worker, key, 1, phone="13800000001", type="alarm.*")
        assert phoning["data"]["kind"] == "phone_use" and phoning["data"]["source"] == "guangdong:0x65"
