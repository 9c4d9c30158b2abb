"""Files on their way from a terminal: data packets between frames on a TCP stream, and what is still missing.

T/JSATL 12 clause 4.6.4 table 4-26, T/GDRTA 002 clause 5.6.4 table 5-26: magic, name (50 bytes), offset,
length, data; no checksum and no answer. Heilongjiang writes the name behind a byte that counts it. Frames of
808 come before, between and after them. This file knows bytes, neither sockets nor disks; it holds no more of
a packet than its header.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator

import msgspec

from protocol.frame import DELIMITER, MAX_FRAME, MIN_FRAME, checksum, unescape

MAGIC = b"01cd"

NAME = 50
"""Bytes of the name in a packet of table 4-26. Longer names are cut there."""

HEADER = 62

MAX_DATA = 1 << 26
"""Bytes that one packet may claim. The standard says 64 KiB; some terminals send a file as one packet. What
claims more is no header, else one wrong length would swallow everything that follows."""

_fixed = struct.Struct(">4s50sII")
_figures = struct.Struct(">II")


class Chunk(msgspec.Struct, gc=False):
    """A piece of a file: a packet, or as much of it as has come."""

    name: bytes  # without padding, as the packet has it
    offset: int  # in the file
    data: memoryview


class Splitter:
    """Cuts one direction of one connection into text (bytes for a `Link`) and chunks.

    `names`: names that the terminal has announced (see `known`), looked at when a header comes: they tell the
    two forms of header apart. A magic counts where a frame or a packet has just ended; within bytes that are
    no frame it is searched for, so that a wrong length or a lost byte costs a packet and not the connection.
    """

    __slots__ = ("_held", "_left", "_name", "_offset", "names")

    def __init__(self, names: Collection[bytes] = ()) -> None:
        self.names = names
        self._held = b""
        self._name = b""
        self._offset = 0
        self._left = 0  # bytes of the packet that are still to come

    @property
    def buffered(self) -> int:
        """Bytes held until more arrive: less than MAX_FRAME and a header."""
        return len(self._held)

    def feed(self, data: bytes) -> Iterator[bytes | Chunk]:
        """What `data` completes, in order. Take all of it before the next call."""
        if self._held:
            data = self._held + data
            self._held = b""
        view = memoryview(data)
        at, end = 0, len(data)
        while at < end:
            if self._left:
                size = min(self._left, end - at)
                chunk = Chunk(self._name, self._offset, view[at : at + size])
                self._offset += size
                self._left -= size
                at += size
                yield chunk
                continue
            header = self._begin(data, at) if MAGIC.startswith(data[at : at + 4]) else 0
            if header is None:
                break
            if header:
                at += header
                continue
            size = _text(data, at)
            if not size:
                break
            at += size
            yield data[at - size : at]
        self._held = data[at:]

    def _begin(self, data: bytes, at: int) -> int | None:
        """Bytes of the header at `at`; 0 where there is none, None where more is needed to tell."""
        have = len(data) - at
        if have < 5:
            return None
        count = data[at + 4]
        if not 0 < count < 0x20:  # no text begins with a control character, so this may be one
            if have < HEADER:
                return None
            _, field, offset, length = _fixed.unpack_from(data, at)
            name = field.rstrip(b"\0 ")
            if name in self.names or not self._counted(data[at + 4 : at + HEADER]):
                return self._take(name, offset, length, HEADER)
        size = 13 + count
        if have < size:
            return None
        offset, length = _figures.unpack_from(data, at + size - 8)
        return self._take(data[at + 5 : at + size - 8].rstrip(b"\0 "), offset, length, size)

    def _counted(self, begin: bytes) -> bool:
        """Whether an announced name stands behind a byte that counts it, as far as it can be seen."""
        count, seen = begin[0], begin[1:]
        return any(
            len(name) == count and (seen.startswith(name) or name.startswith(seen)) for name in self.names
        )

    def _take(self, name: bytes, offset: int, length: int, size: int) -> int:
        if length > MAX_DATA:
            return 0
        self._name, self._offset, self._left = name, offset, length
        return size


def _text(data: bytes, at: int) -> int:
    """Bytes from `at` that are for the link: through the next delimiter, or up to a magic within garbage.

    0: more is needed. Decided on the same bytes however they were cut on their way.
    """
    stop = data.find(DELIMITER, at, at + MAX_FRAME + 1)
    if stop < 0 and len(data) - at <= MAX_FRAME:
        return 0
    whole = stop if stop >= 0 else at + MAX_FRAME
    again = data.find(MAGIC, at + 1, whole)
    if again >= 0 and (stop < 0 or not _is_frame(data[at:stop])):
        return again - at
    return stop + 1 - at if stop >= 0 else MAX_FRAME - len(MAGIC) + 1  # the end may begin a magic


def _is_frame(raw: bytes) -> bool:
    frame = unescape(raw)
    return len(frame) >= MIN_FRAME and checksum(frame) == 0


def known(name: bytes) -> tuple[bytes, ...]:
    """The forms that an announced name may have in a packet: without padding, and cut."""
    name = name.rstrip(b"\0 ")
    return (name,) if len(name) <= NAME else (name, name[:NAME].rstrip(b"\0 "))


class Ranges:
    """Which bytes of a file are there: disjoint ranges, at most `most` of them.

    What would be one range too many is refused, and so is asked for again: memory stays bounded whatever
    order a terminal sends in.
    """

    __slots__ = ("_ends", "_starts", "most", "received")

    def __init__(self, most: int = 1024) -> None:
        self.most = most
        self.received = 0  # bytes, each counted once
        self._starts: list[int] = []
        self._ends: list[int] = []  # exclusive

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    def add(self, start: int, end: int) -> bool:
        """Notes the bytes from `start` to before `end`; False where there is no room for one more range."""
        if start >= end:
            return True
        starts, ends = self._starts, self._ends
        first, after = bisect_left(ends, start), bisect_right(starts, end)  # ranges that touch
        if first == after and len(starts) >= self.most:
            return False
        if first < after:
            start, end = min(start, starts[first]), max(end, ends[after - 1])
        self.received += end - start - sum(ends[first:after]) + sum(starts[first:after])
        starts[first:after] = [start]
        ends[first:after] = [end]
        return True

    def missing(self, size: int, most: int = 255) -> list[tuple[int, int]]:
        """The first `most` gaps before `size`, as (offset, length)."""
        gaps: list[tuple[int, int]] = []
        at = 0
        for start, end in self:
            if at >= size or len(gaps) == most:
                break
            if start > at:
                gaps.append((at, min(start, size) - at))
            at = end
        if at < size and len(gaps) < most:
            gaps.append((at, size - at))
        return gaps

    def clear(self) -> None:
        self._starts.clear()
        self._ends.clear()
        self.received = 0
