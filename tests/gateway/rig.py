"""A whole gateway in this process on a fresh database, and a terminal of few words to talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg

from gateway.config import Settings
from gateway.worker import Worker
from protocol.codec import Profile
from protocol.header import Edition
from protocol.link import Link, Message, Role
from protocol.location import FIXED


class Rig(Worker):
    """A worker that knows its test's terminals, so that no socket outlives a test that failed."""

    def __init__(self, settings: Settings, dsn: str) -> None:
        super().__init__(settings, dsn)
        self.guests: list[Terminal] = []


@contextlib.asynccontextmanager
async def running(dsn: str, **settings: Any) -> AsyncIterator[Rig]:
    """A worker on any free ports."""
    values = {
        "database_url": dsn,
        "terminal_port": 0,
        "evidence_port": 0,
        "http_port": 0,
        "data_dir": Path("unused"),
    }
    worker = Rig(Settings(**(values | settings)), dsn)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()
        for guest in worker.guests:
            await guest.gone()


class Terminal:
    """Speaks over TCP through a Link; answers are read when asked for."""

    def __init__(self, worker: Rig, phone: str = "13800000001", edition: Edition = Edition.V2013) -> None:
        self.worker = worker
        self.link = Link(Role.TERMINAL, phone=phone, edition=edition)
        self.profile = Profile(edition)
        self.code = ""
        self._inbox: list[Message] = []
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def connect(self) -> Terminal:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.worker.terminal_port)
        self.worker.guests.append(self)
        return self

    def send(self, message_id: int, body: bytes = b"") -> int:
        serial = self.link.send(message_id, body, 0.0)
        self.writer.write(self.link.data_to_send())
        return serial

    async def receive(self, timeout: float = 5.0) -> Message:
        """The next message; ConnectionError at the end of the connection, TimeoutError when none comes."""
        async with asyncio.timeout(timeout):
            while not self._inbox:
                data = await self.reader.read(65536)
                if not data:
                    raise ConnectionError("closed")
                self._inbox += [m for m in self.link.receive(data, 0.0) if isinstance(m, Message)]
        return self._inbox.pop(0)

    async def ask(self, message_id: int, body: bytes = b"") -> Message:
        self.send(message_id, body)
        return await self.receive()

    async def result(self, message_id: int, body: bytes = b"") -> int:
        """The result of the general acknowledgement."""
        serial = self.send(message_id, body)
        while (answer := await self.receive()).id == 0x9208:
            pass  # the gateway asks for evidence by itself
        fields = self.profile.decode(answer.id, answer.body).fields
        assert (answer.id, fields["reply_serial"], fields["reply_id"]) == (0x8001, serial, message_id)
        result: int = fields["result"]
        return result

    async def register(self, **facts: Any) -> dict[str, Any]:
        values = {
            "province": 44, "city": 604, "maker": "MAKER", "model": "MODEL", "terminal_id": "T000001",
            "plate_colour": 2, "plate": "粤E12345",
        }  # fmt: skip
        answer = await self.ask(0x0100, self.profile.encode(0x0100, values | facts))
        assert answer.id == 0x8100
        fields = self.profile.decode(0x8100, answer.body).fields
        self.code = fields.get("code", "")
        return fields

    async def authenticate(self, code: str | None = None) -> int:
        values = {"code": self.code if code is None else code}
        if self.link.edition is Edition.V2019:
            values |= {"imei": "123456789012345", "software_version": "1"}
        return await self.result(0x0102, self.profile.encode(0x0102, values))

    async def enter(self) -> Terminal:
        """Connected, registered, authenticated."""
        await self.connect()
        await self.register()
        assert await self.authenticate() == 0
        return self

    async def closed(self, timeout: float = 5.0) -> bool:
        """Whether the gateway closes the connection in time."""
        try:
            while True:
                await self.receive(timeout)
        except (ConnectionError, asyncio.IncompleteReadError):
            return True
        except TimeoutError:
            return False

    def leave(self) -> None:
        self.writer.close()

    async def gone(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


def location(
    second: int = 0, *, alarm: int = 0, items: bytes = b"", at: int | bytes | None = None, speed: int = 600
) -> bytes:
    """A body of 0x0200, `second` seconds ago."""
    time_ = int(time.time()) - second if at is None else at
    return FIXED.pack(alarm, 3, 23_020_000 + second, 113_120_000, 35, speed, 90, time_) + items


async def fetch(dsn: str, statement: str, *arguments: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(statement, *arguments)
    finally:
        await connection.close()
