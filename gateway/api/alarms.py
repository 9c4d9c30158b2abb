"""Alarms over HTTP: the list and each of them, in the words that the stream uses too.

Must not know how alarms arise or are stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator

from alarms.model import State
from gateway.api import models
from gateway.api import parameters as take
from gateway.api.auth import needs
from gateway.api.context import Ctx
from gateway.api.problems import Problem
from gateway.api.terminals import json_response
from gateway.stream import ACQUIRE_TIMEOUT, rfc3339
from storage import alarm_rows, evidence, queries
from storage.evidence import File
from storage.queries import AlarmView

router = APIRouter(prefix="/api/v1/alarms", tags=["alarms"], dependencies=needs("read"))

AfterAlarm = tuple[Annotated[int, msgspec.Meta(ge=0, le=int(queries.END))], UUID]

OnePhone = Annotated[
    str | None,
    Query(description="of this terminal"),
    AfterValidator(lambda text: text and take.phone(text)),
]


@router.get("", response_class=Response, responses=models.answer(models.AlarmPage))
async def list_alarms(
    *,
    context: Ctx,
    phone: OnePhone = None,
    kind: Annotated[take.Words, Query(description="kinds, such as fatigue")] = [],  # noqa: B006
    level: take.Level = 0,
    state: Annotated[State | None, Query(description="how it stands")] = None,
    start: take.From = None,
    to: take.To = None,
    limit: take.Limit = 100,
    cursor: take.PageCursor = None,
) -> Response:
    """Alarms, the latest first."""
    after = take.unseal(cursor, AfterAlarm)
    async with context.pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
        found = await queries.alarms(
            connection,
            phone=phone,
            kinds=kind,
            min_level=level,
            state=state,
            start=start,
            end=to,
            after=after and (after[0], str(after[1])),
            limit=limit,
        )
        files = await evidence.of_alarms(connection, [(view.terminal_id, view.alarm) for view in found])
    last = found[-1].alarm if len(found) == limit else None
    return json_response(
        {
            "alarms": [alarm_json(view, files) for view in found],
            "next_cursor": last and take.seal(last.occurred_at, last.id),
        }
    )


@router.get("/{alarm_id}", response_class=Response, responses=models.answer(models.Alarm, 404))
async def get_alarm(context: Ctx, alarm_id: str) -> Response:
    """One alarm as it stands."""
    async with context.pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
        view = await queries.alarm(connection, alarm_id)
        if view is None:
            raise Problem("not_found", "There is no such alarm.")
        files = await evidence.of_alarms(connection, [(view.terminal_id, view.alarm)])
    return json_response(alarm_json(view, files))


def alarm_json(view: AlarmView, files: Mapping[str, list[File]]) -> dict[str, Any]:
    there = evidence.told(view.alarm, files.get(view.alarm.id, []))
    facts = alarm_rows.facts(view.alarm, view.phone, there)
    return facts | {"committed_at": rfc3339(view.committed_at)}
