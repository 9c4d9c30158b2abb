"""Messages in several packets: joining what a peer sends, cutting what we send.

This file knows packets and serials, not connections. 808-2013 clause 4.4.3 (total and number of a part),
clause 8.4 and 808-2019 clauses 8.4, 8.5 (0x8003 and 0x0005: resend these parts). Every limit is a named
constant: a peer chooses `total`, so nothing is allocated by it.
"""

from __future__ import annotations

import struct

import msgspec

from protocol.frame import Fault, Reason
from protocol.header import LENGTH_MASK, Edition, Header

MAX_JOINED = 1 << 20
"""Bytes of unfinished parts of one link: a picture of a driver is some hundred kilobytes."""

MAX_OPEN = 4
"""Unfinished messages of one link. Terminals interleave a picture with a batch of positions, not more."""

QUIET = 5.0
"""Seconds without a new part after which the missing ones are asked for."""

ATTEMPTS = 3
"""How often missing parts are asked for; each time after one more QUIET, as 808-2013 clause 6.1 spaces
repetitions."""

MAX_ASKED = 125
"""Parts asked for at a time: the count is one byte in the editions before 2019, and the request itself
should not be sub-packaged."""

KEPT = 4
"""Sub-packaged messages of ours that are kept for a peer that asks for parts again."""

KEPT_AGE = 120.0
"""Seconds for which they are kept."""


class Budget:
    """Bytes of unfinished parts over all links of a process."""

    __slots__ = ("left", "total")

    def __init__(self, total: int = 64 << 20) -> None:
        self.total = self.left = total

    def take(self, size: int) -> bool:
        if size > self.left:
            return False
        self.left -= size
        return True

    def give(self, size: int) -> None:
        self.left += size


class Joined(msgspec.Struct):
    """A whole message out of its parts."""

    body: bytes
    first: Header
    serials: tuple[int, ...]  # of the parts, in the order of their numbers
    last: int  # serial of the part that completed it: its acknowledgement stands for the whole


class Missing(msgspec.Struct, frozen=True):
    """Parts to ask for again."""

    first_serial: int
    indexes: tuple[int, ...]


class _Open(msgspec.Struct):
    total: int
    first_serial: int
    header: Header
    parts: dict[int, tuple[int, bytes]]  # number -> serial, bytes
    size: int
    touched: float
    asked: int = 0


class Joiner:
    """Parts of one link, until they are messages. Holds at most MAX_JOINED bytes."""

    __slots__ = ("_budget", "_open", "size")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._open: dict[tuple[int, int, int], _Open] = {}
        self.size = 0

    def add(self, header: Header, body: bytes, frame: bytes, now: float) -> Joined | Fault | None:
        """The message that this part completes, None while parts are missing."""
        if not 1 <= header.index <= header.total:
            return Fault(Reason.SUBPACKAGE, frame, header.size - 4, f"part {header.index} of {header.total}")
        entry = self._entry(header, now)
        if header.index in entry.parts:
            return None  # a retransmission of a part that is here
        if len(self._open) > MAX_OPEN:
            self._drop(next(iter(self._open)))
        if self.size + len(body) > MAX_JOINED or not self._budget.take(len(body)):
            self._drop(self._key(header, entry))
            return Fault(Reason.OVERFLOW, frame, 0, f"{self.size} bytes of unfinished parts")
        entry.parts[header.index] = (header.serial, body)
        entry.size += len(body)
        self.size += len(body)
        entry.touched = now
        if len(entry.parts) < entry.total:
            return None
        ordered = [entry.parts[n] for n in range(1, entry.total + 1)]
        self._drop(self._key(header, entry))
        return Joined(
            b"".join(part for _, part in ordered),
            entry.header,
            tuple(serial for serial, _ in ordered),
            header.serial,
        )

    def due(self, now: float) -> tuple[list[Missing], list[Fault]]:
        """What to ask for again, and what is given up."""
        ask, faults = [], []
        for key, entry in list(self._open.items()):
            if now - entry.touched < QUIET * (entry.asked + 1):
                continue
            if entry.asked == ATTEMPTS:
                detail = f"{len(entry.parts)} of {entry.total} parts of {key[0]:#06x}"
                whole = b"".join(part for _, (_, part) in sorted(entry.parts.items()))
                faults.append(Fault(Reason.INCOMPLETE, whole, 0, detail))
                self._drop(key)
                continue
            entry.asked += 1
            entry.touched = now
            ask.append(Missing(entry.first_serial, _gaps(entry)))
        return ask, faults

    def clear(self) -> None:
        for key in list(self._open):
            self._drop(key)

    def _entry(self, header: Header, now: float) -> _Open:
        """The message that a part belongs to: same id, same total, serials that count up from part 1.

        A part sent again may carry a new serial; then it belongs to the message that lacks it and was
        asked for.
        """
        first = header.serial - header.index + 1 & 0xFFFF
        key = (header.message_id, header.total, first)
        if key in self._open:
            return self._open[key]
        for (message_id, total, _), entry in self._open.items():
            same = message_id == header.message_id and total == header.total
            if same and entry.asked and header.index not in entry.parts:
                return entry
        entry = _Open(header.total, first, header, {}, 0, now)
        self._open[key] = entry
        return entry

    @staticmethod
    def _key(header: Header, entry: _Open) -> tuple[int, int, int]:
        return header.message_id, entry.total, entry.first_serial

    def _drop(self, key: tuple[int, int, int]) -> None:
        entry = self._open.pop(key)
        self.size -= entry.size
        self._budget.give(entry.size)


def _gaps(entry: _Open) -> tuple[int, ...]:
    found = []
    for number in range(1, entry.total + 1):
        if number not in entry.parts:
            found.append(number)
            if len(found) == MAX_ASKED:
                break
    return tuple(found)


def resend_request(missing: Missing, edition: Edition) -> bytes:
    """The body of 0x8003 or 0x0005: 808-2013 table 5, 808-2019 tables 5 and 6 (a WORD counts there)."""
    count = struct.pack(">H" if edition is Edition.V2019 else ">B", len(missing.indexes))
    head = struct.pack(">H", missing.first_serial)
    return head + count + struct.pack(f">{len(missing.indexes)}H", *missing.indexes)


def read_resend_request(body: bytes) -> Missing | None:
    """The inverse; the width of the count is the one that consumes the body."""
    for width in (1, 2):
        size = len(body) - 2 - width
        if size >= 0 and int.from_bytes(body[2 : 2 + width]) * 2 == size:
            indexes = struct.unpack_from(f">{size // 2}H", body, 2 + width)
            return Missing(int.from_bytes(body[:2]), indexes)
    return None


def cut(body: bytes) -> list[bytes]:
    """`body` in pieces that fit a packet; one piece where it fits."""
    if len(body) <= LENGTH_MASK:
        return [body]
    return [body[at : at + LENGTH_MASK] for at in range(0, len(body), LENGTH_MASK)]


class Sent:
    """Our own sub-packaged messages, for as long as the peer may ask for parts again."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[int, tuple[float, list[bytes]]] = {}

    def keep(self, first_serial: int, packets: list[bytes], now: float) -> None:
        while len(self._kept) >= KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[first_serial] = (now, packets)

    def again(self, missing: Missing) -> list[bytes]:
        """The packets asked for; none where they are not kept any more."""
        _, packets = self._kept.get(missing.first_serial, (0.0, []))
        return [packets[n - 1] for n in missing.indexes if 1 <= n <= len(packets)]

    def forget(self, now: float) -> None:
        self._kept = {s: kept for s, kept in self._kept.items() if now - kept[0] < KEPT_AGE}
