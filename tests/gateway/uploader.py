"""The other end of the evidence port: a terminal that uploads files, well or badly."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import re
import time
from collections.abc import Sequence
from typing import Any

from protocol.codec import Profile
from protocol.header import Edition
from protocol.link import Link, Message, Role
from protocol.upload import MAGIC
from tests.alarms.reports import item

CHUNK = 65536
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 700
MP4 = b"\0\0\0\x18ftypisom" + bytes(reversed(range(256))) * 1500
NUMBER = re.compile(rb"[0-9A-F]{32}")


def packet(name: bytes, offset: int, data: bytes) -> bytes:
    return MAGIC + name[:50].ljust(50, b"\0") + offset.to_bytes(4) + len(data).to_bytes(4) + data


def counted(name: bytes, offset: int, data: bytes) -> bytes:
    return MAGIC + bytes([len(name)]) + name + offset.to_bytes(4) + len(data).to_bytes(4) + data


def pieces(data: bytes, size: int = CHUNK) -> list[tuple[int, bytes]]:
    return [(at, data[at : at + size]) for at in range(0, len(data), size)]


class Uploader:
    """One connection to the evidence port."""

    def __init__(self, port: int, phone: str, edition: Edition = Edition.V2013, dialect: str | None = None):
        self.port = port
        self.link = Link(Role.TERMINAL, phone=phone, edition=edition)
        self.profile = Profile(edition, dialect)
        self.inbox: list[Message] = []
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def __aenter__(self) -> Uploader:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def message(self, message_id: int, fields: dict[str, Any] | bytes) -> None:
        body = fields if isinstance(fields, bytes) else self.profile.encode(message_id, fields)
        self.link.send(message_id, body, 0.0)
        self.writer.write(self.link.data_to_send())

    async def receive(self, timeout: float = 15.0) -> Message:
        async with asyncio.timeout(timeout):
            while not self.inbox:
                data = await self.reader.read(65536)
                if not data:
                    raise ConnectionError("closed")
                self.inbox += [m for m in self.link.receive(data, 0.0) if isinstance(m, Message)]
        return self.inbox.pop(0)

    async def result(self, message_id: int, fields: dict[str, Any] | bytes) -> int:
        """Result of the general acknowledgement."""
        self.message(message_id, fields)
        answer = await self.receive()
        assert answer.id == 0x8001, hex(answer.id)
        told = self.profile.decode(0x8001, answer.body).fields
        assert told["reply_id"] == message_id
        result: int = told["result"]
        return result

    async def announce(self, asked: Asked, files: Sequence[tuple[str, int]], kind: int = 0) -> int:
        fields = {
            "terminal_id": "T000001",
            "identifier": asked.identifier.hex(),
            "number": asked.number,
            "kind": kind,
            "files": [{"name": name, "size": size} for name, size in files],
        }
        return await self.result(0x1210, fields)

    async def begin(self, name: str, size: int, type_: int = 0) -> int:
        return await self.result(0x1211, {"name": name, "type": type_, "size": size})

    async def send(self, name: str, parts: Sequence[tuple[int, bytes]], form: Any = packet) -> None:
        for offset, data in parts:
            self.writer.write(form(name.encode("gb18030"), offset, data))
            await self.writer.drain()

    async def end(self, name: str, size: int, type_: int = 0) -> list[tuple[int, int]]:
        """What is missing, as 0x9212 says."""
        self.message(0x1212, {"name": name, "type": type_, "size": size})
        answer = await self.receive()
        assert answer.id == 0x9212, hex(answer.id)
        told = self.profile.decode(0x9212, answer.body).fields
        assert told["name"] == name and told["result"] == bool(told["missing"])
        return [(gap["offset"], gap["length"]) for gap in told["missing"]]

    async def upload(self, name: str, data: bytes, form: Any = packet) -> int:
        """All of a file, until it is complete; how often something was missing."""
        assert await self.begin(name, len(data)) == 0
        await self.send(name, pieces(data), form)
        for rounds in range(50):
            missing = await self.end(name, len(data))
            if not missing:
                return rounds
            await self.send(name, [(at, data[at : at + size]) for at, size in missing], form)
        raise AssertionError("never complete")


class Asked:
    """A 0x9208 as a terminal reads it."""

    def __init__(self, body: bytes, identifier: int) -> None:
        self.server = body[1 : 1 + body[0]].decode()
        rest = body[1 + body[0] :]
        self.tcp_port, self.udp_port = int.from_bytes(rest[:2]), int.from_bytes(rest[2:4])
        self.identifier = rest[4 : 4 + identifier]
        self.number = rest[4 + identifier : 36 + identifier].decode()
        assert NUMBER.fullmatch(self.number.encode()) and rest[36 + identifier :] == bytes(16)


def identifier(dialect: str, attachments: int, serial: int = 0) -> bytes:
    """With padding that encoding from fields would not give back."""
    at = dt.datetime.now(dt.timezone(dt.timedelta(hours=8))).strftime("%y%m%d%H%M%S")
    size, reserve = {"su": (7, b"\x07"), "guangdong": (30, b"\x07\x08")}[dialect]
    return b"T0001".ljust(size) + bytes.fromhex(at) + bytes([serial, attachments]) + reserve


def alarm_item(dialect: str, named: bytes, alarm_id: int = 1) -> bytes:
    """A fatigue alarm without duration, as item 0x65."""
    item_id, value = item(f"{dialect}_driver", int(time.time()), alarm_id=alarm_id, identifier=named)
    return bytes([item_id, len(value)]) + value
