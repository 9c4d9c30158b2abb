"""gateway/api/problems.py: every error is a problem document."""

import asyncio

import httpx

from gateway.api.app import build
from gateway.api.context import Context
from gateway.api.server import serve
from gateway.config import Settings
from gateway.metrics import Metrics
from gateway.stream import Stream
from storage.database import connect
from storage.keys import KeyRing, create
from storage.migrate import migrate
from tests.gateway.api.checks import problem


async def test_unknown_routes_and_methods_are_problems(api):
    problem(await api.client().get("/api/v1/nothing"), 404, "not_found")
    response = await api.client().post("/api/v1/terminals", content=b"{}")
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET"


async def test_a_failing_database_is_a_503_that_says_when_to_come_back(postgres):

    pool = await connect(postgres.dsn)
    async with pool.acquire() as connection:
        await migrate(connection)
        key = await create(connection, "test", ["admin"])
    metrics = Metrics()
    stream = Stream(pool, metrics, poll=0.05)
    await stream.start()
    server = await serve(build(Context(pool, Settings(), KeyRing(pool), stream, metrics)), "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.port}"
    headers = {"Authorization": f"Bearer {key}"}
    try:
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=20) as client:
            assert (await client.get("/api/v1/terminals")).status_code == 200
            assert (await client.get("/readyz")).status_code == 200
            postgres.kill()
            response = await client.get("/api/v1/terminals")
            problem(response, 503, "unavailable")
            assert int(response.headers["retry-after"]) > 0
            async with asyncio.timeout(10):
                while (ready := await client.get("/readyz")).status_code == 200:
                    await asyncio.sleep(0.02)
            assert ready.json()["ready"] is False
            assert "event log can't be read" in ready.json()["reasons"][0]
            assert (await client.get("/healthz")).status_code == 200
            postgres.start()
            async with asyncio.timeout(10):
                while (await client.get("/readyz")).status_code != 200:
                    await asyncio.sleep(0.02)
            assert (await client.get("/api/v1/terminals")).status_code == 200
    finally:
        await server.close()
        await stream.close()
        pool.terminate()
