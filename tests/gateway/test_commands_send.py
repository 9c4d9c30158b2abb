"""`jtgate send` as an operator types it."""

from __future__ import annotations

import json

import pytest

from tests.e2e.programs import Gateway, fleet, gateway


@pytest.mark.timeout(120)
def test_a_command_from_the_shell(tmp_path):
    with gateway(tmp_path) as served:
        unknown = served.run("send", "13900000001", "0x8201")
        assert unknown.returncode == 1 and "There is no terminal 13900000001." in unknown.stderr
        with fleet(served, "--terminals", "1", "--interval", "1", "--duration", "60") as simulated:
            while not served.get("/api/v1/terminals")["terminals"]:
                assert simulated.poll() is None
            phone = served.get("/api/v1/terminals")["terminals"][0]["phone"]
            told = served.run("send", phone, "0x8300", "--body", '{"flags": 1, "text": "x"}', "--json")
            found = json.loads(told.stdout)
            assert told.returncode == (0 if found["state"] == "acknowledged" else 1), told.stderr
            assert found["state"] in ("acknowledged", "refused") and found["result"] is not None
            wrong = served.run("send", phone, "0x8300", "--body", '{"flags": 1}')
            assert wrong.returncode == 1 and "text" in wrong.stderr and "808-" in wrong.stderr
        offline = served.run("send", phone, "0x8201", "--ttl", "60", "--json")
        assert offline.returncode == 0 and json.loads(offline.stdout)["state"] == "queued"


@pytest.mark.parametrize("body", ["{", "[1]"])
def test_a_body_that_is_none(tmp_path, body):
    done = Gateway(tmp_path).run("send", "1", "0x8201", "--body", body)
    assert done.returncode == 2 and "--body" in done.stderr and "Traceback" not in done.stderr


def test_without_a_key(tmp_path):
    done = Gateway(tmp_path).run("send", "1", "0x8201")
    assert done.returncode == 1 and "name one with --key" in done.stderr
