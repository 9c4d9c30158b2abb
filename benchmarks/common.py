"""What every benchmark needs: the machine it ran on, where results go, and a gateway to measure.

A benchmark is a module with `QUESTION` and `run(options) -> dict`; each is started by
`python -m benchmarks NAME`. Figures are ratios and cost per report where possible: machines differ.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).parent / "results"

LOADGEN_SOURCES = (os.environ.get("JTGATE_LOADGEN", ""), "../shared/tools/loadgen.c")
"""A neutral generator in C, not part of this repository: its source, to be compiled with gcc."""


class Options(NamedTuple):
    seconds: float = 10.0
    connections: int = 500
    window: int = 8


class NotHere(RuntimeError):  # noqa: N818 - it is an answer, not a failure
    """The benchmark needs something that this machine lacks; the text says what."""


def machine() -> dict[str, Any]:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
        else:
            cpu = platform.processor()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def save(name: str, question: str, figures: dict[str, Any]) -> None:
    """Writes results/NAME.json, and NAME.md for people."""
    RESULTS.mkdir(exist_ok=True)
    about = machine()
    document = {"name": name, "question": question, "machine": about, "figures": figures}
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    lines = [f"# {question}", "", "| figure | value |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in figures.items() if not isinstance(value, list)]
    for key, rows in figures.items():
        if isinstance(rows, list):
            lines += ["", *_table(key, rows)]
    lines += ["", "Measured " + ", ".join(f"{key} {value}" for key, value in about.items() if value) + "."]
    (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n")


def _table(title: str, rows: list[dict[str, Any]]) -> list[str]:
    heads = list(dict.fromkeys(key for row in rows for key in row))
    lines = [f"**{title}**", "", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return [*lines, *(f"| {' | '.join(str(row.get(key, '')) for key in heads)} |" for row in rows)]


def alternately(one: Callable[[], object], other: Callable[[], object], count: int) -> tuple[float, float]:
    """Seconds a call of both, in turns, so that a slow moment of the machine falls on both."""
    rounds = [(best(one, count, 1), best(other, count, 1)) for _ in range(15)]
    return min(first for first, _ in rounds), min(second for _, second in rounds)


def best(work: Callable[[], object], count: int, repeat: int = 5) -> float:
    """Seconds a call, the least of `repeat` rounds of `count` calls."""
    rounds = []
    for _ in range(repeat):
        start = time.perf_counter()
        for _ in range(count):
            work()
        rounds.append(time.perf_counter() - start)
    return min(rounds) / count


def loadgen(folder: Path) -> Path:
    """The generator, compiled into `folder`."""
    source = next((Path(s) for s in LOADGEN_SOURCES if s and Path(s).is_file()), None)
    if source is None:
        raise NotHere("no load generator: set JTGATE_LOADGEN to the path of its C source")
    if shutil.which("gcc") is None:
        raise NotHere("no gcc to compile the load generator with")
    program = folder / "loadgen"
    subprocess.run(["gcc", "-O2", "-w", "-o", program, source], check=True)
    return program


def load(program: Path, port: int, options: Options, *extra: str) -> dict[str, float]:
    """One run of the generator: what it prints, as numbers."""
    command = [program, "127.0.0.1", port, options.connections, options.window, options.seconds, *extra]
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=True,
        timeout=options.seconds + 120,
    )
    return {key: float(value) for key, _, value in (pair.partition("=") for pair in done.stdout.split())}


class Gateway(NamedTuple):
    pid: int
    terminal_port: int
    http_port: int
    key: str
    folder: Path

    @property
    def postgres(self) -> list[int]:
        """The processes of the embedded database, as they are now."""
        return _below(self.pid)

    def get(self, path: str) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}", headers={"Authorization": f"Bearer {self.key}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.read()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def gateway(**settings: str) -> Iterator[Gateway]:
    """A gateway on an embedded Postgres in a folder of its own; both gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="jtgate-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        ports = free_port(), free_port(), free_port()
        environment = os.environ | {
            "JTGATE_DATA_DIR": str(folder / "data"),
            "JTGATE_TERMINAL_PORT": str(ports[0]),
            "JTGATE_HTTP_PORT": str(ports[1]),
            "JTGATE_EVIDENCE_PORT": str(ports[2]),
            "JTGATE_LOG_LEVEL": "warning",
            **{f"JTGATE_{key.upper()}": value for key, value in settings.items()},
        }
        process = subprocess.Popen([sys.executable, "-m", "gateway.cli", "serve"], env=environment)
        try:
            _wait_ready(process, ports[1])
            key = (folder / "data" / "admin.key").read_text().strip()
            yield Gateway(process.pid, *ports[:2], key, folder)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the gateway ended with status {process.returncode}")
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2).close()
            return
        time.sleep(0.1)
    raise RuntimeError("the gateway was not ready within a minute")


def _below(parent: int) -> list[int]:
    """All processes below `parent`."""
    below: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            below.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = [], [parent]
    while todo:
        children = below.get(todo.pop(), [])
        found += children
        todo += children
    return found


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of processes, those that ended excluded."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")
