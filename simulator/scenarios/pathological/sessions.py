"""Terminals that log in as they like, or not at all."""

from __future__ import annotations

import random
from collections.abc import Sequence

from simulator.behaviour import Behaviour, Login
from simulator.bodies import HEARTBEAT, LOGOUT
from simulator.identity import Config


class NoRegistration(Behaviour):
    title = "authenticates with a code of another platform, registers when it is refused"
    login = Login.CODE

    def __init__(self, config: Config, rng: random.Random) -> None:
        super().__init__(config, rng)
        self.code = f"J{config.phone}"


class WrongCodeLoop(NoRegistration):
    title = "authenticates with a wrong code for ever and never registers"

    def refused(self, now: float) -> bool:
        return False


class NoAuthentication(Behaviour):
    title = "sends reports without logging in"
    login = Login.NONE


class LogoutAndGoOn(Behaviour):
    title = "logs out now and then and goes on reporting"

    def also(self, number: int) -> Sequence[tuple[int, bytes]]:
        return ((LOGOUT, b""),) if number % 10 == 9 else ()


class HeartbeatWithBody(Behaviour):
    title = "heartbeats that carry battery, signal and status"

    def also(self, number: int) -> Sequence[tuple[int, bytes]]:
        return ((HEARTBEAT, bytes((87, 24, number & 0xFF))),)


class UnknownMessages(Behaviour):
    title = "sends messages that no standard has beside its reports"

    def also(self, number: int) -> Sequence[tuple[int, bytes]]:
        return ((0x0F01, b"sync"), (0x2070, self.rng.randbytes(20))) if number % 5 == 0 else ()
