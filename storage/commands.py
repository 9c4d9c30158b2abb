"""Commands and what became of them: a row each, and each change of state as an event.

Changes are written by the group commit, in one transaction with their events. It must not know how a
command is sent, nor what a body means.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from storage.database import Connection, clean, moment, seconds, to_json
from storage.events import NewEvent


class State(StrEnum):
    QUEUED = "queued"  # not sent yet
    SENT = "sent"  # on the wire
    ACKNOWLEDGED = "acknowledged"  # the terminal has it; final where no other answer is due
    ANSWERED = "answered"  # the answer that belongs to it has come
    REFUSED = "refused"  # the terminal says no: `result` 1 to 3
    TIMED_OUT = "timed_out"  # no answer in time
    EXPIRED = "expired"  # its time was over before the terminal came


FINAL_STATES = frozenset({State.ANSWERED, State.REFUSED, State.TIMED_OUT, State.EXPIRED})
"""States that end a command; an acknowledgement does where no other answer is due."""

MAY_FOLLOW = {
    State.QUEUED: (),
    State.SENT: (State.QUEUED,),
    State.ACKNOWLEDGED: (State.QUEUED, State.SENT, State.TIMED_OUT),
    State.ANSWERED: (State.QUEUED, State.SENT, State.ACKNOWLEDGED, State.TIMED_OUT),
    State.REFUSED: (State.QUEUED, State.SENT, State.ACKNOWLEDGED, State.TIMED_OUT),
    State.TIMED_OUT: (State.QUEUED, State.SENT, State.ACKNOWLEDGED),
    State.EXPIRED: (State.QUEUED,),
}
"""Which states a state may follow."""


class Command(msgspec.Struct, kw_only=True):
    """A row of `commands`; times in seconds since 1970, UTC."""

    id: str
    terminal_id: int
    phone: str
    message_id: int
    body: dict[str, Any]
    payload: bytes
    state: State
    requested_by: str
    idempotency_key: str | None
    timeout: float
    created_at: float
    expires_at: float
    sent_at: float | None = None
    acknowledged_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    result: int | None = None
    answer_id: int | None = None
    answer: Any = None
    reason: str | None = None


class Change(msgspec.Struct, frozen=True):
    """One step of a command."""

    id: str
    phone: str
    message_id: int
    state: State
    at: float
    final: bool
    result: int | None = None
    answer_id: int | None = None
    answer: Any = None
    reason: str | None = None


COLUMNS = tuple(name for name in Command.__struct_fields__)
_TIMES = tuple(name for name in COLUMNS if name.endswith("_at"))
_STAMPS = {
    State.SENT: "sent_at",
    State.ACKNOWLEDGED: "acknowledged_at",
    State.ANSWERED: "answered_at",
}

CREATE = f"""
INSERT INTO commands (id, terminal_id, phone, message_id, body, payload, state, requested_by,
                      idempotency_key, timeout, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (requested_by, idempotency_key) DO NOTHING
RETURNING {", ".join(COLUMNS)}
"""  # noqa: S608 - put together from constants
EARLIER = "SELECT * FROM commands WHERE requested_by = $1 AND idempotency_key = $2"
GET = "SELECT * FROM commands WHERE id = $1"
OF_TERMINAL = """
SELECT * FROM commands WHERE phone = $1 AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))
ORDER BY created_at DESC, id DESC LIMIT $4
"""
QUEUED = "SELECT * FROM commands WHERE phone = $1 AND state = 'queued' ORDER BY created_at, id"
OVERDUE = """
SELECT * FROM commands WHERE state = 'queued' AND expires_at < $1 ORDER BY created_at LIMIT 1000
"""
ABANDONED = """
SELECT * FROM commands WHERE state IN ('sent', 'acknowledged') AND ended_at IS NULL
ORDER BY created_at LIMIT 1000
"""
APPLY = """
UPDATE commands c SET
    state = s.state,
    sent_at = coalesce(s.sent_at, c.sent_at),
    acknowledged_at = coalesce(s.acknowledged_at, c.acknowledged_at),
    answered_at = coalesce(s.answered_at, c.answered_at),
    ended_at = coalesce(s.ended_at, c.ended_at),
    result = coalesce(s.result, c.result),
    answer_id = coalesce(s.answer_id, c.answer_id),
    answer = coalesce(s.answer, c.answer),
    reason = s.reason
FROM json_to_record($1::json) AS s (
    id uuid, state text, sent_at timestamptz, acknowledged_at timestamptz, answered_at timestamptz,
    ended_at timestamptz, result smallint, answer_id integer, answer jsonb, reason text
)
WHERE c.id = s.id AND c.state = ANY ($2::text[])
RETURNING true
"""


async def create(connection: Connection, command: Command) -> tuple[Command, bool]:
    """Writes a new command; or gives the one that the same caller asked for under the same key, and False."""
    row = await connection.fetchrow(
        CREATE,
        command.id,
        command.terminal_id,
        clean(command.phone),
        command.message_id,
        command.body,
        command.payload,
        command.state,
        command.requested_by,
        command.idempotency_key and clean(command.idempotency_key),
        command.timeout,
        moment(command.created_at),
        moment(command.expires_at),
    )
    if row is not None:
        return _command(row), True
    [earlier] = await connection.fetch(EARLIER, command.requested_by, clean(command.idempotency_key or ""))
    return _command(earlier), False


async def get(connection: Connection, command_id: str) -> Command | None:
    try:
        row = await connection.fetchrow(GET, UUID(command_id))
    except ValueError:
        return None
    return None if row is None else _command(row)


async def of_terminal(
    connection: Connection, phone: str, *, after: tuple[float, str] | None, limit: int
) -> list[Command]:
    """A terminal's commands, the latest first."""
    start, last = (moment(after[0]), UUID(after[1])) if after else (None, None)
    return [_command(row) for row in await connection.fetch(OF_TERMINAL, clean(phone), start, last, limit)]


async def queued(connection: Connection, phone: str) -> list[Command]:
    """What waits for a terminal, in the order it was asked for."""
    return [_command(row) for row in await connection.fetch(QUEUED, phone)]


async def overdue(connection: Connection, now: float) -> list[Command]:
    """Queued commands whose time is over."""
    return [_command(row) for row in await connection.fetch(OVERDUE, moment(now))]


async def abandoned(connection: Connection) -> list[Command]:
    """Commands that were under way when the process that sent them ended."""
    return [_command(row) for row in await connection.fetch(ABANDONED)]


async def apply(connection: Connection, changes: Sequence[Change]) -> list[NewEvent]:
    """Takes changes in their order; gives an event for each that was new."""
    news = []
    for change in changes:
        record: dict[str, Any] = {
            "id": change.id,
            "state": change.state,
            "result": change.result,
            "answer_id": change.answer_id,
            "answer": change.answer,
            "reason": change.reason,
        }
        if change.state in _STAMPS:
            record[_STAMPS[change.state]] = moment(change.at).isoformat()
        if change.final:
            record["ended_at"] = moment(change.at).isoformat()
        if await connection.fetchval(APPLY, to_json(record).decode(), list(MAY_FOLLOW[change.state])):
            news.append(event(change))
    return news


def event(change: Change) -> NewEvent:
    """What the stream says of a change."""
    data: dict[str, Any] = {
        "command_id": change.id,
        "phone": change.phone,
        "message": f"{change.message_id:#06x}",
        "state": change.state,
    }
    if change.result is not None:
        data["result"] = change.result
    if change.answer_id is not None:
        data |= {"answer_message": f"{change.answer_id:#06x}", "answer": change.answer}
    if change.reason is not None:
        data["reason"] = change.reason
    return NewEvent(
        type=f"command.{change.state}", phone=change.phone, id=f"{change.id}.{change.state}", data=data
    )


def _command(row: asyncpg.Record) -> Command:
    fields = {name: row[name] for name in COLUMNS}
    for name in _TIMES:
        if fields[name] is not None:
            fields[name] = seconds(fields[name])
    fields["id"] = str(fields["id"])
    fields["state"] = State(fields["state"])
    return Command(**fields)
