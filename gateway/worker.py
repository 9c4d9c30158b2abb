"""One terminal process: the one place that wires the rooms together.

It makes the pool, the writer, the registry, the listeners, the stream and the API, owns every task, and
holds `committed`: the only place where something that says "stored" is said.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import Coroutine, Iterator
from typing import Any

import asyncpg
import structlog

from alarms.model import Change as AlarmChange
from gateway import evidence, rsa, tcp, udp
from gateway.admission import Admission
from gateway.api.app import build
from gateway.api.context import Context
from gateway.api.server import Server, serve
from gateway.commands import Commands
from gateway.config import Settings
from gateway.describe import describe
from gateway.evidence import Evidence
from gateway.evidence_requests import Asked, Requests
from gateway.evidence_requests import Rules as EvidenceRules
from gateway.handlers import HANDLERS, encrypted, unknown
from gateway.metrics import Metrics
from gateway.registry import Limits, Registry
from gateway.session import Receipt, Rules, Secrecy, Services, Session
from gateway.stream import Stream
from protocol.messages import EDITIONS
from storage import database, events, partitions, terminals
from storage.commands import Change
from storage.files import Store
from storage.keys import KeyRing
from storage.rows import Clock
from storage.writer import Batch, Entry, Writer

log = structlog.get_logger(__name__)

MAINTENANCE = 3600.0
"""Seconds between two rounds of making and dropping partitions."""

EXPIRY = 5.0
"""Seconds between two looks for queued commands whose time is over, and for evidence that did not come."""

PARTITIONS_AHEAD = 3
"""Days for which partitions are there before they are needed: a weekend without a working round."""

DRAIN_TIME = 10.0
"""Seconds over which sessions are closed at the end, so that terminals do not all return at once."""


@contextlib.contextmanager
def _naming(setting: str, port: int) -> Iterator[None]:
    """An address that can't be had, in a sentence that names the setting."""
    try:
        yield
    except OSError as error:
        raise OSError(
            f"Port {port} can't be listened on ({error.strerror}): set {setting} to another."
        ) from error


class Worker:
    """Everything of one process. `start`, then `stop`."""

    def __init__(self, settings: Settings, dsn: str) -> None:
        self.settings = settings
        self.dsn = dsn
        self.metrics = Metrics(known_messages={i for rows in EDITIONS.values() for i in rows})
        self.counters = self.metrics.counters
        self._tasks: set[asyncio.Task[None]] = set()
        self.failed = asyncio.Event()  # a task that must not end has ended

    async def start(self) -> None:
        """Opens everything; OSError with a sentence where a port is taken."""
        settings = self.settings
        loop = asyncio.get_running_loop()
        self.pool = await database.connect(self.dsn)
        await self._maintain_once()
        self.writer = Writer(
            self._connect,
            self.committed,
            high_water=settings.queue_rows,
            on_pressure=self._pressure,
            repair=self._make_partitions,
            clock=loop.time,
        )
        self.services = Services(
            writer=self.writer,
            rules=Rules(
                Clock(settings.backfill_days * 86400.0, settings.clock_ahead),
                settings.unauthenticated == "accept",
                settings.unknown_message_result,
                settings.fault_rate,
            ),
            counters=self.counters,
            handlers=HANDLERS,
            unknown=unknown,
            encrypted=encrypted,
            secrecy=self._secrecy(),
            monotonic=loop.time,
            wall=time.time,
        )
        limits = Limits(settings.preauth_timeout, settings.idle_timeout, settings.max_connections_per_address)
        self.registry = Registry(self.services, limits, online=self._online)
        self.commands = Commands(self.pool, self.registry, self.writer)
        self.services.commands = self.commands
        self.admission = Admission(
            self.pool,
            self.registry,
            self.writer,
            known_only=settings.registration == "known",
            arrived=self._arrived,
        )
        self.services.admission = self.admission
        self.store = Store(settings.evidence_folder, keep_free=settings.evidence_keep_free_mib << 20)
        self.evidence = Evidence(
            self.pool,
            self.writer,
            self.store,
            self.counters,
            evidence.Limits(
                settings.evidence_file_mib << 20,
                settings.evidence_alarm_mib << 20,
                settings.evidence_terminal_mib << 20,
            ),
        )
        self.stream = Stream(self.pool, self.metrics)
        self.metrics.watch("queue_depth", lambda: self.writer.queued)
        self.metrics.watch("commit_failures", lambda: self.writer.all_failures)
        with _naming("JTGATE_EVIDENCE_PORT", settings.evidence_port):
            await self.evidence.listen(settings.host, settings.evidence_port)
        self.requests = Requests(
            self.pool,
            self.commands,
            self.writer,
            Asked(settings.advertised_address, self.evidence.port),
            EvidenceRules(settings.evidence_retry, settings.evidence_attempts),
            busy=self.evidence.busy,
        )
        for work in (self.writer.run(), self._sweep(), self._maintain(), self._expire()):
            self._own(work)
        await self.commands.recover()
        await self.stream.start()
        await self._listen()

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # A task that must not end has ended: going on without it would acknowledge or store nothing.
            log.critical("a task of the worker failed", exc_info=task.exception())
            self.failed.set()

    async def _listen(self) -> None:
        settings = self.settings
        with _naming("JTGATE_HTTP_PORT", settings.http_port):
            self.http: Server = await serve(build(self._context()), settings.host, settings.http_port)
        with _naming("JTGATE_TERMINAL_PORT", settings.terminal_port):
            self.tcp = await tcp.listen(self.registry, settings.host, settings.terminal_port)
            self.terminal_port: int = self.tcp.sockets[0].getsockname()[1]
            self.udp = await udp.listen(self.registry, settings.host, self.terminal_port)

    def _secrecy(self) -> Secrecy:
        if self.settings.rsa == "off":
            return rsa.Plain()
        key = rsa.load_or_make(self.settings.data_dir / "rsa.pem")
        return rsa.Keys(key, seal=self.settings.rsa == "seal")

    def _arrived(self, session: Session) -> None:
        """A terminal may be spoken to: keys first, then what waits for it."""
        self.services.secrecy.arrived(session)
        self.commands.arrived(session)

    def _context(self) -> Context:
        return Context(
            self.pool,
            self.settings,
            KeyRing(self.pool),
            self.stream,
            self.metrics,
            commands=self.commands,
            store=self.store,
            connection=self.registry.connection,
            ready=self.ready,
            describe=describe,
            forget=self._forget,
        )

    def _forget(self, phone: str) -> None:
        """A terminal was deleted, blocked or lost its code: its session ends, so that it asks again."""
        session = self.registry.session(phone)
        if session is not None:
            self.registry.drop(session, "provisioning changed")

    # --- what is said after a commit --------------------------------------------------------------------

    def committed(self, batch: Batch) -> None:
        """Acknowledges what is stored: one write a session, then the stream is woken."""
        now = self.services.monotonic()
        waiting: set[Session] = set()
        then: list[Receipt] = []
        observe = self.counters.ack_seconds.observe
        for entry in batch.entries:
            receipt = entry.receipt
            if isinstance(receipt, Receipt):
                session = receipt.session
                session.link.acknowledge(receipt.message_id, receipt.serial, receipt.result)
                waiting.add(session)
                observe(now - receipt.received)
                if receipt.then is not None:
                    then.append(receipt)
            elif isinstance(receipt, evidence.Receipt):
                self.evidence.committed(entry)
            elif isinstance(receipt, Change):
                self.commands.committed(receipt)
        for session in waiting:
            session.flush()
        for receipt in then:
            if receipt.then is not None and receipt.session.authenticated:
                receipt.then(receipt.session)
        if batch.events:
            self.stream.wake()
        for transition in batch.changes:
            if transition.alarm.attachments and transition.change is AlarmChange.RAISED:
                self.requests.alarm(transition.alarm.id)
        self._count(batch)

    def _count(self, batch: Batch) -> None:
        counters = self.counters
        counters.reports_stored += batch.stored
        counters.reports_duplicate += batch.rows - batch.stored
        counters.batch_rows.observe(batch.rows)
        counters.batch_seconds.observe(batch.seconds)
        for transition in batch.changes:
            counters.alarms[transition.alarm.kind, transition.change] += 1
        for reason in batch.rejected:
            counters.rejected[reason] += 1

    def _online(self, session: Session, online: bool) -> None:
        """A terminal came or went: an event, and its row when it went."""
        kind = "online" if online else "offline"
        if not online:
            self.commands.left(session)
        data = {
            "phone": session.phone,
            "address": session.transport.address,
            "transport": session.transport.kind,
            "edition": int(session.edition),
        }
        event = events.NewEvent(
            type=f"vehicle.{kind}",
            phone=session.phone,
            id=f"{session.terminal_id}.{int(session.connected_at * 1000)}.{session.generation}.{kind}",
            data=data,
        )
        self.writer.put(Entry(None, session.phone, session.terminal_id, events=(event,)))
        if not online:
            self._own(self._note_disconnected(session.terminal_id, session.connected_at))

    async def _note_disconnected(self, terminal_id: int, connected_at: float) -> None:
        """Best effort: the event is the record, the column is what the list of terminals shows."""
        try:
            async with self.pool.acquire() as connection:
                now = self.services.wall()
                await terminals.disconnected(connection, terminal_id, now, connected_at=connected_at)
        except database.OUTAGES:
            log.debug("disconnection not noted", terminal_id=terminal_id)

    # --- Postgres ---------------------------------------------------------------------------------------

    async def _connect(self) -> database.Connection:
        """The writer's own connection: it must not wait for readers in the pool."""
        connection = await asyncpg.connect(
            self.dsn, command_timeout=database.COMMAND_TIMEOUT, server_settings=database.SETTINGS
        )
        await database.prepare(connection)
        return connection

    async def _make_partitions(self, connection: database.Connection) -> None:
        await partitions.make_ahead(
            connection,
            today=dt.datetime.now(dt.UTC).date(),
            back=min(self.settings.backfill_days + 1, self.settings.location_days),
            ahead=PARTITIONS_AHEAD,
        )

    async def _maintain_once(self) -> None:
        async with self.pool.acquire() as connection:
            await self._make_partitions(connection)
            await partitions.drop_expired(
                connection,
                today=dt.datetime.now(dt.UTC).date(),
                location_days=self.settings.location_days,
                event_days=self.settings.event_days,
                rejected_days=self.settings.rejected_days,
            )

    async def _maintain(self) -> None:
        while True:
            await asyncio.sleep(MAINTENANCE)
            try:
                await self._maintain_once()
            except database.OUTAGES as error:
                log.warning("partitions not maintained, will try again", error=str(error))

    def _pressure(self, high: bool) -> None:
        self.registry.pressure(high)  # made after the writer

    async def _expire(self) -> None:
        """Queued commands whose time is over, evidence that is to be asked for."""
        while True:
            await asyncio.sleep(EXPIRY)
            try:
                await self.commands.expire()
                await self.requests.look()
            except database.OUTAGES as error:
                log.warning("what is due not looked for, will try again", error=str(error))

    # --- time -------------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.registry.sweep()
            self.commands.sweep()
            self.evidence.sweep()
            stalled = self.writer.stalled_since
            if stalled is not None and self.services.monotonic() - stalled > self.settings.stall_limit:
                # Closed, a terminal knows that it must keep its reports; connected, it may give them up.
                await self._close_sessions("postgres away", over=DRAIN_TIME)

    async def _close_sessions(self, why: str, *, over: float) -> None:
        """Closes all sessions, spread over `over` seconds."""
        sessions = list(self.registry)
        step = over / max(1, len(sessions))
        for count, session in enumerate(sessions, 1):
            self.registry.drop(session, why)
            if count % 100 == 0:
                await asyncio.sleep(100 * step)

    # --- the read side ----------------------------------------------------------------------------------

    def ready(self) -> list[str]:
        """Why this process should not get traffic; empty: it should."""
        reasons = []
        if self.writer.stalled_since is not None:
            reasons.append(f"postgres: {self.writer.last_error}")
        if self.writer.under_pressure:
            reasons.append(f"queue: {self.writer.queued} reports wait, sockets are not read")
        if not self.registry.accepting:
            reasons.append("stopping")
        return reasons

    # --- the end ----------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Drains: no new connections, what is queued is committed and acknowledged, sockets close."""
        self.registry.accepting = False
        self.tcp.close()
        await self.evidence.close()
        await self.requests.close()
        over = min(DRAIN_TIME, len(self.registry) / 1000)  # 10,000 sessions: ten seconds
        try:
            await asyncio.wait_for(self.writer.barrier(), DRAIN_TIME)
        except TimeoutError:
            log.warning("stopped with unstored reports, none of them acknowledged", queued=self.writer.queued)
        await self._close_sessions("shutdown", over=over)
        self.udp.close()
        try:
            await asyncio.wait_for(self.writer.barrier(), DRAIN_TIME)  # the offline events
        except TimeoutError:
            log.warning("stopped with events not stored", queued=self.writer.queued)
        await self.http.close()
        await self.stream.close()
        await self.admission.close()
        await self.commands.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.pool.close()
