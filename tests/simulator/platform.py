"""A tolerant platform for tests: answers what a terminal sends, over a `Link` in the other role."""

from __future__ import annotations

import asyncio
from typing import Any

from protocol.frame import Fault
from protocol.link import Link, Message, Part, Role


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
        return self.link.data_to_send()

    def ids(self) -> list[int]:
        return [message.id for message in self.received]


class Stub(asyncio.Protocol):
    """The same over TCP, for a whole fleet; counts reports."""

    reports = 0
    batches = 0
    connections = 0

    def connection_made(self, transport: Any) -> None:
        Stub.connections += 1
        self.transport = transport
        self.platform = Platform()

    def data_received(self, data: bytes) -> None:
        answer = self.platform.receive(data, asyncio.get_running_loop().time())
        for message in self.platform.received:
            Stub.reports += message.id == 0x0200
            Stub.batches += message.id == 0x0704
        self.platform.received.clear()
        if answer:
            self.transport.write(answer)
