"""Reports stored and acknowledged by one gateway process, with the generator and Postgres on the same
machine; and what share of a bare COPY that is."""

from __future__ import annotations

import asyncio
import datetime as dt
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.common import Options, cpu_seconds, gateway, load, loadgen
from benchmarks.decode import BODY
from protocol.location import read
from storage import migrate, partitions
from storage.embedded import EmbeddedPostgres
from storage.rows import COPY_HEADER, COPY_TRAILER, Clock, pack_row

QUESTION = "How many reports a second are stored, deduplicated and acknowledged?"

ALARM_EVERY = 100


def run(options: Options) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        program = loadgen(Path(name))
        with gateway() as served:
            before = cpu_seconds(served.postgres)
            found = load(
                program, served.terminal_port, options, "-a", str(ALARM_EVERY), "-P", str(served.pid)
            )
            postgres = cpu_seconds(served.postgres) - before
    with tempfile.TemporaryDirectory() as name:
        copied = asyncio.run(_copy_alone(Path(name)))
    acked = found["acked"]
    return {
        "connections": options.connections,
        "window": options.window,
        "reports_per_second": round(found["rate"]),
        "gateway_us_per_report": round(found["us_per_msg"], 2),
        "postgres_us_per_report": round(postgres / acked * 1e6, 2),
        "generator_us_per_report": round(found["gen_cpu_s"] / acked * 1e6, 2),
        "ack_p50_ms": found["p50_ms"],
        "ack_p99_ms": found["p99_ms"],
        "errors": int(found["errors"] + found["closed"] + found["regfail"] + found["authfail"]),
        "copy_alone_rows_per_second": round(copied),
        "share_of_copy_alone": round(found["rate"] / copied, 2),
    }


async def _copy_alone(folder: Path, batches: int = 100, rows: int = 2000) -> float:
    """The same rows by nothing but COPY into `locations` with its key, one commit a batch: rows a second."""
    postgres = EmbeddedPostgres(folder)
    connection = await asyncpg.connect(await postgres.start())
    try:
        await migrate.migrate(connection)
        await partitions.make_ahead(connection, today=dt.datetime.now(dt.UTC).date(), back=1, ahead=1)
        record, now, clock = read(BODY), time.time(), Clock()
        made = []
        for batch in range(batches):
            packed = []
            for n in range(rows):
                record.time = int(now) - batch
                packed.append(
                    pack_row(n % 500, record, BODY[:12] + n.to_bytes(4) + BODY[16:], now, 0, clock).data
                )
            made.append(b"".join((COPY_HEADER, *packed, COPY_TRAILER)))
        start = time.perf_counter()
        for data in made:
            await connection.copy_to_table("locations", source=_chunks(data), format="binary")
        return batches * rows / (time.perf_counter() - start)
    finally:
        await connection.close()
        await postgres.stop()


async def _chunks(data: bytes) -> Any:
    yield data
