"""gateway/api/events.py: the log over real HTTP sockets."""

import asyncio
import contextlib
import json
import socket
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from storage import keys
from storage.events import START
from tests.gateway.api.checks import LIMIT, problem, until
from tests.gateway.conftest import write


async def frames(lines):
    """(id, type, envelope) of each event of an SSE response."""
    found = {}
    async for line in lines:
        if line == "" and "data" in found:
            yield found["id"], found["event"], json.loads(found["data"])
            found = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            found[name] = value


@contextlib.asynccontextmanager
async def reader(client, query="", **headers):
    async with (
        asyncio.timeout(LIMIT),
        client.stream("GET", "/api/v1/events/stream" + query, headers=headers) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield frames(response.aiter_lines())


async def take(events, count):
    found = []
    async for event in events:
        found.append(event)
        if len(found) == count:
            return found
    return found


async def test_pages_of_the_log(api):
    await write(api.pool, *range(25), kind="fatigue", phone="13800138000")
    client = api.client("events")
    cursor, found = None, []
    while True:
        query = {"limit": 10} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/api/v1/events", params=query)).json()
        found += page["events"]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break
    assert [event["id"] for event in found] == [str(n) for n in range(25)]
    assert found[-1]["cursor"] == cursor
    assert found[0]["subject"] == "terminal/13800138000"
    page = (await client.get("/api/v1/events", params={"cursor": cursor})).json()
    assert page == {"events": [], "next_cursor": cursor, "has_more": False}
    latest = (await client.get("/api/v1/events?cursor=latest")).json()
    assert latest["next_cursor"] == cursor
    first = (await client.get("/api/v1/events?cursor=earliest&limit=1")).json()
    assert first["events"][0]["id"] == "0"


async def test_filters(api):
    await write(api.pool, 1, kind="fatigue", family="driver", level=2, phone="1")
    await write(api.pool, 2, kind="phone_use", family="driver", level=1, phone="2")
    await write(api.pool, 3, type_="vehicle.online", phone="1")
    client = api.client()
    for query, expected in {
        "": ["1", "2", "3"],
        "type=alarm.*": ["1", "2"],
        "type=vehicle.online,alarm.ended": ["3"],
        "kind=fatigue": ["1"],
        "kind=fatigue&kind=phone_use": ["1", "2"],
        "family=driver&level=2": ["1"],
        "phone=0001": ["1", "3"],
        "phone=9": [],
    }.items():
        page = (await client.get("/api/v1/events?" + query)).json()
        assert [event["id"] for event in page["events"]] == expected, query


async def test_since_a_time(api):
    await write(api.pool, 1)
    await asyncio.sleep(0.01)
    moment = datetime.now(UTC)
    await write(api.pool, 2)
    client = api.client()
    shifted = moment.astimezone(datetime.now(UTC).astimezone().tzinfo).isoformat()
    for text in (moment.isoformat(), shifted, moment.isoformat().replace("+00:00", "Z")):
        page = (await client.get("/api/v1/events", params={"since": text})).json()
        assert [event["id"] for event in page["events"]] == ["2"]
    tomorrow = (moment + timedelta(days=1)).isoformat()
    page = (await client.get("/api/v1/events", params={"since": tomorrow})).json()
    assert page["events"] == []


async def test_a_long_poll_answers_when_there_is_an_event(api):
    client = api.client()
    poll = asyncio.create_task(client.get("/api/v1/events?cursor=latest&wait=10"))
    await asyncio.sleep(0.1)
    await write(api.pool, 1)
    before = time.monotonic()
    api.stream.wake()
    page = (await poll).json()
    assert time.monotonic() - before < 1
    assert [event["id"] for event in page["events"]] == ["1"]
    query = {"cursor": page["next_cursor"], "wait": 0.1}
    page = (await client.get("/api/v1/events", params=query)).json()
    assert page["events"] == []


async def test_sse_goes_on_where_it_was_cut_without_gap_or_double(api):
    client = api.client("events")
    await write(api.pool, *range(50), size=200)
    found, last = [], None
    writer = asyncio.create_task(_keep_writing(api, 50, 400))
    while len(found) < 400:
        headers = {"Last-Event-ID": last} if last else {}
        async with reader(client, "?cursor=earliest", **headers) as events:
            for cursor, type_, envelope in await take(events, min(37, 400 - len(found))):
                assert envelope["cursor"] == cursor
                assert envelope["type"] == type_
                found += [envelope["id"]] * (type_ == "alarm.raised")
                last = cursor
    await writer
    assert found[:400] == [str(n) for n in range(400)]


async def _keep_writing(api, start, end):
    for n in range(start, end, 5):
        await write(api.pool, *range(n, n + 5), size=200)
        api.stream.wake()
        await asyncio.sleep(0.002)


async def test_sse_without_a_place_begins_with_what_comes_now(api):
    await write(api.pool, "old")
    async with reader(api.client()) as events:
        await asyncio.sleep(0.05)
        await write(api.pool, "new")
        api.stream.wake()
        ((_, _, envelope),) = await take(events, 1)
    assert envelope["id"] == "new"


async def test_a_filtered_reader_gets_bookmarks_that_move_its_cursor(api):
    client = api.client()
    cursor = (await client.get("/api/v1/events?cursor=latest")).json()["next_cursor"]
    async with reader(client, f"?cursor={cursor}&kind=fatigue") as events:
        await asyncio.sleep(0.05)
        for n in range(0, 1200, 300):
            await write(api.pool, *range(n, n + 300), kind="phone_use")
            api.stream.wake()
        ((bookmark, type_, _),) = await take(events, 1)
    assert type_ == "stream.bookmark"
    await write(api.pool, "wanted", kind="fatigue")
    async with reader(client, "?kind=fatigue", **{"Last-Event-ID": bookmark}) as events:
        ((_, _, envelope),) = await take(events, 1)
    assert envelope["id"] == "wanted"


async def test_a_cursor_that_is_too_old_is_gone(api):
    await write(api.pool, *range(10))
    client = api.client()
    page = (await client.get("/api/v1/events?limit=3")).json()
    old = page["events"][0]["cursor"]
    async with api.pool.acquire() as connection:
        await connection.execute("UPDATE event_floor SET (xid, seq) = (SELECT max(xid), 5 FROM events)")
        await connection.execute("DELETE FROM events WHERE seq <= 5")
    await api.stream.close()  # what its ring may hold of them by now could still be served
    await api.stream.start()
    for response in (
        await client.get("/api/v1/events", params={"cursor": old}),
        await client.get("/api/v1/events/stream", params={"cursor": old}),
        await client.get("/api/v1/events/stream", headers={"Last-Event-ID": old}),
        await client.get("/api/v1/events", params={"cursor": old, "wait": 5}),
    ):
        document = problem(response, 410, "cursor_expired")
        earliest = document["earliest_cursor"]
        page = (await client.get("/api/v1/events", params={"cursor": earliest})).json()
        assert len(page["events"]) == 5
    assert (await client.get("/api/v1/events?cursor=earliest")).status_code == 200


async def test_a_bad_last_event_id_names_the_header(api):
    response = await api.client().get("/api/v1/events/stream", headers={"Last-Event-ID": "c1.x.y"})
    document = problem(response, 422, "invalid_request")
    assert document["errors"][0]["name"] == "Last-Event-ID"


async def test_a_stalled_reader_is_bounded_and_closed_and_delays_nobody(api):
    """One reader takes nothing from its socket while another is served at full speed."""
    stalled = socket.socket()
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stalled.connect(("127.0.0.1", api.server.port))
    stalled.sendall(
        b"GET /api/v1/events/stream?cursor=earliest HTTP/1.1\r\nHost: x\r\n"
        b"Authorization: Bearer " + api.keys["events"].encode() + b"\r\n\r\n"
    )
    await until(lambda: api.context.metrics.counters.stream_readers == 1)
    (connection,) = api.server.connections
    client = api.client("events")
    waits, buffered = [], 0
    async with reader(client, "?cursor=latest") as events:
        await asyncio.sleep(0.05)
        for n in range(0, 1500, 100):
            await write(api.pool, *range(n, n + 100), size=2000)
            before = time.monotonic()
            api.stream.wake()
            found = await take(events, 100)
            waits.append(time.monotonic() - before)
            assert [envelope["n"] for _, _, e in found for envelope in [e["data"]]] == list(range(n, n + 100))
            if not connection.transport.is_closing():
                buffered = max(buffered, connection.transport.get_write_buffer_size())
        # 3 MB went past it; what waits for it here is a batch on top of the high-water mark
        assert 0 < buffered <= 2 * (64 << 10) + 4096
        assert sorted(waits)[len(waits) // 2] < 0.25
        await until(lambda: api.context.metrics.counters.stream_blocked == 1)
        await until(lambda: connection not in api.server.connections)
        # the other one goes on
        await write(api.pool, "after")
        api.stream.wake()
        assert (await take(events, 1))[0][2]["id"] == "after"
    await until(lambda: api.context.metrics.counters.stream_readers == 0)
    stalled.close()


async def test_a_reader_that_goes_away_is_noticed(api):
    client = api.client()
    async with reader(client):
        await until(lambda: api.context.metrics.counters.stream_readers == 1)
    await client.aclose()
    await until(lambda: api.context.metrics.counters.stream_readers == 0)


async def test_an_open_stream_ends_when_its_key_is_revoked(api):
    async with reader(api.client("events"), "?cursor=earliest") as events:
        async with api.pool.acquire() as connection:
            await keys.revoke(connection, api.keys["events"].split("_")[1])
        rest = asyncio.create_task(take(events, 10**6))
        deadline = time.monotonic() + 5
        n = 0
        while not rest.done() and time.monotonic() < deadline:
            await write(api.pool, n := n + 1)
            api.stream.wake()
            await asyncio.sleep(0.02)
        await rest


async def test_shutdown_ends_streams_and_long_polls_at_once(api):
    client = api.client()
    poll = asyncio.create_task(client.get("/api/v1/events?cursor=latest&wait=30"))
    async with reader(client) as events:
        stalled = socket.socket()
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect(("127.0.0.1", api.server.port))
        stalled.sendall(
            b"GET /api/v1/events/stream?cursor=earliest HTTP/1.1\r\nHost: x\r\n"
            b"Authorization: Bearer " + api.keys["events"].encode() + b"\r\n\r\n"
        )
        await until(lambda: api.context.metrics.counters.stream_readers == 2)
        for n in range(5):
            await write(api.pool, *range(n * 100, n * 100 + 100), size=5000)
            api.stream.wake()
        await take(events, 500)
        before = time.monotonic()
        closing = asyncio.create_task(api.server.close())
        assert await take(events, 10**6) == []
        page = (await poll).json()
        assert page["next_cursor"]
        await closing
        assert time.monotonic() - before < 4
        stalled.close()
    with pytest.raises(httpx.ConnectError):
        await api.client().get("/healthz")


async def test_the_cursor_of_an_empty_log(api):
    page = (await api.client().get("/api/v1/events")).json()
    assert page == {"events": [], "next_cursor": str(START), "has_more": False}
    await write(api.pool, 1)
    query = {"cursor": page["next_cursor"]}
    page = (await api.client().get("/api/v1/events", params=query)).json()
    assert len(page["events"]) == 1
