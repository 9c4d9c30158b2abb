"""The places at which a scenario bends its terminal.

As they stand here they bend nothing: this is a terminal that keeps to the standard. A scenario
(`simulator/scenarios/`) is a subclass that overrides a few of them, one behaviour each. Hooks are called
by `simulator/terminal.py` and know neither sockets nor the real clock.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Sequence
from math import inf
from typing import ClassVar, NamedTuple

from protocol.link import Message
from protocol.location import Location
from simulator import bodies
from simulator.bodies import Say
from simulator.evidence import Faults
from simulator.identity import Config


class Login(enum.Enum):
    """With what a terminal begins a connection."""

    USUAL = "usual"  # registers where it has no code, then authenticates
    CODE = "code"  # authenticates with `Behaviour.code`, whatever it was given
    NONE = "none"  # sends reports at once


class Action(enum.Enum):
    """What a terminal wants of the shell that holds its socket."""

    CONNECT = "connect"
    CLOSE = "close"
    ABANDON = "abandon"  # forget the socket without closing it: the other end sees it half-open


class Leave(NamedTuple):
    """A terminal goes away of its own accord."""

    how: Action
    back_after: float  # s


Pieces = Sequence[tuple[float, bytes]]
"""Bytes for the line, each with the seconds to wait after the piece before it."""


class Behaviour:
    """One terminal's habits."""

    title: ClassVar[str] = ""  # one line for the list
    login: ClassVar[Login] = Login.USUAL
    batch_bytes: ClassVar[int] = 1000  # most of a 0x0704; above 1023 it goes in parts
    faults: ClassVar[Faults] = Faults()  # of its uploads of evidence
    certain: ClassVar[bool] = True
    """Whether the terminal can tell what an acknowledgement is for. What it can't tell is in no ledger."""

    def __init__(self, config: Config, rng: random.Random) -> None:
        self.config = config
        self.rng = rng
        self.leave_at = inf  # when `leave` is to be asked
        self.code: str | None = None  # for Login.CODE

    @classmethod
    def configure(cls, config: Config) -> Config:
        """Another identity, window, …; called before the terminal is made."""
        return config

    def connected(self, now: float) -> None:
        """A connection stands; nothing is sent yet."""

    def leave(self, now: float) -> Leave:
        """Asked when `leave_at` has come."""
        raise NotImplementedError

    def registration(self) -> bytes:
        """The body of the 0x0100."""
        return bodies.register(self.config.edition, self.config.registration())

    def authentication(self, code: str) -> bytes:
        """The body of the 0x0102."""
        return bodies.authenticate(self.config.edition, code, self.config.imei)

    def refused(self, now: float) -> bool:
        """The code was refused: whether to register again."""
        return True

    def clock(self, time: int) -> int | bytes:
        """What the terminal's clock shows at `time` (seconds since 1970): that, or the bytes it sends."""
        return time

    def draft(self, draft: Location, number: int) -> None:
        """Changes a report, the terminal's `number`-th, before it is encoded."""

    def report(self, draft: Location) -> bytes:
        """The body of the 0x0200."""
        return bodies.report(draft)

    def batch(self, reports: Sequence[bytes]) -> bytes:
        """The body of the 0x0704."""
        return bodies.batch(reports)

    def also(self, number: int) -> Sequence[tuple[int, bytes]]:
        """Messages (id, body) that are sent beside the `number`-th report."""
        return ()

    def serial(self, serial: int, message_id: int, body: bytes) -> int:
        """The serial of the next message."""
        return serial

    def replies(self, command: Message, said: Sequence[Say]) -> Sequence[Say]:
        """What is said to a command instead of `said`, the acknowledgement and what comes after it."""
        return said

    def wire(self, data: bytes, now: float) -> Pieces | None:
        """What goes on the line instead of `data` (whole frames); None: `data`, at once."""
        return None
