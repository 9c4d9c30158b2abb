"""The data folder of the embedded PostgreSQL: who holds it, and what lies in it.

    postgres/           the cluster
    postgres.init-*/    a cluster in the making; renamed when complete
    postgres.password   of the superuser, readable for the gateway's account alone
    postgres.lock       flock()ed by its holder: its pid, and the link to the socket if there is one
    postgres.log        of the server (storage/embedded.py)

This module knows files, one lock and the form of a DSN. It must not know processes, programs,
tables or connections: who runs what on the folder is asked in storage/processes.py.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

NAME = "jtgate"  # of the superuser and of the database
SOCKET = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 107  # bytes: sockaddr_un.sun_path has 108 and ends with a NUL

HALF_CLUSTER_PATIENCE = 10.0  # s for a dying initdb to let go of its folder
POLL = 0.05  # s

INITDB = (
    *("-D", "/proc/self/cwd", "--pwfile=../password", f"--username={NAME}"),
    *("-A", "scram-sha-256", "--data-checksums", "--encoding=UTF8"),
    *("--locale-provider=builtin", "--locale=C.UTF-8"),
)  # run in `cluster` of a work folder


class EmbeddedPostgresError(Exception):
    """The embedded server cannot be used; the text is a sentence for the operator."""


class DataFolderBusyError(EmbeddedPostgresError):
    """Another process holds the data folder."""


class ClusterError(EmbeddedPostgresError):
    """What lies in the data folder is not a cluster this server can take over."""


class DataFolder:
    """One data folder: held from take() to release(), or only looked at.

    `path` is the folder and `cluster` the cluster in it. A socket whose path would be too long is
    reached through a link elsewhere, which lives as long as the folder is held.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path).resolve()
        self.cluster = self.path / "postgres"
        self.password_file = self.path / "postgres.password"
        self.socket_folder = self.cluster
        self._lock_file = self.path / "postgres.lock"
        self._lock: IO[str] | None = None

    @property
    def held(self) -> bool:
        return self._lock is not None

    # Who holds it, and how its socket is reached.

    def take(self) -> None:
        """Lock the folder, which is made if need be. Raises DataFolderBusyError, ClusterError."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = self._lock_file.open("a+")
        except OSError as error:
            raise ClusterError(f"the data folder cannot be used: {error}") from error
        lock.seek(0)
        pid, _, former_link = lock.read().partition("\n")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise DataFolderBusyError(
                f"another jtgate (pid {pid or 'unknown'}) runs on this data folder: {self.path}"
            ) from None
        self._lock = lock
        self._remove_link(former_link.strip())
        self.socket_folder = self.cluster
        if len(os.fsencode(self.cluster / SOCKET)) > SOCKET_PATH_LIMIT:
            link = Path(tempfile.mkdtemp(prefix="jtgate-")) / "pg"
            link.symlink_to(self.cluster)
            self.socket_folder = link
        lock.truncate(0)
        link_line = "" if self.socket_folder == self.cluster else str(self.socket_folder)
        lock.write(f"{os.getpid()}\n{link_line}\n")
        lock.flush()

    def release(self) -> None:
        """The reverse of take(); nothing where the folder isn't held."""
        if self._lock is not None:
            if self.socket_folder != self.cluster:
                self._remove_link(str(self.socket_folder))
            self._lock.close()
            self._lock = None

    def follow_holder(self) -> None:
        """Reach the socket the way the process does that holds the folder."""
        with suppress(OSError):
            link = self._lock_file.read_text().partition("\n")[2].strip()
            self.socket_folder = Path(link) if link else self.cluster

    def _remove_link(self, link: str) -> None:
        with suppress(OSError):  # checked, because the name comes from a file
            if link and Path(link).readlink() == self.cluster:
                Path(link).unlink()
                Path(link).parent.rmdir()

    def dsn(self, password: str, database: str) -> str:
        host = quote(str(self.socket_folder), safe="/")
        return f"postgresql://{NAME}:{password}@/{database}?host={host}&port=5432"

    def password(self) -> str:
        """The superuser's password. Raises ClusterError where it is lost."""
        with suppress(FileNotFoundError):
            if password := self.password_file.read_text().strip():
                return password
        raise ClusterError(
            f"{self.password_file} is missing or empty: restore it together with {self.cluster}"
        )

    # The cluster that is there.

    def has_cluster(self) -> bool:
        return (self.cluster / "PG_VERSION").exists()

    def check_cluster(self, version: str) -> None:
        """Raises ClusterError unless there is none, or one of this major version."""
        try:
            found = (self.cluster / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            if self.cluster.exists() and any(self.cluster.iterdir()):
                raise ClusterError(
                    f"{self.cluster} is not empty and not a PostgreSQL cluster: move it away"
                ) from None
            return
        if found != version:
            raise ClusterError(
                f"{self.cluster} was made by PostgreSQL {found} and this is PostgreSQL {version}: "
                f"dump it with version {found} and load it into a new data folder, "
                "or set JTGATE_DATABASE_URL"
            )

    # The cluster in the making.

    def remove_half_clusters(self) -> None:
        """Remove what killed first starts have left. Blocks; raises OSError."""
        deadline = time.monotonic() + HALF_CLUSTER_PATIENCE
        while halves := list(self.path.glob("postgres.init-*")):
            # Errors are expected at first: the dying initdb of a killed gateway cleans up as well.
            for half in halves:
                shutil.rmtree(half, ignore_errors=time.monotonic() < deadline)
            time.sleep(POLL)

    def make_work_folder(self, uid: int, gid: int) -> Path:
        """A folder of this account with `password` and an empty `cluster`, for initdb."""
        work = Path(tempfile.mkdtemp(prefix="postgres.init-", dir=self.path))
        (work / "cluster").mkdir(mode=0o700)
        # An existing password is kept: its cluster may merely be on a disk that is not mounted.
        with suppress(ClusterError):
            (work / "password").write_text(self.password() + "\n")
        if not (work / "password").exists():
            (work / "password").write_text(secrets.token_urlsafe(24) + "\n")
            descriptor = os.open(self.password_file, os.O_CREAT | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write((work / "password").read_text())
                file.flush()
                os.fsync(descriptor)
        for path in (work, work / "cluster", work / "password"):
            os.chown(path, uid, gid)
        return work

    def install_cluster(self, work: Path) -> None:
        """Put the complete cluster of a work folder in its place."""
        try:
            (work / "cluster").rename(self.cluster)
        except OSError as error:  # a mount point or a symbolic link cannot be replaced
            raise ClusterError(f"the new cluster cannot be put in place: {error}") from error
        folder = os.open(self.path, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        shutil.rmtree(work)
