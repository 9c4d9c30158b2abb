"""Embedded PostgreSQL: the life cycle of one private server on a data folder.

Started, watched, healed and stopped here. What lies in the folder is storage/cluster.py's, how
its programs run, and under whose account, storage/processes.py's. This module knows these two,
the server's settings and one DSN. It must not know tables, terminals or anything of the gateway.
"""

from __future__ import annotations

import asyncio
import os
import time
from asyncio.subprocess import Process
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import asyncpg
import structlog

from storage import processes
from storage.cluster import (
    INITDB,
    NAME,
    ClusterError,
    DataFolder,
    DataFolderBusyError,
    EmbeddedPostgresError,
)
from storage.processes import BinariesError, ServerError

__all__ = [
    "SETTINGS",
    "BinariesError",
    "ClusterError",
    "DataFolderBusyError",
    "EmbeddedPostgres",
    "EmbeddedPostgresError",
    "ServerError",
]

LOG_LIMIT = 16 << 20  # the log is renamed to postgres.log.1 at a start beyond this size

BACK_OFF = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)  # a first crash is healed at once: terminals wait
STEADY = 60.0  # seconds alive after which a crash counts as a first one again
PROGRESS = 5.0  # seconds between two lines on a recovery, there and in Postgres' own log

SETTINGS = {
    "unix_socket_directories": ".",
    "listen_addresses": "",  # the socket is reachable for the owner only, a port for everybody
    "max_connections": 50,
    "shared_buffers": "256MB",
    "max_locks_per_transaction": 256,  # a list over half a year of daily partitions locks them all
    "jit": "off",  # queries are short; compiling one costs more than running it
    "io_method": "worker",  # reads ahead for history queries; io_uring is often forbidden
    # An acknowledged report must survive power loss; the gateway's own batches are the group
    # commit, so commit_delay would only add latency.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_buffers": "16MB",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "logging_collector": "off",
    "log_startup_progress_interval": f"{PROGRESS:.0f}s",
}


class EmbeddedPostgres:
    """One PostgreSQL server on `data_dir/postgres`, alive from start() to stop().

    start() locks the data folder, ends what a killed predecessor left running, makes the cluster
    if there is none (in a temporary folder, renamed when complete), starts `postgres` as a direct
    child, waits for the end of its recovery however long that takes, and returns the DSN. From
    then on a task restarts a server that dies; the DSN stays the same and clients reconnect.
    A failure of the first start is raised, later ones are logged and retried with back-off.
    stop() shuts down within bounds and releases the folder; the object may be started again.
    Should the gateway be killed, the kernel sends the server a fast shutdown.
    """

    def __init__(self, data_dir: Path, log: Any = None) -> None:
        self._folder = DataFolder(data_dir)
        self.data_dir, self.cluster = self._folder.path, self._folder.cluster
        self._log = log if log is not None else structlog.get_logger(__name__)
        self._log_file = self.data_dir / "postgres.log"
        self._account = (os.geteuid(), os.getegid())
        self._programs = Path()
        self._log_start = 0
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The postmaster's pid, None while there is none."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and running else None

    async def start(self) -> str:
        """Returns the DSN of a server that accepts connections. Raises EmbeddedPostgresError."""
        began = time.monotonic()
        try:
            self._folder.take()
            await asyncio.to_thread(self._prepare)
            await processes.end_leftovers(self.cluster, self._log)
            if not self._folder.has_cluster():
                await self._create_cluster()
            password = self._folder.password()
            await self._launch()
            await self._create_database(self._folder.dsn(password, "postgres"))
        except BaseException as error:
            await self.stop()
            if isinstance(error, OSError):
                raise ClusterError(f"{self.cluster} cannot be set up: {error}") from error
            raise
        self._task = asyncio.create_task(self._supervise(), name="embedded-postgres")
        self._log.info("postgres ready", pid=self.pid, seconds=round(time.monotonic() - began, 2))
        return self._folder.dsn(password, NAME)

    def attach(self) -> str:
        """The DSN of the server that another process keeps on this folder. For short visits.

        Starts, locks and makes nothing. Raises ClusterError where the password is missing.
        """
        self._folder.follow_holder()
        return self._folder.dsn(self._folder.password(), NAME)

    async def wait(self) -> None:
        """Returns after stop(); raises if the supervision itself has failed."""
        if self._task is not None:
            await asyncio.wait({self._task})
            if not self._task.cancelled():
                self._task.result()

    async def stop(self) -> None:
        """Ends the server (SIGINT, then SIGQUIT, then SIGKILL) and releases the data folder."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        try:
            process = self._process
            if process is not None and process.returncode is None:
                await processes.end(process.pid, lambda: process.returncode is None)
            if self._folder.held:
                await processes.end_leftovers(self.cluster, self._log)
        finally:
            self._process = None
            self._folder.release()

    async def _supervise(self) -> None:
        failures = 0
        while self._process is not None:
            born = time.monotonic()
            code = await self._process.wait()
            self._log.error("postgres died", code=code, last=self._last_words())
            failures = 0 if time.monotonic() - born > STEADY else failures
            ready = False
            while not ready:
                await asyncio.sleep(BACK_OFF[min(failures, len(BACK_OFF) - 1)])
                failures += 1
                began = time.monotonic()
                try:
                    await processes.end_leftovers(self.cluster, self._log)
                    await self._launch()
                    ready = True
                except (EmbeddedPostgresError, OSError) as error:
                    self._log.error("postgres restart failed", error=str(error), tries=failures)
            seconds = round(time.monotonic() - began, 2)
            self._log.warning("postgres restarted", pid=self.pid, seconds=seconds)

    # The first start.

    def _prepare(self) -> None:
        self._folder.remove_half_clusters()
        self._account = processes.choose_account(self.cluster)
        self._programs, version = processes.programs_for(self._account)
        self._folder.check_cluster(version)

    async def _create_cluster(self) -> None:
        work = self._folder.make_work_folder(*self._account)
        self._process = await self._spawn(work / "cluster", "initdb", *INITDB)
        if await self._process.wait() != 0:
            raise ServerError(f"initdb failed: {self._last_words()}; see {self._log_file}")
        self._folder.install_cluster(work)

    async def _create_database(self, dsn: str) -> None:
        try:
            connection = await asyncpg.connect(dsn, timeout=30)
            try:
                query = "SELECT 1 FROM pg_database WHERE datname = $1"
                if await connection.fetchval(query, NAME) is None:
                    await connection.execute(f"CREATE DATABASE {NAME}")
            finally:
                await connection.close()
        except (OSError, asyncpg.PostgresError) as error:
            raise ServerError(f"Postgres runs but refuses its owner: {error}") from error

    # The process and what it says.

    async def _spawn(self, folder: Path, program: str, *arguments: str) -> Process:
        with self._open_log() as log:
            return await processes.spawn(
                self._programs / program, *arguments, account=self._account, folder=folder, output=log
            )

    async def _launch(self) -> None:
        settings = [f"-c{name}={value}" for name, value in SETTINGS.items()]
        title = f"-ccluster_name={processes.title(self.cluster)}"
        process = await self._spawn(self.cluster, "postgres", "-D", "/proc/self/cwd", title, *settings)
        self._process = process
        began = noted = time.monotonic()
        while process.returncode is None:
            if self._is_ready(process.pid):
                return
            now = time.monotonic()
            if now - noted > PROGRESS:
                noted = now
                seconds = round(now - began)
                last = "".join(self._log_lines()[-1:])
                self._log.info("postgres is starting", seconds=seconds, last=last)
            await asyncio.sleep(processes.POLL)
        raise ServerError(f"Postgres did not start: {self._last_words()}; see {self._log_file}")

    def _is_ready(self, pid: int) -> bool:
        # What pg_ctl looks at; unlike a connection it also works with all connections taken.
        with suppress(FileNotFoundError):
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
            return lines[:1] == [str(pid)] and lines[7:8] != [] and lines[7].strip() == "ready"
        return False

    def _open_log(self) -> IO[bytes]:
        with suppress(FileNotFoundError):
            if self._log_file.stat().st_size > LOG_LIMIT:
                self._log_file.rename(f"{self._log_file}.1")
        descriptor = os.open(self._log_file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        self._log_start = os.fstat(descriptor).st_size
        return os.fdopen(descriptor, "ab")

    def _log_lines(self) -> list[str]:
        """The end of what the present program has written."""
        with suppress(OSError), self._log_file.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - 4096))
            return log.read().decode("utf-8", "replace").splitlines()
        return []

    def _last_words(self) -> str:
        """The log line that most likely says why the program has ended."""
        lines = self._log_lines()
        reasons = [line for line in lines if "FATAL" in line or "PANIC" in line]
        return (reasons or lines or [""])[-1].strip()
