"""Commands from a caller to a terminal and back, through the gateway."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest

from gateway.commands import CommandError, Order
from protocol.header import Edition
from protocol.link import Link, Message, Role
from storage import commands as table
from storage.commands import State
from tests.gateway.rig import Rig, Terminal, fetch, location, running

PHONE = "13800000001"


async def command_of(terminal: Terminal) -> Message:
    return await terminal.receive()


def general(message: Message, result: int = 0) -> bytes:
    return message.serial.to_bytes(2) + message.id.to_bytes(2) + bytes([result])


def ask(worker: Rig, message_id: int, body: dict | None = None, **options) -> asyncio.Task:
    return asyncio.create_task(
        worker.commands.submit(Order(PHONE, message_id, body or {}, "test", **options))
    )


async def states(database: str) -> list[str]:
    await asyncio.sleep(0.05)
    rows = await fetch(database, "SELECT type FROM events WHERE type LIKE 'command.%' ORDER BY xid, seq")
    return [row["type"].partition(".")[2] for row in rows]


async def test_an_acknowledged_command(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        asked = ask(worker, 0x8300, {"flags": ["tts"], "text": "请休息"})
        message = await command_of(terminal)
        assert message.id == 0x8300 and message.body[1:] == "请休息".encode("gbk")
        terminal.send(0x0001, general(message))
        terminal.send(0x0001, general(message))  # some terminals acknowledge twice
        command = await asked
        assert (command.state, command.result) == (State.ACKNOWLEDGED, 0)
        assert command.sent_at and command.acknowledged_at and command.ended_at
        assert await states(database) == ["sent", "acknowledged"]


async def test_an_answered_command_with_an_acknowledgement_before_it(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        asked = ask(worker, 0x8201)
        message = await command_of(terminal)
        terminal.send(0x0001, general(message))
        terminal.send(0x0201, message.serial.to_bytes(2) + location(4))
        command = await asked
        assert (command.state, command.answer_id) == (State.ANSWERED, 0x0201)
        assert command.answer["speed"] == 600
        assert len(await fetch(database, "SELECT FROM locations")) == 1


async def test_an_answer_without_a_serial_goes_to_the_oldest(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        first, second = ask(worker, 0x8201), None
        await command_of(terminal)
        second = ask(worker, 0x8201)
        again = await command_of(terminal)
        terminal.send(0x0201, again.serial.to_bytes(2) + location(4))
        assert (await second).state == State.ANSWERED
        terminal.send(0x0201, b"\0\0" + location(5))
        assert (await first).state == State.ANSWERED


@pytest.mark.parametrize(("result", "word"), [(1, "failed"), (2, "malformed"), (3, "not support")])
async def test_a_terminal_that_refuses(database, result, word):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        asked = ask(worker, 0x8105, {"command": 4, "parameters": ""})
        terminal.send(0x0001, general(await command_of(terminal), result))
        command = await asked
        assert (command.state, command.result) == (State.REFUSED, result) and word in command.reason


async def test_no_answer_then_a_late_one(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        asked = ask(worker, 0x8201, timeout=0.5)
        message = await command_of(terminal)
        command = await asked
        assert command.state == State.TIMED_OUT
        terminal.send(0x0201, message.serial.to_bytes(2) + location(4))
        await terminal.result(0x0002)
        await worker.writer.barrier()
        rows = await fetch(database, "SELECT state FROM commands")
        assert rows[0]["state"] == "answered"
        assert await states(database) == ["sent", "timed_out", "answered"]


async def test_a_command_waits_for_its_terminal_and_goes_out_in_order(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        code = terminal.code
        await terminal.gone()
        while worker.registry.session(PHONE) is not None:
            await asyncio.sleep(0.02)
        with pytest.raises(CommandError, match="not connected"):
            await ask(worker, 0x8201)
        texts = [await ask(worker, 0x8300, {"flags": 1, "text": str(n)}, ttl=60) for n in range(3)]
        assert [c.state for c in texts] == 3 * [State.QUEUED]
        again = await Terminal(worker).connect()
        assert await again.authenticate(code) == 0
        for n in range(3):
            message = await command_of(again)
            assert message.body[1:] == str(n).encode()
            again.send(0x0001, general(message))
        await again.result(0x0002)
        await worker.writer.barrier()
        rows = await fetch(database, "SELECT state FROM commands")
        assert {row["state"] for row in rows} == {"acknowledged"}
    async with running(database) as worker:
        third = await Terminal(worker).connect()
        assert await third.authenticate(code) == 0
        with pytest.raises(TimeoutError):
            await third.receive(0.3)  # nothing is sent again


async def test_queued_commands_expire(database):
    async with running(database) as worker:
        await Terminal(worker).enter()
        await worker.guests[0].gone()
        while worker.registry.session(PHONE) is not None:
            await asyncio.sleep(0.02)
        command = await ask(worker, 0x8300, {"flags": 1, "text": "x"}, ttl=0.2, timeout=0.1)
        await asyncio.sleep(0.3)
        await worker.commands.expire()
        await worker.writer.barrier()
        rows = await fetch(database, "SELECT state, ended_at FROM commands")
        assert rows[0]["state"] == "expired" and rows[0]["ended_at"] and command.state == State.QUEUED


async def test_the_same_key_is_sent_once(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        one = ask(worker, 0x8300, {"flags": 1, "text": "once"}, key="k")
        message = await command_of(terminal)
        two = ask(worker, 0x8300, {"flags": 1, "text": "once"}, key="k")
        with pytest.raises(TimeoutError):
            await terminal.receive(0.2)
        terminal.send(0x0001, general(message))
        assert (await one).id == (await two).id
        with pytest.raises(CommandError, match="another command"):
            await ask(worker, 0x8300, {"flags": 1, "text": "other"}, key="k")


async def test_wrong_bodies_and_messages_are_named(database):
    async with running(database) as worker:
        await Terminal(worker).enter()
        for message_id, body, said in (
            (0x8300, {"flags": 1}, "text"),
            (0x8300, {"flags": 1, "text": "x", "colour": 1}, "colour"),
            (0x8300, {"flags": ["nonsense"], "text": "x"}, "nonsense"),
            (0x8202, {"interval": 70000, "duration": 1}, "interval"),
            (0x0200, {}, "0x0200"),
            (0x8FFF, {}, "0x8fff"),
        ):
            with pytest.raises(CommandError, match=said):
                await ask(worker, message_id, body)
        with pytest.raises(CommandError, match="no terminal"):
            await worker.commands.submit(Order("1", 0x8201, {}, "test"))


async def test_a_terminal_that_leaves_ends_its_commands(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        asked = ask(worker, 0x8201, timeout=30)
        await command_of(terminal)
        await terminal.gone()
        command = await asyncio.wait_for(asked, 5)
        assert command.state == State.TIMED_OUT and command.reason == "the terminal has left"


async def test_what_was_under_way_at_a_kill_is_told_after_the_restart(database):
    async with running(database) as worker:
        terminal = await Terminal(worker).enter()
        asked = ask(worker, 0x8201, timeout=30)
        await command_of(terminal)
        await worker.writer.barrier()
        await fetch(database, "CREATE TABLE kept AS SELECT * FROM commands")
        asked.cancel()
    await fetch(database, "UPDATE commands SET state = 'sent', ended_at = NULL, reason = NULL")
    async with running(database) as worker:
        await worker.writer.barrier()
        [row] = await fetch(database, "SELECT state, reason FROM commands")
        assert (row["state"], row["reason"]) == ("timed_out", "the gateway was restarted")


async def test_long_bodies_go_in_parts_and_parts_are_sent_again(database):
    async with running(database) as worker:
        terminal = Terminal(worker, edition=Edition.V2019)
        await terminal.enter()
        asked = ask(worker, 0x8900, {"type": 0x41, "content": "ab" * 2500})
        packets: list[bytes] = []
        while len(packets) < 3:
            data = await terminal.reader.read(65536)
            packets += [b"~" + p + b"~" for p in data.split(b"~") if p]
        link = Link(Role.TERMINAL, phone=PHONE, edition=Edition.V2019)
        assert not any(isinstance(m, Message) for p in (packets[0], packets[2]) for m in link.receive(p, 0.0))
        link.tick(6.0)
        terminal.writer.write(link.data_to_send())  # 0x0005: the second part, please
        whole: list = []
        while not whole:
            whole = [
                m for m in link.receive(await terminal.reader.read(65536), 7.0) if isinstance(m, Message)
            ]
        assert len(whole[0].body) == 2501
        terminal.send(0x0001, general(whole[0]))
        assert (await asked).state == State.ACKNOWLEDGED


async def test_over_http(database):
    from storage import keys
    from storage.database import connect

    pool = await connect(database, size=1)
    async with pool.acquire() as connection:
        key = await keys.create(connection, "centre", ["commands", "read"])
    await pool.close()
    async with running(database) as worker, contextlib.AsyncExitStack() as stack:
        terminal = await Terminal(worker).enter()
        client = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{worker.http.port}/api/v1",
                headers={"Authorization": f"Bearer {key}"},
                timeout=20,
            )
        )
        url = f"/terminals/{PHONE}/commands"
        asked = asyncio.create_task(client.post(url, json={"message": "0x8201"}))
        message = await command_of(terminal)
        terminal.send(0x0201, message.serial.to_bytes(2) + location(4))
        response = await asked
        assert response.status_code == 200 and response.json()["state"] == "answered"
        got = await client.get(f"/commands/{response.json()['id']}")
        assert got.json() == response.json()
        listed = await client.get(url)
        assert [c["id"] for c in listed.json()["commands"]] == [response.json()["id"]]
        for body, status in (
            ({"message": "0x8300", "body": {"flags": 1}}, 422),
            ({"message": "8300"}, 422),
            ({"message": "0x8300", "colour": 1}, 422),
        ):
            bad = await client.post(url, json=body)
            assert bad.status_code == status, bad.text
            assert bad.headers["content-type"] == "application/problem+json"
        assert (await client.post("/terminals/99/commands", json={"message": "0x8201"})).status_code == 404
        await terminal.gone()
        while worker.registry.session(PHONE) is not None:
            await asyncio.sleep(0.02)
        assert (await client.post(url, json={"message": "0x8201"})).status_code == 409
        waiting = await client.post(url, json={"message": "0x8201", "ttl": 60})
        assert waiting.status_code == 202 and waiting.json()["state"] == "queued"


def test_every_state_may_follow_only_earlier_ones():
    for state, before in table.MAY_FOLLOW.items():
        assert state not in before
        assert State.ANSWERED not in before and State.REFUSED not in before and State.EXPIRED not in before
