"""The log over HTTP: pages, long poll, and server-sent events.

Events arrive here as rendered bytes and leave as they are. Must not know what an event means.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Header, Query, Request, Response
from starlette.types import Receive, Scope, Send

from gateway.api import models
from gateway.api.auth import needs, still_allowed
from gateway.api.context import Closing, Context, Ctx
from gateway.api.parameters import Instant, Limit, Wanted
from gateway.api.problems import invalid
from storage.events import START, BadCursor, Cursor, Filter

log = structlog.get_logger("gateway.api.events")

MAX_WAIT = 30  # s
RETRY = 2000  # ms that an EventSource waits before it comes back
FAREWELL_SECONDS = 1.0
SCOPE = "events"

router = APIRouter(prefix="/api/v1/events", tags=["events"], dependencies=needs(SCOPE))

At = Annotated[
    str | None,
    Query(max_length=64, description='after this place; or "earliest", or "latest"'),
]
Since = Annotated[Instant | None, Query(description="instead of a cursor: from this time on")]


@router.get("", response_class=Response, responses=models.answer(models.EventPage, 410))
async def events(
    *,
    context: Ctx,
    closing: Closing,
    wanted: Wanted,
    cursor: At = None,
    since: Since = None,
    limit: Limit = 100,
    wait: Annotated[
        float,
        Query(ge=0, le=MAX_WAIT, allow_inf_nan=False, description="seconds to wait for an event"),
    ] = 0,
) -> Response:
    """The log from a place on, the oldest first; with `wait`, a long poll.

    Without `cursor` or `since` it begins at the earliest event. Go on with `next_cursor`, whether
    there were events or not.
    """
    after = await _place(context, cursor, since, default=START)
    page = await _unless(closing, context.stream.wait(after, wanted, limit, wait))
    page = page or await context.stream.wait(after, wanted, limit, 0)
    body = b'{"events":[%b],"next_cursor":"%b","has_more":%b}' % (
        b",".join([item.body for item in page.items]),
        str(page.cursor).encode(),
        b"true" if page.more else b"false",
    )
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


@router.get("/stream", response_class=Response, responses=models.event_stream())
async def stream(
    *,
    request: Request,
    context: Ctx,
    closing: Closing,
    wanted: Wanted,
    cursor: At = None,
    since: Since = None,
    last_event_id: Annotated[
        str | None, Header(max_length=64, description="goes before `cursor` and `since`")
    ] = None,
) -> Response:
    """The log as server-sent events: `id` is the cursor, `data` the envelope.

    Without a place it begins with what comes now. A `stream.bookmark` comes every 15 s of silence
    and after 1000 events that the filter left out: it moves the cursor. `stream.gap` says that
    retention has overtaken the reader. Whoever does not read for 60 s is disconnected, and can go
    on with `Last-Event-ID`.
    """
    if last_event_id:
        after = _parse(last_event_id, "header", "Last-Event-ID")
    else:
        after = await _place(context, cursor, since, default=None)
    await context.stream.check(after)

    async def allowed() -> bool:
        return await still_allowed(request, context, SCOPE)

    return EventStream(context, closing, after, wanted, allowed)


class EventStream(Response):
    """An endless response: as much as the reader takes, and no more than one batch ahead of it."""

    media_type = "text/event-stream"

    def __init__(
        self,
        context: Context,
        closing: asyncio.Event,
        after: Cursor,
        wanted: Filter,
        allowed: Callable[[], Awaitable[bool]],
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._context = context
        self._closing = closing
        self._after = after
        self._wanted = wanted
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send_all(send))
        others = [
            asyncio.create_task(_disconnected(receive)),
            asyncio.create_task(_set(self._closing)),
        ]
        try:
            await asyncio.wait([sending, *others], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, *others):
                task.cancel()
            await asyncio.wait([sending, *others])
        try:
            if not sending.cancelled():
                sending.result()
            async with asyncio.timeout(FAREWELL_SECONDS):
                await send({"type": "http.response.body", "body": b": end\n\n", "more_body": False})
        except TimeoutError:
            self._abort(scope)
            await _disconnected(receive)

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await self._send(send, b"retry: %d\n\n" % RETRY)
        looked = time.monotonic()
        async with aclosing(self._context.stream.follow(self._after, self._wanted)) as batches:
            async for batch in batches:
                await self._send(send, b"".join([item.frame for item in batch.items]))
                if time.monotonic() - looked > self._context.recheck:
                    looked = time.monotonic()
                    if not await self._allowed():
                        return

    async def _send(self, send: Send, data: bytes) -> None:
        """Raises TimeoutError where the reader takes nothing for too long."""
        async with asyncio.timeout(self._context.blocked_limit):
            await send({"type": "http.response.body", "body": data, "more_body": True})

    def _abort(self, scope: Scope) -> None:
        self._context.metrics.counters.stream_blocked += 1
        log.info("reader closed", reason="it did not read", client=scope.get("client"))
        abort: Callable[[], None] | None = scope.get("state", {}).get("abort")
        if abort:
            abort()


async def _place(context: Context, cursor: str | None, since: float | None, default: Cursor | None) -> Cursor:
    if cursor is not None and since is not None:
        raise invalid("query", "since", "goes without cursor")
    if since is not None:
        return await context.stream.since(since)
    if cursor == "latest" or (cursor is None and default is None):
        return await context.stream.latest()
    if cursor == "earliest" or cursor is None:
        return START
    return _parse(cursor, "query", "cursor")


def _parse(text: str, where: str, name: str) -> Cursor:
    try:
        return Cursor.parse(text)
    except BadCursor as error:
        raise invalid(where, name, str(error)) from None


async def _unless(closing: asyncio.Event, work: Awaitable[Any]) -> Any | None:
    """The result of some work, or None where the gateway closes before it is there."""
    task, end = asyncio.ensure_future(work), asyncio.create_task(_set(closing))
    try:
        await asyncio.wait([task, end], return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        end.cancel()


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
