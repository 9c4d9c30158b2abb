"""A pool on a fresh database with today's partitions, and the API on a real socket."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import pytest

from gateway.api.app import build
from gateway.api.context import Context
from gateway.api.server import serve
from gateway.config import Settings
from gateway.metrics import Metrics
from gateway.stream import Stream
from storage import keys
from storage.database import connect
from storage.events import NewEvent, append
from storage.keys import KeyRing
from storage.partitions import make_ahead

ONLINE = "13800138000"  # the terminal that `connection` says is connected
TTL = 0.2  # s, of cached keys


@pytest.fixture
async def pool(database):
    pool = await connect(database, size=8)
    await prepare(pool)
    yield pool
    await pool.close()


async def prepare(pool):
    async with pool.acquire() as connection:
        await make_ahead(connection, today=datetime.now(UTC).date(), back=1, ahead=1)


async def write(pool, *ids, type_="alarm.raised", size=0, **fields):
    """Append events in one transaction; `size` pads their data."""
    rows = [NewEvent(type_, str(id_), {"n": id_, "pad": "x" * size}, **fields) for id_ in ids]
    async with pool.acquire() as connection, connection.transaction():
        await append(connection, rows)


@pytest.fixture
async def api(pool):
    """A running API: `client(key)`, `keys` by scope, `context`, `server`, `reasons`, `forgotten`."""
    reasons, forgotten, clients = [], [], []
    metrics = Metrics()
    stream = Stream(pool, metrics, poll=0.1)
    await stream.start()
    context = Context(
        pool=pool,
        settings=Settings(),
        keys=KeyRing(pool, ttl=TTL),
        stream=stream,
        metrics=metrics,
        connection=lambda phone: (
            SimpleNamespace(
                since=1795297443.0,
                transport="tcp",
                address="10.0.0.9",
                edition=2019,
                last_seen=1795297500.5,
            )
            if phone == ONLINE
            else None
        ),
        ready=lambda: list(reasons),
        describe=lambda row: {"alarms": ["overspeed"] if row.alarm & 2 else [], "items": []},
        forget=forgotten.append,
        blocked_limit=1.0,
        recheck=0.05,
    )
    server = await serve(build(context), "127.0.0.1", 0)
    async with pool.acquire() as connection:
        made = {scope: await keys.create(connection, scope, [scope]) for scope in keys.SCOPES}

    def client(key="admin", **options):
        headers = {"Authorization": f"Bearer {made.get(key, key)}"} if key else {}
        made_client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{server.port}", headers=headers, timeout=30, **options
        )
        clients.append(made_client)
        return made_client

    yield SimpleNamespace(
        client=client,
        keys=made,
        context=context,
        server=server,
        reasons=reasons,
        forgotten=forgotten,
        pool=pool,
        stream=stream,
    )
    for made_client in clients:
        await made_client.aclose()
    await server.close()
    await stream.close()
