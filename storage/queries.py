"""The read side: what lists, tracks and alarm searches take out of the tables.

Every list is paged by a key and never by an offset. It must not know HTTP, nor write anything.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from alarms.model import Alarm, Position, State
from storage.database import Connection, clean, moment, seconds
from storage.rows import BACKFILLED, TIME_QUALITY
from storage.terminals import Terminal, from_row

DWORD = 0xFFFF_FFFF
NOT_LIVE = BACKFILLED | TIME_QUALITY
LAST_DIGEST = 2**63 - 1
MICROSECOND = 1e-6
BEGINNING, END = -1.0, 253_402_214_400.0  # nothing is older than 1970, nor does Python hold more


class Location(msgspec.Struct, frozen=True):
    """A row of `locations`; times in seconds since 1970, UTC."""

    time: float
    received_at: float
    digest: int  # with `time` the key within a terminal
    alarm: int  # DWORD, as sent
    status: int  # DWORD, as sent
    latitude: int  # 1e-6 degree, south negative
    longitude: int  # 1e-6 degree, west negative
    altitude: int  # m
    speed: int  # 0.1 km/h
    heading: int  # degree
    flags: int
    items: bytes
    raw: bytes | None


class TerminalView(msgspec.Struct, frozen=True):
    terminal: Terminal
    last: Location | None  # of the latest device time


class Standing(msgspec.Struct, frozen=True):
    """How a terminal's alarms stand."""

    alarms: list[Alarm]  # all that are open, the newest that are over; oldest first
    word: int  # alarm bits of the last live report
    time: int  # of that report, seconds since 1970; 0: there is none


class AlarmView(msgspec.Struct, frozen=True):
    terminal_id: int
    phone: str
    committed_at: float  # seconds since 1970, UTC
    alarm: Alarm


# Partitions are tried from the newest on, and the first that has a row of the terminal ends the search.
LAST_LOCATION = """
LEFT JOIN LATERAL (
    SELECT time, received_at, digest, alarm, status, latitude, longitude, altitude, speed,
           heading, flags, items, raw
    FROM locations WHERE terminal_id = t.id
    ORDER BY time DESC LIMIT 1
) l ON true
"""

TERMINALS = f"""
SELECT t.*, l.* FROM (
    SELECT * FROM terminals
    WHERE phone > $1
      AND ($2 = '' OR strpos(phone, $2) > 0 OR strpos(upper(plate), upper($2)) > 0)
    ORDER BY phone LIMIT $3
) t {LAST_LOCATION}
ORDER BY t.phone
"""  # noqa: S608 - put together from constants

TERMINAL = f"SELECT t.*, l.* FROM terminals t {LAST_LOCATION} WHERE t.phone = $1"  # noqa: S608 - likewise

TRACK = """
SELECT time, received_at, digest, alarm, status, latitude, longitude, altitude, speed, heading,
       flags, items, raw
FROM locations
WHERE terminal_id = $1 AND time >= $2 AND time < $3 AND (time, digest) > ($4, $5)
ORDER BY time, digest LIMIT $6
"""

# What is open, and the newest of what is over: an end that is sent again is then known to be one.
KNOWN_ALARMS = """
SELECT * FROM alarms WHERE terminal_id = $1 AND state = 'open'
UNION ALL (
    SELECT * FROM alarms WHERE phone = $2 AND terminal_id = $1 AND state <> 'open'
    ORDER BY occurred_at DESC, id DESC LIMIT $3
)
ORDER BY occurred_at, id
"""
LAST_WORD = """
SELECT time, alarm FROM locations
WHERE terminal_id = $1 AND flags & $2 = 0 ORDER BY time DESC, digest DESC LIMIT 1
"""

ALARM = "SELECT * FROM alarms WHERE id = $1"


async def terminals(
    connection: Connection, *, after_phone: str | None = None, limit: int, search: str | None = None
) -> list[TerminalView]:
    """Terminals by phone, with the last position of each; `search` is a part of phone or plate."""
    rows = await connection.fetch(TERMINALS, clean(after_phone or ""), clean(search or ""), limit)
    return [_terminal_view(row) for row in rows]


async def terminal(connection: Connection, phone: str) -> TerminalView | None:
    row = await connection.fetchrow(TERMINAL, clean(phone))
    return None if row is None else _terminal_view(row)


async def track(
    connection: Connection,
    terminal_id: int,
    start: float,
    end: float,
    after: tuple[float, int] | None = None,
    *,
    limit: int,
) -> list[Location]:
    """Reports with start <= time < end, oldest first; `after` is (time, digest) of the last one seen."""
    time, digest = after or (start - MICROSECOND, LAST_DIGEST)
    first = max(_instant(start), _instant(time))
    rows = await connection.fetch(TRACK, terminal_id, first, _instant(end), _instant(time), digest, limit)
    return [_location(row) for row in rows]


async def alarms(
    connection: Connection,
    *,
    phone: str | None = None,
    kinds: Collection[str] = (),
    min_level: int = 0,
    state: State | None = None,
    start: float | None = None,
    end: float | None = None,
    after: tuple[int, str] | None = None,
    limit: int,
) -> list[AlarmView]:
    """Alarms, the latest first; `after` is (occurred_at, id) of the last one seen.

    What is None or empty or 0 does not narrow. Raises `ValueError` if the id in `after` is none.
    """
    conditions: list[str] = []
    arguments: list[Any] = [limit]

    def narrow(condition: str, *values: Any) -> None:
        numbers = range(len(arguments) + 1, len(arguments) + 1 + len(values))
        conditions.append(condition.format(*(f"${number}" for number in numbers)))
        arguments.extend(values)

    if phone:
        narrow("phone = {}", clean(phone))
    if len(kinds) == 1:  # an equality, so that the index gives the order too
        narrow("kind = {}", *map(clean, kinds))
    elif kinds:
        narrow("kind = ANY ({}::text[])", [clean(kind) for kind in kinds])
    if min_level:
        narrow("level >= {}", min_level)
    if state:
        conditions.append(f"state = '{State(state)}'")  # a literal: the partial index is usable
    if start is not None:
        narrow("occurred_at >= {}", _instant(start))
    if end is not None:
        narrow("occurred_at < {}", _instant(end))
    if after:
        narrow("(occurred_at, id) < ({}, {})", _instant(after[0]), UUID(after[1]))
    rows = await connection.fetch(
        f"SELECT * FROM alarms WHERE {' AND '.join(conditions) or 'true'}"  # noqa: S608 - as above
        " ORDER BY occurred_at DESC, id DESC LIMIT $1",
        *arguments,
    )
    return [_alarm_view(row) for row in rows]


async def alarm(connection: Connection, id_: str) -> AlarmView | None:
    """One alarm by its UUID; None also where `id_` is no UUID."""
    try:
        row = await connection.fetchrow(ALARM, UUID(id_))
    except ValueError:
        return None
    return None if row is None else _alarm_view(row)


async def standing(connection: Connection, terminal_id: int, phone: str, *, ended: int) -> Standing:
    """What a session begins with: how a terminal's alarms stand."""
    alarms = await connection.fetch(KNOWN_ALARMS, terminal_id, phone, ended)
    last = await connection.fetchrow(LAST_WORD, terminal_id, NOT_LIVE)
    return Standing(
        [_alarm(row) for row in alarms],
        last["alarm"] & DWORD if last else 0,
        int(seconds(last["time"])) if last else 0,
    )


def _instant(time: float) -> datetime:
    return moment(min(max(time, BEGINNING), END))


def _terminal_view(row: asyncpg.Record) -> TerminalView:
    return TerminalView(from_row(row), None if row["digest"] is None else _location(row))


def _location(row: asyncpg.Record) -> Location:
    return Location(
        time=seconds(row["time"]),
        received_at=seconds(row["received_at"]),
        digest=row["digest"],
        alarm=row["alarm"] & DWORD,
        status=row["status"] & DWORD,
        latitude=row["latitude"],
        longitude=row["longitude"],
        altitude=row["altitude"],
        speed=row["speed"],
        heading=row["heading"],
        flags=row["flags"],
        items=row["items"],
        raw=row["raw"],
    )


def _alarm_view(row: asyncpg.Record) -> AlarmView:
    return AlarmView(row["terminal_id"], row["phone"], seconds(row["committed_at"]), _alarm(row))


def _alarm(row: asyncpg.Record) -> Alarm:
    details = row["details"]
    return Alarm(
        id=str(row["id"]),
        kind=row["kind"],
        family=row["family"],
        level=row["level"],
        state=State(row["state"]),
        rev=row["rev"],
        occurred_at=int(seconds(row["occurred_at"])),
        ended_at=None if row["ended_at"] is None else int(seconds(row["ended_at"])),
        end_reason=row["end_reason"],
        received_at=seconds(row["received_at"]),
        backfilled=row["backfilled"],
        position=Position(row["latitude"], row["longitude"], row["altitude"], row["speed"]),
        source=row["source"],
        code=row["code"],
        pairing=row["pairing"],
        # A connection without the codec gives jsonb as text.
        details=msgspec.json.decode(details) if isinstance(details, str) else details,
        raw=row["raw"],
        attachments=row["attachments"],
    )
