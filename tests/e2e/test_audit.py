"""The trust argument: what was acknowledged is in the database, once, although something was killed.

The short form runs with the suite; `make audit` runs 500 terminals for a minute each.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.programs import Gateway, fleet, gateway

TERMINALS = int(os.environ.get("JTGATE_TEST_TERMINALS", "60"))
SECONDS = float(os.environ.get("JTGATE_TEST_SECONDS", "12"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def audit(served: Gateway, ledger: Path) -> dict:
    done = served.run("audit", str(ledger), "--json")
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert done.returncode == 0, found
    return found


def errors(served: Gateway) -> set[str]:
    """What the gateway calls an error in its log."""
    entries = [json.loads(line) for line in served.log.read_text().splitlines()]
    return {e["event"] for e in entries if e["level"] in ("error", "critical")}


def drive(served: Gateway, ledger: Path, disturb) -> dict:
    """A fleet that reports as fast as it may, something that goes wrong twice, and the fleet's summary."""
    arguments = (
        "--terminals", str(TERMINALS), "--duration", str(SECONDS), "--interval", "0.2", "--alarm-every", "20",
        "--timeout", "1", "--ledger", str(ledger), "--ramp", "1", "--json",
    )  # fmt: skip
    with fleet(served, *arguments) as simulated:
        for _ in range(2):
            time.sleep(SECONDS / 4)
            disturb()
        out, err = simulated.communicate(timeout=SECONDS + 60)
        assert simulated.returncode == 0, err
    return json.loads(out)


@pytest.mark.timeout(300)
def test_kill_the_gateway(folder):
    ledger = folder / "ledger"
    with gateway(folder) as served:
        ready = []

        def disturb() -> None:
            served.kill()
            ready.append(served.start())

        summary = drive(served, ledger, disturb)
        found = audit(served, ledger)
        print(f"kill -9 of the gateway: {found}, ready again after {max(ready):.2f} s, {summary}")
        assert found["acknowledged"] > TERMINALS * SECONDS
        assert errors(served) == set()
        assert served.stop() == 0


@pytest.mark.timeout(300)
def test_kill_postgres(folder):
    ledger = folder / "ledger"
    with gateway(folder) as served:

        def disturb() -> None:
            os.kill(served.postmaster(), signal.SIGKILL)

        summary = drive(served, ledger, disturb)
        found = audit(served, ledger)
        print(f"kill -9 of Postgres: {found}, {summary}")
        assert found["acknowledged"] > TERMINALS * SECONDS
        # A restart may have to wait for the last child of the one that was killed.
        assert {"postgres died"} <= errors(served) <= {"postgres died", "postgres restart failed"}
        assert served.stop() == 0
