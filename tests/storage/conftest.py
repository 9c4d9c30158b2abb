"""What the tests of this room share: a pool, a connection, and child processes that don't outlive a test."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.database import connect

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts processes; all of them are killed at the end of the test."""
    children: list[subprocess.Popen[str]] = []

    def spawn(*argv: str | Path, **options: object) -> subprocess.Popen[str]:
        child = subprocess.Popen(argv, **{"cwd": PROJECT, "text": True, "stdout": subprocess.PIPE, **options})
        children.append(child)
        return child

    yield spawn
    for child in children:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture
async def pool(database):
    pool = await connect(database, size=8)
    yield pool
    await pool.close()


@pytest.fixture
async def connection(pool):
    async with pool.acquire() as connection:
        yield connection
