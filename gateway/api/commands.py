"""Commands over HTTP: told to a terminal, looked up, and what bodies they take.

Must not know how a command is sent or stored.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Header, Request, Response, Security

from gateway.api import models
from gateway.api import parameters as take
from gateway.api.auth import authorise, needs
from gateway.api.context import Ctx
from gateway.api.problems import Problem
from gateway.api.terminals import json_response
from gateway.commands import CommandError, Commands, Order
from gateway.stream import ACQUIRE_TIMEOUT, rfc3339
from storage import commands as table
from storage import queries
from storage.commands import Command
from storage.keys import ApiKey

router = APIRouter(prefix="/api/v1", tags=["commands"])

AfterCommand = tuple[Annotated[float, msgspec.Meta(ge=0, le=queries.END)], UUID]

Sender = Annotated[ApiKey, Security(authorise, scopes=["commands"])]

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="the same key with the same command is sent once, however often it is asked for",
        max_length=200,
    ),
]

_ERRORS = {
    "unknown_terminal": "not_found",
    "offline": "terminal_offline",
    "unknown_message": "invalid_request",
    "body": "invalid_request",
    "key_reused": "key_reused",
}


@router.post(
    "/terminals/{phone}/commands",
    response_class=Response,
    responses={**models.answer(models.Command, 404), 202: {"model": models.Command}},
    openapi_extra=models.request_body(models.CommandRequest),
)
async def send_command(
    request: Request, context: Ctx, caller: Sender, phone: take.Phone, key: Key = None
) -> Response:
    """Tell a terminal to do something, and wait for its answer.

    200: it is over, `state` says how. 202: it is under way, or waits for the terminal (`ttl`); its end is an
    event `command.*` of the stream.
    """
    asked = await models.read_body(request, models.CommandRequest)
    commands = _commands(context)
    try:
        command = await commands.submit(
            Order(phone, message_id(asked.message), asked.body, caller.id, asked.timeout, asked.ttl, key)
        )
    except CommandError as error:
        raise Problem(_ERRORS[error.code], str(error)) from error
    return json_response(command_json(command), 202 if command.ended_at is None else 200)


@router.get(
    "/terminals/{phone}/commands",
    response_class=Response,
    responses=models.answer(models.CommandPage),
    dependencies=needs("read"),
)
async def list_commands(
    context: Ctx, phone: take.Phone, limit: take.Limit = 100, cursor: take.PageCursor = None
) -> Response:
    """A terminal's commands, the latest first."""
    after = take.unseal(cursor, AfterCommand)
    async with context.pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
        found = await table.of_terminal(
            connection, phone, after=after and (after[0], str(after[1])), limit=limit
        )
    last = found[-1] if len(found) == limit else None
    return json_response(
        {
            "commands": [command_json(command) for command in found],
            "next_cursor": last and take.seal(last.created_at, last.id),
        }
    )


@router.get(
    "/commands/{command_id}",
    response_class=Response,
    responses=models.answer(models.Command, 404),
    dependencies=needs("read"),
)
async def get_command(context: Ctx, command_id: str) -> Response:
    """One command as it stands."""
    async with context.pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
        command = await table.get(connection, command_id)
    if command is None:
        raise Problem("not_found", "There is no such command.")
    return json_response(command_json(command))


def message_id(text: str) -> int:
    """0x8104 as a number; Problem for what is none."""
    if not re.fullmatch(r"0[xX][0-9a-fA-F]{4}", text):
        raise Problem("invalid_request", f"message takes an id such as 0x8104; {text!r} is none.")
    return int(text, 16)


def command_json(command: Command) -> dict[str, Any]:
    return {
        "id": command.id,
        "phone": command.phone,
        "message": f"{command.message_id:#06x}",
        "body": command.body,
        "state": command.state,
        "result": command.result,
        "reason": command.reason,
        "answer_message": command.answer_id and f"{command.answer_id:#06x}",
        "answer": command.answer,
        "timeout": command.timeout,
        **{
            name: None if at is None else rfc3339(at)
            for name, at in (
                ("created_at", command.created_at),
                ("expires_at", command.expires_at),
                ("sent_at", command.sent_at),
                ("acknowledged_at", command.acknowledged_at),
                ("answered_at", command.answered_at),
                ("ended_at", command.ended_at),
            )
        },
    }


def _commands(context: Ctx) -> Commands:
    if context.commands is None:
        raise Problem("unavailable", "This process sends no commands.")
    return context.commands
