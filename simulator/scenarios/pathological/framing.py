"""Bytes on the line that are not cut as the standard has it."""

from __future__ import annotations

import msgspec

from protocol.frame import DELIMITER, checksum
from protocol.header import build, phone_bytes
from simulator.behaviour import Behaviour, Pieces
from simulator.bodies import REPORT
from simulator.identity import Config
from simulator.wire import envelopes, frames

ESCAPE = 0x7D


class RawChecksum(Behaviour):
    title = "every checksum is 7D, and is not escaped"

    _turn = 0

    def serial(self, serial: int, message_id: int, body: bytes) -> int:
        """One whose two bytes bring the checksum to 7D; its upper byte counts."""
        if len(body) > 1023:
            return serial
        self._turn = self._turn + 1 & 0xFF
        head = build(message_id, phone_bytes(self.config.phone, self.config.edition), 0, len(body))
        return self._turn << 8 | self._turn ^ checksum(head + body) ^ ESCAPE

    def wire(self, data: bytes, now: float) -> Pieces:
        return ((0.0, data.replace(b"\x7d\x01\x7e", b"\x7d\x7e")),)


class DoubledDelimiters(Behaviour):
    title = "two or three 7E between frames"

    def wire(self, data: bytes, now: float) -> Pieces:
        return ((0.0, b"".join(DELIMITER + frame + DELIMITER for frame in envelopes(data))),)


class SharedDelimiters(Behaviour):
    title = "one 7E ends a frame and begins the next"

    _begun = False

    def connected(self, now: float) -> None:
        self._begun = False

    def wire(self, data: bytes, now: float) -> Pieces:
        shared = b"".join(frame[1:] for frame in envelopes(data))
        first, self._begun = not self._begun, True
        return ((0.0, DELIMITER + shared if first else shared),)


class Garbage(Behaviour):
    title = "noise of its modem between frames"

    _count = 0

    def wire(self, data: bytes, now: float) -> Pieces:
        sent = b""
        for frame in envelopes(data):
            self._count += 1
            noise = self.rng.randbytes(self.rng.randrange(1, 40)).replace(DELIMITER, b"")
            sent += frame if self._count % 8 else b"\r\n+CSQ: 21,0\r\n" + noise + frame
        return ((0.0, sent),)


class OneByteSegments(Behaviour):
    title = "each byte in a segment of its own"

    def wire(self, data: bytes, now: float) -> Pieces:
        return [(0.005, bytes((byte,))) for byte in data]


class Glued(Behaviour):
    title = "fifty frames in one segment"

    number = 50
    patience = 5.0  # s: what was held longer goes with whatever comes next

    _held = b""
    _since = 0.0

    @classmethod
    def configure(cls, config: Config) -> Config:
        interval = min(config.interval, 0.1)
        return msgspec.structs.replace(config, interval=interval, window=2 * cls.number)

    def connected(self, now: float) -> None:
        self._held = b""

    def wire(self, data: bytes, now: float) -> Pieces:
        if not self._held:
            self._since = now
        self._held += data
        got = frames(self._held)
        reports = all(int.from_bytes(frame[:2]) == REPORT for frame in got)
        if reports and len(got) < self.number and now - self._since < self.patience:
            return ()
        data, self._held = self._held, b""
        return ((0.0, data),)
