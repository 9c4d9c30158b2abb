"""The ledger: one line for each report, and each file, that the platform has acknowledged as stored.

A file that is only appended to, so that what was acknowledged before a crash can be held against the
database afterwards (`jtgate audit`). Fields are separated by spaces:

    phone serial message_id time digest acked
    file phone sha256 size acked

`serial` and `message_id` (hex) are of the message that carried the report (a 0x0704 gives one line for
each report in it), `time` is the device time in seconds since 1970 or `-` where it is no time, `digest` is
xxh3-64 of the report's body (16 hex digits), `acked` is when the acknowledgement came, in seconds since
1970. Lines that begin with `#` are remarks. A last line without its end was being written when the
process died; it is not counted. Knows neither terminals nor databases.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import msgspec
from xxhash import xxh3_64_intdigest

HEAD = "# jtgate ledger 1: phone serial message_id time digest acked\n"
FLUSH = 0.5  # s: a line is in the file at the latest after this and one call of `flush_due`
BATCH = 50_000  # lines


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One acknowledged report."""

    phone: str
    serial: int
    message_id: int
    time: int | None  # device time, seconds since 1970; None where the terminal sent none
    digest: int  # xxh3-64 of the body, as a signed number: as Postgres stores it
    acked: float  # seconds since 1970


class FileEntry(msgspec.Struct, frozen=True, gc=False):
    """One file of evidence that was called complete."""

    phone: str
    sha256: str
    size: int  # bytes
    acked: float  # seconds since 1970


class Ledger:
    """Writes a ledger. Every line is whole, also behind what an earlier process left unfinished."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        if self._file.tell() == 0:
            self._file.write(HEAD.encode())
        elif not _ends_with_a_line(path):
            self._file.write(b"\n")
        self._lines: list[str] = []
        self._flushed = 0.0
        self.entries = 0

    def add(
        self, phone: str, serial: int, message_id: int, *, time: int | bytes, body: bytes, acked: float
    ) -> None:
        """`time` as bytes is a device time that could not be read."""
        shown = "-" if isinstance(time, bytes) else time
        digest = xxh3_64_intdigest(body)
        self._lines.append(f"{phone} {serial} {message_id:04x} {shown} {digest:016x} {acked:.3f}\n")
        self.entries += 1

    def add_file(self, phone: str, sha256: str, size: int, *, acked: float) -> None:
        self._lines.append(f"file {phone} {sha256} {size} {acked:.3f}\n")

    def flush_due(self, now: float) -> None:
        """Writes what has gathered, if the last time is FLUSH seconds ago."""
        if now - self._flushed >= FLUSH:
            self._flushed = now
            self.flush()

    def flush(self) -> None:
        """Hands everything to the kernel: it survives this process, not the machine."""
        if self._lines:
            self._file.write("".join(self._lines).encode())
            self._lines.clear()
        self._file.flush()

    def close(self) -> None:
        if not self._file.closed:
            self.flush()
            self._file.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Reader:
    """Reads a ledger in batches; `unreadable` counts lines that are none.

    The batches are of reports. `files` has the files, once all batches are read: there are few.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries = 0
        self.unreadable = 0
        self.files: list[FileEntry] = []

    def __iter__(self) -> Iterator[list[Entry]]:
        batch: list[Entry] = []
        with self._path.open("rb") as file:
            for line in file:
                if line.startswith(b"#") or not line.strip():
                    continue
                if (filed := parse_file(line)) is not None:
                    self.files.append(filed)
                    continue
                entry = parse(line)
                if entry is None:
                    self.unreadable += 1
                    continue
                batch.append(entry)
                if len(batch) == BATCH:
                    self.entries += len(batch)
                    yield batch
                    batch = []
        if batch:
            self.entries += len(batch)
            yield batch


def parse_file(line: bytes) -> FileEntry | None:
    """The file of one line, None where it is not whole or of a report."""
    if not line.startswith(b"file ") or not line.endswith(b"\n"):
        return None
    try:
        _, phone, sha256, size, acked = line.decode("ascii").split()
        if len(bytes.fromhex(sha256)) != 32:
            return None
        return FileEntry(phone, sha256, int(size), float(acked))
    except ValueError:
        return None


def parse(line: bytes) -> Entry | None:
    """The entry of one line, None where it is not whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        phone, serial, message_id, time, digest, acked = line.decode("ascii").split()
        number = int(digest, 16)
        if len(digest) != 16:
            return None
        return Entry(
            phone,
            int(serial),
            int(message_id, 16),
            None if time == "-" else int(time),
            number - (1 << 64) if number >> 63 else number,
            float(acked),
        )
    except ValueError:
        return None


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
