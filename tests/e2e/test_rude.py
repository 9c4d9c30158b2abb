"""Every rude terminal of the simulator against the real gateway: nothing breaks, nobody else notices."""

from __future__ import annotations

import json
import os
import re
import urllib.request

import pytest

from simulator.scenarios.pathological import SCENARIOS as PATHOLOGICAL
from tests.e2e.programs import fleet, gateway
from tests.e2e.test_audit import audit, errors

SECONDS = os.environ.get("JTGATE_TEST_SECONDS", "10")


@pytest.mark.timeout(300)
def test_rude_terminals_harm_nobody(tmp_path):
    rude, polite = tmp_path / "rude", tmp_path / "polite"
    rudely = ("--scenario", "pathological", "--terminals", str(2 * len(PATHOLOGICAL)), "--ledger", str(rude))
    politely = (
        "--terminals", "30", "--phone-base", "13900000000", "--alarm-every", "5", "--ledger", str(polite),
    )  # fmt: skip
    common = ("--duration", SECONDS, "--interval", "0.5", "--timeout", "1", "--ramp", "1", "--json")
    with (
        gateway(tmp_path) as served,
        fleet(served, *rudely, *common) as bad,
        fleet(served, *politely, *common) as good,
    ):
        summary = json.loads(good.communicate(timeout=120)[0])
        assert bad.communicate(timeout=120)[0]
        assert summary["unacknowledged"] == 0 and summary["counters"]["reconnects"] == 0
        audit(served, polite)
        audit(served, rude)
        assert errors(served) == set()
        assert "Traceback" not in served.log.read_text()
        key = served.data / "admin.key"
        assert key.exists()
        metrics = _metrics(served.http_port)
        for reason in (
            "checksum",
            "too_long",
            "unauthenticated",
            "foreign_phone",
            "header_version_bit",
            "unknown",
        ):
            assert metrics.get(reason, 0) > 0, f"no fault {reason} was counted: {metrics}"


def _metrics(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.findall(r'^jtgate_(?:faults|rejected)_total\{reason="(\w+)"\} (\S+)', text, re.M)
    return {reason: float(count) for reason, count in found}
