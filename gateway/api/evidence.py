"""The files of alarms over HTTP: the list, each of them by ranges, and links that open without a key.

Must not know how files arrive. What a file is served as was told by its content; the terminal's name for it
is shown, and never used.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, Security
from fastapi.responses import FileResponse
from fastapi.security import HTTPAuthorizationCredentials, SecurityScopes

from gateway.api import models
from gateway.api.auth import BEARER, authorise, needs
from gateway.api.context import Context, Ctx
from gateway.api.problems import Problem
from gateway.api.terminals import json_response
from gateway.stream import ACQUIRE_TIMEOUT, rfc3339
from protocol.content import KINDS, OTHER, STATES
from protocol.messages.evidence import read_states
from storage import evidence as table
from storage import queries
from storage.evidence import File, State

router = APIRouter(prefix="/api/v1/alarms", tags=["evidence"])

LINK_SECONDS = 900
"""How long a signed link opens."""

MAX_STATES = 4 << 20
"""Bytes of vehicle states that are decoded at once."""

SAFE = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}

Expires = Annotated[int | None, Query(description="of a signed link: seconds since 1970")]
Signature = Annotated[str | None, Query(max_length=64, description="of a signed link")]


async def by_link_or_key(
    request: Request,
    context: Ctx,
    given: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)],
    expires: Expires = None,
    signature: Signature = None,
) -> None:
    """A signed link that has not expired, or a key that may read."""
    if signature is None or expires is None:
        await authorise(SecurityScopes(["read"]), context, given)
        return
    wanted = sign(context, request.url.path, expires)
    if not hmac.compare_digest(wanted.encode(), signature.encode()) or expires < time.time():
        raise Problem("link_expired", "This link is not ours, or its time is over; ask for another.")


def sign(context: Context, path: str, expires: int) -> str:
    return hmac.digest(context.link_secret, f"{path}\n{expires}".encode(), "sha256").hex()


@router.get(
    "/{alarm_id}/evidence",
    response_class=Response,
    responses=models.answer(models.EvidenceList, 404),
    dependencies=needs("read"),
)
async def list_evidence(context: Ctx, alarm_id: str) -> Response:
    """The files of an alarm, those that are expected or on their way too. `link` opens without a key for
    15 minutes, until the gateway is restarted."""
    view, files = await _files(context, alarm_id)
    facts = table.told(view.alarm, files)
    return json_response(
        {
            "alarm_id": view.alarm.id,
            "expected": facts["expected"],
            "received": facts["received"],
            "files": [_file_json(context, file) for file in files],
        }
    )


@router.get(
    "/{alarm_id}/evidence/{n}",
    response_class=Response,
    responses={
        200: {"description": "The file", "content": {"application/octet-stream": {}}},
        206: {"description": "A part of it"},
        304: {"description": "It is what you have"},
        404: {"model": models.Problem},
        410: {"model": models.Problem},
    },
    dependencies=[Security(by_link_or_key, scopes=["read"])],
)
async def get_evidence(request: Request, context: Ctx, alarm_id: str, n: int) -> Response:
    """One file, or the ranges of it that are asked for. Its ETag is the SHA-256 of its content."""
    file = await _whole(context, alarm_id, n)
    assert file.sha256 is not None and context.store is not None  # noqa: S101 - it is whole
    kind = KINDS.get(file.media_type or "", OTHER)
    etag = f'"{file.sha256.hex()}"'
    headers = {**SAFE, "ETag": etag, "Cache-Control": "private, max-age=31536000, immutable"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    path = context.store.path(file.sha256)
    if not await asyncio.to_thread(path.is_file):
        raise Problem("not_found", "The file is not in this gateway's store.")
    return FileResponse(
        path,
        headers=headers,
        media_type=kind.media_type,
        filename=f"{file.alarm_id}-{n}.{kind.suffix}",
        content_disposition_type="inline" if kind.media_type.partition("/")[0] in SHOWN else "attachment",
    )


SHOWN = ("image", "audio", "video")


@router.get(
    "/{alarm_id}/evidence/{n}/blocks",
    response_class=Response,
    responses=models.answer(models.VehicleStates, 404, 422),
    dependencies=needs("read"),
)
async def get_blocks(context: Ctx, alarm_id: str, n: int) -> Response:
    """The vehicle states of a `.bin` file, decoded."""
    file = await _whole(context, alarm_id, n)
    assert file.sha256 is not None and context.store is not None  # noqa: S101 - it is whole
    if file.media_type != STATES or file.size > MAX_STATES:
        raise Problem("invalid_request", f"File {n} holds no vehicle states, or too many.")
    data = await asyncio.to_thread(context.store.path(file.sha256).read_bytes)
    states = read_states(data, present=True)
    faults = [{"offset": b.offset, "path": b.path, "detail": b.detail} for b in states.breaks]
    return json_response({"blocks": states.blocks, "rest": states.rest.hex(), "faults": faults})


async def _files(context: Context, alarm_id: str) -> tuple[queries.AlarmView, list[File]]:
    async with context.pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
        view = await queries.alarm(connection, alarm_id)
        if view is None:
            raise Problem("not_found", "There is no such alarm.")
        found = await table.of_alarms(connection, [(view.terminal_id, view.alarm)])
    return view, found.get(view.alarm.id, [])


async def _whole(context: Context, alarm_id: str, n: int) -> File:
    _, files = await _files(context, alarm_id)
    for file in files:
        if file.n == n and file.state is State.COMPLETE and context.store is not None:
            return file
    raise Problem("not_found", "There is no such file, or it is not complete.")


def _file_json(context: Context, file: File) -> dict[str, Any]:
    whole = file.state is State.COMPLETE
    path = table.PATH.format(file.alarm_id, file.n)
    expires = int(time.time()) + LINK_SECONDS
    link = f"{path}?expires={expires}&signature={sign(context, path, expires)}" if whole else None
    return {
        "n": file.n,
        "name": file.name,
        "state": file.state,
        "type": file.type,
        "bytes": file.size,
        "received": file.received,
        "media_type": file.media_type,
        "sha256": file.sha256.hex() if file.sha256 else None,
        "reason": file.reason,
        "url": path if whole else None,
        "link": link,
        "link_expires_at": rfc3339(expires) if whole else None,
    }
