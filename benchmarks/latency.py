"""How long a report takes at a steady rate: to its acknowledgement, and as an alarm to a reader of the
stream."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.common import Gateway, Options, gateway, load, loadgen
from protocol.codec import Profile
from protocol.header import Edition
from protocol.link import Link, Message, Role

QUESTION = "How long from a terminal's send to its acknowledgement, and to the event at a reader?"

RATE = 5000
PROBES = 200


def run(options: Options) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        program = loadgen(Path(name))
        with gateway() as served:
            interval = str(round(options.connections / RATE * 1000))
            steady = load(program, served.terminal_port, options, "-a", "100", "-i", interval)
            events = asyncio.run(_with_load(program, served, options, interval))
    return {
        "reports_per_second": round(steady["rate"]),
        "ack_p50_ms": steady["p50_ms"],
        "ack_p99_ms": steady["p99_ms"],
        "event_probes": len(events),
        "event_p50_ms": round(1000 * events[len(events) // 2], 1),
        "event_p99_ms": round(1000 * events[len(events) * 99 // 100], 1),
    }


async def _with_load(program: Path, served: Gateway, options: Options, interval: str) -> list[float]:
    """Seconds from the write of an alarm to its event at an SSE reader, ascending, while the load runs."""
    background = asyncio.create_task(
        asyncio.to_thread(
            load, program, served.terminal_port, options, "-a", "100", "-i", interval, "-p", "13900000000"
        )
    )
    await asyncio.sleep(2)
    phone = "18800000001"
    sent: dict[int, float] = {}
    got: list[float] = []
    ready = asyncio.Event()
    reader = asyncio.create_task(_read(served, phone, sent, got, ready))
    await ready.wait()
    await _probe(served, phone, sent)
    await asyncio.sleep(1)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    await background
    return sorted(got)


async def _read(
    served: Gateway, phone: str, sent: dict[int, float], got: list[float], ready: asyncio.Event
) -> None:
    url = f"http://127.0.0.1:{served.http_port}/api/v1/events/stream"
    async with (
        httpx.AsyncClient(timeout=None) as client,  # noqa: S113 - a stream has no end
        client.stream(
            "GET",
            url,
            params={"phone": phone, "cursor": "latest"},
            headers={"Authorization": f"Bearer {served.key}"},
        ) as stream,
    ):
        ready.set()
        async for line in stream.aiter_lines():
            if line.startswith("data:") and '"alarm.raised"' in line:
                event = json.loads(line[5:])
                started = sent.get(int(event["data"]["position"]["altitude_m"]))
                if started is not None:
                    got.append(time.perf_counter() - started)


async def _probe(served: Gateway, phone: str, sent: dict[int, float]) -> None:
    """One terminal that raises the overspeed bit, clears it, raises it: the altitude numbers the alarm."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.terminal_port)
    link = Link(Role.TERMINAL, phone=phone, edition=Edition.V2013)
    profile = Profile(Edition.V2013)

    async def ask(message_id: int, body: bytes) -> Message:
        link.send(message_id, body, 0.0)
        writer.write(link.data_to_send())
        while True:
            for item in link.receive(await reader.read(4096), 0.0):
                if isinstance(item, Message):
                    return item

    await ask(0x0102, profile.encode(0x0102, {"code": "bench"}))
    start = int(time.time()) - 3 * PROBES
    report = {"status": 3, "latitude": 23_000_000, "longitude": 113_000_000, "speed": 900, "heading": 0}
    for number in range(1, 2 * PROBES + 1):
        raising = number % 2
        fields = report | {"alarm": 2 * raising, "altitude": number, "time": start + number, "items": []}
        if raising:
            sent[number] = time.perf_counter()
        await ask(0x0200, profile.encode(0x0200, fields))
        await asyncio.sleep(0.01)
    writer.close()
