"""What the API is handed: everything it may use, and nothing to find it by itself.

Must not know who made these things: the worker does.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import Depends, Request

from gateway.config import Settings
from gateway.metrics import Metrics
from gateway.stream import Stream
from storage.database import Pool
from storage.files import Store
from storage.keys import KeyRing

if TYPE_CHECKING:  # the API needs its shape, not the sessions behind it
    from gateway.commands import Commands
    from gateway.registry import Connection


@dataclass(frozen=True)
class Context:
    pool: Pool
    settings: Settings
    keys: KeyRing
    stream: Stream
    metrics: Metrics
    commands: Commands | None = None  # None: this process sends none
    store: Store | None = None  # None: this process serves no files
    # signs links that open without a key; they end with the process
    link_secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    # a terminal's connection in this process, if it has one
    connection: Callable[[str], Connection | None] = lambda phone: None
    # why the gateway is not ready; empty when it is
    ready: Callable[[], list[str]] = list
    # a row of `locations` decoded, in the words of models.Location: alarms, status, items …
    describe: Callable[[Any], dict[str, Any]] = lambda row: {}
    # called after a terminal was deleted, blocked or lost its code: its session has to end
    forget: Callable[[str], None] = lambda phone: None
    # a reader of the stream that has not read for so many seconds is closed
    blocked_limit: float = 60.0
    # how often an open stream's key is looked at again, in seconds
    recheck: float = 30.0


def _context(request: Request) -> Context:
    return cast("Context", request.app.state.context)


def _closing(request: Request) -> asyncio.Event:
    return cast("asyncio.Event", request.app.state.closing)


Ctx = Annotated[Context, Depends(_context)]
Closing = Annotated[asyncio.Event, Depends(_closing)]
