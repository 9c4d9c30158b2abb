"""Logging set-up: structlog for our own code, the standard library's loggers through the same pipe.

JSON lines for machines, coloured lines on a terminal. Everything that a terminal sent reaches the
log as a value, never as part of a message, and is escaped there: a plate can't forge a log line.
Knows no room; called once, by whoever starts the program.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import msgspec
import structlog


def configure(form: str = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Send all logs to `stream` (stderr), as `form` "json", "console", or "auto": by isatty."""
    stream = stream or sys.stderr
    console = form == "console" or (form == "auto" and stream.isatty())
    threshold = getattr(logging, level.upper())
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    structlog.configure(
        processors=[
            *before,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(_console(stream) if console else _json()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    # the writer and the stream tell of an outage themselves, in one line
    logging.getLogger("asyncpg.pool").setLevel(max(threshold, logging.ERROR))
    # uvicorn tells of each start and stop at "info", and of each bad request at "warning"
    logging.getLogger("uvicorn").setLevel(max(threshold, logging.ERROR))


def _console(stream: TextIO) -> list[Any]:
    return [
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(),
            timestamp_key="time",
            repr_native_str=True,
            exception_formatter=structlog.dev.plain_traceback,
        )
    ]


def _json() -> list[Any]:
    # Never with the variables of the frames: the password of the database is among them.
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer(_dumps)]


def _dumps(value: Any, **_: Any) -> str:
    return msgspec.json.encode(value, enc_hook=repr).decode()
