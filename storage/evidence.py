"""Evidence in the tables: which files belong to which alarm, and the numbers under which they may come.

Numbers are written as they are issued; what becomes of files goes through the group commit, in one
transaction with its events. It must not know how files arrive, nor where they lie.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from alarms.model import Alarm
from storage import alarm_rows, queries
from storage.database import Connection, clean, moment, seconds
from storage.events import NewEvent
from storage.queries import AlarmView

PATH = "/api/v1/alarms/{}/evidence/{}"
"""Where a file is served: events name it."""


class State(StrEnum):
    EXPECTED = "expected"  # announced
    PARTIAL = "partial"  # some of it is there
    COMPLETE = "complete"  # in the store
    FAILED = "failed"  # refused: `reason`


class Request(msgspec.Struct, frozen=True):
    """A number that was issued; times in seconds since 1970, UTC."""

    number: str
    alarm_id: str
    terminal_id: int
    phone: str
    identifier: bytes
    occurred_at: float
    attempt: int
    expires_at: float


class File(msgspec.Struct, kw_only=True):
    """A row of `evidence`, and the step that brings it there."""

    alarm_id: str
    n: int
    terminal_id: int
    phone: str
    identifier: bytes
    occurred_at: float
    name: str
    slot: str
    size: int
    type: int | None = None
    received: int = 0
    state: State = State.EXPECTED
    sha256: bytes | None = None
    media_type: str | None = None
    reason: str | None = None


class Active(msgspec.Struct, frozen=True):
    """The step: files were announced under a number, or stopped coming."""

    number: str
    at: float


class GivenUp(msgspec.Struct, frozen=True):
    """The step: nobody asks for the files of this alarm any more."""

    alarm_id: str
    at: float
    reason: str


Step = File | Active | GivenUp

FIELDS = (
    "alarm_id", "n", "terminal_id", "phone", "identifier", "occurred_at", "name", "slot", "type", "size",
    "received", "state", "sha256", "media_type", "reason",
)  # fmt: skip
CHANGING = ("name", "type", "size", "received", "state", "sha256", "media_type", "reason")

# What is complete stays as it is, whatever is announced later.
PUT = f"""
WITH old AS (SELECT state FROM evidence WHERE alarm_id = $1 AND n = $2)
INSERT INTO evidence ({", ".join(FIELDS)}, completed_at)
VALUES ({", ".join(f"${place}" for place in range(1, len(FIELDS) + 1))},
        CASE WHEN $12 = 'complete' THEN now() END)
ON CONFLICT (alarm_id, n) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in CHANGING)},
    changed_at = now(), completed_at = excluded.completed_at
WHERE evidence.state <> 'complete'
RETURNING n
"""  # noqa: S608 - put together from constants
OF_ALARM = "SELECT * FROM evidence WHERE alarm_id = $1 ORDER BY n"
OF_ALARMS = """
SELECT e.* FROM
    unnest($1::bigint[], $2::timestamptz[], $3::bytea[]) AS a (terminal_id, occurred_at, identifier)
JOIN evidence e USING (terminal_id, occurred_at, identifier) ORDER BY e.alarm_id, e.n
"""
ISSUE = """
INSERT INTO evidence_requests
    (number, alarm_id, terminal_id, phone, identifier, occurred_at, attempt, issued_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT DO NOTHING RETURNING number
"""
REPLACE = (
    "UPDATE evidence_requests SET closed_at = $2 WHERE alarm_id = $1 AND closed_at IS NULL RETURNING number"
)
ASKED = """
SELECT max(attempt) FROM evidence_requests WHERE terminal_id = $1 AND occurred_at = $2 AND identifier = $3
"""
HANDED_OVER = "UPDATE evidence_requests SET command_id = $2 WHERE number = $1"
FIND = "SELECT * FROM evidence_requests WHERE number = $1 AND expires_at > $2"
UNASKED = """
SELECT a.id::text FROM alarms a
WHERE a.attachments > 0 AND a.committed_at > $1 AND a.details ? 'identifier' AND NOT EXISTS (
    SELECT FROM evidence_requests r WHERE r.terminal_id = a.terminal_id AND r.occurred_at = a.occurred_at
    AND r.identifier = decode(a.details ->> 'identifier', 'hex')
) ORDER BY a.committed_at LIMIT $2
"""
# A command that waits for its terminal is not overdue: it has not been sent.
DUE = """
SELECT r.* FROM evidence_requests r LEFT JOIN commands c ON c.id = r.command_id
WHERE r.closed_at IS NULL AND c.state IS DISTINCT FROM 'queued'
  AND greatest(r.issued_at, c.sent_at, r.active_at) < $1
ORDER BY r.issued_at LIMIT $2
"""
STORED_SINCE = (
    "SELECT coalesce(sum(size), 0)::bigint FROM evidence WHERE terminal_id = $1 AND completed_at > $2"
)
ACTIVE = "UPDATE evidence_requests SET active_at = $2 WHERE number = $1"


# --- numbers ------------------------------------------------------------------------------------------


def identifier_of(alarm: Alarm) -> bytes:
    """What evidence of an alarm is asked for by; empty where it has none."""
    try:
        return bytes.fromhex(alarm.details.get("identifier", ""))
    except (TypeError, ValueError):
        return b""


async def issue(
    connection: Connection, view: AlarmView, number: str, *, first: bool, now: float, life: float
) -> Request | None:
    """Writes a number for an alarm, in place of its open one; None where it has one already (`first`)."""
    alarm, identifier = view.alarm, identifier_of(view.alarm)
    async with connection.transaction():
        attempt = await connection.fetchval(ASKED, view.terminal_id, moment(alarm.occurred_at), identifier)
        if first and attempt:
            return None
        await connection.execute(REPLACE, UUID(alarm.id), moment(now))
        request = Request(
            number, alarm.id, view.terminal_id, view.phone, identifier, alarm.occurred_at, (attempt or 0) + 1,
            now + life,
        )  # fmt: skip
        written = await connection.fetchval(
            ISSUE,
            number,
            UUID(alarm.id),
            view.terminal_id,
            view.phone,
            identifier,
            moment(alarm.occurred_at),
            request.attempt,
            moment(now),
            moment(request.expires_at),
        )
        return request if written else None


async def handed_over(connection: Connection, number: str, command_id: str) -> None:
    await connection.execute(HANDED_OVER, number, UUID(command_id))


async def find(connection: Connection, number: str, now: float) -> Request | None:
    """The number as it was issued, while it is valid."""
    row = await connection.fetchrow(FIND, clean(number), moment(now))
    return None if row is None else _request(row)


async def unasked(connection: Connection, since: float, limit: int) -> list[str]:
    """Alarms with files that nobody has asked for, committed after `since`."""
    return [row["id"] for row in await connection.fetch(UNASKED, moment(since), limit)]


async def due(connection: Connection, before: float, limit: int) -> list[Request]:
    """Open numbers whose files did not come: nothing was heard of them since `before`."""
    return [_request(row) for row in await connection.fetch(DUE, moment(before), limit)]


# --- files --------------------------------------------------------------------------------------------


async def files(connection: Connection, alarm_id: str) -> list[File]:
    return [_file(row) for row in await connection.fetch(OF_ALARM, UUID(alarm_id))]


async def of_alarms(connection: Connection, views: Iterable[tuple[int, Alarm]]) -> dict[str, list[File]]:
    """Files by alarm id, of those that have any. Alarms of one item share them."""
    wanted = [(terminal, alarm) for terminal, alarm in views if alarm.attachments and identifier_of(alarm)]
    if not wanted:
        return {}
    rows = await connection.fetch(
        OF_ALARMS,
        [terminal for terminal, _ in wanted],
        [moment(alarm.occurred_at) for _, alarm in wanted],
        [identifier_of(alarm) for _, alarm in wanted],
    )
    by_key: dict[tuple[int, float, bytes], dict[tuple[str, int], File]] = {}
    for file in map(_file, rows):
        by_key.setdefault((file.terminal_id, file.occurred_at, file.identifier), {})[
            file.alarm_id, file.n
        ] = file
    found = {
        alarm.id: list(by_key.get((terminal, alarm.occurred_at, identifier_of(alarm)), {}).values())
        for terminal, alarm in wanted
    }
    return {alarm_id: there for alarm_id, there in found.items() if there}


async def stored_since(connection: Connection, terminal_id: int, since: float) -> int:
    """Bytes that a terminal has brought since then."""
    total: int = await connection.fetchval(STORED_SINCE, terminal_id, moment(since))
    return total


def told(alarm: Alarm, there: Sequence[File], **more: Any) -> dict[str, Any]:
    """The `evidence` of an alarm, on every channel."""
    whole = [file for file in there if file.state is State.COMPLETE]
    return {
        "expected": max(alarm.attachments, len(there)),
        "received": len(whole),
        "files": [
            {
                "n": file.n,
                "name": file.name,
                "media_type": file.media_type,
                "bytes": file.size,
                "sha256": file.sha256.hex() if file.sha256 else None,
                "url": PATH.format(file.alarm_id, file.n),
            }
            for file in whole
        ],
        **more,
    }


# --- steps --------------------------------------------------------------------------------------------


async def apply(connection: Connection, steps: Sequence[Step]) -> list[NewEvent]:
    """Takes steps in their order; gives the events of what was new."""
    news: list[NewEvent] = []
    for step in steps:
        match step:
            case File():
                news += await _put(connection, step)
            case Active():
                await connection.execute(ACTIVE, step.number, moment(step.at))
            case GivenUp():
                if await connection.fetch(REPLACE, UUID(step.alarm_id), moment(step.at)):
                    news += await _tell(connection, step.alarm_id, "failed", reason=step.reason)
    return news


async def _put(connection: Connection, file: File) -> list[NewEvent]:
    values = [getattr(file, name) for name in FIELDS]
    values[0] = UUID(file.alarm_id)
    values[5] = moment(file.occurred_at)
    values[6:8] = clean(file.name), clean(file.slot)
    if not await connection.fetch(PUT, *values) or file.state is not State.COMPLETE:
        return []
    news = await _tell(connection, file.alarm_id, "added", added=file.n)
    if news and news[0].data["evidence"]["received"] == news[0].data["evidence"]["expected"]:
        await connection.execute(
            "UPDATE evidence_requests SET closed_at = now() WHERE alarm_id = $1 AND closed_at IS NULL",
            UUID(file.alarm_id),
        )
        news += await _tell(connection, file.alarm_id, "complete")
    return news


async def _tell(connection: Connection, alarm_id: str, what: str, **more: Any) -> list[NewEvent]:
    view = await queries.alarm(connection, alarm_id)
    if view is None:  # retention was quicker
        return []
    alarm = view.alarm
    evidence = told(alarm, await files(connection, alarm_id), **more)
    received, expected = evidence["received"], evidence["expected"]
    if what == "failed":
        evidence["missing"] = expected - received
        evidence["summary"] = f"{received} of {expected}, {expected - received} missing"
    return [
        NewEvent(
            type=f"alarm.evidence.{what}",
            phone=view.phone,
            kind=alarm.kind,
            family=alarm.family,
            level=alarm.level,
            id=f"{alarm_id}.evidence.{what}.{more.get('added', received)}",
            data=alarm_rows.facts(alarm, view.phone, evidence),
        )
    ]


def _file(row: asyncpg.Record) -> File:
    fields = {name: row[name] for name in FIELDS}
    fields["alarm_id"] = str(fields["alarm_id"])
    fields["occurred_at"] = seconds(fields["occurred_at"])
    fields["state"] = State(fields["state"])
    return File(**fields)


def _request(row: asyncpg.Record) -> Request:
    return Request(
        row["number"],
        str(row["alarm_id"]),
        row["terminal_id"],
        row["phone"],
        row["identifier"],
        seconds(row["occurred_at"]),
        row["attempt"],
        seconds(row["expires_at"]),
    )
