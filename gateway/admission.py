"""Who is let in: registration, authentication, and the limits on failures.

Codes are random, one a terminal, stored as SHA-256 and compared in constant time. A terminal that this
gateway has never issued a code to may bring one of its own (from its earlier platform): in `open`
registration the first code it presents is taken as its code from then on, and in `known` only a
provisioned terminal may do that. Knows sessions and the table `terminals`; knows no socket.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import string
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from alarms.lifecycle import RECENT, Watch
from gateway.registry import Registry
from gateway.session import Receipt, Session, State
from protocol.codec import Profile
from protocol.header import Edition
from protocol.link import Message, Result
from protocol.text import encode_text
from storage import queries, terminals
from storage.database import OUTAGES, Connection, Pool
from storage.terminals import Terminal
from storage.writer import Entry, Writer

log = structlog.get_logger(__name__)

CODE_ALPHABET = string.ascii_letters + string.digits
CODE_LENGTH = 22
"""22 characters out of 62 hold 131 bits. Short, for some terminals keep few bytes; never empty, for many
break on an empty one; letters and digits only, for some treat the code as such."""

FAILURE_WINDOW = 600.0
"""Seconds over which failures are counted."""

PER_PHONE = 5
"""Failures of one phone number before it is not looked up any more. The address that it last
authenticated from is exempt: nobody can lock a terminal out by guessing in its name."""

PER_ADDRESS = 100
"""Failures from one address. Mobile networks put thousands of terminals behind one address."""

MAX_TRACKED = 100_000
"""Phones and addresses with failures that are remembered."""

FACTS = {
    "province": "province",
    "city": "city",
    "maker": "maker",
    "model": "model",
    "terminal_id": "terminal_no",
    "plate": "plate",
    "plate_colour": "plate_color",
}
"""Fields of 0x0100 and the columns that hold them."""

# Results of 0x8100 (808-2013 table 8).
REGISTERED, VEHICLE_TAKEN, NO_VEHICLE, TERMINAL_TAKEN, NO_TERMINAL = range(5)


class Failures:
    """Failures by phone or address within a window; bounded."""

    def __init__(self, most: int, window: float = FAILURE_WINDOW) -> None:
        self.most = most
        self.window = window
        self._times: dict[str, deque[float]] = {}

    def note(self, key: str, now: float) -> None:
        times = self._times.pop(key, None) or deque(maxlen=self.most)
        times.append(now)
        if len(self._times) >= MAX_TRACKED:
            del self._times[next(iter(self._times))]  # the one that failed longest ago
        self._times[key] = times

    def locked(self, key: str, now: float) -> bool:
        times = self._times.get(key)
        return times is not None and len(times) == self.most and now - times[0] < self.window

    def forget(self, key: str) -> None:
        self._times.pop(key, None)


def new_code() -> str:
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))


def hash_code(code: bytes) -> bytes:
    """SHA-256: the codes are random, so nothing slower is needed."""
    return hashlib.sha256(code).digest()


class Admission:
    """Answers 0x0100 and 0x0102. Owns the tasks that look terminals up."""

    def __init__(
        self,
        pool: Pool,
        registry: Registry,
        writer: Writer,
        *,
        known_only: bool,
        arrived: Callable[[Session], None],
    ) -> None:
        """`arrived` hears of every session that may now be spoken to."""
        self._pool = pool
        self._registry = registry
        self._writer = writer
        self._known_only = known_only
        self._arrived = arrived
        self._profiles = {edition: Profile(edition) for edition in Edition}
        self._tasks: set[asyncio.Task[None]] = set()
        self.by_phone = Failures(PER_PHONE)
        self.by_address = Failures(PER_ADDRESS)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- the side of the sessions -----------------------------------------------------------------------

    def register(self, session: Session, message: Message) -> None:
        self._start(session, self._register(session, message))

    def authenticate(self, session: Session, message: Message) -> None:
        self._start(session, self._authenticate(session, message))

    def take_in(self, session: Session) -> None:
        """A terminal that reports without authenticating, where the settings accept that."""
        self._start(session, self._take_in(session))

    def _start(self, session: Session, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(session, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, session: Session, work: Awaitable[None]) -> None:
        """Postgres away: no answer, for a refusal would be a lie. The terminal asks again."""
        try:
            await work
        except OUTAGES as error:
            self._count("unavailable")
            what = f"{type(error).__name__}: {error}"
            log.warning("terminal not looked up", phone=session.phone, error=what)
            session.refused()

    # --- registration -----------------------------------------------------------------------------------

    async def _register(self, session: Session, message: Message) -> None:
        phone, address, now = session.phone, session.transport.address, session.now
        if self._locked(session, None):
            self._refuse_registration(session, message, TERMINAL_TAKEN, "locked")
            return
        async with self._pool.acquire() as connection:
            known = await terminals.find(connection, phone)
            refusal = self._refusal(known)
            if refusal is not None:
                self.by_phone.note(phone, now)
                self.by_address.note(address, now)
                self._refuse_registration(session, message, refusal, "unknown")
                return
            facts = self._facts(session, message)
            code = new_code()
            await terminals.register(connection, phone, facts, hash_code(code.encode()), int(session.edition))
        self._answer_registration(session, message, REGISTERED, code)
        session.refused(State.REGISTERED)

    def _facts(self, session: Session, message: Message) -> dict[str, Any]:
        """What 0x0100 says of the terminal, under the names of the columns of `terminals`."""
        fields = self._profiles[session.edition].decode(0x0100, message.body).fields
        return {column: fields[name] for name, column in FACTS.items() if fields.get(name) not in (None, "")}

    def _refusal(self, known: Terminal | None) -> int | None:
        """The result of 0x8100 that refuses a terminal, None where it is let in."""
        if known is None:
            return NO_TERMINAL if self._known_only else None
        return NO_TERMINAL if known.state == "blocked" else None

    def _refuse_registration(self, session: Session, message: Message, result: int, why: str) -> None:
        self._count(f"registration_{why}")
        self._answer_registration(session, message, result, "")
        session.refused()

    def _answer_registration(self, session: Session, message: Message, result: int, code: str) -> None:
        body = self._profiles[session.edition].encode(
            0x8100, {"reply_serial": message.serial, "result": result, "code": code}
        )
        session.link.send(0x8100, body, session.now)

    # --- authentication ---------------------------------------------------------------------------------

    async def _authenticate(self, session: Session, message: Message) -> None:
        code = self._code(session, message)
        async with self._pool.acquire() as connection:
            known = await terminals.find(connection, session.phone)
            if self._locked(session, known):
                self._refuse(session, message, "locked")
                return
            presented = hash_code(code)
            adopted = known is None or known.code_hash is None
            if adopted:
                if not code or (known is None and self._known_only) or (known and known.state == "blocked"):
                    self._refuse(session, message, "unknown")
                    return
                known = await terminals.adopt(connection, session.phone, presented, int(session.edition))
                # Two connections may adopt at once: only what is stored now counts.
            assert known is not None  # noqa: S101 - adopted where it was not
            used_pending = hmac.compare_digest(presented, known.pending_hash or b"")
            right = hmac.compare_digest(presented, known.code_hash or b"")
            if known.state == "blocked" or not (right or used_pending):
                self._refuse(session, message, "code")
                return
            receipt = Receipt(session, message.id, message.serial, Result.OK, session.now, self._arrived)
            await self._enter(session, known, connection, receipt, presented, used_pending=used_pending)
        log.debug(
            "terminal authenticated", phone=session.phone, address=session.transport.address, adopted=adopted
        )
        self.by_phone.forget(session.phone)

    def _code(self, session: Session, message: Message) -> bytes:
        code: str = self._profiles[session.edition].decode(0x0102, message.body).fields.get("code", "")
        return encode_text(code)

    async def _take_in(self, session: Session) -> None:
        async with self._pool.acquire() as connection:
            known = await terminals.find(connection, session.phone)
            if known is None and not self._known_only:
                known = await terminals.adopt(connection, session.phone, None, int(session.edition))
            if known is None or known.state == "blocked":
                self._count("unknown")
                session.refused()
                return
            await self._enter(session, known, connection, None)
        log.info("terminal taken in unauthenticated", phone=session.phone, address=session.transport.address)

    async def _enter(
        self,
        session: Session,
        known: Terminal,
        connection: Connection,
        receipt: Receipt | None,
        code_hash: bytes | None = None,
        *,
        used_pending: bool = False,
    ) -> None:
        """The old session falls silent, its last word is stored, then this one learns what is open."""
        if session.state is State.CLOSED:
            return
        await terminals.authenticated(
            connection,
            known.id,
            used_pending=used_pending,
            address=session.transport.address,
            edition=int(session.edition),
            at=session.connected_at,
            code_hash=code_hash,
        )
        session.terminal_id = known.id
        self._registry.enter(session)
        await self._writer.barrier()
        stands = await queries.standing(connection, known.id, session.phone, ended=RECENT)
        watch = Watch(
            session.phone, stands.alarms, word=stands.word, time=stands.time, edition=int(session.edition)
        )
        if receipt is not None:
            # Through the writer: "online" is in the log before the terminal hears of it, and the answers to
            # what waited behind the authentication come after its own.
            self._writer.put(Entry(receipt))
        session.admitted(known.id, watch)
        if receipt is None:
            self._arrived(session)

    # --- failures ---------------------------------------------------------------------------------------

    def _locked(self, session: Session, known: Terminal | None) -> bool:
        address, now = session.transport.address, session.now
        if known is not None and known.last_address == address:
            return False
        return self.by_address.locked(address, now) or self.by_phone.locked(session.phone, now)

    def _refuse(self, session: Session, message: Message, why: str) -> None:
        self._count(why)
        if why != "locked":
            self.by_phone.note(session.phone, session.now)
            self.by_address.note(session.transport.address, session.now)
            log.info("terminal refused", phone=session.phone, address=session.transport.address, why=why)
        session.link.acknowledge(message.id, message.serial, Result.FAILURE)
        session.refused()

    def _count(self, why: str) -> None:
        self._registry.services.counters.auth_failures[why] += 1
