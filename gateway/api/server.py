"""The HTTP server: uvicorn on the gateway's own loop, with the bounds that it lacks.

A head that never ends or never comes, and a peer that stops reading, cost a bounded number of
bytes and seconds. Knows nothing of the routes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 << 10  # of request line and headers
HEAD_SECONDS = 15.0  # to send them
# What the kernel may hold for a peer that stops reading; without it, it grows to megabytes.
SEND_BUFFER = 256 << 10
SHUTDOWN_SECONDS = 5
KEEP_ALIVE_SECONDS = 30
BACKLOG = 1024


class Connection(HttpToolsProtocol):
    """A connection whose request heads are bounded in bytes and time.

    Puts `abort` into the state of each request: a stalled peer's connection can't be closed in
    good order, for closing waits until it has read everything.
    """

    _deadline: asyncio.TimerHandle | None = None
    _head: int | None = 0  # bytes of the head under way; None: it is complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()
        super().data_received(data)
        if self._head is None or self.transport.is_closing():
            return
        self._head += len(data)
        if self._head > HEAD_BYTES:
            self.send_400_response("Request head too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["abort"] = self.transport.abort
        if self._head is None:  # the next request of a pipeline
            self._head = 0

    def on_headers_complete(self) -> None:
        self._head = None
        self._stop_deadline()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._head = 0
        self._stop_deadline()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are the supervisor's


class Server:
    """A running server: its `port`, and `close()`."""

    def __init__(self, app: FastAPI, listener: socket.socket) -> None:
        self.port: int = listener.getsockname()[1]
        self._app = app
        self._listener = listener
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            )
        )
        self._task: asyncio.Task[None] | None = None

    @property
    def connections(self) -> set[Any]:
        """The open connections, for tests and diagnosis."""
        return self._uvicorn.server_state.connections

    async def start(self) -> None:
        self._task = asyncio.create_task(self._uvicorn.serve([self._listener]), name="http")
        while not self._uvicorn.started:
            if self._task.done():
                self._task.result()
                raise RuntimeError("The HTTP server ended before it had begun.")
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        """End open streams and long polls first, then finish what is under way, within bounds."""
        self._app.state.closing.set()
        self._uvicorn.should_exit = True
        if self._task:
            await self._task


async def serve(app: FastAPI, host: str, port: int) -> Server:
    """Serve an app of `gateway.api.app.build` on this loop. Port 0 takes any free one.

    Raises OSError where the address can't be had.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        listener.bind(address)
        listener.setblocking(False)
        server = Server(app, listener)
        await server.start()
    except BaseException:
        listener.close()
        raise
    return server
