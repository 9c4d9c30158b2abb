"""From settings to a running gateway and back: the embedded database, migrations, the first key,
signals, and the end.

Knows the order of things, and nothing of what the worker does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import structlog
import uvloop

from gateway.config import Settings
from gateway.worker import Worker
from storage import database, events, keys, migrate
from storage.embedded import EmbeddedPostgres

log = structlog.get_logger(__name__)

_NOT_YET = (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError)
"""What a server that will be there later answers; anything else is a wrong setting."""

ADMIN_SCOPES = ("admin",)

WAIT_FIRST, WAIT_MOST = 0.5, 10.0
"""Seconds between attempts to reach the database at the start."""


def run(settings: Settings, *, fleet: int = 0) -> int:
    """Runs until SIGTERM or SIGINT; the exit status. `fleet`: simulated vehicles that drive along."""
    return uvloop.run(_run(settings, fleet))


async def _run(settings: Settings, fleet: int) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.set_exception_handler(_unretrieved)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        dsn = settings.database_url
        if dsn is None:
            postgres = EmbeddedPostgres(settings.data_dir)
            dsn = await postgres.start()
            stack.push_async_callback(postgres.stop)
        if not await _prepared(dsn, settings, stop):
            return 0
        worker = Worker(settings, dsn)
        await worker.start()
        stack.push_async_callback(worker.stop)
        _announce(settings, worker, embedded=settings.database_url is None)
        waits: set[asyncio.Task[Any]] = {
            asyncio.create_task(stop.wait()),
            asyncio.create_task(worker.failed.wait()),
        }
        if fleet:
            driving = asyncio.create_task(_fleet(fleet, worker.terminal_port, settings.host))
            stack.push_async_callback(_cancel, driving)
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        log.info("stopping", sessions=len(worker.registry))
        await _cancel(*waits)
    return 1 if worker.failed.is_set() else 0


def _unretrieved(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What a connection to Postgres leaves behind when it is cut is told by whoever used it."""
    if isinstance(context.get("exception"), database.OUTAGES):
        log.debug("left behind by an outage", what=context.get("message"))
    else:
        loop.default_exception_handler(context)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _prepared(dsn: str, settings: Settings, stop: asyncio.Event) -> bool:
    """Waits for the database, brings its tables up to date, makes the first key. False: told to stop."""
    delay = WAIT_FIRST
    while not stop.is_set():
        try:
            connection = await asyncpg.connect(dsn, timeout=10, server_settings=database.SETTINGS)
            break
        except _NOT_YET as error:
            log.warning("the database can't be reached, will try again", seconds=delay, error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), delay)
            delay = min(2 * delay, WAIT_MOST)
    else:
        return False
    try:
        applied = await migrate.migrate(connection)
        if applied:
            log.info("tables brought up to date", migrations=applied)
        if touched := await events.rebase(connection):
            log.info("the log of events comes from another server, made readable", events=touched)
        await _first_key(connection, settings.admin_key_file)
    finally:
        await connection.close()
    return True


async def _first_key(connection: database.Connection, path: Path) -> None:
    """The administrator's key, in a file that only its owner can read; made where no key exists at all."""
    if await connection.fetchval("SELECT EXISTS (SELECT FROM api_keys)"):
        return
    key = await keys.create(connection, "admin", ADMIN_SCOPES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key + "\n")


def _announce(settings: Settings, worker: Worker, *, embedded: bool) -> None:
    host, key = settings.host, settings.admin_key_file
    facts = {
        "terminals": f"{host}:{worker.terminal_port} (TCP and UDP)",
        "evidence": f"{host}:{worker.evidence.port} (TCP)",
        "api": f"http://{host}:{worker.http.port}/api/docs",
        "metrics": f"http://{host}:{worker.http.port}/metrics",
        "database": f"embedded, in {settings.data_dir.resolve()}" if embedded else "external",
        "admin_key": str(key.resolve()) if key.exists() else "none here; make a key: jtgate keys create",
    }
    log.info("ready", **facts)
    if sys.stderr.isatty():
        sys.stderr.write(greeting(facts))


def greeting(facts: Mapping[str, str]) -> str:
    """What a person at a terminal wants to know first."""
    rows = [f"  {TITLES[name]}  {name.replace('_', ' '):<10} {value}" for name, value in facts.items()]
    return "\n".join(("", "jtgate is ready · 网关已就绪", *rows, "", f"  {NEXT}", "", ""))


TITLES = {
    "terminals": "终端接入",
    "evidence": "附件上传",
    "api": "接口文档",
    "metrics": "运行指标",
    "database": "数据库　",
    "admin_key": "管理密钥",
}
NEXT = "see alarms · 查看报警: .venv/bin/jtgate tail      stop · 停止: Ctrl-C"


DEMO = ("--scenario", "mix", "--interval", "5", "--alarm-every", "12", "--ramp", "10")
"""A report each five seconds and an alarm a minute from every vehicle; some lose the network now and then."""


async def _fleet(size: int, port: int, host: str) -> None:
    """The demonstration: a simulated fleet of all editions and dialects against this gateway."""
    options = {
        "--host": host,
        "--port": port,
        "--terminals": size,
        "--scenario": "alarms,alarms,alarms,evidence",
        "--interval": 2,
        "--alarm-every": 15,
    }
    command = [sys.executable, "-m", "gateway.cli", "simulate", *(str(x) for o in options.items() for x in o)]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
    try:
        status = await process.wait()
        log.warning("the simulated fleet has ended", status=status)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
