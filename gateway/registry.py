"""Who is connected: sessions by phone, connections by address, generations.

The newest connection of a terminal wins, and an old socket's end can't hurt it: what is compared is the
session itself, not its phone number. Knows sessions; knows no socket, no database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import structlog

from gateway.session import Services, Session, State, Transport
from protocol.frame import Fault

log = structlog.get_logger(__name__)


class Connection(NamedTuple):
    """A terminal's connection, as it is now. Times in seconds since 1970, UTC."""

    since: float
    transport: str  # "tcp" or "udp"
    address: str
    edition: int | None
    last_seen: float


class Limits(NamedTuple):
    preauth_timeout: float = 15.0  # seconds
    idle_timeout: float = 300.0
    per_address: int = 10_000  # connections of one address before authentication; networks share addresses


class Registry:
    """All sessions of a worker."""

    def __init__(
        self, services: Services, limits: Limits, *, online: Callable[[Session, bool], None]
    ) -> None:
        """`online` hears of every authenticated session that begins or ends."""
        self.services = services
        self.limits = limits
        self._online = online
        self._generation = 0
        self._sessions: set[Session] = set()
        self._by_phone: dict[str, Session] = {}
        self._unproven: dict[Session, str] = {}  # sessions that have not authenticated -> their address
        self._per_address: Counter[str] = Counter()
        self._paused = False
        self.accepting = True

    # --- connections ------------------------------------------------------------------------------------

    def open(self, transport: Transport) -> Session | None:
        """A session for a new connection; None where its address has too many unproven ones."""
        address = transport.address
        if not self.accepting or self._per_address[address] >= self.limits.per_address:
            self.services.counters.faults["refused_connection"] += 1
            return None
        self._generation += 1
        session = Session(transport, self.services, self._generation)
        self._sessions.add(session)
        self._unproven[session] = address
        self._per_address[address] += 1
        self.services.counters.connections[transport.kind] += 1
        if self._paused:
            transport.pause()
        return session

    def lost(self, session: Session) -> None:
        """The connection of `session` has ended, for whatever reason. May be called again."""
        if session not in self._sessions:
            return
        self._sessions.remove(session)
        self.services.counters.connections[session.transport.kind] -= 1
        session.gone()
        self._prove(session)
        if self._by_phone.get(session.phone) is session:
            del self._by_phone[session.phone]
            self.services.counters.authenticated -= 1
            self._online(session, False)

    def _prove(self, session: Session) -> None:
        """`session` does not count against its address any more."""
        address = self._unproven.pop(session, None)
        if address is not None:
            self._per_address[address] -= 1
            if not self._per_address[address]:
                del self._per_address[address]

    def enter(self, session: Session) -> None:
        """`session` is its phone's session from now on: an older one is closed, and says no more."""
        old = self._by_phone.get(session.phone)
        if old is session:
            return
        self._by_phone[session.phone] = session
        self._prove(session)
        if old is None:
            self.services.counters.authenticated += 1
            self._online(session, True)
            return
        old.close("superseded", by=session.transport.address)
        self._sessions.discard(old)
        self.services.counters.connections[old.transport.kind] -= 1

    # --- looking ----------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions))

    def __len__(self) -> int:
        return len(self._sessions)

    def session(self, phone: str) -> Session | None:
        return self._by_phone.get(phone)

    def connection(self, phone: str) -> Connection | None:
        session = self._by_phone.get(phone)
        if session is None:
            return None
        silence = self.services.monotonic() - session.last_seen
        return Connection(
            since=session.connected_at,
            transport=session.transport.kind,
            address=session.transport.address,
            edition=int(session.edition),
            last_seen=self.services.wall() - silence,
        )

    # --- pressure and time ------------------------------------------------------------------------------

    def pressure(self, high: bool) -> None:
        """The writer's queue is full (stop reading) or has room again."""
        self._paused = high
        self.services.counters.reading_paused = high
        for session in self:
            if high:
                session.transport.pause()
            elif session.state is not State.ADMITTING:
                session.transport.resume()

    def sweep(self) -> None:
        """Deadlines and repetitions; called once a second, instead of a timer for each session."""
        now = self.services.monotonic()
        wall = self.services.wall()
        for session in self:
            if session.watch is None:
                if wall - session.connected_at > self.limits.preauth_timeout and not self._paused:
                    self.drop(session, "no authentication")
                continue
            if now - session.last_seen > self.limits.idle_timeout and not self._paused:
                self.drop(session, "idle")
                continue
            for given_up in session.link.tick(now):
                if isinstance(given_up, Fault):
                    session.fault(given_up)
            session.flush()

    def drop(self, session: Session, why: str) -> None:
        session.close(why)
        self.lost(session)
