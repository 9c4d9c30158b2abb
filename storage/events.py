"""The event log: one order that every reader sees alike, with a cursor into it.

A sequence number is drawn when a row is written and becomes visible when its transaction commits,
so with several writers a reader could step over a row that commits late. The log's order is
therefore (id of the writing transaction, sequence number), and a reader sees only rows whose
transaction is older than every transaction that still runs: nothing can appear behind it.

A cursor is always the key of a row that was committed, never a bound like "the oldest running
transaction": the ids of transactions that left nothing behind are given out again after a crash,
and rows written under them would lie behind such a cursor.

It must not know what the events mean, nor how they are sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import asyncpg
import msgspec

from storage.database import Connection, clean, moment, seconds, to_json

SCAN_WINDOW = 4096  # rows of the log that one read looks at, at most
KEY_LIMIT = 2**63
_decode = msgspec.json.decode
CURSOR_TEXT = re.compile(r"c1\.([0-9a-f]{1,16})\.([0-9a-f]{1,16})")


class BadCursor(ValueError):  # noqa: N818 - the agreed name
    """A text that is no cursor."""


class Cursor(NamedTuple):
    """A place in the log: everything up to and including this key has been read."""

    xid: int
    seq: int

    def __str__(self) -> str:
        return f"c1.{self.xid:x}.{self.seq:x}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The cursor that `str` made this text of. Raises `BadCursor`."""
        if parts := CURSOR_TEXT.fullmatch(text):
            cursor = cls(int(parts[1], 16), int(parts[2], 16))
            if max(cursor) < KEY_LIMIT and str(cursor) == text:
                return cursor
        raise BadCursor("A cursor looks like c1.2f0.1a; this does not.")


START = Cursor(0, 0)  # from wherever the log begins: never expired


class CursorExpired(Exception):  # noqa: N818 - the agreed name
    """The log can't be continued from a cursor: rows after it were dropped, or it is not of this log.

    `earliest` is where reading can begin again, knowing that something may have been missed.
    """

    def __init__(self, earliest: Cursor) -> None:
        super().__init__(f"The log no longer reaches back to this cursor; it begins at {earliest}.")
        self.earliest = earliest


class NewEvent(msgspec.Struct, frozen=True):
    """An event to be written; the log adds order and time."""

    type: str  # 'alarm.raised' …
    id: str  # the same on every redelivery
    data: Any  # JSON-ready
    phone: str | None = None
    kind: str | None = None
    family: str | None = None
    level: int | None = None


class Event(msgspec.Struct, frozen=True):
    """An event of the log."""

    xid: int
    seq: int
    time: float  # when its transaction began; seconds since 1970, UTC
    type: str
    phone: str | None
    kind: str | None
    family: str | None
    level: int | None
    id: str
    data: Any

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.xid, self.seq)


class Filter(msgspec.Struct, frozen=True):
    """Which events a reader wants; an empty set wants all. An event without the field is not in a set."""

    types: frozenset[str] = frozenset()  # whole, or a beginning followed by '*': "alarm.*"
    kinds: frozenset[str] = frozenset()
    families: frozenset[str] = frozenset()
    min_level: int = 0
    phones: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        # Cleaned as the log's own texts are, so that both ways of filtering see the same.
        for name in ("types", "kinds", "families", "phones"):
            msgspec.structs.force_setattr(self, name, frozenset(map(clean, getattr(self, name))))

    def matches(self, event: Event) -> bool:
        """The meaning of `MATCHES` below, for events that are in hand already."""
        return (
            (not self.types or self._has_type(event.type))
            and (not self.kinds or event.kind in self.kinds)
            and (not self.families or event.family in self.families)
            and (not self.min_level or (event.level is not None and event.level >= self.min_level))
            and (not self.phones or event.phone in self.phones)
        )

    def _has_type(self, type_: str) -> bool:
        return type_ in self.types or type_.startswith(
            tuple(text[:-1] for text in self.types if text.endswith("*"))
        )

    def _arguments(self) -> tuple[Any, ...]:
        """What `MATCHES` takes as $4 to $9."""
        whole = [text for text in self.types if not text.endswith("*")]
        beginnings = [text[:-1] for text in self.types if text.endswith("*")]
        return whole, beginnings, self.kinds, self.families, self.min_level, self.phones


class Page(NamedTuple):
    events: list[Event]
    next: Cursor  # continue from here; it moves on even when no event matched
    more: bool  # there are rows after `next` already


MATCHES = """(
    ($4::text[] = '{}' AND $5::text[] = '{}' OR type = ANY ($4) OR type ^@ ANY ($5))
    AND ($6::text[] = '{}' OR kind = ANY ($6))
    AND ($7::text[] = '{}' OR family = ANY ($7))
    AND ($8::integer = 0 OR level >= $8)
    AND ($9::text[] = '{}' OR phone = ANY ($9))
) IS TRUE"""

# One statement, so that floor and rows are of one snapshot: whoever does not find the rows of a
# dropped partition finds the floor that was raised before it was dropped. The window is a literal:
# with a parameter the planner guesses that a tenth of the log is wanted, and sorts it. The last row
# of the window comes back whether it matches or not: it is the bookmark.
READ = f"""
SELECT log.*, page.*
FROM (
    SELECT (SELECT xid FROM event_floor) AS floor_xid,
           (SELECT seq FROM event_floor) AS floor_seq,
           pg_snapshot_xmax(pg_current_snapshot()) AS ahead
) log LEFT JOIN LATERAL (
    SELECT * FROM (
        SELECT *, {MATCHES} AS matches,
               row_number() OVER (ORDER BY xid, seq) AS place,
               lead(seq) OVER (ORDER BY xid, seq) IS NULL AS last
        FROM (
            SELECT xid, seq, time, type, phone, kind, family, level, id, data::text
            FROM events
            WHERE (xid, seq) > ($1, $2) AND xid < pg_snapshot_xmin(pg_current_snapshot())
            ORDER BY xid, seq
            LIMIT {SCAN_WINDOW}
        ) window_
    ) scanned
    WHERE matches OR last
    LIMIT $3
) page ON true
ORDER BY page.xid, page.seq
"""  # noqa: S608 - put together from constants

APPEND = """
INSERT INTO events (type, id, data, phone, kind, family, level)
SELECT type, id, data::jsonb, phone, kind, family, level
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::smallint[])
     AS new (type, id, data, phone, kind, family, level)
"""

FLOOR = "SELECT xid, seq FROM event_floor"

HEAD = """
SELECT xid, seq FROM events
WHERE xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY xid DESC, seq DESC LIMIT 1
"""

FIRST_SINCE = """
SELECT xid, seq - 1 AS seq FROM events
WHERE time >= $1 AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY xid, seq LIMIT 1
"""

REBASE = """
UPDATE events SET xid = '1' WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())
"""


async def append(connection: Connection, rows: Sequence[NewEvent]) -> None:
    """Write events, in their order, within the caller's transaction."""
    if not rows:
        return
    await connection.execute(
        APPEND,
        [clean(row.type) for row in rows],
        [clean(row.id) for row in rows],
        [to_json(row.data).decode() for row in rows],
        [row.phone and clean(row.phone) for row in rows],
        [row.kind and clean(row.kind) for row in rows],
        [row.family and clean(row.family) for row in rows],
        [row.level for row in rows],
    )


async def read(connection: Connection, after: Cursor, wanted: Filter, limit: int) -> Page:
    """At most `limit` matching events after a cursor; no more than `SCAN_WINDOW` rows are looked at.

    Raises `CursorExpired`.
    """
    rows = await connection.fetch(READ, *after, limit, *wanted._arguments())
    floor = Cursor(rows[0]["floor_xid"], rows[0]["floor_seq"])
    if after != START and not (floor <= after and after.xid < rows[0]["ahead"]):
        raise CursorExpired(floor)
    if after == START != floor:
        return await read(connection, floor, wanted, limit)
    if (last := rows[-1])["seq"] is None:
        return Page([], after, False)
    return Page(
        [_event(row) for row in rows if row["matches"]],
        Cursor(last["xid"], last["seq"]),
        not last["last"] or last["place"] == SCAN_WINDOW,
    )


async def head(connection: Connection) -> Cursor:
    """The end of the log: what is written from now on comes after it."""
    row = await connection.fetchrow(HEAD)
    return max(Cursor(*row) if row else START, await earliest(connection))


async def earliest(connection: Connection) -> Cursor:
    """Where the log begins: everything after it is still there."""
    row = await connection.fetchrow(FLOOR)
    return Cursor(*row) if row else START


async def at(connection: Connection, time: float) -> Cursor:
    """A place before every event written at `time` (seconds since 1970, UTC) or later."""
    if row := await connection.fetchrow(FIRST_SINCE, moment(time)):
        return max(Cursor(*row), await earliest(connection))
    return await head(connection)


async def rebase(connection: Connection) -> int:
    """Make a log readable that was restored from a dump, and return how many events were touched.

    A dump carries transaction ids of the server it came from; on a new one they lie in the future.
    They all become 1, so that the sequence alone orders them, before everything that is written
    here. Where the log was born here, nothing is touched.
    """
    done = await connection.execute(REBASE)
    if count := int(done.removeprefix("UPDATE ")):
        await connection.execute("UPDATE event_floor SET xid = '0', seq = 0")
    return count


def _event(row: asyncpg.Record) -> Event:
    return Event(
        row["xid"],
        row["seq"],
        seconds(row["time"]),
        row["type"],
        row["phone"],
        row["kind"],
        row["family"],
        row["level"],
        row["id"],
        _decode(row["data"]),
    )
