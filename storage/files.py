"""The evidence files on disk: partial ones by our own numbers, whole ones by the SHA-256 of what they hold.

    <folder>/partial/<alarm id>.<n>          as far as it has come
    <folder>/partial/<alarm id>.<n>.ranges   which bytes of it are there, as of the last checkpoint
    <folder>/<first two digits>/<sha256>     whole, never changed

No name that a terminal gave gets here. A file is fsynced before it is renamed, and its folder after that, so
that what the table says is on the disk. Everything here blocks; callers use threads. It knows no table.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from protocol.content import HEAD, Kind, recognise
from protocol.upload import Ranges


class Stored(NamedTuple):
    """A whole file in the store."""

    sha256: bytes
    size: int
    kind: Kind


Piece = tuple[int, memoryview]  # where in the file, and the bytes


class Partial:
    """A file that is being received. Used by one thread at a time."""

    def __init__(self, path: Path, fd: int, size: int, ranges: Ranges) -> None:
        self.path = path
        self.size = size
        self.ranges = ranges
        self._fd = fd
        self._saved = ranges.received

    def write(self, pieces: Iterable[Piece]) -> int:
        """Puts pieces where they belong; gives the bytes that lie outside of the file and were dropped."""
        outside = 0
        for offset, data in pieces:
            room = max(0, self.size - offset)
            if len(data) > room:
                outside += len(data) - room
                data = data[:room]  # noqa: PLW2901 - the rest is gone
            if data:
                _write(self._fd, data, offset)
                self.ranges.add(offset, offset + len(data))
        return outside

    def resize(self, size: int) -> None:
        """It is another file now: nothing of the old one counts."""
        self.ranges.clear()
        self.size = size
        os.ftruncate(self._fd, 0)
        self._ranges_path.unlink(missing_ok=True)
        self._saved = 0

    @property
    def whole(self) -> bool:
        return self.ranges.received == self.size

    @property
    def _ranges_path(self) -> Path:
        return self.path.with_name(self.path.name + ".ranges")

    def checkpoint(self) -> None:
        """What is there counts after a restart: first the bytes are on the disk, then the note of them."""
        if self.ranges.received == self._saved:
            return
        os.fdatasync(self._fd)
        fresh = self._ranges_path.with_name(self._ranges_path.name + ".new")
        with fresh.open("w") as file:
            json.dump({"size": self.size, "ranges": list(self.ranges)}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(self._ranges_path)
        _sync(self.path.parent)
        self._saved = self.ranges.received

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def discard(self) -> None:
        self.close()
        for path in (self.path, self._ranges_path):
            path.unlink(missing_ok=True)


class Store:
    """Folder of all evidence. Made when the first file comes."""

    def __init__(self, folder: Path, *, keep_free: int = 0) -> None:
        self.folder = folder
        self.keep_free = keep_free  # bytes of the disk that evidence leaves to others

    def room(self) -> int:
        """Bytes that may still be stored; 0 or less: none."""
        folder = self.folder
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free - self.keep_free

    def open(self, alarm_id: str, n: int, size: int) -> Partial:
        """The partial file, with what an earlier upload of the same size left. OSError where that fails."""
        path = self._partial(alarm_id, n)
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        ranges = _load(path, size)
        if not ranges.received:
            os.ftruncate(fd, 0)  # what lies there without a note is of no use, and may be longer
        return Partial(path, fd, size, ranges)

    def _partial(self, alarm_id: str, n: int) -> Path:
        return self.folder / "partial" / f"{UUID(alarm_id)}.{n:d}"

    def finish(self, partial: Partial) -> Stored:
        """A whole partial file becomes one of the store, on the disk when this returns."""
        fd = partial._fd
        os.fsync(fd)
        with open(fd, "rb", closefd=False) as file:
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256")
            file.seek(0)
            head = file.read(HEAD)
        target = self.path(digest.digest())
        target.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):  # the same content again
            os.link(partial.path, target)
        _sync(target.parent)
        _sync(self.folder)
        partial.discard()
        return Stored(digest.digest(), partial.size, recognise(head, partial.size))

    def path(self, sha256: bytes) -> Path:
        """Where a whole file lies."""
        name = sha256.hex()
        return self.folder / name[:2] / name


def is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _write(fd: int, data: memoryview, offset: int) -> None:
    while data:
        done = os.pwrite(fd, data, offset)
        data, offset = data[done:], offset + done


def _load(path: Path, size: int) -> Ranges:
    """What the last checkpoint says; nothing where there was none, or it was of another file."""
    ranges = Ranges()
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        noted = json.loads(path.with_name(path.name + ".ranges").read_text())
        if noted["size"] == size and path.stat().st_size <= size:
            for start, end in noted["ranges"]:
                ranges.add(int(start), int(end))
    return ranges


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
