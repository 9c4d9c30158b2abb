"""An evidence server for tests: takes files into memory and asks for what is missing. No gateway in it."""

from __future__ import annotations

import asyncio
from typing import Any

from protocol.codec import Profile
from protocol.header import Edition
from protocol.link import Link, Message, Role
from protocol.upload import Chunk, Ranges, Splitter, known


class Taken:
    """One file."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.data = bytearray(min(size, 1 << 23))
        self.ranges = Ranges()


class Server:
    """What all connections know: files by number and name, and those that are complete."""

    def __init__(self, *, most: int = 255, result: int = 0) -> None:
        self.most = most  # ranges of one 0x9212
        self.result = result  # of acknowledgements
        self.files: dict[tuple[str, str], Taken] = {}
        self.complete: dict[tuple[str, str], bytes] = {}
        self.announced: list[dict[str, Any]] = []
        self.answers: list[tuple[str, int]] = []  # name and number of ranges of each 0x9212
        self.chunks = 0
        self.editions: set[Edition] = set()
        self.phones: set[str] = set()


class Door:
    """One connection: bytes in, bytes out."""

    def __init__(self, server: Server, dialect: str = "su") -> None:
        self.server = server
        self.link = Link(Role.PLATFORM)
        self.splitter = Splitter([])
        self.profile = Profile(Edition.V2013, dialect)
        self.number = ""
        self.names: dict[bytes, str] = {}

    def feed(self, data: bytes) -> bytes:
        for piece in self.splitter.feed(data):
            if isinstance(piece, Chunk):
                self._chunk(piece)
                continue
            for message in self.link.receive(piece, 0.0):
                assert isinstance(message, Message), message
                self._message(message)
        return self.link.data_to_send()

    def _chunk(self, chunk: Chunk) -> None:
        taken = self.server.files[self.number, self.names[chunk.name]]
        end = chunk.offset + len(chunk.data)
        taken.data[chunk.offset : end] = chunk.data
        assert taken.ranges.add(chunk.offset, end)
        self.server.chunks += 1

    def _message(self, message: Message) -> None:
        server = self.server
        server.editions.add(message.edition)
        server.phones.add(message.phone)
        reading = self.profile.decode(message.id, message.body)
        assert not reading.breaks and not reading.rest, reading
        fields = reading.fields
        if message.id == 0x1210:
            server.announced.append(fields)
            self.number = fields["number"]
        if message.id in (0x1210, 0x1211):
            self.link.acknowledge(message.id, message.serial, server.result)
        if message.id == 0x1211:
            for form in known(fields["name"].encode("gb18030")):
                self.names[form] = fields["name"]
            self.splitter.names = self.names
            server.files.setdefault((self.number, fields["name"]), Taken(fields["size"]))
        if message.id == 0x1212:
            self._done(fields)

    def _done(self, fields: dict[str, Any]) -> None:
        key = self.number, fields["name"]
        taken = self.server.files[key]
        gaps = taken.ranges.missing(taken.size, self.server.most)
        if not gaps:
            self.server.complete[key] = bytes(taken.data)
        told = {"name": fields["name"], "type": fields["type"], "result": 1 if gaps else 0}
        missing = [{"offset": offset, "length": length} for offset, length in gaps]
        self.server.answers.append((fields["name"], len(gaps)))
        self.link.send(0x9212, self.profile.encode(0x9212, told | {"missing": missing}), 0.0)


class Listener:
    """The same on a socket; a silent one reads and says nothing."""

    def __init__(self, server: Server, *, port: int = 0, silent: bool = False) -> None:
        self.server = server
        self.port = port
        self.silent = silent
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Listener:
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.close()
        self.drop()
        await self._listening.wait_closed()
        while self._writers:
            await asyncio.sleep(0.01)

    def drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        door = Door(self.server)
        try:
            while data := await reader.read(1 << 16):
                if not self.silent:
                    writer.write(door.feed(data))
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
