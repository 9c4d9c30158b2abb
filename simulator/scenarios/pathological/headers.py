"""Headers that say something else than the bytes behind them (TRAPS of real devices)."""

from __future__ import annotations

import msgspec

from protocol.header import LENGTH_MASK, VERSIONED, Edition
from simulator.behaviour import Behaviour, Pieces
from simulator.identity import Config
from simulator.wire import frames, join


class Bent(Behaviour):
    """Changes the bytes of each header; checksums stay right."""

    edition = Edition.V2013

    @classmethod
    def configure(cls, config: Config) -> Config:
        return msgspec.structs.replace(config, edition=cls.edition)

    def header(self, frame: bytearray) -> None:
        raise NotImplementedError

    def wire(self, data: bytes, now: float) -> Pieces:
        bent = [bytearray(frame) for frame in frames(data)]
        for frame in bent:
            self.header(frame)
        return ((0.0, join(bytes(frame) for frame in bent)),)


class WrongVersionBit(Bent):
    title = "claims the header of 2019 and sends that of 2013"

    def header(self, frame: bytearray) -> None:
        frame[2] |= VERSIONED >> 8


class VersionByte0(Bent):
    title = "header of 2019 with protocol version 0"
    edition = Edition.V2019

    def header(self, frame: bytearray) -> None:
        frame[4] = 0


class VersionByte2(Bent):
    title = "header of 2019 with protocol version 2"
    edition = Edition.V2019

    def header(self, frame: bytearray) -> None:
        frame[4] = 2


class DeclaredTooShort(Bent):
    title = "declares six bytes less of body than it sends"
    off = -6

    def header(self, frame: bytearray) -> None:
        properties = int.from_bytes(frame[2:4])
        length = max(0, (properties & LENGTH_MASK) + self.off)
        frame[2:4] = (properties & ~LENGTH_MASK | length & LENGTH_MASK).to_bytes(2)


class DeclaredTooLong(DeclaredTooShort):
    title = "declares three bytes more of body than it sends"
    off = 3


class ImeiPhone(Behaviour):
    title = "has a binary IMEI where the phone number should be"

    @classmethod
    def configure(cls, config: Config) -> Config:
        return msgspec.structs.replace(config, phone=f"4eb6f{config.phone[-7:]:0>7}")


class ForeignPhone(Behaviour):
    title = "every fifth message carries the number of another terminal"

    _count = 0

    def wire(self, data: bytes, now: float) -> Pieces:
        sent = []
        for frame in frames(data):
            self._count += 1
            last = 14 if frame[2] & VERSIONED >> 8 else 9
            bent = frame[:last] + bytes((frame[last] ^ 1,)) + frame[last + 1 :]
            sent.append(frame if self._count % 5 else bent)
        return ((0.0, join(sent)),)
