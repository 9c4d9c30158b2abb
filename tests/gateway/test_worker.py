"""The way of one report, from a socket to the tables and back, through the gateway's own doors."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import pytest

from protocol.header import Edition
from storage import migrate
from tests.gateway.rig import Terminal, fetch, location, running

EDITIONS = [Edition.V2011, Edition.V2013, Edition.V2019]


@pytest.mark.parametrize("edition", EDITIONS)
async def test_a_report_is_stored_then_acknowledged(database, edition):
    async with running(database) as worker:
        terminal = await Terminal(worker, edition=edition).enter()
        body = location(5, items=bytes.fromhex("0104000003e8300112"))
        assert await terminal.result(0x0200, body) == 0
        [row] = await fetch(
            database, "SELECT l.*, t.phone FROM locations l JOIN terminals t ON t.id = terminal_id"
        )
        assert row["phone"] == "13800000001"
        assert (row["latitude"], row["longitude"], row["speed"]) == (23_020_005, 113_120_000, 600)
        assert row["items"] == bytes.fromhex("0104000003e8300112")
        terminal.leave()


async def test_the_same_bytes_give_one_row_however_they_come(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        body, other = location(30), location(31)
        for _ in range(3):
            assert await terminal.result(0x0200, body) == 0
        batch = terminal.profile.encode(0x0704, {"type": 1, "reports": []})
        batch = b"\0\2\1" + b"".join(len(b).to_bytes(2) + b for b in (body, other))
        assert await terminal.result(0x0704, batch) == 0
        rows = await fetch(database, "SELECT flags FROM locations ORDER BY time")
        assert len(rows) == 2
        terminal.leave()
    assert worker.counters.reports_stored == 2 and worker.counters.reports_duplicate == 3


async def test_a_long_batch_in_parts_is_acknowledged_as_a_whole_after_the_commit(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        bodies = [location(n) for n in range(100, 200)]
        batch = len(bodies).to_bytes(2) + b"\1" + b"".join(len(b).to_bytes(2) + b for b in bodies)
        terminal.send(0x0704, batch)
        serials = [int.from_bytes((await terminal.receive()).body[:2]) for _ in range(3)]
        assert serials == sorted(serials)
        assert len(await fetch(database, "SELECT FROM locations")) == 100
        terminal.leave()


async def test_wrong_clocks_are_flagged_and_make_no_partitions(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        before = await fetch(database, "SELECT count(*) FROM pg_inherits")
        now = int(time.time())
        for at in (bytes(6), bytes.fromhex("2613aa992561"), 1_168_654_841, now + 9 * 365 * 86400):
            assert await terminal.result(0x0200, location(1, at=at)) == 0
        rows = await fetch(database, "SELECT flags & 3 AS quality, time, raw FROM locations")
        assert sorted(row["quality"] for row in rows) == [1, 1, 2, 3]
        assert all(row["raw"] and abs(row["time"].timestamp() - now) < 60 for row in rows)
        assert await fetch(database, "SELECT count(*) FROM pg_inherits") == before
        terminal.leave()


async def test_a_body_that_is_none_is_kept_and_answered_malformed(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        assert await terminal.result(0x0200, b"short") == 2
        assert await terminal.result(0x0704, b"\0") == 2
        assert await terminal.result(0x0704, b"\0\1\1\0\4abcd") == 2
        assert await terminal.result(0x0F01, b"what is this") == 0
        assert await terminal.result(0x0200, location()) == 0
        rows = await fetch(database, "SELECT message_id, reason, raw FROM rejected ORDER BY id")
        assert {(r["message_id"], r["reason"]) for r in rows} == {
            (0x0200, "body"),
            (0x0704, "body"),
            (0x0F01, "unknown"),
        }
        assert any(row["raw"].endswith(b"what is this") for row in rows)
        terminal.leave()


async def test_a_report_with_a_wrong_checksum_is_kept_raw_and_not_acknowledged(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        terminal.link.send(0x0200, location(), 0.0)
        wire = bytearray(terminal.link.data_to_send())
        wire[-2] ^= 0x01
        terminal.writer.write(bytes(wire))
        assert await terminal.result(0x0002) == 0
        await worker.writer.barrier()
        [row] = await fetch(database, "SELECT reason, message_id FROM rejected")
        assert (row["reason"], row["message_id"]) == ("checksum", 0x0200)
        assert await fetch(database, "SELECT FROM locations") == []
        terminal.leave()


async def test_heartbeat_logout_time_and_silence_for_answers(database):
    async with running(database) as worker:
        terminal = await Terminal(worker, edition=Edition.V2019).enter()
        assert await terminal.result(0x0002) == 0
        assert await terminal.result(0x0002, bytes(3)) == 0  # with a body, as some devices send it
        assert await terminal.result(0x0003) == 0
        assert await terminal.result(0x0200, location()) == 0  # logged out, and going on
        answer = await terminal.ask(0x0004)
        assert answer.id == 0x8004
        told = terminal.profile.decode(0x8004, answer.body).fields["time"]
        assert abs(told - time.time()) < 5
        terminal.send(0x0001, bytes(5))
        terminal.send(0x0201, b"\0\0" + location(50))
        assert await terminal.result(0x0002) == 0  # nothing was said to the two before it
        await worker.writer.barrier()
        assert len(await fetch(database, "SELECT FROM locations WHERE flags & 16 <> 0")) == 1
        terminal.leave()


async def test_garbage_does_not_cost_the_connection_until_there_is_too_much(database):
    async with running(database, fault_rate=20) as worker:
        terminal = await Terminal(worker).enter()
        for n in range(15):
            terminal.writer.write(b"~" + bytes([n + 1]) * 30 + b"~")
        assert await terminal.result(0x0200, location()) == 0
        other = await Terminal(worker, "13800000002").enter()
        for n in range(30):
            terminal.writer.write(b"~" + bytes([n + 1]) * 30 + b"~")
        assert await terminal.closed()
        assert await other.result(0x0200, location()) == 0
        other.leave()


async def test_online_and_offline_are_events(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        assert worker.registry.connection("13800000001").transport == "tcp"
        terminal.leave()
        for _ in range(100):
            if worker.registry.connection("13800000001") is None:
                break
            await asyncio.sleep(0.02)
        await worker.writer.barrier()
        rows = await fetch(database, "SELECT type FROM events ORDER BY xid, seq")
        assert [row["type"] for row in rows] == ["vehicle.online", "vehicle.offline"]


async def test_while_postgres_is_away_nothing_is_acknowledged_but_heartbeats(postgres):
    connection = await asyncpg.connect(postgres.dsn)
    await migrate.migrate(connection)
    await connection.close()
    async with running(postgres.dsn) as worker:
        terminal = await Terminal(worker).enter()
        assert await terminal.result(0x0200, location(9)) == 0
        postgres.kill()
        serial = terminal.send(0x0200, location(8))
        assert await terminal.result(0x0002) == 0
        with pytest.raises(TimeoutError):
            await terminal.receive(0.5)
        assert any("postgres" in reason for reason in worker.ready())
        await asyncio.to_thread(postgres.start)
        answer = await terminal.receive(20)
        assert int.from_bytes(answer.body[:2]) == serial
        assert len(await fetch(postgres.dsn, "SELECT FROM locations")) == 2
        assert worker.ready() == []
        terminal.leave()


async def test_a_full_queue_stops_reading_and_everything_arrives_in_the_end(database):
    async with running(database, queue_rows=50) as worker:
        terminals = [await Terminal(worker, f"1380000{n:04}").enter() for n in range(4)]
        for second in range(300):
            for terminal in terminals:
                terminal.send(0x0200, location(second))
        for terminal in terminals:
            for _ in range(300):
                await terminal.receive(20)
        assert len(await fetch(database, "SELECT FROM locations")) == 1200
        for terminal in terminals:
            terminal.leave()


async def test_stopping_drains(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        for second in range(200):
            terminal.send(0x0200, location(second))
        await terminal.receive()
    acknowledged = 1
    try:
        while True:
            await terminal.receive(1)
            acknowledged += 1
    except (ConnectionError, TimeoutError):
        pass
    assert acknowledged <= len(await fetch(database, "SELECT FROM locations"))
    terminal.leave()
