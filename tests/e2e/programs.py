"""The commands as an operator runs them: processes with ports and a data folder of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

JTGATE = [sys.executable, "-m", "gateway.cli"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Gateway:
    """`jtgate serve`, which may be killed and started again on the same folder and ports."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.data = folder / "data"
        self.log = folder / "gateway.log"
        self.terminal_port, self.http_port, self.evidence_port = free_port(), free_port(), free_port()
        self.environment = os.environ | {
            "JTGATE_DATA_DIR": str(self.data),
            "JTGATE_TERMINAL_PORT": str(self.terminal_port),
            "JTGATE_HTTP_PORT": str(self.http_port),
            "JTGATE_EVIDENCE_PORT": str(self.evidence_port),
            "JTGATE_LOG_FORMAT": "json",
            **{f"JTGATE_{name.upper()}": value for name, value in settings.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, patience: float = 60.0) -> float:
        """Seconds until it was ready."""
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*JTGATE, "serve"], env=self.environment, stderr=log, stdout=log)
        while time.monotonic() - began < patience:
            assert self.process.poll() is None, self.log.read_text()
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                self.get("/readyz")
                return time.monotonic() - began
            time.sleep(0.05)
        raise TimeoutError(self.log.read_text())

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, patience: float = 40.0) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience)

    def postmaster(self) -> int:
        return int((self.data / "postgres" / "postmaster.pid").read_text().split()[0])

    def get(self, path: str) -> Any:
        key = self.data / "admin.key"
        headers = {"Authorization": f"Bearer {key.read_text().strip()}"} if key.exists() else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def run(self, *arguments: str, patience: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Another `jtgate` command with the same settings."""
        return subprocess.run(
            [*JTGATE, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=patience,
        )


@contextlib.contextmanager
def gateway(folder: Path, **settings: str) -> Iterator[Gateway]:
    served = Gateway(folder, **settings)
    served.start()
    try:
        yield served
    finally:
        if served.process is not None and served.process.poll() is None:
            try:
                served.stop()
            except subprocess.TimeoutExpired:
                served.kill()


@contextlib.contextmanager
def fleet(served: Gateway, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`jtgate simulate` in the background."""
    command = [*JTGATE, "simulate", "--port", str(served.terminal_port), *arguments]
    process = subprocess.Popen(
        command, env=served.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
