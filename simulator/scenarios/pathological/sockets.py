"""Connections that are left open, come too often, or say their piece too slowly."""

from __future__ import annotations

from simulator.behaviour import Action, Behaviour, Leave, Pieces
from simulator.bodies import AUTHENTICATE, REGISTER
from simulator.wire import frames


class HalfOpen(Behaviour):
    title = "comes back on a new connection and leaves the old one open"

    def connected(self, now: float) -> None:
        self.leave_at = now + self.rng.uniform(8.0, 20.0)

    def leave(self, now: float) -> Leave:
        return Leave(Action.ABANDON, 0.1)


class ReconnectStorm(Behaviour):
    title = "breaks its connection every second or two and comes back at once"

    def connected(self, now: float) -> None:
        self.leave_at = now + self.rng.uniform(0.5, 2.5)

    def leave(self, now: float) -> Leave:
        return Leave(Action.CLOSE, 0.0)


class EndlessFrame(Behaviour):
    title = "logs in, then sends a frame that never ends"

    def wire(self, data: bytes, now: float) -> Pieces | None:
        if any(int.from_bytes(frame[:2]) in (REGISTER, AUTHENTICATE) for frame in frames(data)):
            return None
        chunk = bytes(range(0x20, 0x70)) * 6
        return [(0.0, b"~"), *((0.25, chunk) for _ in range(20))]


class Slowloris(Behaviour):
    title = "one byte every two seconds"

    def wire(self, data: bytes, now: float) -> Pieces:
        return [(2.0, bytes((byte,))) for byte in data]
