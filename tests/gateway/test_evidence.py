"""From an alarm to its stored files: a terminal on the one port, its uploads on the other."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time

import asyncpg
import httpx
import pytest

from gateway.evidence import TRUST_TIME
from protocol.content import STATES
from protocol.header import Edition
from storage import keys
from storage.migrate import migrate
from tests.gateway.rig import Terminal, fetch, location, running
from tests.gateway.uploader import (
    JPEG,
    MP4,
    Asked,
    Uploader,
    alarm_item,
    counted,
    identifier,
    packet,
    pieces,
)
from tests.protocol.test_content import STATES as BLOCKS

PHONE = "13800000001"


@pytest.fixture
async def gateway(database, tmp_path):
    async with running(database, data_dir=tmp_path, evidence_keep_free_mib=1) as worker:
        yield worker


async def asked_for(gateway, dialect: str, attachments: int, serial: int = 0, phone: str = PHONE) -> tuple:
    """A terminal that has raised an alarm, and the 0x9208 that it got."""
    edition = Edition.V2013 if dialect == "su" else Edition.V2019
    terminal = await Terminal(gateway, phone, edition).enter()
    return terminal, await raised(terminal, dialect, attachments, serial)


async def raised(terminal: Terminal, dialect: str, attachments: int, serial: int = 0) -> Asked:
    named = identifier(dialect, attachments, serial)
    terminal.send(0x0200, location(items=alarm_item(dialect, named, serial + 1)))
    return await asked(terminal, named)


async def asked(terminal: Terminal, named: bytes) -> Asked:
    while True:
        message = await terminal.receive(15)
        if message.id == 0x9208:
            found = Asked(message.body, len(named))
            assert found.identifier == named and found.server == "127.0.0.1"
            assert found.tcp_port == terminal.worker.evidence.port
            terminal.send(0x0001, message.serial.to_bytes(2) + b"\x92\x08\0")
            return found


async def rows(gateway, state: str | None = None) -> list:
    return await fetch(
        gateway.dsn, "SELECT * FROM evidence WHERE $1::text IS NULL OR state = $1 ORDER BY alarm_id, n", state
    )


async def events(gateway, type_: str, count: int) -> list:
    """The events of a type, when there are so many."""
    async with asyncio.timeout(15):
        while True:
            found = await fetch(
                gateway.dsn, "SELECT data::text, id FROM events WHERE type = $1 ORDER BY seq", type_
            )
            if len(found) >= count:
                assert len(found) == count
                return [json.loads(row["data"]) for row in found]
            await asyncio.sleep(0.02)


def names(asked: Asked, *files: bytes) -> dict[str, bytes]:
    suffixes = ("jpg", "h264", "bin")
    return {f"0{n}_65_6501_{n}_{asked.number}.{suffixes[n % 3]}": data for n, data in enumerate(files)}


@pytest.mark.parametrize(("dialect", "form"), [("su", packet), ("guangdong", packet), ("su", counted)])
async def test_an_alarm_and_its_three_files(gateway, dialect, form):
    terminal, asked = await asked_for(gateway, dialect, 3)
    files = names(asked, JPEG, MP4, BLOCKS)
    edition = terminal.link.edition
    async with Uploader(asked.tcp_port, PHONE, edition, dialect) as uploader:
        assert await uploader.announce(asked, [(n, len(d)) for n, d in files.items()]) == 0
        assert len(await rows(gateway, "expected")) == 3
        for name, data in files.items():
            assert await uploader.upload(name, data, form) == 0
            # Said complete: it is committed and on the disk.
            sha = hashlib.sha256(data).digest()
            [row] = [r for r in await rows(gateway, "complete") if r["name"] == name]
            assert row["sha256"] == sha and gateway.store.path(sha).read_bytes() == data
    added = await events(gateway, "alarm.evidence.added", 3)
    assert [e["evidence"]["added"] for e in added] == [1, 2, 3]
    [complete] = await events(gateway, "alarm.evidence.complete", 1)
    told = complete["evidence"]
    assert (told["expected"], told["received"]) == (3, 3)
    assert [f["media_type"] for f in told["files"]] == ["image/jpeg", "video/mp4", STATES]
    assert [f["bytes"] for f in told["files"]] == [len(JPEG), len(MP4), len(BLOCKS)]
    assert list((gateway.store.folder / "partial").iterdir()) == []
    [request] = await fetch(gateway.dsn, "SELECT * FROM evidence_requests")
    assert request["closed_at"] is not None and request["command_id"] is not None


async def test_lost_doubled_reordered_and_overlapping(gateway):
    chance = random.Random(7)
    _, asked = await asked_for(gateway, "su", 2)
    one, two = names(asked, JPEG, MP4)
    async with Uploader(asked.tcp_port, PHONE) as uploader:
        assert await uploader.announce(asked, [(one, len(JPEG)), (two, len(MP4))]) == 0
        for name, data in ((one, JPEG), (two, MP4)):
            assert await uploader.begin(name, len(data)) == 0
        assert await uploader.end(one, len(JPEG)) == [(0, len(JPEG))]  # too early
        parts = [(one, p) for p in pieces(JPEG, 5000)] + [(two, p) for p in pieces(MP4, 5000)]
        chance.shuffle(parts)
        for place, (name, (at, part)) in enumerate(parts):
            if place % 10 == 0:
                continue  # lost
            await uploader.send(name, [(at, part)] * (1 + (place % 7 == 0)))
            if place % 9 == 0:
                data = JPEG if name == one else MP4
                await uploader.send(name, [(max(0, at - 100), data[max(0, at - 100) : at + 300])])
        for name, data in ((one, JPEG), (two, MP4)):
            missing = await uploader.end(name, len(data))
            assert missing and all(length <= 5000 * 3 for _, length in missing)
            await uploader.send(name, [(at, data[at : at + size]) for at, size in missing])
            assert await uploader.end(name, len(data)) == []
            assert await uploader.end(name, len(data)) == []  # asked again, said again
    assert {r["sha256"] for r in await rows(gateway, "complete")} == {
        hashlib.sha256(data).digest() for data in (JPEG, MP4)
    }


async def test_many_gaps_are_asked_for_a_packet_at_a_time(gateway):
    _, asked = await asked_for(gateway, "su", 1)
    [name] = names(asked, MP4)
    async with Uploader(asked.tcp_port, PHONE) as uploader:
        await uploader.announce(asked, [(name, len(MP4))])
        await uploader.begin(name, len(MP4))
        await uploader.send(name, [p for place, p in enumerate(pieces(MP4, 500)) if place % 2])
        rounds = 0
        while missing := await uploader.end(name, len(MP4)):
            assert len(missing) <= 121
            rounds += 1
            await uploader.send(name, [(at, MP4[at : at + size]) for at, size in missing])
    assert rounds == 4 and len(await rows(gateway, "complete")) == 1


async def test_cut_and_resumed(gateway):
    _, asked = await asked_for(gateway, "su", 1)
    [name] = names(asked, MP4)
    async with Uploader(asked.tcp_port, PHONE) as uploader:
        await uploader.announce(asked, [(name, len(MP4))])
        await uploader.begin(name, len(MP4))
        await uploader.send(name, pieces(MP4)[:3])
        await uploader.send(name, [(200_000, MP4[200_000:200_100])])
    async with asyncio.timeout(5):
        while not await rows(gateway, "partial"):
            await asyncio.sleep(0.02)
    [row] = await rows(gateway)
    assert row["received"] == 3 * 65536 + 200_100 - max(200_000, 3 * 65536)
    async with Uploader(asked.tcp_port, PHONE, Edition.V2019) as uploader:  # another header than before
        assert await uploader.announce(asked, [(name, len(MP4))], kind=1) == 0
        assert await uploader.begin(name, len(MP4)) == 0
        missing = await uploader.end(name, len(MP4))
        assert sum(length for _, length in missing) == len(MP4) - row["received"]
        await uploader.send(name, [(at, MP4[at : at + size]) for at, size in missing])
        assert await uploader.end(name, len(MP4)) == []
    [row] = await rows(gateway, "complete")
    assert row["sha256"] == hashlib.sha256(MP4).digest()


HOSTILE = (
    "../../../etc/passwd", "/etc/passwd", "a\0b.jpg", "CON", "x" * 255, "\u202egpj.exe", "报警照片.jpg",
    "C:\\x\\y.jpg", "<script>.html", "",
)  # fmt: skip


async def test_names_are_metadata(gateway, tmp_path):
    _, asked = await asked_for(gateway, "su", len(HOSTILE))
    files = {
        name.encode("gb18030", "replace").decode("gb18030"): f"file {n}".encode()
        for n, name in enumerate(HOSTILE)
    }
    async with Uploader(asked.tcp_port, PHONE) as uploader:
        assert await uploader.announce(asked, [(n, len(d)) for n, d in files.items()]) == 0
        for name, data in files.items():
            assert await uploader.begin(name, len(data)) == 0
            await uploader.send(name, [(0, data)])
            uploader.message(0x1212, {"name": name, "type": 0, "size": len(data)})
            assert (await uploader.receive()).id == 0x9212
    whole = await rows(gateway, "complete")
    assert len(whole) == len(HOSTILE)
    there = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert there == {f"evidence/{r['sha256'].hex()[:2]}/{r['sha256'].hex()}" for r in whole}


async def test_numbers_that_were_not_issued_to_it(gateway):
    _, asked = await asked_for(gateway, "su", 1)
    [name] = names(asked, JPEG)
    async with Uploader(asked.tcp_port, "13800000002") as thief:
        assert await thief.announce(asked, [(name, 3)]) == 1
        assert await thief.begin(name, 3) == 1  # nothing was named, so nothing is taken
        await thief.send(name, [(0, b"abc")])
        asked_before, asked.number = asked.number, "0" * 32
        assert await thief.announce(asked, [(name, 3)]) == 1
        asked.number = asked_before
    asked.identifier, true = identifier("su", 1, 9), asked.identifier
    async with Uploader(asked.tcp_port, PHONE) as wrong:
        for _ in range(5):
            assert await wrong.announce(asked, [(name, 3)]) == 1
        with pytest.raises(ConnectionError):
            await wrong.receive()
    asked.identifier = true
    assert await rows(gateway) == []
    refused = gateway.counters.evidence_refused
    assert (refused["unknown_number"], refused["foreign_number"], refused["foreign_identifier"]) == (1, 1, 5)


async def test_sizes_that_are_not_taken(gateway):
    _, asked = await asked_for(gateway, "su", 6)
    sizes = [2**32 - 1, (64 << 20) + 1, 64 << 20, 64 << 20, 64 << 20, 64 << 20, 1]
    files = [(f"{n}.jpg", size) for n, size in enumerate(sizes)]
    async with Uploader(asked.tcp_port, PHONE) as uploader:
        assert await uploader.announce(asked, files) == 0
        states = [(r["state"], r["reason"]) for r in await rows(gateway)]
        assert states == [
            ("failed", "file_too_large"),
            ("failed", "file_too_large"),
            *[("expected", None)] * 4,
            ("failed", "alarm_too_large"),
        ]
        assert await uploader.begin("0.jpg", 2**32 - 1) == 1
        assert await uploader.begin("2.jpg", 64 << 20) == 0
        await uploader.send("2.jpg", [(2**32 - 10, b"beyond"), ((64 << 20) - 2, b"across")])
        missing = await uploader.end("2.jpg", 64 << 20)
        assert missing == [(0, (64 << 20) - 2)]
        assert await uploader.begin("2.jpg", 3) == 0  # it is another file now
        await uploader.send("2.jpg", [(0, b"abc")])
        assert await uploader.end("2.jpg", 3) == []
    [row] = await rows(gateway, "complete")
    assert gateway.store.path(row["sha256"]).read_bytes() == b"abc"


async def test_several_alarms_on_one_connection_interleaved(gateway):
    terminal, first = await asked_for(gateway, "su", 1)
    second = await raised(terminal, "su", 1, 1)
    a, b = next(iter(names(first, JPEG))), next(iter(names(second, MP4)))
    async with Uploader(first.tcp_port, PHONE) as uploader:
        await uploader.announce(first, [(a, len(JPEG))])
        await uploader.announce(second, [(b, len(MP4))])
        await uploader.begin(a, len(JPEG))
        await uploader.begin(b, len(MP4))
        for part in range(8):
            await uploader.send(a, pieces(JPEG)[part : part + 1])
            await uploader.send(b, pieces(MP4)[part : part + 1])
        assert await uploader.end(b, len(MP4)) == [] == await uploader.end(a, len(JPEG))
        # A file that no list had belongs to the alarm that was named last.
        assert await uploader.upload("more.jpg", JPEG) == 0
    assert len(await events(gateway, "alarm.evidence.complete", 3)) == 3


async def test_silence_and_strangers_do_not_stay(gateway, monkeypatch):
    assert TRUST_TIME == 15
    monkeypatch.setattr("gateway.evidence.TRUST_TIME", 0.1)
    async with Uploader(gateway.evidence.port, PHONE) as uploader:
        with pytest.raises(ConnectionError):
            await uploader.receive()
    assert gateway.counters.evidence_connections == 0 and not gateway.evidence.unproven


async def test_what_does_not_come_is_asked_for_again_and_given_up(database, tmp_path):
    async with running(database, data_dir=tmp_path, evidence_retry=0.2, evidence_attempts=2) as gateway:
        terminal, first = await asked_for(gateway, "su", 2)
        one, _ = names(first, JPEG, MP4)
        async with Uploader(first.tcp_port, PHONE) as uploader:
            await uploader.announce(first, [(one, len(JPEG))])
            assert await uploader.upload(one, JPEG) == 0
        await asyncio.sleep(0.3)
        await gateway.requests.look()
        second = await asked(terminal, first.identifier)
        assert second.number != first.number
        await asyncio.sleep(0.5)
        await gateway.requests.look()
        [failed] = await events(gateway, "alarm.evidence.failed", 1)
        assert failed["evidence"]["summary"] == "1 of 2, 1 missing"
        await gateway.requests.look()
        # Late, under a number that is still valid: taken nevertheless.
        again = one.replace(first.number, second.number)
        async with Uploader(first.tcp_port, PHONE) as uploader:
            assert await uploader.announce(second, [(again, len(JPEG)), ("late.mp4", len(MP4))]) == 0
            assert await uploader.end(again, len(JPEG)) == []  # the same file: it is there
            assert await uploader.upload("late.mp4", MP4) == 0
        [complete] = await events(gateway, "alarm.evidence.complete", 1)
        assert complete["evidence"]["received"] == 2


async def test_over_http(gateway):
    _, asked = await asked_for(gateway, "su", 2)
    image, states = names(asked, JPEG, BLOCKS)
    async with Uploader(asked.tcp_port, PHONE) as uploader:
        await uploader.announce(asked, [(image, len(JPEG)), (states, len(BLOCKS))])
        await uploader.upload(image, JPEG)
        await uploader.upload(states, BLOCKS)
    async with gateway.pool.acquire() as connection:
        key = await keys.create(connection, "test", ["read"])
    base = f"http://127.0.0.1:{gateway.http.port}"
    async with httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {key}"}) as client:
        [alarm] = (await client.get("/api/v1/alarms")).json()["alarms"]
        assert alarm["evidence"]["received"] == 2
        path = f"/api/v1/alarms/{alarm['alarm_id']}/evidence"
        listed = (await client.get(path)).json()
        assert [f["state"] for f in listed["files"]] == ["complete", "complete"]
        whole = await client.get(path + "/1")
        assert whole.content == JPEG and whole.headers["content-type"] == "image/jpeg"
        assert whole.headers["etag"] == f'"{hashlib.sha256(JPEG).hexdigest()}"'
        assert "nosniff" in whole.headers["x-content-type-options"]
        part = await client.get(path + "/1", headers={"Range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, JPEG[5:10])
        unchanged = await client.get(path + "/1", headers={"If-None-Match": whole.headers["etag"]})
        assert unchanged.status_code == 304
        blocks = (await client.get(path + "/2/blocks")).json()
        assert len(blocks["blocks"]) == 2 and blocks["faults"] == []
        assert (await client.get(path + "/1/blocks")).status_code == 422
        assert (await client.get(path + "/3")).status_code == 404
        link = listed["files"][0]["link"]
    async with httpx.AsyncClient(base_url=base) as browser:
        assert (await browser.get(link)).content == JPEG
        assert (await browser.get(path + "/1")).status_code == 401
        assert (await browser.get(link.replace("/1?", "/2?"))).status_code == 403
        assert (await browser.get(link[:-1] + ("0" if link[-1] != "0" else "1"))).status_code == 403
        old = link.replace("expires=", f"expires={int(time.time()) - 1}&x=")
        assert (await browser.get(old)).status_code == 403


async def test_a_stop_in_the_middle_and_the_rest_afterwards(database, tmp_path):
    async with running(database, data_dir=tmp_path) as gateway:
        _, first = await asked_for(gateway, "su", 1)
        [name] = names(first, MP4)
        async with Uploader(first.tcp_port, PHONE) as uploader:
            await uploader.announce(first, [(name, len(MP4))])
            await uploader.begin(name, len(MP4))
            await uploader.send(name, pieces(MP4)[:2])
            await uploader.end(name, len(MP4))
    async with running(database, data_dir=tmp_path) as gateway:
        async with Uploader(gateway.evidence.port, PHONE) as uploader:
            assert await uploader.announce(first, [(name, len(MP4))], kind=1) == 0
            missing = await uploader.end(name, len(MP4))
            assert missing == [(2 * 65536, len(MP4) - 2 * 65536)]
            await uploader.send(name, [(at, MP4[at : at + size]) for at, size in missing])
            assert await uploader.end(name, len(MP4)) == []
        assert [r["sha256"] for r in await rows(gateway, "complete")] == [hashlib.sha256(MP4).digest()]


async def test_complete_is_not_said_while_postgres_is_away(postgres, tmp_path):
    connection = await asyncpg.connect(postgres.dsn)
    await migrate(connection)
    await connection.close()
    async with running(postgres.dsn, data_dir=tmp_path) as gateway:
        _, asked = await asked_for(gateway, "su", 1)
        [name] = names(asked, JPEG)
        async with Uploader(asked.tcp_port, PHONE) as uploader:
            await uploader.announce(asked, [(name, len(JPEG))])
            await uploader.begin(name, len(JPEG))
            await uploader.send(name, pieces(JPEG))
            postgres.kill()
            uploader.message(0x1212, {"name": name, "type": 0, "size": len(JPEG)})
            with pytest.raises(TimeoutError):
                await uploader.receive(1.0)
            assert gateway.store.path(hashlib.sha256(JPEG).digest()).exists()
            postgres.start()
            answer = await uploader.receive(30)
            assert answer.id == 0x9212
            assert len(await rows(gateway, "complete")) == 1


async def test_a_disk_that_is_full_refuses_and_goes_on(database, tmp_path):
    async with running(database, data_dir=tmp_path, evidence_keep_free_mib=9_000_000) as gateway:
        _, asked = await asked_for(gateway, "su", 1)
        async with Uploader(asked.tcp_port, PHONE) as uploader:
            assert await uploader.announce(asked, [("a.jpg", 3)]) == 0
            assert await uploader.begin("a.jpg", 3) == 1
            [row] = await rows(gateway)
            assert (row["state"], row["reason"]) == ("failed", "disk_full")
            gateway.store.keep_free = 0  # somebody made room
            assert await uploader.begin("a.jpg", 3) == 0
            await uploader.send("a.jpg", [(0, b"abc")])
            assert await uploader.end("a.jpg", 3) == []


async def test_bodies_that_are_cut_or_scrambled_hurt_nobody(gateway):
    chance = random.Random(5)
    _, asked = await asked_for(gateway, "su", 3)
    profile = Terminal(gateway).profile
    listed = {
        "terminal_id": "T000001", "identifier": asked.identifier.hex(), "number": asked.number, "kind": 0,
        "files": [{"name": "a.jpg", "size": 3}, {"name": "b.jpg", "size": 4}],
    }  # fmt: skip
    file = {"name": "a.jpg", "type": 0, "size": 3}
    bodies = [(0x1210, profile.encode(0x1210, listed))]
    bodies += [(message_id, profile.encode(message_id, file)) for message_id in (0x1211, 0x1212)]
    for message_id, body in bodies:
        for _ in range(60):
            raw = bytearray(body[: chance.randint(0, len(body))])
            for _ in range(chance.randint(0, 3)):
                if raw:
                    raw[chance.randrange(len(raw))] = chance.randrange(256)
            async with Uploader(asked.tcp_port, PHONE) as uploader:
                if message_id != 0x1210:
                    await uploader.announce(asked, [("a.jpg", 3)])
                uploader.message(message_id, bytes(raw))
                uploader.message(0x0002, b"")
                while (await uploader.receive()).body[2:4] != b"\0\2":
                    pass
    assert gateway.counters.evidence_refused["error"] == 0
    async with Uploader(asked.tcp_port, PHONE) as uploader:
        await uploader.announce(asked, [("a.jpg", 3)])
        assert await uploader.upload("a.jpg", b"abc") == 0
