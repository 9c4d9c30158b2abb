"""Terminals over UDP: known by their phone number, wherever their datagrams come from."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from protocol.codec import Profile
from protocol.header import Edition
from protocol.link import Link, Message, Role
from tests.gateway.rig import Rig, fetch, location, running


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.inbox.put_nowait(data)


class Sender:
    """A UDP terminal; `move` gives it another address, as a NAT does."""

    def __init__(self, worker: Rig, phone: str = "13800000001") -> None:
        self.worker = worker
        self.link = Link(Role.TERMINAL, phone=phone, edition=Edition.V2013)
        self.got: list[Message] = []

    async def move(self) -> None:
        self.transport, self.protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            Datagrams, remote_addr=("127.0.0.1", self.worker.terminal_port)
        )

    def send(self, message_id: int, body: bytes = b"") -> None:
        self.link.send(message_id, body, 0.0)
        self.transport.sendto(self.link.data_to_send())

    async def receive(self) -> Message:
        async with asyncio.timeout(5):
            while not self.got:
                data = await self.protocol.inbox.get()
                self.got += [m for m in self.link.receive(data, 0.0) if isinstance(m, Message)]
        return self.got.pop(0)

    async def enter(self) -> None:
        self.send(0x0102, Profile(Edition.V2013).encode(0x0102, {"code": "udp"}))
        assert (await self.receive()).body[4] == 0


@contextlib.asynccontextmanager
async def sender(worker: Rig, phone: str = "13800000001") -> AsyncIterator[Sender]:
    made = Sender(worker, phone)
    await made.move()
    try:
        yield made
    finally:
        made.transport.close()


async def test_reports_over_udp_and_a_new_address_in_the_middle(database):
    async with running(database) as worker, sender(worker) as terminal:
        await terminal.enter()
        terminal.send(0x0200, location(1))
        assert (await terminal.receive()).body[2:5] == b"\2\0\0"
        terminal.transport.close()
        await terminal.move()
        terminal.send(0x0200, location(2))
        assert (await terminal.receive()).body[2:5] == b"\2\0\0"
        assert len(await fetch(database, "SELECT FROM locations")) == 2
        assert worker.registry.connection("13800000001").transport == "udp"
        assert len(worker.registry) == 1


async def test_several_frames_in_one_datagram_and_parts_in_several(database):
    async with running(database) as worker, sender(worker) as terminal:
        await terminal.enter()
        for second in range(5):
            terminal.link.send(0x0200, location(second), 0.0)
        terminal.transport.sendto(terminal.link.data_to_send())
        for _ in range(5):
            await terminal.receive()
        bodies = [location(n) for n in range(10, 110)]
        batch = b"\0\x64\0" + b"".join(len(b).to_bytes(2) + b for b in bodies)
        terminal.link.send(0x0704, batch, 0.0)
        for piece in terminal.link.data_to_send().split(b"~~"):
            terminal.transport.sendto(b"~" + piece.strip(b"~") + b"~")
        for _ in range(3):
            await terminal.receive()
        assert len(await fetch(database, "SELECT FROM locations")) == 105


async def test_garbage_and_half_frames_cost_only_themselves(database):
    async with running(database) as worker, sender(worker) as terminal:
        terminal.transport.sendto(b"garbage")
        terminal.transport.sendto(b"~\x02\x00")
        await terminal.enter()
        terminal.link.send(0x0200, location(1), 0.0)
        terminal.transport.sendto(terminal.link.data_to_send()[:-5])
        terminal.send(0x0200, location(2))
        assert (await terminal.receive()).body[2:5] == b"\2\0\0"
        assert worker.counters.faults["datagram"] >= 2


async def test_a_tcp_connection_takes_the_terminal_over(database):
    from tests.gateway.rig import Terminal

    async with running(database) as worker, sender(worker) as over_udp:
        await over_udp.enter()
        over_tcp = await Terminal(worker).connect()
        assert await over_tcp.authenticate("udp") == 0
        assert worker.registry.connection("13800000001").transport == "tcp"
        assert len(worker.registry) == 1
