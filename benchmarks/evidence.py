"""How fast data packets reach the store, against a plain socket-to-fsynced-file copy in the same run.

Both ways are fed by this process with the same bytes from memory, in turns, so that what differs is the
receiver. The copy reads 256 KiB at a time, writes them and fsyncs each file: as little as can be done. The
gateway also finds the packets, hashes the file, commits its row and says so.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import Gateway, Options, gateway
from protocol.catalog import encode
from protocol.codec import Profile
from protocol.header import Edition
from protocol.link import Link, Message, Role
from protocol.location import FIXED
from protocol.messages import ITEMS
from protocol.upload import MAGIC

QUESTION = "How many megabytes a second of evidence reach the store?"

SIZE = 32 << 20
"""Bytes of a file: half of the largest that is taken."""

FILES = 6
CHUNK = 64 << 10
TOGETHER = 4
UPLOADS = 200
"""Uploads at once, for the memory of a connection."""

PHONE = "13800000001"
PROFILE = Profile(Edition.V2013)


def run(options: Options) -> dict[str, Any]:
    settings = {
        "unauthenticated": "accept",
        "evidence_alarm_mib": "100000",
        "evidence_terminal_mib": "100000",
        "evidence_keep_free_mib": "1",
    }
    data = os.urandom(SIZE)
    ways: dict[str, list[float]] = {"copy": [], "store": [], "copy_together": [], "store_together": []}
    with gateway(**settings) as served, tempfile.TemporaryDirectory(dir=served.folder) as folder:
        asked = _ask(served)
        copier = multiprocessing.Process(
            target=_copier, args=(Path(folder), port := _free(), SIZE), daemon=True
        )
        copier.start()
        for number in range(FILES):
            ways["copy"].append(_copied(port, data))
            ways["store"].append(_stored(asked, f"{number}.mp4", data))
        for number in range(3):
            ways["copy_together"].append(_together(lambda _: _copied(port, data)))
            names = [f"{number}.{place}.mp4" for place in range(TOGETHER)]
            ways["store_together"].append(_together(lambda place: _stored(asked, names[place], data)))  # noqa: B023
        copier.kill()
        copier.join()
        memory = _memory(served, asked)
    rates = {name: SIZE / 1e6 / sorted(seconds)[len(seconds) // 2] for name, seconds in ways.items()}
    for name in ("copy_together", "store_together"):
        rates[name] *= TOGETHER
    return {
        "file_mib": SIZE >> 20,
        "copy_mb_per_second": round(rates["copy"]),
        "store_mb_per_second": round(rates["store"]),
        "share_of_copy": round(rates["store"] / rates["copy"], 2),
        "connections_together": TOGETHER,
        "copy_together_mb_per_second": round(rates["copy_together"]),
        "store_together_mb_per_second": round(rates["store_together"]),
        "share_of_copy_together": round(rates["store_together"] / rates["copy_together"], 2),
        "uploads_at_once": UPLOADS,
        "kib_per_upload": round(memory / UPLOADS / 1024),
    }


# --- the plain copy -----------------------------------------------------------------------------------


def _copier(folder: Path, port: int, size: int) -> None:
    """Each connection brings one file; one byte goes back when it is on the disk."""
    listener = socket.create_server(("127.0.0.1", port))

    def take(connection: socket.socket, path: Path) -> None:
        buffer = memoryview(bytearray(256 << 10))
        with connection, path.open("wb", buffering=0) as file:
            left = size
            while left:
                count = connection.recv_into(buffer)
                file.write(buffer[:count])
                left -= count
            os.fsync(file.fileno())
            connection.sendall(b"k")

    number = 0
    while True:
        connection, _ = listener.accept()
        number += 1
        threading.Thread(target=take, args=(connection, folder / str(number))).start()


def _copied(port: int, data: bytes) -> float:
    for _ in range(100):
        try:
            connection = socket.create_connection(("127.0.0.1", port))
            break
        except ConnectionError:
            time.sleep(0.05)
    with connection:
        start = time.perf_counter()
        connection.sendall(data)
        connection.recv(1)
        return time.perf_counter() - start


# --- the gateway --------------------------------------------------------------------------------------


class Client:
    """A terminal's connection, blocking."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.link = Link(Role.TERMINAL, phone=PHONE, edition=Edition.V2013)
        self.inbox: list[Message] = []

    def send(self, message_id: int, body: bytes) -> None:
        self.link.send(message_id, body, 0.0)
        self.socket.sendall(self.link.data_to_send())

    def receive(self, message_id: int) -> dict[str, Any]:
        """The fields of the next message with that id."""
        while True:
            while self.inbox:
                message = self.inbox.pop(0)
                if message.id == message_id:
                    return PROFILE.decode(message.id, message.body).fields
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("closed by the gateway")
            self.inbox += [m for m in self.link.receive(data, 0.0) if isinstance(m, Message)]

    def announce(self, asked: dict[str, Any], name: str, size: int) -> None:
        fields = {
            "terminal_id": "T000001", "identifier": asked["identifier"], "number": asked["number"], "kind": 0,
            "files": [{"name": name, "size": size}],
        }  # fmt: skip
        for message_id, body in (
            (0x1210, PROFILE.encode(0x1210, fields)),
            (0x1211, PROFILE.encode(0x1211, {"name": name, "type": 2, "size": size})),
        ):
            self.send(message_id, body)
            if self.receive(0x8001)["result"]:
                raise RuntimeError(f"{message_id:#06x} was refused")

    def end(self, name: str, size: int) -> None:
        self.send(0x1212, PROFILE.encode(0x1212, {"name": name, "type": 2, "size": size}))
        if self.receive(0x9212)["result"]:
            raise RuntimeError("bytes are missing")


def _ask(served: Gateway) -> dict[str, Any]:
    """Raises an alarm; what the gateway then asks for."""
    item = next(item for item in ITEMS[0x65] if item.name == "su_driver")
    now = int(time.time())
    alarm = {
        "alarm_id": 1, "flag": 0, "type": 1, "level": 2, "fatigue": 5, "reserved": b"", "speed": 60,
        "altitude": 10, "latitude": 23_000_000, "longitude": 113_000_000, "time": now, "vehicle_status": 1,
        "identifier": {
            "terminal_id": "T000001", "time": now, "serial": 0, "attachments": 255, "reserved": b"",
        },
    }  # fmt: skip
    value = encode(item.layout, alarm)
    body = FIXED.pack(0, 3, 23_020_000, 113_120_000, 35, 600, 90, now) + bytes([0x65, len(value)]) + value
    terminal = Client(served.terminal_port)
    terminal.send(0x0200, body)
    return terminal.receive(0x9208)


def _stored(asked: dict[str, Any], name: str, data: bytes) -> float:
    parts = []
    head = MAGIC + name.encode().ljust(50, b"\0")
    for at in range(0, len(data), CHUNK):
        part = data[at : at + CHUNK]
        parts.append(head + at.to_bytes(4) + len(part).to_bytes(4) + part)
    stream = b"".join(parts)
    client = Client(asked["tcp_port"])
    with client.socket:
        client.announce(asked, name, len(data))
        start = time.perf_counter()
        client.socket.sendall(stream)
        client.end(name, len(data))
        return time.perf_counter() - start


def _together(work: Callable[[int], float]) -> float:
    """The longest of several at once."""
    seconds: list[float] = []
    threads = [threading.Thread(target=lambda n=n: seconds.append(work(n))) for n in range(TOGETHER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(seconds) < TOGETHER:
        raise RuntimeError("an upload failed")
    return max(seconds)


def _memory(served: Gateway, asked: dict[str, Any]) -> int:
    """Bytes of the gateway that so many uploads under way take."""
    before = _resident(served.pid)
    clients = [Client(asked["tcp_port"]) for _ in range(UPLOADS)]
    size, most = 1 << 20, 0
    for number, client in enumerate(clients):
        client.announce(asked, f"m{number}.mp4", size)
    part = os.urandom(CHUNK)
    for at in range(0, size // 2, CHUNK):
        for number, client in enumerate(clients):
            name = f"m{number}.mp4".encode().ljust(50, b"\0")
            client.socket.sendall(MAGIC + name + at.to_bytes(4) + CHUNK.to_bytes(4) + part)
        most = max(most, _resident(served.pid))
    for client in clients:
        client.socket.close()
    return most - before


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
