"""gateway/stream.py: every reader sees every event once and in order, whatever it is served from."""

import asyncio
import contextlib
import json
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.metrics import Metrics
from gateway.stream import BOOKMARK, GAP, Stream, render, rfc3339
from storage.database import connect
from storage.events import START, Cursor, CursorExpired, Event, Filter
from storage.migrate import migrate
from tests.gateway.conftest import prepare, write

LIMIT = 15.0  # s; no test waits longer for anything


@pytest.fixture
async def streams(pool):
    """Makes streams on the pool and closes them at the end."""
    made = []

    async def make(**options):
        stream = Stream(pool, Metrics(), **options)
        await stream.start()
        made.append(stream)
        return stream

    yield make
    for stream in made:
        await stream.close()


async def collect(stream, cursor, count, wanted=Filter(), controls=False):  # noqa: B008 - a value
    """The first `count` events after a cursor, as (id, cursor text)."""
    found = []
    async with asyncio.timeout(LIMIT), contextlib.aclosing(stream.follow(cursor, wanted)) as batches:
        async for batch in batches:
            for item in batch.items:
                if controls or not item.event.type.startswith("stream."):
                    found.append(item)
            if len(found) >= count:
                return found
    raise AssertionError("the stream ended")


def ids(items):
    return [item.event.id for item in items]


# --- rendering


def test_an_event_is_a_cloud_event_in_an_sse_frame():
    event = Event(
        0x2F, 0x1A, 1795297443.12, "alarm.raised", "13800138000", "fatigue", "driver", 2, "a.1",
        {"alarm_id": "a", "plate": "粤B\n1"},
    )  # fmt: skip
    item = render(event)
    lines = item.frame.decode().split("\n")
    assert lines[0] == "id: c1.2f.1a"
    assert lines[1] == "event: alarm.raised"
    assert lines[3:] == ["", ""]
    envelope = json.loads(lines[2].removeprefix("data: "))
    assert json.loads(item.body) == envelope
    assert envelope == {
        "specversion": "1.0",
        "id": "a.1",
        "source": "/jtgate",
        "type": "alarm.raised",
        "subject": "terminal/13800138000",
        "time": "2026-11-21T21:44:03.120Z",
        "datacontenttype": "application/json",
        "dataschema": "/api/schemas/alarm.v1.json",
        "cursor": "c1.2f.1a",
        "partitionkey": "terminal:13800138000",
        "data": {"alarm_id": "a", "plate": "粤B\n1"},
    }


@given(st.dictionaries(st.text(), st.text() | st.integers(-(2**53), 2**53) | st.none()))
def test_no_data_breaks_a_frame(data):
    frame = render(Event(1, 1, 0.0, "x", None, None, None, None, "1", data)).frame
    assert frame.count(b"\n") == 4
    assert b"\r" not in frame
    assert frame.endswith(b"\n\n")


def test_times_are_utc_to_the_millisecond():
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(1.9996) == "1970-01-01T00:00:01.999Z"


# --- the ring and the log behind it


async def test_a_reader_goes_from_the_log_into_the_ring_without_gap_or_double(pool, streams):
    await write(pool, *range(300))
    stream = await streams()
    assert stream.size == (0, 0)
    reader = asyncio.create_task(collect(stream, START, 400))
    for n in range(300, 400, 10):
        await write(pool, *range(n, n + 10))
        stream.wake()
        await asyncio.sleep(0.005)
    found = await reader
    assert ids(found) == [str(n) for n in range(400)]
    assert stream.size[0] == 100


async def test_each_event_is_rendered_once_for_all_readers_of_the_ring(pool, streams):
    stream = await streams()
    readers = [asyncio.create_task(collect(stream, await stream.latest(), 20)) for _ in range(5)]
    await write(pool, *range(20))
    stream.wake()
    first, *others = await asyncio.gather(*readers)
    for other in others:
        assert all(a is b for a, b in zip(first, other, strict=True))


async def test_the_ring_is_bounded_by_count_and_by_bytes(pool, streams):
    stream = await streams(max_events=50, max_bytes=20_000)
    for n in range(0, 400, 40):
        await write(pool, *range(n, n + 40), size=10)
        stream.wake()
    assert ids(await collect(stream, START, 400)) == [str(n) for n in range(400)]
    async with asyncio.timeout(LIMIT):
        while stream._tip != await stream.latest():
            await asyncio.sleep(0.01)
    count, size = stream.size
    assert count == 50
    assert size == sum(len(item.frame) for item in stream._ring) <= 20_000
    await write(pool, 400, size=15_000)
    found = await collect(stream, stream._tip, 1)
    assert ids(found) == ["400"]
    count, size = stream.size
    assert size <= 20_000
    assert count < 20


async def test_readers_with_random_cursors_and_filters_see_what_the_log_holds(pool, streams):
    stream = await streams(max_events=100)
    rng = random.Random(7)
    for n in range(0, 600, 20):
        await write(pool, *range(n, n + 20), kind=rng.choice(["fatigue", "phone_use"]), level=n % 3)
        stream.wake()
    everything = await collect(stream, START, 600)
    assert ids(everything) == [str(n) for n in range(600)]
    for _ in range(20):
        place = rng.randrange(600)
        wanted = Filter(kinds=frozenset(rng.sample(["fatigue", "phone_use"], rng.choice([0, 1]))))
        expected = [i for i in everything[place + 1 :] if wanted.matches(i.event)]
        if expected:
            found = await collect(stream, everything[place].cursor, len(expected), wanted)
            assert ids(found) == ids(expected)


async def test_without_a_wake_the_stream_polls(pool, streams):
    stream = await streams(poll=0.05)
    reader = asyncio.create_task(collect(stream, await stream.latest(), 1))
    await write(pool, 1)
    assert ids(await reader) == ["1"]


async def test_an_event_hidden_behind_an_older_transaction_is_found_soon(pool, streams):
    """Our commit wakes the stream while another transaction still holds the log's head back."""
    stream = await streams(poll=30.0)
    reader = asyncio.create_task(collect(stream, await stream.latest(), 1))
    async with pool.acquire() as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT pg_current_xact_id()")
        await write(pool, 1)
        stream.wake()
        await asyncio.sleep(0.1)
        assert not reader.done()
        await transaction.rollback()
    before = time.monotonic()
    assert ids(await reader) == ["1"]
    assert time.monotonic() - before < 1.0


# --- bookmarks, gaps, ends


async def test_silence_brings_bookmarks(pool, streams):
    stream = await streams(heartbeat=0.05)
    found = await collect(stream, await stream.latest(), 3, controls=True)
    assert [item.event.type for item in found] == [BOOKMARK] * 3
    envelope = json.loads(found[0].body)
    assert envelope["cursor"] == str(await stream.latest())
    assert "subject" not in envelope


async def test_skipped_events_move_a_filtered_reader_s_cursor(pool, streams):
    stream = await streams()
    cursor = await stream.latest()
    reader = asyncio.create_task(collect(stream, cursor, 1, Filter(kinds=frozenset({"none"})), controls=True))
    await asyncio.sleep(0.05)
    for n in range(0, 1200, 400):
        await write(pool, *range(n, n + 400), kind="fatigue")
        stream.wake()
    (bookmark,) = await reader
    assert bookmark.event.type == BOOKMARK
    assert bookmark.cursor > cursor
    # the same from Postgres
    fresh = await streams()
    (bookmark,) = await collect(fresh, cursor, 1, Filter(kinds=frozenset({"none"})), controls=True)
    assert bookmark.cursor == await stream.latest()


async def test_a_cursor_that_is_too_old_or_of_another_log_is_refused(pool, streams):
    await write(pool, *range(10))
    stream = await streams()
    (first, *_, last) = await collect(stream, START, 10)
    await stream.check(first.cursor)
    await stream.check(START)
    await expire(pool, last.cursor)
    with pytest.raises(CursorExpired) as error:
        await stream.check(first.cursor)
    assert error.value.earliest == last.cursor
    with pytest.raises(CursorExpired):
        await stream.check(Cursor(2**62, 1))


async def test_a_reader_that_retention_overtakes_is_told_of_the_gap(pool, streams):
    await write(pool, *range(300))
    stream = await streams()
    async with asyncio.timeout(LIMIT):
        batches = stream.follow(START)
        first = await anext(batches)
        third = (await collect(stream, START, 300))[-3].cursor
        await expire(pool, third)
        second = await anext(batches)
        third_batch = await anext(batches)
        await batches.aclose()
    assert len(first.items) == 128
    assert [item.event.type for item in second.items] == [GAP]
    assert json.loads(second.items[0].body)["data"] == {"after": str(first.cursor)}
    assert second.cursor == third
    assert ids(third_batch.items) == ["298", "299"]


async def expire(pool, cursor):
    async with pool.acquire() as connection:
        await connection.execute("UPDATE event_floor SET xid = $1, seq = $2", cursor.xid, cursor.seq)
        await connection.execute("DELETE FROM events WHERE (xid, seq) <= ($1, $2)", cursor.xid, cursor.seq)


async def test_closing_ends_every_reader(pool, streams):
    stream = await streams()
    cursor = await stream.latest()

    async def read():
        async for _ in stream.follow(cursor):
            pass

    readers = [asyncio.create_task(read()) for _ in range(3)]
    await asyncio.sleep(0.05)
    assert stream._counters.stream_readers == 3
    await stream.close()
    async with asyncio.timeout(1):
        await asyncio.gather(*readers)
    assert stream._counters.stream_readers == 0


async def test_a_long_poll_waits_for_something_and_no_longer(pool, streams):
    stream = await streams()
    cursor = await stream.latest()
    poll = asyncio.create_task(stream.wait(cursor, Filter(), 10, 5.0))
    await asyncio.sleep(0.05)
    await write(pool, 1)
    stream.wake()
    before = time.monotonic()
    page = await poll
    assert time.monotonic() - before < 1.0
    assert ids(page.items) == ["1"]
    empty = await stream.wait(page.cursor, Filter(), 10, 0.05)
    assert (empty.items, empty.cursor) == ([], page.cursor)


# --- Postgres away


async def test_postgres_is_killed_and_comes_back_and_nothing_is_lost(postgres):
    pool = await connect(postgres.dsn, size=8)
    async with pool.acquire() as connection:
        await migrate(connection)
    await prepare(pool)
    stream = Stream(pool, Metrics(), heartbeat=0.2, poll=0.1)
    try:
        await stream.start()
        cursor = await stream.latest()
        live = asyncio.create_task(collect(stream, cursor, 40))
        await write(pool, *range(20))
        stream.wake()
        await asyncio.sleep(0.2)
        postgres.kill()
        past = asyncio.create_task(collect(stream, START, 40))  # needs Postgres; must outlive it
        stream.wake()
        async with asyncio.timeout(LIMIT):
            while not stream.outage:
                await asyncio.sleep(0.02)
        # what the ring holds is still served
        assert ids((await stream.page(cursor)).items) == [str(n) for n in range(20)]
        postgres.start()
        async with asyncio.timeout(LIMIT):
            while stream.outage:
                await asyncio.sleep(0.02)
        await write(pool, *range(20, 40))
        expected = [str(n) for n in range(40)]
        assert ids(await live) == expected
        assert ids(await past) == expected
    finally:
        await stream.close()
        pool.terminate()


async def test_a_stream_that_starts_before_postgres_begins_when_it_can(postgres):
    pool = await connect(postgres.dsn, size=8)
    async with pool.acquire() as connection:
        await migrate(connection)
    await prepare(pool)
    await write(pool, 1)
    postgres.kill()
    stream = Stream(pool, Metrics(), poll=0.05)
    try:
        await stream.start()
        reader = asyncio.create_task(collect(stream, START, 2))
        await asyncio.sleep(0.2)
        assert stream.outage
        postgres.start()
        async with asyncio.timeout(LIMIT):
            while stream.outage:
                await asyncio.sleep(0.02)
        await write(pool, 2)
        assert ids(await reader) == ["1", "2"]
    finally:
        await stream.close()
        pool.terminate()


# --- a reader that does not read


async def test_a_stalled_reader_holds_one_batch_and_delays_nobody(pool, streams):
    stream = await streams(max_bytes=1 << 20)
    cursor = await stream.latest()
    stalled = stream.follow(cursor)
    ready = asyncio.create_task(anext(stalled))
    waits = []
    live = asyncio.create_task(collect(stream, cursor, 2000))
    for n in range(0, 2000, 100):
        await write(pool, *range(n, n + 100), size=1000)
        before = time.monotonic()
        stream.wake()
        async with asyncio.timeout(LIMIT):
            while stream._ring == [] or stream._ring[-1].event.id != str(n + 99):
                await asyncio.sleep(0.001)
        waits.append(time.monotonic() - before)
    assert ids(await live) == [str(n) for n in range(2000)]
    batch = await ready
    assert sum(len(item.frame) for item in batch.items) <= 64 << 10
    assert stream.size[1] <= 1 << 20
    assert sorted(waits)[len(waits) // 2] < 0.1
    # it comes back later, from far behind the ring, and has missed nothing
    found = ids(batch.items)
    async with asyncio.timeout(LIMIT):
        async for batch in stalled:
            found += ids(batch.items)
            if len(found) >= 2000:
                break
    await stalled.aclose()
    assert found == [str(n) for n in range(2000)]
