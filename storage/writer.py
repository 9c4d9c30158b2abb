"""Group commit: entries in, one transaction a batch, and only then the word that they are stored.

This file knows rows, alarms and events, not sessions: an entry carries a receipt that it hands back after
the commit and never looks at. The writer flushes as soon as its last transaction has returned, so
batches are small when the gateway is idle and large under load. Its queue is the only buffer between a
socket and the disk; above the high water mark it asks for reading to stop.

While Postgres is away the same batch is tried again until it is stored; nothing is acknowledged. A row
that Postgres refuses is found by bisection and parked in `rejected`; then its entry counts as stored.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import islice
from typing import Any

import asyncpg
import msgspec
import structlog

from alarms.model import Change as AlarmChange
from alarms.model import Transition
from storage import alarm_rows, commands, events, evidence
from storage.commands import Change
from storage.database import OUTAGES, Connection, to_json
from storage.events import NewEvent
from storage.rows import COPY_HEADER, COPY_TRAILER, TIME_QUALITY

log = structlog.get_logger(__name__)

MAX_BATCH = 2000
"""Rows of one transaction. With 4000 the gateway waits for Postgres and Postgres for the gateway: 62,000
reports a second against 68,000 with 2000 (benchmarks/ingest.py, two cores); smaller ones gain nothing."""

RETRY_FIRST, RETRY_MOST = 0.2, 5.0
"""Seconds between two attempts while Postgres is away: doubled each time."""

COMMAND_TIMEOUT = 60.0
"""Seconds after which a silent server counts as gone: the acknowledgements wait on this."""


class Parked(msgspec.Struct, frozen=True):
    """Bytes that are kept raw because they can't be kept as what they claim to be."""

    phone: str
    message_id: int
    reason: str
    detail: str
    raw: bytes


class Entry(msgspec.Struct, gc=False):
    """What one message wants stored, all of it or nothing."""

    receipt: Any  # handed back after the commit
    phone: str = ""
    terminal_id: int = 0
    message_id: int = 0
    raw: bytes = b""  # the message, for `rejected`, should Postgres refuse its rows
    rows: Sequence[bytes] = ()  # of `locations`, packed
    misdated: bool = False  # a row is stored under another time than its own
    transitions: Sequence[Transition] = ()
    events: Sequence[NewEvent] = ()
    parked: Sequence[Parked] = ()
    commands: Sequence[Change] = ()  # steps of commands
    evidence: Sequence[evidence.Step] = ()  # files of alarms


class Batch(msgspec.Struct):
    """One commit, for those who count."""

    entries: list[Entry]
    rows: int
    stored: int  # rows that were new
    seconds: float
    changes: list[Transition]  # alarm transitions that were new
    events: int
    rejected: list[str]  # reasons of what was parked


Committed = Callable[[Batch], None]


class Writer:
    """One connection to Postgres and the queue before it. Owned by a worker, which runs `run`."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        committed: Committed,
        *,
        high_water: int = 50_000,
        on_pressure: Callable[[bool], None] = lambda _: None,
        repair: Callable[[Connection], Awaitable[object]] | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """`repair` is called once before bisection: it makes partitions that may be missing."""
        self._connect = connect
        self._committed = committed
        self._on_pressure = on_pressure
        self._repair = repair
        self._clock = clock or asyncio.get_event_loop().time
        self.high_water = high_water
        self.low_water = high_water // 2
        self.queued = 0  # rows and other things in the queue and in the batch under way
        self.under_pressure = False
        self.failures = 0  # attempts that failed since the last commit
        self.all_failures = 0  # ever
        self.last_error = ""
        self.stalled_since: float | None = None
        self._queue: deque[Entry] = deque()
        self._wake = asyncio.Event()
        self._put = self._done = 0  # entries, ever
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._unsaid: Batch | None = None  # committed, its receipts not handed back yet
        self._connection: Connection | None = None
        self._insert: Any = None

    # --- the side of the sessions ----------------------------------------------------------------------

    def put(self, entry: Entry) -> None:
        """Queues `entry`; its receipt comes back after the commit that holds it."""
        self._queue.append(entry)
        self._put += 1
        self.queued += len(entry.rows) or 1
        if not self._wake.is_set():
            self._wake.set()
        if self.queued >= self.high_water and not self.under_pressure:
            self.under_pressure = True
            self._on_pressure(True)

    async def barrier(self) -> None:
        """Waits until everything that has been put by now is committed."""
        if self._done < self._put:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append((self._put, waiter))
            await waiter

    # --- the side of Postgres ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Commits batches until cancelled."""
        try:
            while True:
                await self._wake.wait()
                await self._flush(self._take())
                if not self._queue:
                    self._wake.clear()
        finally:
            await self._disconnect()

    def _take(self) -> list[Entry]:
        """The next entries, MAX_BATCH rows or the first entry, whichever is more."""
        queue, rows, count = self._queue, 0, 0
        for entry in queue:
            rows += len(entry.rows) or 1
            if rows > MAX_BATCH and count:
                break
            count += 1
        batch = list(islice(queue, count))
        for _ in batch:
            queue.popleft()
        return batch

    async def _flush(self, entries: list[Entry]) -> None:
        """Stores `entries`, however long it takes, and says so."""
        started = self._clock()
        delay = RETRY_FIRST
        while True:
            try:
                batch = await self._store_or_park(entries)
                break
            except Exception as error:  # the last boundary: whatever happens, it is still to be stored
                if not isinstance(error, OUTAGES):
                    log.exception("unexpected in a transaction, will try again")
                self._say()
                self._failed(error, delay, len(entries))
                await self._disconnect()
                await asyncio.sleep(delay)
                delay = min(2 * delay, RETRY_MOST)
        batch.seconds = self._clock() - started
        if self.failures:
            log.info("postgres is back", failures=self.failures, rows=batch.rows)
        self.failures, self.last_error, self.stalled_since = 0, "", None
        self._say()
        self._unsaid = batch
        if not self._queue:
            self._say()

    def _say(self) -> None:
        """Hands the receipts of the last commit back.

        While more is queued, only once the rows of the next batch are on their way: the answers bring the
        next flood of reports, and Postgres would wait while it is decoded. 4 to 27 % more
        reports a second in pairs of runs on a busy machine (benchmarks/ingest.py).
        """
        batch, self._unsaid = self._unsaid, None
        if batch is None:
            return
        try:
            self._committed(batch)
        except Exception:  # a boundary: this runs within the next transaction, and is no fault of its rows
            log.exception("receipts of a commit not handed back")
        self.queued -= sum(len(e.rows) or 1 for e in batch.entries)
        self._done += len(batch.entries)
        while self._waiters and self._waiters[0][0] <= self._done:
            waiter = self._waiters.popleft()[1]
            if not waiter.done():
                waiter.set_result(None)
        if self.under_pressure and self.queued <= self.low_water:
            self.under_pressure = False
            self._on_pressure(False)

    def _failed(self, error: BaseException, delay: float, entries: int) -> None:
        self.failures += 1
        self.all_failures += 1
        self.last_error = f"{type(error).__name__}: {error}"
        if self.stalled_since is None:
            self.stalled_since = self._clock()
        if self.failures in (1, 2, 4) or self.failures % 12 == 0:
            log.warning("not stored, will try again", error=self.last_error, seconds=delay, entries=entries)

    async def _store(self, entries: list[Entry]) -> Batch:
        """One transaction with all of `entries`."""
        connection = await self._ready()
        batch = Batch(entries, 0, 0, 0.0, [], 0, [])
        rows = [row for entry in entries for row in entry.rows]
        transitions = [(t, e) for e in entries for t in e.transitions]
        news = [event for entry in entries for event in entry.events]
        parked = [p for entry in entries for p in entry.parked]
        steps = [change for entry in entries for change in entry.commands]
        files = [step for entry in entries for step in entry.evidence]
        await connection.execute("BEGIN")
        try:
            if rows:
                batch.rows = len(rows)
                batch.stored = await self._locations(connection, rows, any(e.misdated for e in entries))
            if transitions:
                applied = await _alarms(connection, transitions)
                batch.changes = [t for t, _ in applied]
                news = await _told(connection, applied) + news
            if steps:
                news += await commands.apply(connection, steps)
            if files:
                news += await evidence.apply(connection, files)
            if news:
                await events.append(connection, news)
                batch.events = len(news)
            if parked:
                await _park(connection, parked)
                batch.rejected = [p.reason for p in parked]
        except (asyncpg.PostgresError, ValueError) as error:
            if _refuses(error):
                await connection.execute("ROLLBACK")
            raise
        await connection.execute("COMMIT")
        return batch

    async def _locations(self, connection: Connection, rows: list[bytes], misdated: bool) -> int:
        await connection.copy_to_table(
            "staging", source=_binary(rows), format="binary", schema_name="pg_temp"
        )
        self._say()
        if misdated:
            await connection.execute(_REMEMBER_MISDATED)
            status = await connection.execute(_INSERT_MISDATED)
        else:
            await self._insert.fetch()
            status = self._insert.get_statusmsg()
        return int(status.rpartition(" ")[2])

    async def _store_or_park(self, entries: list[Entry]) -> Batch:
        """Stores what can be stored and parks what Postgres refuses. Costs log2(n) transactions a row."""
        try:
            return await self._store(entries)
        except (asyncpg.PostgresError, ValueError) as error:
            if not _refuses(error):
                raise
        if self._repair is not None:
            await self._repair(await self._ready())
        whole = Batch(entries, 0, 0, 0.0, [], 0, [])
        todo = [entries]
        while todo:
            part = todo.pop()
            try:
                done = await self._store(part)
            except (asyncpg.PostgresError, ValueError) as refused:
                if not _refuses(refused):
                    raise
                if len(part) > 1:
                    middle = len(part) // 2
                    todo += [part[middle:], part[:middle]]  # the first half next: order is kept
                    continue
                done = await self._store([_parked(part[0], refused)])
                log.warning("refused by postgres, parked", phone=part[0].phone, error=str(refused))
            whole.rows += done.rows
            whole.stored += done.stored
            whole.changes += done.changes
            whole.events += done.events
            whole.rejected += done.rejected
        return whole

    async def _ready(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            connection = await asyncio.wait_for(self._connect(), COMMAND_TIMEOUT)
            await connection.execute(_STAGING)
            self._insert = await connection.prepare(_INSERT)
            self._connection = connection
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection, self._insert = self._connection, None, None
        if connection is not None:
            connection.terminate()


# --- statements ---------------------------------------------------------------------------------------

_STAGING = """
    CREATE TEMP TABLE staging (LIKE locations) ON COMMIT DELETE ROWS
"""
_INSERT = "INSERT INTO locations SELECT * FROM pg_temp.staging ON CONFLICT DO NOTHING"

# A report whose own time is not believed is stored under the time it was first received: `misdated`
# remembers it, so that a retransmission meets the same key.
_REMEMBER_MISDATED = f"""
    INSERT INTO misdated (terminal_id, digest, time)
    SELECT terminal_id, digest, min(time) FROM pg_temp.staging WHERE flags & {TIME_QUALITY} <> 0
    GROUP BY terminal_id, digest ON CONFLICT DO NOTHING
"""  # noqa: S608 - the figure is a constant
_INSERT_MISDATED = f"""
    INSERT INTO locations
    SELECT s.terminal_id, coalesce(m.time, s.time), s.digest, s.received_at, s.alarm, s.status,
           s.latitude, s.longitude, s.altitude, s.speed, s.heading, s.flags, s.items, s.raw
    FROM pg_temp.staging s
    LEFT JOIN misdated m ON s.flags & {TIME_QUALITY} <> 0
                        AND m.terminal_id = s.terminal_id AND m.digest = s.digest
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - the figure is a constant

_RAISE = f"""
    INSERT INTO alarms ({", ".join(alarm_rows.COLUMNS)})
    SELECT {", ".join(alarm_rows.COLUMNS)} FROM json_populate_recordset(NULL::alarms, $1::json)
    ON CONFLICT (id) DO NOTHING RETURNING id::text
"""  # noqa: S608 - the names are COLUMNS
_CHANGE = f"""
    UPDATE alarms a SET {", ".join(f"{c} = s.{c}" for c in alarm_rows.CHANGING)}
    FROM json_populate_recordset(NULL::alarms, $1::json) s
    WHERE a.id = s.id AND a.rev < s.rev RETURNING a.id::text
"""  # noqa: S608 - the names are CHANGING

_PARK = """
    INSERT INTO rejected (phone, message_id, reason, detail, raw)
    SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::bytea[])
"""


async def _binary(rows: list[bytes]) -> AsyncIterator[bytes]:
    yield b"".join((COPY_HEADER, *rows, COPY_TRAILER))


async def _alarms(
    connection: Connection, transitions: list[tuple[Transition, Entry]]
) -> list[tuple[Transition, Entry]]:
    """Applies transitions; gives those that were new, in their order.

    Alarms raised here are inserted as first raised, then brought to their last revision of this batch.
    """
    raised = {t.alarm.id: (t, e) for t, e in reversed(transitions) if t.change is AlarmChange.RAISED}
    latest = {t.alarm.id: (t, e) for t, e in transitions if t.change is not AlarmChange.RAISED}
    new = await _apply(connection, _RAISE, raised.values())
    changed = await _apply(connection, _CHANGE, latest.values())

    def took(transition: Transition) -> bool:
        if transition.change is AlarmChange.RAISED:
            return transition.alarm.id in new and raised[transition.alarm.id][0] is transition
        return transition.alarm.id in changed

    return [(t, e) for t, e in transitions if took(t)]


async def _told(connection: Connection, applied: list[tuple[Transition, Entry]]) -> list[NewEvent]:
    """Transitions as events, with the files that an alarm has by now."""
    late = [(e.terminal_id, t.alarm) for t, e in applied if t.change is not AlarmChange.RAISED]
    files = await evidence.of_alarms(connection, late)
    return [
        alarm_rows.event(
            t, e.phone, evidence.told(t.alarm, files[t.alarm.id]) if t.alarm.id in files else None
        )
        for t, e in applied
    ]


async def _apply(connection: Connection, statement: str, of: Any) -> set[str]:
    records = [alarm_rows.row(t.alarm, e.terminal_id, e.phone) for t, e in of]
    if not records:
        return set()
    found = await connection.fetch(statement, to_json(records).decode())
    return {record["id"] for record in found}


async def _park(connection: Connection, parked: list[Parked]) -> None:
    await connection.execute(
        _PARK,
        [p.phone for p in parked],
        [p.message_id for p in parked],
        [p.reason for p in parked],
        [p.detail.replace("\0", "") for p in parked],
        [p.raw for p in parked],
    )


def _parked(entry: Entry, error: BaseException) -> Entry:
    """`entry` as bytes in `rejected`, in place of what Postgres refused."""
    detail = f"{type(error).__name__}: {error}"
    parked = Parked(entry.phone, entry.message_id, "refused", detail, entry.raw)
    return Entry(entry.receipt, entry.phone, parked=(parked, *entry.parked))


def _refuses(error: BaseException) -> bool:
    """Whether the data is at fault, not the server: SQLSTATE classes 22, 23 and program limits 54.

    ValueError is what asyncpg and the JSON encoder raise for a value that no protocol can carry.
    """
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "")[:2] in ("22", "23", "54")
    return isinstance(error, ValueError)
