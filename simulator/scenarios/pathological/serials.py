"""Serials that don't count up. Where they are ambiguous, nothing goes into the ledger."""

from __future__ import annotations

import msgspec

from simulator.behaviour import Behaviour
from simulator.identity import Config


class SerialRestart(Behaviour):
    title = "begins at serial 0 on every connection"

    _restart = False

    def connected(self, now: float) -> None:
        self._restart = True

    def serial(self, serial: int, message_id: int, body: bytes) -> int:
        serial, self._restart = 0 if self._restart else serial, False
        return serial


class Ambiguous(Behaviour):
    certain = False

    @classmethod
    def configure(cls, config: Config) -> Config:
        return msgspec.structs.replace(config, window=1)


class SerialDuplicate(Ambiguous):
    title = "two messages share each serial"

    _count = -1

    def serial(self, serial: int, message_id: int, body: bytes) -> int:
        self._count += 1
        return self._count // 2 & 0xFFFF


class SerialZero(Ambiguous):
    title = "every serial is 0"

    def serial(self, serial: int, message_id: int, body: bytes) -> int:
        return 0
