"""Simulated vehicles and their evidence against the real gateway: all of it comes through in the end."""

from __future__ import annotations

import json

import pytest

from tests.e2e.programs import Gateway, fleet, gateway
from tests.e2e.test_audit import audit, errors

COMMON = (
    "--dialect", "su,guangdong", "--terminals", "24", "--interval", "0.5", "--alarm-every", "10",
    "--duration", "8", "--ramp", "1", "--film", "600000", "--json",
)  # fmt: skip


def play(served: Gateway, scenario: str, ledger, *arguments: str) -> dict:
    with fleet(served, "--scenario", scenario, "--ledger", str(ledger), *COMMON, *arguments) as simulated:
        out, err = simulated.communicate(timeout=90)
    assert simulated.returncode == 0, err
    return json.loads(out)["counters"]


@pytest.mark.timeout(200)
def test_alarms_and_their_files(tmp_path):
    """Five files an alarm, clean and through chaos; then those who come to the wrong door."""
    with gateway(tmp_path, evidence_keep_free_mib="1") as served:
        for scenario in ("evidence", "upload-chaos,upload-cuts,upload-other-header"):
            ledger = tmp_path / scenario[:9]
            counters = play(served, scenario, ledger, "--attachments", "5")
            assert counters["alarms"] > 20 and counters["files_failed"] == 0
            assert counters["files_uploaded"] == 5 * counters["alarms"]
            found = audit(served, ledger)
            assert (found["files"], found["files_missing"]) == (counters["files_uploaded"], 0)
        wrong = "upload-claims-4-gib,upload-unknown-number,upload-foreign-alarm"
        counters = play(served, wrong, tmp_path / "wrong")
        assert counters["files_uploaded"] == 0 and counters["uploads_refused"] > 20
        counters = play(served, "upload-hostile-names", tmp_path / "names")
        found = audit(served, tmp_path / "names")
        assert found["files"] > 0 and found["files_missing"] == 0
        outside = {path.name for path in tmp_path.iterdir()}
        assert outside == {"data", "gateway.log", "evidence", "upload-ch", "wrong", "names"}
        assert errors(served) == set()
