"""Whole fleets over loopback."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from pathlib import Path

import pytest
from xxhash import xxh3_64_intdigest

from protocol.header import Edition
from protocol.link import Repetition
from protocol.messages.location import batch_bodies
from simulator import fleet as fleet_module
from simulator.fleet import Fleet, Options
from simulator.identity import Dialect
from simulator.ledger import Reader
from tests.simulator.evidence_server import Listener, Server
from tests.simulator.platform import StubServer, UdpStub


def bodies(server: StubServer) -> list[tuple[str, bytes]]:
    """Phone and body of every report that arrived."""
    return [
        (message.phone, body)
        for message in server.received
        for body in (
            [message.body]
            if message.id == 0x0200
            else batch_bodies(message.body)[1]
            if message.id == 0x0704
            else []
        )
    ]


def ledgered(path: Path) -> list[tuple[str, int]]:
    return [(entry.phone, entry.digest % (1 << 64)) for batch in Reader(path) for entry in batch]


async def test_two_hundred_terminals(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    seen = []
    async with StubServer() as server:
        options = Options(
            port=server.port, terminals=200, interval=0.2, duration=3.0, ramp=1.0, alarm_every=5, ledger=path
        )
        summary = await Fleet(options).run(lambda fleet: seen.append(fleet.tally.online))
        arrived = bodies(server)
    counters = summary.counters
    assert counters["authenticated"] == counters["registered"] == counters["connects"] == 200
    assert counters["acked"] == counters["recorded"] == len(arrived) == summary.ledger_entries > 1500
    assert summary.unacknowledged == counters["reconnects"] == 0
    assert counters["online"] == 200
    assert counters["alarms"] > 200
    assert 0 < counters["latency_p50_ms"] <= counters["latency_p99_ms"] <= counters["latency_max_ms"]
    assert summary.reports_per_second > 400
    assert max(seen) == 200
    assert len({phone for phone, _ in arrived}) == 200
    assert {message.edition for message in server.received} == {Edition.V2013, Edition.V2019}
    assert Counter(ledgered(path)) == Counter((phone, xxh3_64_intdigest(body)) for phone, body in arrived)


async def test_a_fleet_survives_cuts(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    async with StubServer() as server:
        options = Options(
            port=server.port, terminals=50, interval=0.1, duration=4.0, ramp=0.2, ledger=path, reconnect=0.3
        )
        fleet = Fleet(options)
        run = asyncio.create_task(fleet.run())
        for _ in range(2):
            await asyncio.sleep(1.2)
            server.drop()
        summary = await run
        arrived = set(bodies(server))
    assert summary.counters["reconnects"] == 100
    assert summary.counters["registered"] == 50
    assert summary.counters["backfilled"] > 0
    assert summary.unacknowledged == 0
    found = ledgered(path)
    assert len(found) == len(set(found)) == summary.counters["recorded"]
    assert set(found) <= {(phone, xxh3_64_intdigest(body)) for phone, body in arrived}


async def test_rude_ones_over_real_sockets(tmp_path: Path) -> None:
    async with StubServer() as server:
        options = Options(
            port=server.port, terminals=120, interval=0.3, duration=3.0, scenario="all", ramp=0.5
        )
        fleet = Fleet(options)
        run = asyncio.create_task(fleet.run())
        await asyncio.sleep(4.0)
        fleet.stop()
        summary = await run
    assert summary.counters["acked"] > 500
    assert summary.counters["authenticated"] > 100


async def test_evidence_is_uploaded_and_in_the_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    async with StubServer() as server, Listener(Server()) as listener:
        server.evidence_port = listener.port
        options = Options(
            port=server.port,
            terminals=8,
            interval=0.2,
            duration=3.0,
            scenario="evidence,upload-chaos",
            dialects=[Dialect.SU, Dialect.GUANGDONG],
            attachments=3,
            ramp=0.2,
            ledger=path,
        )
        summary = await Fleet(options).run()
    counters = summary.counters
    reader = Reader(path)
    assert sum(len(batch) for batch in reader) == counters["acked"]
    files = listener.server.complete.values()
    assert len(files) == len(reader.files) == counters["files_uploaded"] > 20
    assert {entry.sha256 for entry in reader.files} == {hashlib.sha256(data).hexdigest() for data in files}
    assert counters["bytes_uploaded"] == sum(map(len, files)) == sum(entry.size for entry in reader.files)
    assert counters["files_failed"] == counters["uploads_refused"] == 0
    acknowledged = sum(message.id == 0x0001 for message in server.received)
    assert counters["commands"] == counters["answers"] == acknowledged


async def test_udp() -> None:
    loop = asyncio.get_running_loop()
    transport, stub = await loop.create_datagram_endpoint(UdpStub, local_addr=("127.0.0.1", 0))
    try:
        options = Options(
            port=transport.get_extra_info("sockname")[1],
            terminals=20,
            interval=0.2,
            duration=2.0,
            ramp=0.2,
            udp=True,
            dialects=[Dialect.GUANGDONG],
        )
        summary = await Fleet(options).run()
    finally:
        transport.close()
    assert len(stub.platforms) == 20
    assert summary.counters["acked"] == summary.counters["recorded"] > 100


async def test_a_platform_that_is_not_there() -> None:
    async with StubServer() as server:
        port = server.port
    options = Options(port=port, terminals=5, duration=1.0, ramp=0, interval=0, reconnect=0.2)
    summary = await Fleet(options).run()
    assert summary.counters["failed_connects"] >= 10
    assert summary.counters["connects"] == summary.counters["acked"] == 0


async def test_stop_is_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_module, "HURRY", 0.2)
    async with StubServer() as server:
        fleet = Fleet(Options(port=server.port, terminals=3, interval=0.1, ramp=0))
        run = asyncio.create_task(fleet.run())
        await asyncio.sleep(0.5)
        fleet.stop()
        async with asyncio.timeout(1.0):
            summary = await run
    assert summary.counters["acked"] > 0
    assert 0.4 < summary.seconds < 1.0


def test_who_is_in_a_fleet() -> None:
    fleet = Fleet(Options(terminals=24, seed=4, repetition=Repetition(3.0, 1)))
    configs = [terminal.config for terminal in fleet._terminals(0.0)]
    assert len({config.phone for config in configs}) == 24
    assert Counter(config.dialect for config in configs) == dict.fromkeys(Dialect, 8)
    pairs = {(config.dialect, config.edition) for config in configs}
    assert pairs == {
        (Dialect.PLAIN, Edition.V2011),
        (Dialect.PLAIN, Edition.V2013),
        (Dialect.PLAIN, Edition.V2019),
        (Dialect.SU, Edition.V2011),
        (Dialect.SU, Edition.V2013),
        (Dialect.GUANGDONG, Edition.V2019),
    }
    assert {config.repetition.timeout for config in configs} == {3.0}
    again = [terminal.config for terminal in Fleet(Options(terminals=24, seed=4))._terminals(9.0)]
    assert [config.seed for config in configs] == [config.seed for config in again]
