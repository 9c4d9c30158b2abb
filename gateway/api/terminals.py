"""Terminals over HTTP: list, one, provision, forget, and the track of each.

Must not know how terminals are stored, nor what a report's words and items mean: `describe` of the
context decodes them.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator

from gateway.api import models
from gateway.api import parameters as take
from gateway.api.auth import needs
from gateway.api.context import Context, Ctx
from gateway.api.problems import Problem
from gateway.stream import ACQUIRE_TIMEOUT, rfc3339
from storage import queries, terminals
from storage.queries import Location, TerminalView
from storage.rows import BACKFILLED, TIME_QUALITIES, TIME_QUALITY

router = APIRouter(prefix="/api/v1/terminals", tags=["terminals"])

TIMES = ("created_at", "registered_at", "authenticated_at", "connected_at", "disconnected_at")
PLAIN = ("phone", "state", "edition", *terminals.FACTS, "note", "last_address")

# What cursors hold; the bounds are those of the columns.
AfterPhone = tuple[Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,20}$")]]
AfterLocation = tuple[
    Annotated[float, msgspec.Meta(ge=queries.BEGINNING, le=queries.END)],
    Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
]

Search = Annotated[
    str | None,
    Query(max_length=64, description="part of a phone number or a plate"),
    AfterValidator(lambda text: text and take.search(text)),
]


def json_response(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


@router.get(
    "",
    response_class=Response,
    responses=models.answer(models.TerminalPage),
    dependencies=needs("read"),
)
async def list_terminals(
    context: Ctx, search: Search = None, limit: take.Limit = 100, cursor: take.PageCursor = None
) -> Response:
    """Terminals by phone number, each with its connection and last position."""
    after = take.unseal(cursor, AfterPhone)
    async with context.pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
        found = await queries.terminals(
            connection, after_phone=after and after[0], limit=limit, search=search
        )
    return json_response(
        {
            "terminals": [terminal_json(context, view) for view in found],
            "next_cursor": take.seal(found[-1].terminal.phone) if len(found) == limit else None,
        }
    )


@router.get(
    "/{phone}",
    response_class=Response,
    responses=models.answer(models.Terminal, 404),
    dependencies=needs("read"),
)
async def get_terminal(context: Ctx, phone: take.Phone) -> Response:
    """One terminal with its connection and last position."""
    return json_response(await _one(context, phone))


@router.put(
    "/{phone}",
    response_class=Response,
    responses={**models.answer(models.Terminal), 201: {"model": models.Terminal}},
    dependencies=needs("terminals:write"),
    openapi_extra=models.request_body(models.TerminalFields),
)
async def put_terminal(request: Request, context: Ctx, phone: take.Phone) -> Response:
    """Make a terminal known, or change what is said of it.

    `reset_code` makes it register again. A terminal that is blocked or loses its code is
    disconnected.
    """
    fields = await models.read_body(request, models.TerminalFields)
    given = fields.model_dump(exclude_unset=True, exclude={"reset_code"})
    if given.get("state", "") is None:
        del given["state"]
    async with (
        context.pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection,
        connection.transaction(),
    ):
        known = await terminals.find(connection, phone)
        await terminals.provision(connection, phone, given)
        if fields.reset_code:
            await terminals.reset_code(connection, phone)
    if fields.reset_code or fields.state == "blocked":
        context.forget(phone)
    return json_response(await _one(context, phone), 200 if known else 201)


@router.delete(
    "/{phone}",
    status_code=204,
    response_class=Response,
    responses={404: {"model": models.Problem}},
    dependencies=needs("terminals:write"),
)
async def delete_terminal(context: Ctx, phone: take.Phone) -> Response:
    """Forget a terminal and disconnect it. What it reported stays until retention ends."""
    async with context.pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
        if not await terminals.delete(connection, phone):
            raise _unknown(phone)
    context.forget(phone)
    return Response(status_code=204)


@router.get(
    "/{phone}/locations",
    response_class=Response,
    responses=models.answer(models.Track, 404),
    dependencies=needs("read"),
)
async def track(
    *,
    context: Ctx,
    phone: take.Phone,
    start: take.From = None,
    to: take.To = None,
    limit: take.Limit = 100,
    cursor: take.PageCursor = None,
) -> Response:
    """The track, oldest first, by device time."""
    after = take.unseal(cursor, AfterLocation)
    async with context.pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
        terminal = await terminals.find(connection, phone)
        if terminal is None:
            raise _unknown(phone)
        begin = queries.BEGINNING if start is None else start
        end = queries.END if to is None else to
        found = await queries.track(connection, terminal.id, begin, end, after, limit=limit)
    last = found[-1] if len(found) == limit else None
    return json_response(
        {
            "locations": [location_json(context, location) for location in found],
            "next_cursor": last and take.seal(last.time, last.digest),
        }
    )


def location_json(context: Context, location: Location) -> dict[str, Any]:
    return {
        "time": rfc3339(location.time),
        "received_at": rfc3339(location.received_at),
        "position": {
            "wgs84": [location.longitude / 1e6, location.latitude / 1e6],
            "altitude_m": location.altitude,
        },
        "speed_kmh": location.speed / 10,
        "heading": location.heading,
        "backfilled": bool(location.flags & BACKFILLED),
        "time_quality": TIME_QUALITIES[location.flags & TIME_QUALITY],
        "alarm_word": location.alarm,
        "status_word": location.status,
        **context.describe(location),
    }


def terminal_json(context: Context, view: TerminalView) -> dict[str, Any]:
    terminal = view.terminal
    connection = context.connection(terminal.phone)
    return {
        **{name: getattr(terminal, name) for name in PLAIN},
        **{name: _time(getattr(terminal, name)) for name in TIMES},
        "has_code": terminal.code_hash is not None,
        "connection": connection
        and {
            "since": rfc3339(connection.since),
            "transport": connection.transport,
            "address": connection.address,
            "edition": connection.edition,
            "last_seen": rfc3339(connection.last_seen),
        },
        "location": view.last and location_json(context, view.last),
    }


async def _one(context: Context, phone: str) -> dict[str, Any]:
    async with context.pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
        view = await queries.terminal(connection, phone)
    if view is None:
        raise _unknown(phone)
    return terminal_json(context, view)


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else rfc3339(seconds)


def _unknown(phone: str) -> Problem:
    return Problem("not_found", f"There is no terminal {phone}.")
