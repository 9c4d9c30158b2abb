"""What the platform tells terminals to do: checked, kept, sent, and answered.

A command is a row before it is anything else. It is sent where its terminal is connected, at once or when
the terminal comes within the command's time to live; what becomes of it goes through the writer like
everything that is stored. Nothing is sent twice: not for a caller who asks again under the same key, not
after a restart. Knows sessions, the catalogue and the table; knows neither HTTP nor sockets.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog

from gateway.registry import Registry
from gateway.session import Session
from protocol.catalog import UPLINK_END, EncodeError, Row
from protocol.codec import Profile
from protocol.header import Edition
from protocol.link import Message, Result
from storage import commands as table
from storage import terminals
from storage.commands import Change, Command, State
from storage.database import OUTAGES, Connection, Pool
from storage.writer import Entry, Writer

log = structlog.get_logger(__name__)

MAX_PENDING = 64
"""Commands of one terminal that wait for an answer. A terminal answers them one by one."""

MAX_ANSWER = 1 << 20
"""Bytes of an answer that are decoded; what a terminal sends beyond that stays in `rejected`."""

LATE = 60.0
"""Seconds after its time-out for which an answer still completes a command."""


class CommandError(ValueError):
    """A command that can't be taken; `code` is stable, the text is for the caller."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Order(msgspec.Struct, frozen=True):
    """What a caller asks for."""

    phone: str
    message_id: int
    body: Mapping[str, Any]
    requested_by: str  # id of the API key, or who else
    timeout: float = 10.0  # seconds from sending to the answer
    ttl: float = 0.0  # seconds for which it waits for a terminal that is not connected
    key: str | None = None  # the same key with the same command is sent once


class Pending(msgspec.Struct):
    """A command on the wire."""

    command: Command
    row: Row
    serial: int  # of its first packet
    packets: int  # terminals name the first, the last, or the one that completed it
    deadline: float  # seconds of the loop's clock
    timed_out: bool = False
    acknowledged: bool = False


class Commands:
    """All commands of a worker. `sweep` is called once a second."""

    def __init__(
        self, pool: Pool, registry: Registry, writer: Writer, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._pool = pool
        self._registry = registry
        self._writer = writer
        self._clock = clock
        self._profiles = {edition: Profile(edition) for edition in Edition}
        self._pending: dict[Session, list[Pending]] = {}
        self._sending: set[str] = set()  # ids that this process has taken in hand
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # --- the side of the callers ------------------------------------------------------------------------

    async def submit(self, order: Order) -> Command:
        """Takes a command; gives it as it stands when it is over, or after the order's time-out.

        CommandError where it can't be taken; one of OUTAGES while Postgres is away.
        """
        async with self._pool.acquire() as connection:
            command, new = await self._create(connection, order)
        session = self._registry.session(order.phone)
        if new and session is not None:
            self._send(session, command)
        if command.ended_at is None and (not new or session is not None):
            await self._over(command.id, order.timeout + 1.0)
        async with self._pool.acquire() as connection:
            return await table.get(connection, command.id) or command

    async def _create(self, connection: Connection, order: Order) -> tuple[Command, bool]:
        terminal = await terminals.find(connection, order.phone)
        if terminal is None:
            raise CommandError("unknown_terminal", f"There is no terminal {order.phone}.")
        session = self._registry.session(order.phone)
        edition = session.edition if session else Edition(terminal.edition or Edition.V2013)
        payload = self._encode(edition, order.message_id, order.body)
        if session is None and order.ttl <= 0:
            raise CommandError(
                "offline", f"Terminal {order.phone} is not connected; with a ttl the command waits."
            )
        now = self._clock()
        command = Command(
            id=str(uuid.uuid4()),
            terminal_id=terminal.id,
            phone=order.phone,
            message_id=order.message_id,
            body=dict(order.body),
            payload=payload,
            state=State.QUEUED,
            requested_by=order.requested_by,
            idempotency_key=order.key,
            timeout=order.timeout,
            created_at=now,
            expires_at=now + max(order.ttl, order.timeout),
        )
        found, new = await table.create(connection, command)
        if not new and (found.phone, found.message_id, found.body) != (
            order.phone,
            order.message_id,
            command.body,
        ):
            raise CommandError("key_reused", "This Idempotency-Key belongs to another command.")
        return found, new

    def _encode(self, edition: Edition, message_id: int, body: Mapping[str, Any]) -> bytes:
        profile = self._profiles[edition]
        row = profile.row(message_id)
        if row is None or message_id < UPLINK_END:
            raise CommandError("unknown_message", f"There is no command {message_id:#06x}.")
        try:
            return profile.encode(message_id, body)
        except EncodeError as error:
            raise CommandError("body", f"{error} ({row.clause})") from error

    async def _over(self, command_id: str, patience: float) -> None:
        """Waits until the command has ended, or for `patience` seconds."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(command_id, []).append(waiter)
        try:
            await asyncio.wait([waiter], timeout=patience)
        finally:
            waiters = self._waiters.get(command_id, [])
            if waiter in waiters:
                waiters.remove(waiter)
            if not waiters:
                self._waiters.pop(command_id, None)

    # --- the side of the sessions -----------------------------------------------------------------------

    def arrived(self, session: Session) -> None:
        """A terminal has authenticated: what waits for it goes out, in order."""
        task = asyncio.create_task(self._send_queued(session))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_queued(self, session: Session) -> None:
        try:
            async with self._pool.acquire() as connection:
                waiting = await table.queued(connection, session.phone)
        except OUTAGES as error:
            log.warning("queued commands not read", phone=session.phone, error=str(error))
            return
        for command in waiting:
            self._send(session, command)

    def _send(self, session: Session, command: Command) -> None:
        """No await between writing and registering: an answer finds its command."""
        if command.id in self._sending or not session.authenticated:
            return
        if self._clock() > command.expires_at:
            self._change(command, State.EXPIRED, final=True)
            return
        row = self._profiles[session.edition].row(command.message_id)
        waiting = self._pending.setdefault(session, [])
        if row is None or len(waiting) >= MAX_PENDING:
            return
        self._sending.add(command.id)
        payload, encryption = session.services.secrecy.sealed(session, command.payload)
        now = session.services.monotonic()
        first = session.link.send(command.message_id, payload, now, encryption=encryption)
        packets = session.link.serial - first & 0xFFFF
        deadline = now + command.timeout
        waiting.append(Pending(command, row, first, packets, deadline))
        self._change(command, State.SENT)
        session.flush()

    def acknowledged(self, session: Session, message: Message) -> None:
        """0x0001: by serial; by message id where the terminal says serial 0 and nothing has it."""
        fields = self._profiles[session.edition].decode(0x0001, message.body).fields
        serial, reply_id, result = (fields.get(n, -1) for n in ("reply_serial", "reply_id", "result"))
        pending = self._find(session, serial, lambda p: p.command.message_id == reply_id)
        if pending is None or pending.acknowledged:
            return
        pending.acknowledged = True
        if result in (Result.OK, Result.ALARM_CONFIRMED):
            final = not pending.row.answer
            self._change(pending.command, State.ACKNOWLEDGED, final=final, result=result)
        else:
            final = True
            self._change(
                pending.command, State.REFUSED, final=True, result=result, reason=REASONS.get(result)
            )
        if final:
            self._pending[session].remove(pending)

    def answered(self, session: Session, message: Message) -> bool:
        """An answer by message: whether a command was waiting for it."""
        if session not in self._pending or len(message.body) > MAX_ANSWER:
            return False
        reading = self._profiles[session.edition].decode(message.id, message.body, present=True)
        serial = reading.fields.get("reply_serial", 0)
        pending = self._find(session, serial, lambda p: p.row.answer == message.id)
        if pending is None:
            return False
        self._pending[session].remove(pending)
        self._change(pending.command, State.ANSWERED, final=True, answer_id=message.id, answer=reading.fields)
        return True

    def _find(self, session: Session, serial: int, fits: Callable[[Pending], bool]) -> Pending | None:
        """The command with this serial; the oldest that fits where the terminal names none."""
        waiting = [p for p in self._pending.get(session, ()) if fits(p)]
        for pending in waiting:
            if serial - pending.serial & 0xFFFF < pending.packets:
                return pending
        return waiting[0] if waiting and serial == 0 else None

    def left(self, session: Session) -> None:
        """A session has ended: what was on the wire has no answer."""
        for pending in self._pending.pop(session, ()):
            if not pending.timed_out:
                self._change(pending.command, State.TIMED_OUT, final=True, reason="the terminal has left")

    # --- time -------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Time-outs; late answers are waited for a while longer."""
        for session, waiting in list(self._pending.items()):
            now = session.services.monotonic()
            for pending in list(waiting):
                if now > pending.deadline and not pending.timed_out:
                    pending.timed_out = True
                    self._change(pending.command, State.TIMED_OUT, final=True, reason="no answer in time")
                if now > pending.deadline + LATE:
                    waiting.remove(pending)
            if not waiting:
                del self._pending[session]

    async def expire(self) -> None:
        """Ends queued commands whose time is over."""
        async with self._pool.acquire() as connection:
            for command in await table.overdue(connection, self._clock()):
                if command.id not in self._sending:
                    self._change(command, State.EXPIRED, final=True)

    async def recover(self) -> None:
        """After a restart: what was under way then will not be answered here."""
        async with self._pool.acquire() as connection:
            for command in await table.abandoned(connection):
                self._change(command, State.TIMED_OUT, final=True, reason="the gateway was restarted")

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- what became of it ------------------------------------------------------------------------------

    def _change(self, command: Command, state: State, *, final: bool = False, **facts: Any) -> None:
        change = Change(command.id, command.phone, command.message_id, state, self._clock(), final, **facts)
        self._writer.put(Entry(change, command.phone, command.terminal_id, commands=(change,)))

    def committed(self, change: Change) -> None:
        """A change is stored: callers that wait for the end of the command go on."""
        if change.final:
            self._sending.discard(change.id)
            for waiter in self._waiters.pop(change.id, ()):
                if not waiter.done():
                    waiter.set_result(None)


REASONS = {
    Result.FAILURE: "the terminal failed",
    Result.MALFORMED: "the terminal calls the message malformed",
    Result.UNSUPPORTED: "the terminal does not support the message",
}
