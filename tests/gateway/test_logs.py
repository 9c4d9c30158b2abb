"""gateway/logs.py: one line an entry, whatever the text."""

import io
import json
import logging

import pytest
import structlog

from gateway import logs


@pytest.fixture(autouse=True)
def restored():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    uvicorn = logging.getLogger("uvicorn")
    uvicorn_level = uvicorn.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    uvicorn.setLevel(uvicorn_level)


HOSTILE = "粤B1\n2026-01-01 [info] forged\x1b[31m"


def test_json_lines_of_both_kinds_of_loggers():
    out = io.StringIO()
    logs.configure("auto", "info", out)
    structlog.get_logger("gateway.x").info("stored", plate=HOSTILE, raw=b"\x7e")
    logging.getLogger("other").warning("said %s", "so")
    structlog.get_logger("gateway.x").debug("not shown")
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first["event"] == "stored"
    assert first["plate"] == HOSTILE
    assert first["logger"] == "gateway.x"
    assert (second["event"], second["level"]) == ("said so", "warning")


def test_a_plate_cannot_forge_a_line_on_the_console():
    out = io.StringIO()
    logs.configure("console", "info", out)
    structlog.get_logger("gateway.x").info("stored", plate=HOSTILE)
    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()


def test_an_exception_is_structured():
    out = io.StringIO()
    logs.configure("json", "info", out)
    try:
        raise ValueError("no")
    except ValueError:
        structlog.get_logger("gateway.x").exception("failed")
    entry = json.loads(out.getvalue())
    assert entry["exception"][0]["exc_type"] == "ValueError"
