"""One terminal's conversation: what it may say when, and what is answered.

A session knows its link, its state and the services it was given; it knows no socket (it has a
`Transport` to write to), no database and no API. Everything here is synchronous, so the order in which
a terminal speaks is the order in which its reports are put.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from alarms.lifecycle import Watch
from gateway.metrics import Counters
from protocol.frame import Fault, Reason
from protocol.header import Edition
from protocol.link import Link, Message, Part, Role
from protocol.subpackage import Budget
from storage.rows import Clock
from storage.writer import Entry, Parked

log = structlog.get_logger(__name__)

MAX_WAITING = 64
"""Messages that are kept while a registration or an authentication is looked up. A terminal that sends
more before its answer is not read from until then."""

FAULT_WINDOW = 60.0
"""Seconds over which faults are counted against the limit."""

CARRIES_REPORT = frozenset({0x0200, 0x0201, 0x0704})
"""Messages whose bytes are kept in `rejected` even where their checksum is wrong."""


class State(enum.Enum):
    NEW = "new"  # nothing is known but what frames claim
    ADMITTING = "admitting"  # a registration or authentication is being looked up
    REGISTERED = "registered"  # has a code, has not used it
    AUTHENTICATED = "authenticated"
    CLOSED = "closed"


class Transport(Protocol):
    """What a session needs of its socket."""

    @property
    def kind(self) -> str: ...  # "tcp" or "udp"

    @property
    def address(self) -> str: ...  # of the peer, without port

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Putter(Protocol):
    """What a session needs of the writer."""

    under_pressure: bool

    def put(self, entry: Entry) -> None: ...


class Admitter(Protocol):
    """Who decides whether a terminal is let in; calls `admitted` or `refused` later."""

    def register(self, session: Session, message: Message) -> None: ...
    def authenticate(self, session: Session, message: Message) -> None: ...
    def take_in(self, session: Session) -> None: ...


class Commander(Protocol):
    """Who knows which commands wait for an answer."""

    def acknowledged(self, session: Session, message: Message) -> None: ...
    def answered(self, session: Session, message: Message) -> bool: ...


class Secrecy(Protocol):
    """Who opens and seals bodies."""

    def opened(self, message: Message) -> Message | None: ...
    def sealed(self, session: Session, body: bytes) -> tuple[bytes, int]: ...
    def arrived(self, session: Session) -> None: ...
    def learn(self, session: Session, message: Message) -> None: ...


class Receipt(msgspec.Struct, gc=False):
    """Who is to be told what after the commit."""

    session: Session
    message_id: int
    serial: int
    result: int
    received: float  # seconds of the loop's clock
    then: Callable[[Session], None] | None = None  # called once the acknowledgement is written


class Rules(msgspec.Struct, frozen=True):
    """The settings that matter to sessions."""

    clock: Clock
    accept_unauthenticated: bool = False
    unknown_result: int = 0
    fault_rate: int = 60


Handler = Callable[["Session", Message], None]


class Services:
    """What every session of a worker shares. Made by the worker, the only one that knows all of it."""

    def __init__(
        self,
        *,
        writer: Putter,
        rules: Rules,
        counters: Counters,
        handlers: Mapping[int, Handler],
        unknown: Handler,
        encrypted: Handler,
        secrecy: Secrecy,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.writer = writer
        self.rules = rules
        self.counters = counters
        self.handlers = handlers
        self.unknown = unknown
        self.encrypted = encrypted
        self.secrecy = secrecy
        self.monotonic = monotonic
        self.wall = wall
        self.budget = Budget()
        # Set by the worker, for they need what is made from these services.
        self.admission: Admitter
        self.commands: Commander


class Session:
    """One connection, or one UDP terminal."""

    __slots__ = (
        "_fault_start",
        "_faults",
        "_waiting",
        "connected_at",
        "generation",
        "key",
        "last_seen",
        "link",
        "now",
        "received",
        "services",
        "state",
        "terminal_id",
        "transport",
        "watch",
    )

    def __init__(self, transport: Transport, services: Services, generation: int) -> None:
        self.transport = transport
        self.services = services
        self.generation = generation  # counts up with each connection of the process
        self.link = Link(Role.PLATFORM, budget=services.budget)
        self.state = State.NEW
        self.terminal_id = 0
        self.key: RSAPublicKey | None = None  # the terminal's, where it has told it
        self.watch: Watch | None = None  # the terminal's open alarms, once it is authenticated
        self.now = self.last_seen = services.monotonic()
        self.received = self.connected_at = services.wall()
        self._waiting: list[Message | Part] | None = None
        self._faults = 0
        self._fault_start = self.now

    @property
    def phone(self) -> str:
        return self.link.phone

    @property
    def edition(self) -> Edition:
        return self.link.edition or Edition.V2013

    @property
    def authenticated(self) -> bool:
        return self.state is State.AUTHENTICATED

    # --- bytes ------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Everything that a read of the socket brought."""
        services = self.services
        self.now = now = services.monotonic()
        self.received = services.wall()
        self.last_seen = now
        for item in self.link.receive(data, now):
            if isinstance(item, Fault):
                self.fault(item)
            else:
                self.take(item)
        self.flush()

    def flush(self) -> None:
        """Writes what the link has queued."""
        data = self.link.data_to_send()
        if data and self.state is not State.CLOSED:
            self.transport.write(data)

    # --- messages ---------------------------------------------------------------------------------------

    def take(self, item: Message | Part) -> None:
        """One message or part, in whatever state the session is."""
        if self.state is State.AUTHENTICATED:
            if item.phone != self.link.phone:
                self.fault(Fault(Reason.FOREIGN_PHONE, b"", 0, f"{item.phone} inside of {self.link.phone}"))
            elif isinstance(item, Part):
                self.link.acknowledge(item.id, item.serial)  # its message is not whole, so nothing is stored
            else:
                self._handle(item)
        elif self.state is State.ADMITTING:
            self._wait(item)
        elif self.state is not State.CLOSED:
            self._before(item)

    def _handle(self, message: Message) -> None:
        services = self.services
        services.counters.messages[message.id] += 1
        for oddity in message.oddities:
            services.counters.faults[f"header_{oddity}"] += 1
        if message.encryption:
            opened = services.secrecy.opened(message)
            if opened is None:
                services.encrypted(self, message)
                return
            message = opened
        services.handlers.get(message.id, services.unknown)(self, message)

    def _before(self, item: Message | Part) -> None:
        """What a terminal may say before it is authenticated."""
        if isinstance(item, Message) and item.id in BEFORE:
            self._handle(item)
        elif self.services.rules.accept_unauthenticated:
            self.admitting()
            self._wait(item)
            self.services.admission.take_in(self)
        else:
            # Silence, not a refusal: some terminals drop a report that was answered with a failure. This
            # one keeps it, gets no answer, and registers.
            self.fault(Fault(Reason.UNAUTHENTICATED, b"", 0, f"{item.id:#06x}"))

    # --- admission --------------------------------------------------------------------------------------

    def admitting(self) -> None:
        """From here until `admitted` or `refused` messages wait."""
        self.state = State.ADMITTING
        self._waiting = []

    def admitted(self, terminal_id: int, watch: Watch) -> None:
        self.terminal_id = terminal_id
        self.watch = watch
        self.link.pinned = True
        self._resume(State.AUTHENTICATED)

    def refused(self, state: State = State.NEW) -> None:
        self._resume(state)

    def _wait(self, item: Message | Part) -> None:
        waiting = self._waiting
        assert waiting is not None  # noqa: S101 - set with the state
        waiting.append(item)
        if len(waiting) == MAX_WAITING:
            self.transport.pause()

    def _resume(self, state: State) -> None:
        if self.state is State.CLOSED:
            return
        self.state = state
        waiting, self._waiting = self._waiting or [], None
        if len(waiting) >= MAX_WAITING and not self.services.writer.under_pressure:
            self.transport.resume()
        for place, item in enumerate(waiting):
            if self.state is State.ADMITTING:  # one of them began another admission
                assert self._waiting is not None  # noqa: S101
                self._waiting.extend(waiting[place:])
                break
            self.take(item)
        self.flush()

    # --- faults -----------------------------------------------------------------------------------------

    def fault(self, fault: Fault) -> None:
        """Counts what could not be used, keeps it where it carried a report, closes above a rate."""
        services = self.services
        services.counters.faults[fault.reason] += 1
        raw = fault.raw
        if self.state is State.AUTHENTICATED and int.from_bytes(raw[:2]) in CARRIES_REPORT:
            self.park(None, fault.reason, fault.detail, raw, message_id=int.from_bytes(raw[:2]))
        if self.now - self._fault_start > FAULT_WINDOW:
            self._faults, self._fault_start = 0, self.now
        self._faults += 1
        if self._faults > services.rules.fault_rate:
            self.close("faults", faults=self._faults, last=str(fault.reason))

    def park(
        self,
        message: Message | None,
        reason: str,
        detail: str,
        raw: bytes,
        result: int = 0,
        *,
        message_id: int = 0,
    ) -> None:
        """Stores bytes in `rejected`; where they are all of `message`, it is acknowledged with `result`."""
        receipt = self.receipt(message, result) if message else None
        parked = Parked(self.phone, message.id if message else message_id, reason, detail, raw)
        self.services.writer.put(Entry(receipt, self.phone, self.terminal_id, parked=(parked,)))

    def receipt(self, message: Message, result: int = 0) -> Receipt:
        return Receipt(self, message.id, message.serial, result, self.now)

    # --- the end ----------------------------------------------------------------------------------------

    def close(self, why: str, **facts: object) -> None:
        """Closes the connection after what is queued has been written."""
        if self.state is State.CLOSED:
            return
        log.info("session closed", phone=self.phone, address=self.transport.address, why=why, **facts)
        self.flush()
        self.gone()
        self.transport.close()

    def gone(self) -> None:
        """The connection is no more, or is about to be; nothing is taken or said from here on."""
        self.state = State.CLOSED
        self._waiting = None
        self.link.close()


BEFORE = frozenset({0x0100, 0x0102, 0x0002, 0x0003, 0x0004})
"""Messages that need no authentication: they carry nothing that is stored."""
