"""gateway/api: who may do what, how errors look, and what hostile requests do."""

import asyncio
import json
import re
import time
from html.parser import HTMLParser

import pytest

from gateway.api.app import build
from gateway.api.context import Context
from storage import keys

PROBLEM = "application/problem+json"


def routes():
    """Method, path and scope of every route of the document (scope None: without a key)."""
    document = build(Context(*[None] * 5)).openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            (scope,) = operation["security"][0]["key"] if "security" in operation else (None,)
            yield method.upper(), path, scope


ROUTES = list(routes())


def test_every_route_of_the_contract_is_there_with_its_scope():
    assert set(ROUTES) == {
        ("GET", "/healthz", None),
        ("GET", "/readyz", None),
        ("GET", "/metrics", None),
        ("GET", "/api/v1/terminals", "read"),
        ("GET", "/api/v1/terminals/{phone}", "read"),
        ("PUT", "/api/v1/terminals/{phone}", "terminals:write"),
        ("DELETE", "/api/v1/terminals/{phone}", "terminals:write"),
        ("GET", "/api/v1/terminals/{phone}/locations", "read"),
        ("GET", "/api/v1/alarms", "read"),
        ("GET", "/api/v1/alarms/{alarm_id}", "read"),
        ("GET", "/api/v1/events", "events"),
        ("GET", "/api/v1/events/stream", "events"),
    }


def problem(response, status, name):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    document = response.json()
    assert document["type"] == "urn:jtgate:problem:" + name
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert document["request_id"] == response.headers["x-request-id"]
    return document


async def test_scopes_over_every_route(api):
    for method, path, scope in ROUTES:
        path = path.format(phone="1", alarm_id="x")  # noqa: PLW2901
        nobody = await api.client(None).request(method, path, timeout=3)
        if scope is None:
            assert nobody.status_code == 200
            continue
        problem(nobody, 401, "unauthorized")
        assert nobody.headers["www-authenticate"] == 'Bearer realm="jtgate"'
        wrong = await api.client("jtk_0123456789ab_" + "0" * 64).request(method, path)
        problem(wrong, 401, "unauthorized")
        for other in keys.SCOPES:
            allowed = other in (scope, "admin")
            if path.endswith("/stream") and allowed:
                continue  # endless; test_events reads it
            answer = await api.client(other).request(method, path)
            if allowed:
                assert answer.status_code not in (401, 403)
            else:
                document = problem(answer, 403, "forbidden")
                assert document["scope"] == scope
                assert f'scope="{scope}"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer jtk_",
        "Bearer " + "x" * 8000,
        "Bearer jtk_é",
        "bearer jtk_0123456789ab_" + "g" * 32,
    ],
)
async def test_what_is_no_key_is_refused(api, header):
    response = await api.client(None).get(
        "/api/v1/terminals", headers={b"Authorization": header.encode("latin-1")}
    )
    problem(response, 401, "unauthorized")


async def test_a_revoked_key_is_refused_once_the_cache_forgets_it(api):
    client = api.client("read")
    assert (await client.get("/api/v1/terminals")).status_code == 200
    async with api.pool.acquire() as connection:
        assert await keys.revoke(connection, api.keys["read"].split("_")[1])
    deadline = time.monotonic() + 2
    while (response := await client.get("/api/v1/terminals")).status_code == 200:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    problem(response, 401, "unauthorized")


async def test_unknown_routes_and_methods_are_problems(api):
    problem(await api.client().get("/api/v1/nothing"), 404, "not_found")
    response = await api.client().post("/api/v1/terminals", content=b"{}")
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET"


@pytest.mark.parametrize(
    ("path", "query", "name"),
    [
        ("terminals", "limit=0", "limit"),
        ("terminals", "limit=1001", "limit"),
        ("terminals", "limit=99999999999999999999999", "limit"),
        ("terminals", "limit=NaN", "limit"),
        ("terminals", "search=%00", "search"),
        ("terminals", "search=" + "x" * 65, "search"),
        ("terminals", "cursor=%00", "cursor"),
        ("terminals", "cursor=!!!!", "cursor"),
        ("terminals", "cursor=WzFd", "cursor"),  # [1]
        ("terminals", "cursor=" + "A" * 513, "cursor"),
        ("terminals/1/locations", "from=yesterday", "from"),
        ("terminals/1/locations", "from=2026-01-01", "from"),
        ("terminals/1/locations", "from=2026-01-01T00:00:00", "from"),
        ("terminals/1/locations", "from=1795297443", "from"),
        ("terminals/1/locations", "from=0001-01-01T00:00:00%2B14:00", "from"),
        ("terminals/1/locations", "to=9999-12-31T23:59:59-14:00", "to"),
        ("terminals/1/locations", "to=2026-02-30T00:00:00Z", "to"),
        ("terminals/1/locations", "cursor=WzFlOTksMV0", "cursor"),  # [1e99,1]
        ("terminals/1/locations", "cursor=WzEuMCw5OTk5OTk5OTk5OTk5OTk5OTk5OV0", "cursor"),
        ("alarms", "level=-1", "level"),
        ("alarms", "level=1e9", "level"),
        ("alarms", "state=all", "state"),
        ("alarms", "phone=%EF%BC%91", "phone"),  # a full-width 1
        ("alarms", "phone=" + "1" * 21, "phone"),
        ("alarms", "kind=%27%3B--", "kind"),
        ("alarms", "kind=" + ",".join(["a"] * 101), "kind"),
        ("alarms", "cursor=WzEsIngiXQ", "cursor"),  # [1,"x"]
        ("events", "wait=31", "wait"),
        ("events", "wait=nan", "wait"),
        ("events", "cursor=c1.zz.1", "cursor"),
        ("events", "cursor=c1.ffffffffffffffff.ffffffffffffffff", "cursor"),
        ("events", "cursor=earliest&since=2026-01-01T00:00:00Z", "since"),
        ("events", "type=alarm.%25", "type"),
        ("events", "type=al*rm", "type"),
        ("events/stream", "cursor=%F0%9F%9A%97", "cursor"),
    ],
)
async def test_hostile_parameters_are_named_and_refused(api, path, query, name):
    response = await api.client().get(f"/api/v1/{path}?{query}")
    document = problem(response, 422, "invalid_request")
    assert [error["name"] for error in document["errors"]] == [name]
    assert document["errors"][0]["in"] == "query"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("terminals?search=%25_%5C'\"", 200),
        ("terminals?search=粤B", 200),
        ("terminals?unknown=1", 200),
        ("terminals?limit=1&limit=2", 200),
        ("terminals/%00", 422),
        ("terminals/..%2F..%2Fetc", 404),
        ("terminals/abc", 422),
        ("alarms/%00", 404),
        ("alarms/'; DROP TABLE alarms", 404),
        ("alarms?from=2026-01-01T00:00:00+08:00", 200),  # the "+" arrives as a space
        ("alarms?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 200),
        ("events?kind=a,b&kind=c&phone=0138,1", 200),
    ],
)
async def test_odd_requests_get_plain_answers(api, query, status):
    response = await api.client().get("/api/v1/" + query)
    assert response.status_code == status


async def test_a_request_id_is_taken_if_it_is_harmless(api):
    client = api.client()
    response = await client.get("/healthz", headers={"X-Request-Id": "abc-1"})
    assert response.headers["x-request-id"] == "abc-1"
    response = await client.get("/healthz", headers={"X-Request-Id": "a b\t{}" * 40})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


async def test_the_document_and_the_page_ask_nobody_else(api):
    client = api.client(None)
    document = (await client.get("/api/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    page = await client.get("/api/docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["content-type"].startswith("text/html")
    found = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.extend(value for name, value in attributes if name in ("src", "href"))
            assert tag != "script"

    Links().feed(page.text)
    assert set(found) == {"openapi.json"} | {link for link in found if link.startswith("#")}
    for path in document["paths"]:
        assert path in page.text
    schema = (await client.get("/api/schemas/alarm.v1.json")).json()
    assert schema["properties"]["alarm_id"] == {"title": "Alarm Id", "type": "string"}


def test_the_document_is_consistent():
    text = json.dumps(document := build(Context(*[None] * 5)).openapi())
    for name in re.findall(r'"#/components/schemas/(\w+)"', text):
        assert name in document["components"]["schemas"]
    ids = [o["operationId"] for p in document["paths"].values() for o in p.values()]
    assert len(ids) == len(set(ids))


async def test_a_failing_database_is_a_503_that_says_when_to_come_back(postgres):
    import httpx

    from gateway.api.server import serve
    from gateway.config import Settings
    from gateway.metrics import Metrics
    from gateway.stream import Stream
    from storage.database import connect
    from storage.keys import KeyRing, create
    from storage.migrate import migrate

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
