"""The command `simulate`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from simulator.cli import simulate
from simulator.ledger import Reader

APP = typer.Typer()
APP.command()(simulate)

PLATFORM = """
import asyncio
from tests.simulator.platform import StubServer
async def main():
    async with StubServer() as server:
        print(server.port, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(APP, arguments)
    return result.exit_code, result.output


def test_the_list() -> None:
    status, text = run("--list", "--json")
    assert status == 0
    told = json.loads(text)
    assert told["scenarios"]["ordinary"] == "keeps to the standard"
    assert "pathological" in told["groups"]
    assert "half-open" in run("--list")[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--scenario", "polite"), "no scenario 'polite'"),
        (("--edition", "2015"), "2011, 2013, 2019 or mix"),
        (("--dialect", "klingon"), "guangdong or mix"),
        (("--ledger", "/nowhere/at/all"), "No such file"),
        (("--terminals", "0"), "--terminals"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], sentence: str) -> None:
    status, text = run(*arguments)
    assert status == 2
    assert sentence in " ".join(text.replace("│", " ").split())


def test_nobody_there() -> None:
    status, text = run("--port", "9", "--terminals", "2", "--duration", "0.3", "--ramp", "0")
    assert status == 1
    assert "No terminal could connect to 127.0.0.1:9." in text


def test_a_run(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with subprocess.Popen([sys.executable, "-c", PLATFORM], stdout=subprocess.PIPE, text=True) as platform:
        try:
            assert platform.stdout is not None
            port = platform.stdout.readline().strip()
            arguments = [
                "--port",
                port,
                "--terminals",
                "9",
                "--duration",
                "1",
                "--interval",
                "0.1",
                "--ramp",
                "0",
            ]
            status, text = run(*arguments, "--ledger", str(ledger), "--scenario", "mix", "--json")
            words = run(*arguments, "--edition", "2019", "--dialect", "su,guangdong")[1]
        finally:
            platform.terminate()
    assert status == 0
    told = json.loads(text.strip().splitlines()[-1])
    assert told["counters"]["acked"] == told["ledger_entries"] == sum(map(len, Reader(ledger))) > 50
    assert "reports acknowledged" in words
