"""The log: one order for every reader, whatever the writers do, and a filter with one meaning."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import events
from storage.database import connect
from storage.events import (
    START,
    BadCursor,
    Cursor,
    CursorExpired,
    Event,
    Filter,
    NewEvent,
    append,
    at,
    earliest,
    head,
    read,
    rebase,
)
from storage.migrate import migrate
from storage.partitions import drop_expired, make_ahead

ALL = Filter()
TODAY = datetime.now(UTC).date()


@pytest.fixture
async def pool(database):
    pool = await connect(database, size=16)
    async with pool.acquire() as connection:
        await make_ahead(connection, today=TODAY, back=0, ahead=1)
    yield pool
    await pool.close()


def new(id_, type_="alarm.raised", **fields):
    return NewEvent(type_, str(id_), fields.pop("data", {}), **fields)


def ids(page):
    return [event.id for event in page.events]


async def drain(connection, after=START, wanted=ALL, limit=100):
    found = []
    while True:
        page = await read(connection, after, wanted, limit)
        found += page.events
        after = page.next
        if not page.more:
            return found, after


async def insert_at(connection, time, id_):
    await connection.execute(
        "INSERT INTO events (time, type, id, data) VALUES ($1, 'alarm.raised', $2, '{}')", time, id_
    )


# --- cursors


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_cursor_text_and_back(xid, seq):
    assert Cursor.parse(str(Cursor(xid, seq))) == Cursor(xid, seq)


@given(st.text() | st.from_regex(r"c1\.[0-9a-f]{0,17}\.[0-9a-f]{0,17}", fullmatch=True))
def test_cursor_text_is_the_only_one_or_refused(text):
    try:
        cursor = Cursor.parse(text)
    except BadCursor:
        return
    assert str(cursor) == text
    assert max(cursor) < 2**63


@pytest.mark.parametrize("text", ["", "c1.0.0\n", "c2.1.1", "c1.01.1", "c1.A.1", "c1.٣.1", "c1.1"])
def test_bad_cursors(text):
    with pytest.raises(BadCursor):
        Cursor.parse(text)


# --- append and read


async def test_everything_comes_back(connection):
    full = new("e1", phone="13800138000", kind="fatigue", family="driver", level=2, data={"n": [1]})
    before = datetime.now(UTC).timestamp()
    await append(connection, [full, new("e\0 2", "terminal.online", data={"plate": "粤B\0"})])
    await append(connection, [])
    (one, two), cursor = await drain(connection)
    assert one == Event(
        xid=one.xid,
        seq=one.seq,
        time=one.time,
        type="alarm.raised",
        phone="13800138000",
        kind="fatigue",
        family="driver",
        level=2,
        id="e1",
        data={"n": [1]},
    )
    assert before - 1 < one.time < before + 60
    assert (two.id, two.data, two.phone, two.level) == ("e 2", {"plate": "粤B"}, None, None)
    assert one.cursor < two.cursor == cursor == await head(connection)


async def test_pages_and_more(connection):
    await append(connection, [new(n) for n in range(10)])
    first = await read(connection, START, ALL, 4)
    assert (ids(first), first.more) == (["0", "1", "2", "3"], True)
    rest = await read(connection, first.next, ALL, 6)
    assert (ids(rest), rest.more) == (["4", "5", "6", "7", "8", "9"], False)
    assert await read(connection, rest.next, ALL, 6) == ([], rest.next, False)


async def test_a_late_commit_is_never_behind_a_cursor(pool):
    async with pool.acquire() as slow, pool.acquire() as quick, pool.acquire() as reader:
        transaction = slow.transaction()
        await transaction.start()
        await append(slow, [new("slow")])
        await append(quick, [new("quick")])
        assert await read(reader, START, ALL, 10) == ([], START, False)
        assert await head(reader) == START
        await transaction.commit()
        assert ids(await read(reader, START, ALL, 10)) == ["slow", "quick"]


async def test_every_reader_sees_every_committed_event_once_and_in_one_order(pool):
    """8 writers with delays and rollbacks, 4 readers."""
    rng = random.Random(808)
    committed: list[list[str]] = []

    async def writer(name):
        async with pool.acquire() as connection:
            for number in range(40):
                batch = [f"{name}.{number}.{k}" for k in range(rng.randint(1, 5))]
                transaction = connection.transaction()
                await transaction.start()
                for part in (batch[:2], batch[2:]):
                    await append(connection, [new(id_) for id_ in part])
                    if rng.random() < 0.6:
                        await asyncio.sleep(rng.choice((0, 0.002, 0.02)))
                if rng.random() < 0.25:
                    await transaction.rollback()
                else:
                    await transaction.commit()
                    committed.append(batch)

    async def reader(limit):
        found, cursor, polls = [], START, 0
        async with pool.acquire() as connection:
            while True:
                over = writing.done()
                page = await read(connection, cursor, ALL, limit)
                found += ids(page)
                cursor, polls = page.next, polls + bool(page.events)
                if over and not page.more:
                    return found, polls
                await asyncio.sleep(0.001)

    writing = asyncio.gather(*(writer(n) for n in range(8)))
    results = await asyncio.gather(*(reader(limit) for limit in (1, 3, 50, 1000)))
    await writing
    orders = [found for found, _ in results]
    assert sorted(orders[0]) == sorted(id_ for batch in committed for id_ in batch)
    assert len(set(orders[0])) == len(orders[0])
    assert all(order == orders[0] for order in orders)
    places = {id_: place for place, id_ in enumerate(orders[0])}
    for batch in committed:  # a transaction stays together and in its order
        assert [places[id_] - places[batch[0]] for id_ in batch] == list(range(len(batch)))
    assert all(polls > 20 for _, polls in results)  # they did read while it was written


async def test_head_survives_a_crash(postgres):
    """Transaction ids that left nothing behind are given out again; a cursor must not mind."""
    connection = await asyncpg.connect(postgres.dsn)
    await migrate(connection)
    await make_ahead(connection, today=TODAY, back=0, ahead=1)
    await append(connection, [new("before")])
    for _ in range(50):
        async with connection.transaction():
            await connection.fetchval("SELECT pg_current_xact_id()")
    cursor = await head(connection)
    page = await read(connection, START, ALL, 10)
    postgres.kill()
    connection.terminate()
    postgres.start()
    connection = await asyncpg.connect(postgres.dsn)
    try:
        await append(connection, [new("after")])
        for place in (cursor, page.next):
            assert ids(await read(connection, place, ALL, 10)) == ["after"]
    finally:
        await connection.close()


# --- filters

TYPES = ["alarm.raised", "alarm.ended", "alarm", "terminal.online", "al%rm", "粤.*"]
PHONES = ["1", "13800138000", "13800138001", "粤\0"]
STORED = [
    new(f"{type_}/{n}", type_, phone=phone, kind=kind, family=family, level=level)
    for n, (phone, kind, family, level) in enumerate(
        (phone, kind, family, level)
        for phone in [None, *PHONES]
        for kind, family in [(None, None), ("fatigue", "driver"), ("smoking", "driver"), ("", "x")]
        for level in (None, 0, 1, 2)
    )
    for type_ in TYPES
]
patterns = st.sampled_from([*TYPES, "alarm.*", "al*", "*", "", "a%*", "nothing", "alarm.*.*", "x\0"])
filters = st.builds(
    Filter,
    types=st.frozensets(patterns, max_size=3),
    kinds=st.frozensets(st.sampled_from(["fatigue", "smoking", "", "none"]), max_size=2),
    families=st.frozensets(st.sampled_from(["driver", "x", "none"]), max_size=2),
    min_level=st.integers(-1, 3),
    phones=st.frozensets(st.sampled_from(PHONES), max_size=2),
)


@pytest.fixture
async def stored(connection):
    await append(connection, STORED)
    found, _ = await drain(connection, limit=1000)
    assert len(found) == len(STORED)
    return lambda: found  # a failing example is printed with its arguments


# The fixtures are only read, so that one set of them serves all examples.
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=filters, limit=st.sampled_from([1, 7, 1000]))
async def test_filter_means_the_same_in_python_and_in_sql(connection, stored, wanted, limit):
    expected = [event for event in stored() if wanted.matches(event)]
    page = await read(connection, START, wanted, limit)
    assert page.events == expected[:limit]
    if len(expected) < limit:
        assert (page.next, page.more) == (stored()[-1].cursor, False)


async def test_a_filtered_read_is_bounded_and_moves_on(connection, monkeypatch):
    monkeypatch.setattr(events, "SCAN_WINDOW", 8)
    monkeypatch.setattr(events, "READ", events.READ.replace("LIMIT 4096", "LIMIT 8"))
    await append(connection, [new(n, phone="1" if n in (20, 23) else "2") for n in range(24)])
    stored = (await drain(connection))[0]
    wanted = Filter(phones=frozenset({"1"}))
    first = await read(connection, START, wanted, 5)
    assert first == ([], stored[7].cursor, True)
    second = await read(connection, first.next, wanted, 5)
    assert second == ([], stored[15].cursor, True)
    third = await read(connection, second.next, wanted, 5)
    assert (ids(third), third.next) == (["20", "23"], stored[23].cursor)
    assert await read(connection, third.next, wanted, 5) == ([], stored[23].cursor, False)
    assert ids(await read(connection, second.next, wanted, 1)) == ["20"]


# --- retention


async def test_expired_cursor(connection):
    today = date(2026, 11, 23)
    for day in (1, 2, 3):
        await make_ahead(connection, today=today - timedelta(days=day), back=0, ahead=1)
    for day in (4, 3, 2):
        await insert_at(connection, datetime(2026, 11, 23, tzinfo=UTC) - timedelta(days=day), str(day))
    four, three, two = (await drain(connection))[0]
    assert await earliest(connection) == START
    dropped = await drop_expired(connection, today=today, location_days=30, event_days=2, rejected_days=30)
    assert dropped == ["events_20261119", "events_20261120"]
    assert await earliest(connection) == three.cursor
    for cursor in (Cursor(four.xid, four.seq - 1), four.cursor):
        with pytest.raises(CursorExpired) as caught:
            await read(connection, cursor, ALL, 10)
        assert caught.value.earliest == three.cursor
    # The reader that had read the last dropped event has missed nothing.
    assert ids(await read(connection, three.cursor, ALL, 10)) == ["2"]
    assert ids(await read(connection, START, ALL, 10)) == ["2"]
    assert await at(connection, 0) == Cursor(two.xid, two.seq - 1)
    await drop_expired(connection, today=today, location_days=30, event_days=-30, rejected_days=30)
    assert await head(connection) == await earliest(connection) == two.cursor
    assert await read(connection, two.cursor, ALL, 10) == ([], two.cursor, False)
    assert await read(connection, START, ALL, 10) == ([], two.cursor, False)


async def test_no_reader_steps_over_what_is_dropped(pool, monkeypatch):
    """While days are dropped, a reader either gets an event or is told."""
    first = date(2026, 1, 1)
    async with pool.acquire() as connection:
        await make_ahead(connection, today=first + timedelta(days=1), back=1, ahead=20)
        for day in range(20):
            midnight = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
            for n in range(3):
                await insert_at(connection, midnight, f"{day:02}.{n}")
    order = [f"{day:02}.{n}" for day in range(20) for n in range(3)]

    async def reader():
        expired = 0
        async with pool.acquire() as connection:
            while not dropping.done():
                cursor, after = START, None
                while True:
                    try:
                        page = await read(connection, cursor, ALL, 2)
                    except CursorExpired:
                        expired += 1
                        break
                    for id_ in ids(page):
                        assert after is None or order.index(id_) == order.index(after) + 1
                        after = id_
                    cursor = page.next
                    if not page.more:
                        break
        return expired

    async def dropper():
        async with pool.acquire() as connection:
            for day in range(18):
                await drop_expired(
                    connection,
                    today=first + timedelta(days=day),
                    location_days=0,
                    event_days=0,
                    rejected_days=0,
                )
                await asyncio.sleep(0.03)

    dropping = asyncio.create_task(dropper())
    await asyncio.gather(*(reader() for _ in range(4)))
    await dropping


async def test_a_cursor_of_another_database_is_refused(connection):
    await append(connection, [new(1)])
    with pytest.raises(CursorExpired):
        await read(connection, Cursor(2**40, 1), ALL, 10)


async def test_a_restored_log_is_rebased(connection):
    await append(connection, [new(1), new(2)])
    assert await rebase(connection) == 0
    await connection.execute("UPDATE events SET xid = '99999999'")  # as a dump would carry it
    await append(connection, [new(3)])
    assert ids(await read(connection, START, ALL, 10)) == ["3"]
    assert await rebase(connection) == 2
    assert ids(await read(connection, START, ALL, 10)) == ["1", "2", "3"]


async def test_since(connection):
    await make_ahead(connection, today=TODAY, back=0, ahead=3)
    base = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC) + timedelta(hours=23)
    for hour in range(4):
        await insert_at(connection, base + timedelta(hours=hour), str(hour))
    for hour in range(4):
        cursor = await at(connection, (base + timedelta(hours=hour)).timestamp())
        assert ids(await read(connection, cursor, ALL, 10)) == [str(h) for h in range(hour, 4)]
    assert await at(connection, base.timestamp() + 1e6) == await head(connection)


# --- the plan


async def test_a_read_stops_early_in_every_partition(connection):
    """30 days of 500 events: a page in the middle looks at a few rows a day, and sorts none."""
    await make_ahead(connection, today=TODAY, back=0, ahead=29)
    await connection.execute(
        "INSERT INTO events (time, xid, type, id, data)"
        " SELECT $1::timestamptz + n * interval '1 day' / 500, '3', 'alarm.raised', n::text, '{}'"
        " FROM generate_series(0, 14999) n",
        datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC),
    )
    types = "xid8, bigint, bigint, text[], text[], text[], text[], integer, text[]"
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE page ({types}) AS {events.READ}")
    rows = await connection.fetch(
        "EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF, FORMAT JSON)"
        " EXECUTE page ('3', 7000, 100, '{}', '{}', '{}', '{}', 0, '{}')"
    )
    plan = rows[0][0]
    nodes = list(walk(json.loads(plan)[0]["Plan"]))
    scans = [node for node in nodes if node.get("Relation Name", "").startswith("events_")]
    assert {node["Node Type"] for node in scans} == {"Index Scan"}
    assert "Merge Append" in {node["Node Type"] for node in nodes}
    assert sum(node["Actual Rows"] for node in scans) < 100 + 3 * len(scans)


def walk(node):
    yield node
    for child in node.get("Plans", ()):
        yield from walk(child)
