"""A tolerant platform for tests: answers what a terminal sends, over a `Link` in the other role."""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf
from typing import Any

from protocol.codec import Profile
from protocol.frame import Fault
from protocol.items import read_item
from protocol.link import Link, Message, Part, Role
from protocol.location import read
from protocol.messages import ITEMS
from protocol.messages.safety import identifier_of
from simulator.behaviour import Action
from simulator.terminal import Terminal


class Platform:
    """One connection. `received` holds every message; `mute` answers nothing."""

    def __init__(self, code: str = "secret") -> None:
        self.link = Link(Role.PLATFORM)
        self.code = code
        self.mute = False
        self.result = 0  # of acknowledgements of reports
        self.auth_result = 0
        self.received: list[Message] = []
        self.faults: list[Fault] = []
        self.evidence_port = 0  # where alarms with files are asked to upload them; 0: nowhere

    def receive(self, data: bytes, now: float) -> bytes:
        for got in self.link.receive(data, now):
            if isinstance(got, Fault):
                self.faults.append(got)
                continue
            if self.mute:
                continue
            if isinstance(got, Part):
                self.link.acknowledge(got.id, got.serial)
                continue
            self.received.append(got)
            if got.id == 0x0100:
                body = got.serial.to_bytes(2) + b"\0" + self.code.encode()
                self.link.send(0x8100, body, now)
            elif got.id not in (0x0001,):
                result = self.auth_result if got.id == 0x0102 else self.result if got.id == 0x0200 else 0
                self.link.acknowledge(got.id, got.serial, result)
                if got.id == 0x0200 and self.evidence_port:
                    self._ask(got, now)
        return self.link.data_to_send()

    def _ask(self, report: Message, now: float) -> None:
        for item_id, raw in read(report.body).items:
            value = read_item(ITEMS, item_id, raw)
            identifier = value.fields.get("identifier", {}) if value.item else {}
            if identifier.get("attachments") and value.fields["flag"] != 2:
                fields = {
                    "server": "127.0.0.1",
                    "tcp_port": self.evidence_port,
                    "udp_port": 0,
                    "identifier": identifier_of(value),
                    "number": f"{report.phone:0>24}{report.serial:08}",
                    "reserved": b"",
                }
                self.link.send(0x9208, Profile(report.edition).encode(0x9208, fields), now)

    def ids(self) -> list[int]:
        return [message.id for message in self.received]


class Line:
    """A terminal, a platform and a clock that moves from one event to the next; `delay` is the way back."""

    def __init__(self, terminal: Terminal, *, now: float = 0.0, delay: float = 0.05) -> None:
        self.terminal = terminal
        self.now = now
        self.delay = delay
        self.up = True  # whether a connection can be made
        self.platform = Platform()
        self.platforms: list[Platform] = []
        self.actions: list[tuple[float, Action]] = []
        self.writes: list[tuple[float, bytes]] = []
        self._answers: deque[tuple[float, bytes]] = deque()

    def run(self, until: float) -> None:
        same = 0
        while (due := min(self.terminal.wake, self._answers[0][0] if self._answers else inf)) <= until:
            same = 0 if due > self.now else same + 1
            assert same < 5000, "the clock stands still"
            self.now = max(self.now, due)
            while self._answers and self._answers[0][0] <= self.now:
                self._act(self.terminal.receive(self._answers.popleft()[1], self.now))
            self._act(self.terminal.tick(self.now))
            while data := self.terminal.data_to_send(self.now):
                self.writes.append((self.now, data))
                if answer := self.platform.receive(data, self.now):
                    self._answers.append((self.now + self.delay, answer))
        self.now = until

    def cut(self, *, up: bool = True) -> None:
        """The connection breaks; it can be made again if `up`."""
        self.up = up
        self._answers.clear()
        self.terminal.disconnected(self.now)

    @property
    def received(self) -> list[Message]:
        return [message for platform in self.platforms for message in platform.received]

    def _act(self, action: Action | None) -> None:
        if action is None:
            return
        self.actions.append((self.now, action))
        self._answers.clear()
        if action is Action.CONNECT and self.up:
            before, self.platform = self.platform, Platform(self.platform.code)
            self.platform.mute, self.platform.auth_result = before.mute, before.auth_result
            self.platform.result = before.result
            self.platforms.append(self.platform)
            self.terminal.connected(self.now)
        elif action is Action.CONNECT:
            self.terminal.disconnected(self.now)


class Stub(asyncio.Protocol):
    """The same over TCP, for a whole fleet."""

    def __init__(self, server: StubServer) -> None:
        self.server = server
        self.platform = Platform()
        self.platform.evidence_port = server.evidence_port

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.server.lines.add(self)
        self.server.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.lines.discard(self)

    def data_received(self, data: bytes) -> None:
        answer = self.platform.receive(data, asyncio.get_running_loop().time())
        self.server.received += self.platform.received
        self.platform.received = []
        if answer:
            self.transport.write(answer)


class StubServer:
    """A TCP server of `Stub`; `received` has the messages of all connections."""

    def __init__(self) -> None:
        self.received: list[Message] = []
        self.lines: set[Stub] = set()
        self.connections = 0
        self.evidence_port = 0

    async def __aenter__(self) -> StubServer:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Stub(self), "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.drop()
        await self._server.wait_closed()

    def drop(self) -> None:
        """Cuts every connection."""
        for line in list(self.lines):
            line.transport.abort()


class UdpStub(asyncio.DatagramProtocol):
    """The same over UDP: a `Platform` for each address."""

    def __init__(self) -> None:
        self.platforms: dict[Any, Platform] = {}

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        platform = self.platforms.setdefault(addr, Platform())
        if answer := platform.receive(data, asyncio.get_running_loop().time()):
            self.transport.sendto(answer, addr)
