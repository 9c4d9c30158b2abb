"""Evidence under way while the gateway is killed: a file is complete and committed, or asked for again."""

from __future__ import annotations

import asyncio
import hashlib
import random
import urllib.request
from types import SimpleNamespace

import pytest

from protocol.header import Edition
from tests.e2e.programs import gateway
from tests.gateway.rig import Terminal, location
from tests.gateway.uploader import MP4, Asked, Uploader, alarm_item, identifier, pieces

FILES = 8


@pytest.mark.timeout(180)
async def test_kill_the_gateway_while_files_come(tmp_path):
    chance = random.Random(3)
    with gateway(tmp_path, evidence_keep_free_mib="1") as served:
        address = SimpleNamespace(terminal_port=served.terminal_port, guests=[])
        named = identifier("su", FILES)
        terminal = await Terminal(address, "13800000001", Edition.V2013).enter()
        terminal.send(0x0200, location(items=alarm_item("su", named)))
        while (message := await terminal.receive()).id != 0x9208:
            pass
        asked = Asked(message.body, len(named))
        assert asked.tcp_port == served.evidence_port
        files = {f"02_65_6501_{n}_{asked.number}.mp4": MP4 + bytes([n]) * 9 for n in range(FILES)}
        complete: set[str] = set()
        for life in range(4):
            delay = chance.uniform(0.0, 0.05) if life < 3 else None
            killer = asyncio.create_task(kill_after(served, delay)) if delay is not None else None
            try:
                await bring(served, asked, files, complete)
            except (ConnectionError, TimeoutError, OSError, asyncio.IncompleteReadError):
                assert killer is not None
            if killer is not None:
                await killer
                await asyncio.to_thread(served.start)
            stored = await asyncio.to_thread(listed, served)
            assert complete <= {f["name"] for f in stored if f["state"] == "complete"}, life
        assert complete == set(files)
        for file in stored:
            data = files[file["name"]]
            assert file["sha256"] == hashlib.sha256(data).hexdigest()
            url = f"http://127.0.0.1:{served.http_port}{file['link']}"
            with await asyncio.to_thread(urllib.request.urlopen, url) as answer:
                assert answer.read() == data
        for guest in address.guests:
            await guest.gone()


async def kill_after(served, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await asyncio.to_thread(served.kill)


async def bring(served, asked: Asked, files: dict[str, bytes], complete: set[str]) -> None:
    async with Uploader(served.evidence_port, "13800000001") as uploader:
        left = {name: data for name, data in files.items() if name not in complete}
        assert await uploader.announce(asked, [(n, len(d)) for n, d in left.items()], kind=1) == 0
        for name, data in left.items():
            assert await uploader.begin(name, len(data)) == 0
            await uploader.send(name, pieces(data))
            while missing := await uploader.end(name, len(data)):
                await uploader.send(name, [(at, data[at : at + size]) for at, size in missing])
            complete.add(name)


def listed(served) -> list[dict]:
    [alarm] = served.get("/api/v1/alarms")["alarms"]
    return served.get(f"/api/v1/alarms/{alarm['alarm_id']}/evidence")["files"]
