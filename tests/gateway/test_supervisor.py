"""From a command to a running gateway and back, as processes."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest

from gateway.supervisor import TITLES, greeting
from tests.e2e.programs import JTGATE, Gateway, fleet, gateway


def test_start_key_stop_and_start_again(tmp_path):
    with gateway(tmp_path) as served:
        key = served.data / "admin.key"
        first = key.read_text()
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert served.get("/api/v1/terminals")["terminals"] == []
        assert served.get("/healthz") and served.get("/readyz")
        assert served.stop() == 0
        served.start()
        assert key.read_text() == first
        assert served.get("/api/v1/terminals")["terminals"] == []


def test_the_greeting_names_everything():
    told = greeting(dict.fromkeys(TITLES, "here"))
    assert told.count("here") == len(TITLES) and "jtgate tail" in told


def test_a_port_that_is_taken_is_named(tmp_path):
    served = Gateway(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", served.terminal_port))
        taken.listen()
        done = served.run("serve", patience=60)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert f"Port {served.terminal_port}" in last and "JTGATE_TERMINAL_PORT" in last
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("terminal_port", "many", "JTGATE_TERMINAL_PORT takes"),
        ("registration", "closed", "JTGATE_REGISTRATION takes"),
        ("databse_url", "x", "JTGATE_DATABSE_URL"),
        ("database_url", "mysql://x", "JTGATE_DATABASE_URL takes"),
    ],
)
def test_wrong_settings_are_one_sentence(tmp_path, name, value, said):
    done = Gateway(tmp_path, **{name: value}).run("serve", patience=30)
    assert done.returncode == 2
    assert said in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_a_database_that_is_not_there_yet_is_waited_for(tmp_path):
    served = Gateway(tmp_path, database_url="postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(TimeoutError):
        served.start(patience=3)
    assert "can't be reached" in served.log.read_text()
    assert served.stop() == 0


def test_nothing_outlives_a_gateway_that_is_killed(tmp_path):
    with gateway(tmp_path) as served:
        postmaster = served.postmaster()
        served.kill()
        until = time.monotonic() + 10
        while time.monotonic() < until and Path(f"/proc/{postmaster}").exists():
            time.sleep(0.05)
        assert not Path(f"/proc/{postmaster}").exists()


def test_a_drain_answers_what_is_committed_and_loses_nothing(tmp_path):
    ledger = tmp_path / "ledger"
    with gateway(tmp_path) as served:
        options = (
            "--terminals",
            "40",
            "--interval",
            "0.02",
            "--duration",
            "6",
            "--timeout",
            "1",
            "--ramp",
            "1",
        )
        with fleet(served, *options, "--ledger", str(ledger), "--json") as simulated:
            time.sleep(3)
            assert served.stop() == 0
            served.start()
            simulated.communicate(timeout=60)
        done = served.run("audit", str(ledger), "--json")
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_demonstration_shows_alarms_and_ends_with_its_fleet(tmp_path):
    served = Gateway(tmp_path)
    with served.log.open("ab") as log:
        served.process = subprocess.Popen([*JTGATE, "demo"], env=served.environment, stderr=log, stdout=log)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                found = served.get("/api/v1/events?cursor=earliest&type=alarm.raised&limit=5")
            except OSError:
                found = {"events": []}
            if len(found["events"]) >= 5:
                break
            time.sleep(0.3)
        assert len(found["events"]) == 5, served.log.read_text()
        children = [int(p.name) for p in Path("/proc").glob("[0-9]*") if _parent(p) == served.process.pid]
        assert served.stop() == 0
        assert not any(Path(f"/proc/{child}").exists() for child in children)
    finally:
        if served.process.poll() is None:
            os.kill(served.process.pid, signal.SIGKILL)
            served.process.wait()


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
