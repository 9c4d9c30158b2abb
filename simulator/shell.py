"""Terminals on real sockets: TCP connections and UDP endpoints of one event loop.

The thin layer: it moves bytes between a socket and a `Terminal` and asks the schedule to wake the terminal
when it wants to be woken. There is one sweep over all terminals, no task and no timer for any of them, save
while one uploads evidence (`simulator/uploads.py`).
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count
from typing import cast

from simulator.behaviour import Action
from simulator.terminal import Terminal
from simulator.uploads import Uploads
from simulator.wire import envelopes

SWEEP = 0.01  # s between two looks at who is due
CONNECT_TIMEOUT = 10.0  # s
DATAGRAM = 1200  # bytes: below any path's MTU


class Schedule:
    """Who wants to be woken when. A heap whose outdated entries are thrown away when their time comes."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Slot]] = []
        self._order = count()

    def add(self, slot: Slot) -> None:
        wake = slot.terminal.wake
        if wake < slot.scheduled:
            slot.scheduled = wake
            heapq.heappush(self._heap, (wake, next(self._order), slot))

    def due(self, now: float) -> list[Slot]:
        found = []
        while self._heap and self._heap[0][0] <= now:
            when, _, slot = heapq.heappop(self._heap)
            if when == slot.scheduled:
                slot.scheduled = float("inf")
                found.append(slot)
        return found


class Slot:
    """One terminal's place in the shell: the terminal, and the connection it has now."""

    __slots__ = ("line", "scheduled", "shell", "terminal")

    def __init__(self, terminal: Terminal, shell: Shell) -> None:
        self.terminal = terminal
        self.shell = shell
        self.line: _Line | None = None
        self.scheduled = float("inf")

    def wake(self, now: float) -> None:
        self.follow(self.terminal.tick(now), now)

    def follow(self, action: Action | None, now: float) -> None:
        """Does what the terminal wants, writes what it has to say, and books its next turn."""
        if action is not None:
            if action is Action.CONNECT:
                self.shell.connect(self)
            elif self.line is not None:
                line, self.line = self.line, None
                line.slot = None
                if action is Action.CLOSE:
                    line.close()
                else:
                    self.shell.abandoned.append(line)
        uploader = self.terminal.uploader
        if uploader is not None and uploader.busy:
            self.shell.uploads.start(uploader)
        if self.line is not None:
            while data := self.terminal.data_to_send(now):
                self.line.write(data)
        self.shell.schedule.add(self)


class _Line:
    """One connection. `slot` is None once its terminal has another one, or none."""

    slot: Slot | None

    def __init__(self, slot: Slot) -> None:
        self.slot = slot

    def write(self, data: bytes) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def begin(self) -> None:
        slot = self.slot
        if slot is not None:
            now = slot.shell.clock()
            slot.line = self
            slot.terminal.connected(now)
            slot.follow(None, now)

    def take(self, data: bytes) -> None:
        slot = self.slot
        if slot is not None:
            now = slot.shell.clock()
            slot.follow(slot.terminal.receive(data, now), now)

    def lost(self) -> None:
        slot, self.slot = self.slot, None
        if slot is not None:
            now = slot.shell.clock()
            slot.line = None
            slot.terminal.disconnected(now)
            slot.follow(None, now)


class TcpLine(_Line, asyncio.Protocol):
    _transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self.begin()

    def data_received(self, data: bytes) -> None:
        self.take(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost()

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def close(self) -> None:
        self._transport.abort()


class UdpLine(_Line, asyncio.DatagramProtocol):
    _transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.begin()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.take(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost()

    def write(self, data: bytes) -> None:
        """Whole frames, as many as a datagram takes."""
        held = b""
        for frame in envelopes(data) if len(data) > DATAGRAM else (data,):
            if held and len(held) + len(frame) > DATAGRAM:
                self._transport.sendto(held)
                held = b""
            held += frame
        if held:
            self._transport.sendto(held)

    def close(self) -> None:
        self._transport.abort()


class Shell:
    """Sockets for any number of terminals."""

    def __init__(self, host: str, port: int, clock: Callable[[], float], *, udp: bool = False) -> None:
        self.schedule = Schedule()
        self.clock = clock
        self.slots: list[Slot] = []
        self.abandoned: list[_Line] = []
        self.uploads = Uploads(clock)
        self._address = (host, port)
        self._udp = udp
        self._connecting: set[asyncio.Task[None]] = set()

    def add(self, terminal: Terminal) -> None:
        slot = Slot(terminal, self)
        self.slots.append(slot)
        self.schedule.add(slot)

    def sweep(self) -> None:
        """Wakes the terminals whose time has come."""
        now = self.clock()
        for slot in self.schedule.due(now):
            slot.wake(now)

    def connect(self, slot: Slot) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(slot))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def close(self) -> None:
        """Closes every connection, also the abandoned ones."""
        await self.uploads.close()
        for task in list(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for slot in self.slots:
            if slot.line is not None:
                self.abandoned.append(slot.line)
                slot.line.slot = None
                slot.line = None
        for line in self.abandoned:
            line.close()
        self.abandoned.clear()
        await asyncio.sleep(0.05)  # the loop tells the lines that they are closed

    async def _connect(self, slot: Slot) -> None:
        loop = asyncio.get_running_loop()
        host, port = self._address
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                if self._udp:
                    await loop.create_datagram_endpoint(lambda: UdpLine(slot), remote_addr=(host, port))
                else:
                    await loop.create_connection(lambda: TcpLine(slot), host, port)
        except OSError:  # TimeoutError is one
            now = self.clock()
            slot.terminal.disconnected(now)
            slot.follow(None, now)
