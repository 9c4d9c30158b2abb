"""A vehicle that drives through tunnels: no network now and then, and back-fill (0x0704) after it."""

from __future__ import annotations

from simulator.behaviour import Action, Behaviour, Leave

BETWEEN = (15.0, 30.0)  # s on the line
WITHOUT = (10.0, 25.0)  # s without


class Outage(Behaviour):
    title = "loses the network for some seconds now and then, and sends what it saved as 0x0704"

    def connected(self, now: float) -> None:
        self.leave_at = now + self.rng.uniform(*BETWEEN)

    def leave(self, now: float) -> Leave:
        return Leave(Action.CLOSE, self.rng.uniform(*WITHOUT))
