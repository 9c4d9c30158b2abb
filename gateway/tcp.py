"""The TCP listener of terminals: sockets to sessions and back (hot, and nothing else).

No field of any message is known here. A terminal that does not read its answers is closed when its
buffer has been full for WRITE_DEADLINE.
"""

from __future__ import annotations

import asyncio
from typing import cast

from gateway.registry import Registry
from gateway.session import Session

WRITE_LIMIT = 64 << 10
"""Bytes of answers that wait for one terminal: some thousand acknowledgements."""

WRITE_DEADLINE = 10.0
"""Seconds for which they may wait."""


class TerminalConnection(asyncio.Protocol):
    """One connection. Is the `Transport` of its session."""

    __slots__ = ("_deadline", "_registry", "_session", "_transport", "address", "kind")

    def __init__(self, registry: Registry) -> None:
        self.kind = "tcp"
        self.address = ""
        self._registry = registry
        self._session: Session | None = None
        self._transport: asyncio.Transport
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.address = transport.get_extra_info("peername", ("",))[0]
        self._transport.set_write_buffer_limits(high=WRITE_LIMIT)
        self._session = self._registry.open(self)
        if self._session is None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._session is not None:
            self._session.receive(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        if self._session is not None:
            self._registry.lost(self._session)

    def pause_writing(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(WRITE_DEADLINE, self._transport.abort)

    def resume_writing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # --- Transport --------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()

    def pause(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()


async def listen(registry: Registry, host: str, port: int) -> asyncio.Server:
    """The listener, accepting already. OSError where the port is taken."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: TerminalConnection(registry), host, port, backlog=4096)
