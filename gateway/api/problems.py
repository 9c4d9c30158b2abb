"""Errors as RFC 9457 problem documents: one table, one shape, no traceback.

Must not know the routes. A handler raises `Problem`, or lets what storage raised pass through.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import asyncpg
import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from storage.database import OUTAGES
from storage.events import BadCursor, CursorExpired

log = structlog.get_logger("gateway.api")

MEDIA_TYPE = "application/problem+json"
URN = "urn:jtgate:problem:"

# type (after URN): status, title
PROBLEMS: dict[str, tuple[int, str]] = {
    "unauthorized": (401, "A valid API key is needed"),
    "forbidden": (403, "The key lacks the scope"),
    "not_found": (404, "Not found"),
    "method_not_allowed": (405, "Method not allowed"),
    "terminal_offline": (409, "The terminal is not connected"),
    "link_expired": (403, "The link does not open"),
    "cursor_expired": (410, "The cursor is too old"),
    "body_too_large": (413, "The body is too large"),
    "key_reused": (422, "The Idempotency-Key belongs to another command"),
    "invalid_request": (422, "The request is not valid"),
    "internal": (500, "Internal error"),
    "unavailable": (503, "The database can't be reached at present"),
}
_BY_STATUS = {status: name for name, (status, _) in PROBLEMS.items()}  # the last of a status speaks for it

# Postgres understood us and refused: our mistake, and waiting won't help.
_OUR_FAULT = (asyncpg.DataError, asyncpg.InterfaceError, asyncpg.SyntaxOrAccessError)


class Problem(Exception):  # noqa: N818 - the name that RFC 9457 gives it
    """An error answer: `name` of PROBLEMS, what happened in this case, and members of its own."""

    def __init__(
        self, name: str, detail: str, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.name = name
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members


def title(status: int) -> str:
    return PROBLEMS[_BY_STATUS[status]][1]


def invalid(where: str, name: str, message: str) -> Problem:
    """A 422 that names one parameter, as those that FastAPI finds are named."""
    error = {"in": where, "name": name, "message": message}
    return Problem("invalid_request", f"{name}: {message}", errors=[error])


def response(request: Request, problem: Problem) -> Response:
    status, title = PROBLEMS[problem.name]
    document = {
        "type": URN + problem.name,
        "title": title,
        "status": status,
        "detail": problem.detail,
        **problem.members,
        "request_id": getattr(request.state, "request_id", None),
    }
    return Response(msgspec.json.encode(document), status, problem.headers, MEDIA_TYPE)


def _from_http(error: HTTPException) -> Problem:
    # Starlette's own: no such route, no such method
    name = _BY_STATUS.get(error.status_code, "invalid_request")
    return Problem(name, error.detail or HTTPStatus(error.status_code).phrase, error.headers)


def _from_validation(error: RequestValidationError) -> Problem:
    errors = [
        {
            "in": str(found["loc"][0]),
            "name": ".".join(str(part) for part in found["loc"][1:]),
            "message": found["msg"].removeprefix("Value error, "),
        }
        for found in error.errors()
    ]
    first = errors[0]
    return Problem("invalid_request", f"{first['name']}: {first['message']}", errors=errors)


def _from_outage(error: Exception) -> Problem:
    if isinstance(error, _OUR_FAULT) and not isinstance(error, asyncpg.PostgresConnectionError):
        log.exception("query failed", exc_info=error)
        return Problem("internal", "The request could not be carried out.")
    log.warning("database unavailable", error=repr(error))
    return Problem("unavailable", "Try again shortly.", {"Retry-After": "2"})


def _from_expired(error: CursorExpired) -> Problem:
    return Problem(
        "cursor_expired",
        "The log does not reach back to this cursor; something may have been missed since.",
        earliest_cursor=str(error.earliest),
    )


def install(app: FastAPI) -> None:
    """Answer everything that can be raised below with a problem document."""
    table: dict[type[Exception], Any] = {
        Problem: lambda error: error,
        HTTPException: _from_http,
        RequestValidationError: _from_validation,
        CursorExpired: _from_expired,
        BadCursor: lambda error: invalid("query", "cursor", str(error)),
        **dict.fromkeys(OUTAGES, _from_outage),
        Exception: lambda _: Problem("internal", "The request could not be carried out."),
    }
    for kind, convert in table.items():

        async def handle(request: Request, error: Exception, convert: Any = convert) -> Response:
            return response(request, convert(error))

        app.add_exception_handler(kind, handle)
