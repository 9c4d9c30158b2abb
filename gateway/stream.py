"""The live tail of the event log, shared by all its readers.

One task follows the log's head and renders each event once, as CloudEvents JSON within an SSE
frame, into a bounded ring. A reader is nothing but a cursor: while it stands within the ring it is
served from there, else from Postgres by pages. There is no queue per reader, so one that stops
reading costs the batch that it was last given. Must not know HTTP, nor what an event means.
"""

from __future__ import annotations

import asyncio
import random
import time
from bisect import bisect_right
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import structlog

from gateway.metrics import Metrics
from storage import events
from storage.database import OUTAGES, Pool
from storage.events import START, Cursor, CursorExpired, Event, Filter

log = structlog.get_logger("gateway.stream")

SOURCE = "/jtgate"  # the same in every process: an event is itself, whoever renders it
ALARM_SCHEMA = "/api/schemas/alarm.v1.json"
BOOKMARK, GAP = "stream.bookmark", "stream.gap"

EVERYTHING = Filter()
READ_ROWS = 1000  # of one read by the tail
BATCH_EVENTS = 128  # given to a reader at once …
BATCH_BYTES = 64 << 10  # … and no more than this, but at least one event
POLL_BYTES = 8 << 20  # of one answer to a long poll
SCAN_EVENTS = 1000  # entries of the ring that a reader looks at before others have their turn
SKIPPED_EVENTS = 1000  # filtered out, after which a bookmark moves the reader's own cursor
CATCH_UP_READS = 2  # readers in the past that may use the pool at the same time
ACQUIRE_TIMEOUT = 10.0  # s
PAUSE = 0.004  # s between two looks at the log under load: commits come in bunches


class Item(msgspec.Struct, frozen=True, gc=False):
    """A rendered event: `frame` is a whole SSE event, `body` the envelope within it."""

    event: Event  # without its data: what filters look at
    frame: bytes
    start: int

    @property
    def cursor(self) -> Cursor:
        return self.event.cursor

    @property
    def body(self) -> bytes:
        return self.frame[self.start : -2]


class Batch(NamedTuple):
    items: list[Item]
    cursor: Cursor  # where the reader stands after it


class Page(NamedTuple):
    items: list[Item]
    cursor: Cursor
    more: bool  # there is more to look at already
    skipped: int  # events that the filter left out (from the ring; from Postgres: at least)


def render(event: Event) -> Item:
    """The event as every channel sends it (CloudEvents 1.0, structured mode, JSON)."""
    envelope: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": SOURCE,
        "type": event.type,
    }
    if event.phone is not None:
        envelope["subject"] = f"terminal/{event.phone}"
    envelope["time"] = rfc3339(event.time)
    envelope["datacontenttype"] = "application/json"
    if event.type.startswith("alarm."):
        envelope["dataschema"] = ALARM_SCHEMA
    envelope["cursor"] = str(event.cursor)
    if event.phone is not None:
        envelope["partitionkey"] = f"terminal:{event.phone}"
    envelope["data"] = event.data
    head = f"id: {event.cursor}\nevent: {event.type}\ndata: ".encode()
    frame = head + msgspec.json.encode(envelope) + b"\n\n"
    return Item(msgspec.structs.replace(event, data=None), frame, len(head))


def rfc3339(seconds: float) -> str:
    """Seconds since 1970 as RFC 3339, UTC, to the millisecond."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Stream:
    """Follows the log from `start()` to `close()`; `follow` and `page` serve readers.

    `heartbeat`: seconds of silence after which a reader gets a bookmark. `poll`: seconds between
    looks at the log when nobody wakes the stream (events of other processes).
    """

    def __init__(
        self,
        pool: Pool,
        metrics: Metrics,
        *,
        max_events: int = 20_000,
        max_bytes: int = 32 << 20,
        heartbeat: float = 15.0,
        poll: float = 1.0,
    ) -> None:
        self._pool = pool
        self._counters = metrics.counters
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._heartbeat = heartbeat
        self._poll = poll
        self._ring: list[Item] = []
        self._ring_bytes = 0
        self._floor = START  # the ring holds all that lies after this …
        self._tip: Cursor | None = None  # … and not after that; None: not known yet
        self._woken = asyncio.Event()
        self._news = asyncio.Event()  # replaced whenever the tip moves
        self._catching_up = asyncio.Semaphore(CATCH_UP_READS)
        self._closed = False
        self._task: asyncio.Task[None] | None = None
        self.outage: str | None = None  # why the log can't be read at present, for readiness

    async def start(self) -> None:
        """Begin to follow. Does not fail where Postgres is away: then it begins as soon as it can."""
        with suppress(*OUTAGES):
            await self._find_tip()
        self._task = asyncio.create_task(self._run(), name="stream")

    async def close(self) -> None:
        """End the tail and let every reader's iteration end."""
        self._closed = True
        self._news.set()
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    def wake(self) -> None:
        """Something was committed: look at once."""
        self._woken.set()

    @property
    def size(self) -> tuple[int, int]:
        """Events and bytes in the ring."""
        return len(self._ring), self._ring_bytes

    async def latest(self) -> Cursor:
        """The log's end as it is now. Raises one of OUTAGES."""
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
            return await events.head(connection)

    async def since(self, moment: float) -> Cursor:
        """A place before all that was written at `moment` (s since 1970) or later."""
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
            return await events.at(connection, moment)

    async def check(self, cursor: Cursor) -> None:
        """Raise CursorExpired where reading can't go on from here, or one of OUTAGES."""
        if not self._covers(cursor):
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
                await events.read(connection, cursor, EVERYTHING, 1)

    async def page(
        self,
        cursor: Cursor,
        wanted: Filter = EVERYTHING,
        limit: int = BATCH_EVENTS,
        size: int = BATCH_BYTES,
    ) -> Page:
        """What follows a cursor: at most `limit` events and `size` bytes, from ring or Postgres.

        Raises CursorExpired, or one of OUTAGES.
        """
        if self._covers(cursor):
            return self._from_ring(cursor, wanted, limit, size)
        return await self._from_log(cursor, wanted, limit, size)

    async def wait(self, cursor: Cursor, wanted: Filter, limit: int, patience: float) -> Page:
        """What follows a cursor, now or within `patience` seconds (long poll).

        Looks into Postgres before it says "nothing": the tail may not have seen yet what was
        committed a moment ago. Raises as `page` does.
        """
        deadline = time.monotonic() + patience
        sure = False
        while True:
            news = self._news
            page = await self.page(cursor, wanted, limit, POLL_BYTES)
            if not (page.items or page.more or sure):
                page = await self._from_log(page.cursor, wanted, limit, POLL_BYTES)
                sure = True
            left = deadline - time.monotonic()
            if page.items or left <= 0 or self._closed:
                return page
            cursor = page.cursor
            if not page.more:
                await _wait(news, left)

    async def follow(self, cursor: Cursor, wanted: Filter = EVERYTHING) -> AsyncGenerator[Batch, None]:
        """Everything after a cursor, for as long as the stream lives.

        While Postgres is away a reader of the past waits. Where retention overtakes a reader it
        gets a `stream.gap` and goes on from what is left.
        """
        self._counters.stream_readers += 1
        try:
            skipped, spoke, delay = 0, time.monotonic(), 0.0
            while not self._closed:
                news = self._news
                page = None
                try:
                    page = await self.page(cursor, wanted)
                    delay = 0.0
                except CursorExpired as expired:
                    gap = _control(GAP, expired.earliest, {"after": str(cursor)})
                    cursor, spoke = expired.earliest, time.monotonic()
                    yield Batch([gap], cursor)
                    continue
                except OUTAGES:
                    delay = _longer(delay)
                if page:
                    cursor, skipped = page.cursor, skipped + page.skipped
                silent = time.monotonic() - spoke
                if page and page.items:
                    yield Batch(page.items, cursor)
                elif skipped >= SKIPPED_EVENTS or silent >= self._heartbeat:
                    yield Batch([_control(BOOKMARK, cursor, {})], cursor)
                elif page and page.more:
                    await asyncio.sleep(0)
                    continue
                else:
                    await _wait(news, min(delay or self._heartbeat, self._heartbeat - silent))
                    continue
                skipped, spoke = 0, time.monotonic()
        finally:
            self._counters.stream_readers -= 1

    # --- readers -----------------------------------------------------------------------------

    def _covers(self, cursor: Cursor) -> bool:
        # A cursor beyond the tip may be another process' or none of this log: Postgres knows.
        return self._tip is not None and self._floor <= cursor <= self._tip

    def _from_ring(self, cursor: Cursor, wanted: Filter, limit: int, size: int) -> Page:
        ring, skipped = self._ring, 0
        items: list[Item] = []
        begin = bisect_right(ring, cursor, key=_cursor)
        end = min(len(ring), begin + max(SCAN_EVENTS, limit))
        for item in ring[begin:end]:
            if wanted.matches(item.event):
                size -= len(item.frame)
                if items and (size < 0 or len(items) >= limit):
                    return Page(items, cursor, True, skipped)
                items.append(item)
            else:
                skipped += 1
            cursor = item.cursor
        if end < len(ring):
            return Page(items, cursor, True, skipped)
        return Page(items, self._tip or cursor, False, skipped)

    async def _from_log(self, cursor: Cursor, wanted: Filter, limit: int, size: int) -> Page:
        async with (
            self._catching_up,
            self._pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection,
        ):
            page = await events.read(connection, cursor, wanted, limit)
        items: list[Item] = []
        for event in page.events:
            item = render(event)
            size -= len(item.frame)
            if items and size < 0:
                return Page(items, items[-1].cursor, True, 0)
            items.append(item)
        skipped = SKIPPED_EVENTS if page.next != cursor and not items else 0
        return Page(items, page.next, page.more, skipped)

    # --- the tail ----------------------------------------------------------------------------

    async def _run(self) -> None:
        delay, trouble = self._poll, 0.0
        while True:
            if trouble:
                await asyncio.sleep(trouble)
            elif await _wait(self._woken, delay):
                await asyncio.sleep(PAUSE)
                self._woken.clear()
                delay = 0.0
            try:
                await self._advance()
            except OUTAGES as error:
                trouble = self._trouble(trouble, error)
                continue
            except Exception as error:  # the last boundary: a tail that died leaves readers in silence
                log.exception("stream failed")
                trouble = self._trouble(trouble, error)
                continue
            if self.outage:
                log.info("stream resumed")
                self.outage = None
            # What woke us may be hidden behind an older transaction that is still running; look
            # again soon, then ever later.
            trouble, delay = 0.0, min(self._poll, delay * 2 or 0.01)

    def _trouble(self, delay: float, error: Exception) -> float:
        if not self.outage:
            log.warning("stream can't read the log", error=repr(error))
        self.outage = f"the event log can't be read: {type(error).__name__}"
        return _longer(delay)

    async def _find_tip(self) -> Cursor:
        self._floor = self._tip = await self.latest()
        return self._tip

    async def _advance(self) -> None:
        """Read and render all that the log has after the tip."""
        tip = self._tip or await self._find_tip()
        async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
            more = True
            while more:
                try:
                    page = await events.read(connection, tip, EVERYTHING, READ_ROWS)
                except CursorExpired as expired:
                    log.warning("stream fell behind the log", tip=str(tip))
                    self._ring.clear()
                    self._ring_bytes = 0
                    self._floor = self._tip = tip = expired.earliest
                    continue
                more = page.more
                if page.next != tip:
                    tip = page.next
                    self._extend([render(event) for event in page.events], tip)

    def _extend(self, items: Sequence[Item], tip: Cursor) -> None:
        self._ring.extend(items)
        self._ring_bytes += sum(len(item.frame) for item in items)
        drop, spare = 0, self._ring_bytes - self._max_bytes
        while len(self._ring) - drop > self._max_events or spare > 0:
            spare -= len(self._ring[drop].frame)
            drop += 1
        if drop:
            self._floor = self._ring[drop - 1].cursor
            self._ring_bytes -= sum(len(item.frame) for item in self._ring[:drop])
            del self._ring[:drop]
        self._tip = tip
        for item in items:
            self._counters.events[item.event.type] += 1
        if items:
            self._counters.stream_lag_seconds = time.time() - items[-1].event.time
        self._news.set()
        self._news = asyncio.Event()
        if self._closed:
            self._news.set()


def _cursor(item: Item) -> Cursor:
    return item.cursor


def _control(type_: str, cursor: Cursor, data: dict[str, Any]) -> Item:
    """An event that is not in the log: it tells a reader where it stands."""
    event = Event(
        cursor.xid, cursor.seq, time.time(), type_, None, None, None, None, f"{type_}.{cursor}", data
    )
    return render(event)


def _longer(delay: float) -> float:
    """The next delay of a back-off, with jitter, so that readers don't come back as one."""
    return min(5.0, max(0.1, delay * 2)) * random.uniform(0.8, 1.0)  # noqa: S311 - no secret


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event came within these seconds."""
    try:
        async with asyncio.timeout(max(seconds, 0.001)):
            return await event.wait()
    except TimeoutError:
        return False
