"""The embedded server against real processes: killed, orphaned, locked out, started on rubble.

pytest's folders are 0700 and belong to whoever runs the tests, so as root every test here also
runs with a data folder that the server's account cannot walk to.
"""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from storage import embedded
from storage.cluster import SOCKET
from storage.embedded import (
    ClusterError,
    DataFolderBusyError,
    EmbeddedPostgres,
    ServerError,
)
from storage.processes import LAUNCHER, _installed_package, processes, title, works_on

PACKAGE = _installed_package()
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="about changing the uid")

OWNER = """
import sys
from pathlib import Path
import uvloop
from storage.embedded import EmbeddedPostgres
async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]))
    await server.start()
    print("started", server.pid, flush=True)
    await server.wait()
uvloop.run(main())
"""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path / "data")
    yield server
    await server.stop()
    await eventually(lambda: processes(server.cluster) == [])


@pytest.fixture
async def long_server(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path / ("long " * 20) / ("漫长" * 20))
    yield server
    await server.stop()


async def query(dsn: str, sql: str, patience: float = 20) -> object:
    """The value of one query; like any client it tries again while the server is away."""
    deadline = time.monotonic() + patience
    while True:
        try:
            connection = await asyncpg.connect(dsn)
            try:
                return await connection.fetchval(sql)
            finally:
                await connection.close()
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.02)


async def eventually(condition: Callable[[], bool], patience: float = 10) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def as_account(server: EmbeddedPostgres) -> dict[str, object]:
    uid, gid = server._account
    return {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}


def started_pid(owner: subprocess.Popen[str]) -> int:
    for line in owner.stdout:
        if line.startswith("started "):
            return int(line.split()[1])
    raise AssertionError("the owner did not start")


async def test_first_and_second_start(server):
    dsn = await server.start()
    await query(dsn, "CREATE TABLE t AS SELECT 7 AS a")
    assert await query(dsn, "SHOW fsync") == "on"
    assert await query(dsn, "SHOW synchronous_commit") == "on"
    assert await query(dsn, "SHOW data_checksums") == "on"
    assert await query(dsn, "SELECT current_user || '@' || current_database()") == "jtgate@jtgate"
    assert await query(dsn, "SELECT lower('ÄЖ') || ' 粤'") == "äж 粤"
    assert stat.S_IMODE(server._folder.password_file.stat().st_mode) == 0o600
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(dsn.replace(server._folder.password(), "guess"))
    await server.stop()
    assert server.pid is None
    assert list(server.data_dir.glob("postgres.init-*")) == []

    assert await server.start() == dsn
    assert await query(dsn, "SELECT a FROM t") == 7


async def test_stop_does_not_wait_for_clients(server):
    connection = await asyncpg.connect(await server.start())
    await connection.execute("BEGIN; CREATE TABLE t (a int)")
    waiter = asyncio.create_task(server.wait())
    began = time.monotonic()
    await server.stop()
    assert time.monotonic() - began < 5
    await waiter
    connection.terminate()


async def test_kill_of_the_postmaster_heals(server):
    dsn = await server.start()
    await query(dsn, "CREATE TABLE t AS SELECT 7 AS a")
    busy = asyncio.create_task(query(dsn, "SELECT pg_sleep(60)", patience=0))
    former = server.pid
    await eventually(lambda: len(processes(server.cluster)) > 1)
    os.kill(former, signal.SIGKILL)
    assert await query(dsn, "SELECT a FROM t") == 7
    await eventually(lambda: server.pid not in (None, former))
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await busy


async def test_restart_is_tried_until_it_succeeds(server):
    dsn = await server.start()
    rules = server.cluster / "pg_hba.conf"
    good = rules.read_text()
    rules.write_text("nonsense\n")
    os.kill(server.pid, signal.SIGKILL)
    await eventually(lambda: "nonsense" in server._log_file.read_text() and server.pid is None)
    rules.write_text(good)
    assert await query(dsn, "SELECT 1") == 1


async def test_failed_start_says_why_and_releases_the_folder(server):
    await server.start()
    await server.stop()
    rules = server.cluster / "pg_hba.conf"
    good = rules.read_text()
    rules.write_text("nonsense\n")
    with pytest.raises(ServerError, match=r"pg_hba\.conf"):
        await server.start()
    rules.write_text(good)
    assert await query(await server.start(), "SELECT 1") == 1


async def test_cancelled_start_leaves_nothing(server):
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(server.start(), 0.2)
    assert not server._folder.held
    assert await query(await server.start(), "SELECT 1") == 1


async def test_killed_owner_takes_the_server_along(server, spawn):
    owner = spawn(sys.executable, "-c", OWNER, server.data_dir)
    pid = started_pid(owner)
    owner.kill()
    owner.wait()
    await eventually(lambda: not works_on(pid, server.cluster))


async def test_start_right_after_owner_and_postmaster_were_killed(server, spawn):
    owner = spawn(sys.executable, "-c", OWNER, server.data_dir)
    pid = started_pid(owner)
    dsn = server._folder.dsn(server._folder.password(), "jtgate")
    busy = asyncio.create_task(query(dsn, "SELECT pg_sleep(60)", patience=0))
    await asyncio.sleep(0.2)
    os.kill(pid, signal.SIGKILL)
    owner.kill()
    owner.wait()
    assert await server.start() == dsn
    assert await query(dsn, "SELECT 1") == 1
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await busy


async def test_orphan_is_replaced(server, spawn):
    dsn = await server.start()
    await server.stop()
    orphan = spawn(
        *(sys.executable, "-I", "-S", "-c", LAUNCHER),
        *map(str, (*server._account, os.getpid(), server._programs / "postgres")),
        *("-D", "/proc/self/cwd", "-cunix_socket_directories=.", "-clisten_addresses="),
        f"-ccluster_name={title(server.cluster)}",
        cwd=server.cluster,
        stderr=subprocess.DEVNULL,
    )
    await query(dsn, "CREATE TABLE t AS SELECT 7 AS a")
    assert works_on(orphan.pid, server.cluster)
    await server.start()
    assert orphan.wait(1) == 0
    assert server.pid not in (None, orphan.pid)
    assert await query(dsn, "SELECT a FROM t") == 7


@pytest.mark.parametrize("contents", ["{pid}\n/proc/self/cwd\n1\n5432\n.\n\n1 1\nready\n", ""])
async def test_lock_files_of_a_reused_pid(server, spawn, contents):
    await server.start()
    await server.stop()
    stranger = spawn("sleep", "60", **as_account(server))  # Postgres ignores other uids itself
    for name in ("postmaster.pid", f"{SOCKET}.lock"):
        (server.cluster / name).write_text(contents.format(pid=stranger.pid))
    assert await query(await server.start(), "SELECT 1") == 1
    assert stranger.poll() is None


async def test_two_owners_are_refused_and_a_visitor_may_attach(server, spawn):
    owner = spawn(sys.executable, "-c", OWNER, server.data_dir)
    pid = started_pid(owner)
    with pytest.raises(DataFolderBusyError, match=rf"another jtgate \(pid {owner.pid}\) runs on"):
        await server.start()
    dsn = server.attach()
    assert await query(dsn, "SELECT current_user || '@' || current_database()") == "jtgate@jtgate"
    assert server.pid is None
    await server.stop()
    assert works_on(pid, server.cluster)
    assert await query(dsn, "SELECT 1") == 1


async def test_attach_goes_through_the_link_of_a_long_path(long_server):
    dsn = await long_server.start()
    visitor = EmbeddedPostgres(long_server.data_dir)
    assert visitor.attach() == dsn
    await visitor.stop()
    assert await query(dsn, "SELECT 1") == 1


async def test_attach_to_nothing_is_a_sentence_and_makes_nothing(server):
    with pytest.raises(ClusterError, match=r"postgres\.password is missing"):
        server.attach()
    assert not server.data_dir.exists()


@pytest.mark.parametrize("delay", [0, 0.2])
async def test_kill_in_the_middle_of_the_first_start(server, spawn, delay):
    owner = spawn(sys.executable, "-c", OWNER, server.data_dir)
    await eventually(lambda: list(server.data_dir.glob("postgres.init-*/cluster/PG_VERSION")) != [])
    await asyncio.sleep(delay)
    owner.kill()
    owner.wait()
    assert await query(await server.start(), "SELECT 1") == 1
    assert list(server.data_dir.glob("postgres.init-*")) == []


async def test_long_path(long_server):
    dsn = await long_server.start()
    assert await query(dsn, "SELECT 1") == 1
    link = long_server._folder.socket_folder
    assert link.is_symlink()
    await long_server.stop()
    assert not link.parent.exists()


async def test_path_that_needs_quoting(tmp_path):
    server = EmbeddedPostgres(tmp_path / "a b&c=d?#%20")
    try:
        assert await query(await server.start(), "SELECT 1") == 1
    finally:
        await server.stop()


def foreign_cluster(server: EmbeddedPostgres, version: str) -> None:
    server.cluster.mkdir(parents=True)
    (server.cluster / "PG_VERSION").write_text(f"{version}\n")
    if os.geteuid() == 0:
        os.chown(server.cluster, 65534, 65534)


async def test_other_major_version_is_refused(server):
    foreign_cluster(server, "17")
    with pytest.raises(ClusterError, match="was made by PostgreSQL 17 and this is PostgreSQL 18"):
        await server.start()


async def test_folder_that_is_no_cluster_is_refused(server):
    server.cluster.mkdir(parents=True)
    (server.cluster / "notes").touch()
    with pytest.raises(ClusterError, match="not a PostgreSQL cluster"):
        await server.start()
    (server.cluster / "notes").unlink()
    assert await query(await server.start(), "SELECT 1") == 1


async def test_password_outlives_an_absent_cluster(server):
    dsn = await server.start()
    await server.stop()
    server.cluster.rename(server.data_dir / "elsewhere")
    assert await server.start() == dsn
    assert await query(dsn, "SELECT 1") == 1


async def test_log_is_bounded(server):
    server.data_dir.mkdir()
    server._log_file.touch()
    os.truncate(server._log_file, embedded.LOG_LIMIT + 1)
    await server.start()
    assert server._log_file.stat().st_size < embedded.LOG_LIMIT
    assert Path(f"{server._log_file}.1").stat().st_size == embedded.LOG_LIMIT + 1


def modes(path: Path) -> list[tuple[Path, int, int]]:
    return [(p, p.stat().st_mode, p.stat().st_uid) for p in (path, *path.parents)]


@needs_root
async def test_root_opens_no_parent(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o700)
    server = EmbeddedPostgres(locked / "x" / "data")
    before = modes(locked)
    try:
        dsn = await server.start()
        assert await query(dsn, "SELECT 1") == 1
        status = Path(f"/proc/{server.pid}/status").read_text()
        uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
        assert set(uids) == {str(server.cluster.stat().st_uid)} != {"0"}
        groups = next(line for line in status.splitlines() if line.startswith("Groups:"))
        assert groups.split() == ["Groups:"]
    finally:
        await server.stop()
    assert modes(locked) == before
    assert modes(server.data_dir)[0][1:] == (stat.S_IFDIR | 0o700, 0)


@needs_root
async def test_root_with_binaries_out_of_reach(server, tmp_path, monkeypatch):
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    for name in (PACKAGE.name, f"{PACKAGE.name}.libs"):
        (hidden / name).symlink_to(PACKAGE.with_name(name))
    monkeypatch.syspath_prepend(hidden)
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        Path(place).chmod(0o755)
        monkeypatch.setattr("storage.processes.BINARIES_FOR_ACCOUNT", Path(place) / "copy")
        before = modes(hidden)
        for _ in range(2):
            assert await query(await server.start(), "SELECT 1") == 1
            await server.stop()
        assert modes(hidden) == before
        assert len(list((Path(place) / "copy").iterdir())) == 1
        assert Path(place) in server._programs.parents
