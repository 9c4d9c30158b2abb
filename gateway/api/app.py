"""The HTTP interface put together: routes, error answers, request ids, the OpenAPI document.

Must not know sockets (server.py) nor the worker that hands it its context.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from importlib.metadata import version
from typing import Any

import structlog
from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api import (
    alarms,
    commands,
    docs,
    events,
    evidence,
    health,
    messages,
    models,
    problems,
    terminals,
)
from gateway.api.context import Context
from gateway.stream import ALARM_SCHEMA

DESCRIPTION = (
    "Terminals, tracks and alarms of a JT/T 808 gateway, and the ordered log of its events. Send "
    "the header Authorization: Bearer KEY with every request to /api/v1. Errors are problem "
    "documents (RFC 9457). Lists are read by pages: ask again with next_cursor until it is null."
)
_REQUEST_ID = re.compile(r"[0-9A-Za-z._-]{1,64}")


def build(context: Context) -> FastAPI:
    """The application; `app.state.closing` ends its open streams and long polls."""
    app = FastAPI(
        title="jtgate",
        version=version("jtgate"),
        description=DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.context = context
    app.state.closing = asyncio.Event()
    for room in (health, terminals, alarms, evidence, events, commands, messages):
        app.include_router(room.router)

    @app.get("/api/docs", include_in_schema=False)
    async def documentation() -> Response:
        return HTMLResponse(docs.page(app.openapi()), headers={"Content-Security-Policy": docs.POLICY})

    @app.get(ALARM_SCHEMA, include_in_schema=False)
    async def alarm_schema() -> Response:
        schema = {"$id": ALARM_SCHEMA, **models.Alarm.model_json_schema()}
        return JSONResponse(schema, media_type="application/schema+json")

    problems.install(app)
    app.add_middleware(RequestIds)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


class RequestIds:
    """Every answer names its request: by the client's X-Request-Id, or by one of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._app(scope, receive, send_with_id)


def _document(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document, with errors as they are: problem documents, on every route with a key."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
    )
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = models.Problem.model_json_schema()
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    replaced = (problem, {"schema": {"$ref": "#/components/schemas/HTTPValidationError"}}, None)
    for path in document["paths"].values():
        for operation in path.values():
            responses = operation["responses"]
            if "security" in operation:
                responses |= {str(status): {} for status in (401, 403, 422, 503)}
            for status in [status for status in responses if status >= "4"]:
                if responses[status].get("content", {}).get("application/json") in replaced:
                    responses[status] = {
                        "description": problems.title(int(status)),
                        "content": {problems.MEDIA_TYPE: problem},
                    }
            operation["responses"] = dict(sorted(responses.items()))
    app.openapi_schema = document
    return document
