"""Who may do what: API keys and their scopes, as one dependency of every route under /api/v1.

Must not know how keys are stored or compared (storage/keys.py does).
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from gateway.api.context import Context, Ctx
from gateway.api.problems import Problem
from gateway.stream import ACQUIRE_TIMEOUT
from storage.database import OUTAGES
from storage.keys import ApiKey

BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="An API key: `jtgate keys create`, or the admin key in the data folder.",
)


async def authorise(
    required: SecurityScopes,
    context: Ctx,
    given: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)],
) -> ApiKey:
    """The key of this request, which has the scope that the route names. Else a 401 or 403."""
    if given is None:
        raise _unauthorized("Send the header Authorization: Bearer KEY.")
    key = await _verify(context, given.credentials)
    if key is None:
        raise _unauthorized("This key is unknown, has expired or was revoked.", "invalid_token")
    for scope in required.scopes:
        if not key.allows(scope):
            raise Problem(
                "forbidden",
                f"This needs the scope {scope}.",
                {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
                scope=scope,
            )
    return key


async def still_allowed(request: Request, context: Context, scope: str) -> bool:
    """Whether a request that was let in would be let in now. Yes while the database is away."""
    given = await BEARER(request)
    try:
        key = await _verify(context, given.credentials) if given else None
    except OUTAGES:
        return True
    return key is not None and key.allows(scope)


def needs(scope: str) -> list[Any]:
    """For `dependencies=` of a route."""
    return [Security(authorise, scopes=[scope])]


async def _verify(context: Context, text: str) -> ApiKey | None:
    async with asyncio.timeout(ACQUIRE_TIMEOUT):
        return await context.keys.verify(text)


def _unauthorized(detail: str, error: str | None = None) -> Problem:
    challenge = 'Bearer realm="jtgate"' + (f', error="{error}"' if error else "")
    return Problem("unauthorized", detail, {"WWW-Authenticate": challenge})
