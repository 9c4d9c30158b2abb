"""A tolerant platform for tests: answers what a terminal sends, over a `Link` in the other role."""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf
from typing import Any

from protocol.frame import Fault
from protocol.link import Link, Message, Part, Role
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
