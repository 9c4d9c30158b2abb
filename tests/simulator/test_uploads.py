"""Uploads over loopback."""

from __future__ import annotations

import asyncio
import random

from simulator import uploads as module
from simulator.device import Order
from simulator.evidence import Faults, Uploader, files_of
from simulator.identity import Config, Dialect
from simulator.tally import Tally
from simulator.uploads import Uploads
from tests.simulator.evidence_server import Listener, Server
from tests.simulator.test_evidence import alarm


def uploader(config: Config, port: int, tally: Tally, faults: Faults) -> Uploader:
    made = Uploader(config, tally, random.Random(config.seed), faults)
    made.add(Order("127.0.0.1", port, alarm(config), config.phone.zfill(32)))
    return made


async def finished(uploads: Uploads) -> None:
    async with asyncio.timeout(20):
        while len(uploads):
            await asyncio.sleep(0.01)


async def test_thirty_terminals_at_once() -> None:
    tally, faults = Tally(), Faults(lost=0.05, doubled=0.05, cut=0.2, back_after=0.05)
    configs = [Config(f"1380000{n:04}", seed=n, dialect=Dialect.SU, film=300_000) for n in range(30)]
    async with Listener(Server()) as listener:
        uploads = Uploads(lambda: 1.0)
        for config in configs:
            uploads.start(uploader(config, listener.port, tally, faults))
        await finished(uploads)
        numbers = {config.phone.zfill(32): config for config in configs}
        wanted = {(n, f.name): f.data for n, c in numbers.items() for f in files_of(alarm(c), n, c)}
        assert listener.server.complete == wanted and len(wanted) == 150
        assert tally.files_uploaded == 150 and listener.connections == tally.uploads > 30


async def test_a_server_that_comes_later(unused_tcp_port: int) -> None:
    tally = Tally()
    uploads = Uploads(lambda: 1.0)
    one = uploader(Config("13800000001", dialect=Dialect.SU), unused_tcp_port, tally, Faults(back_after=0.1))
    uploads.start(one)
    uploads.start(one)  # it is under way already
    await asyncio.sleep(0.15)
    assert len(uploads) == 1 and one.busy
    async with Listener(Server(), port=unused_tcp_port):
        await finished(uploads)
    assert tally.files_uploaded == 5 and len(uploads) == 0


async def test_a_silent_server_is_left(monkeypatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    async with Listener(Server(), silent=True) as listener:
        tally = Tally()
        uploads = Uploads(lambda: 1.0)
        uploads.start(
            uploader(Config("13800000001", dialect=Dialect.SU), listener.port, tally, Faults(back_after=0.01))
        )
        await finished(uploads)
    assert tally.files_failed == 5


async def test_close_leaves_nothing() -> None:
    async with Listener(Server(), silent=True) as listener:
        uploads = Uploads(lambda: 1.0)
        uploads.start(uploader(Config("13800000001", dialect=Dialect.SU), listener.port, Tally(), Faults()))
        await asyncio.sleep(0.05)
        await uploads.close()
        assert len(uploads) == 0
