"""The read side: pages that leave nothing out and repeat nothing, and plans that stay cheap."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from alarms.model import Alarm, Position, State
from storage import queries
from storage.database import connect, moment
from storage.partitions import make_ahead
from storage.terminals import delete, provision

TODAY = date(2026, 11, 23)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
DAY = 86_400

LOCATION = """
INSERT INTO locations VALUES ($1, $2, $3, $4, $5, $6, 22500000, -113900000, -3, 635, 359, 1, $7, $8)
"""


@pytest.fixture
async def connection(database):
    pool = await connect(database, size=1)
    async with pool.acquire() as connection:
        await make_ahead(connection, today=TODAY, back=3, ahead=1)
        yield connection
    await pool.close()


async def put(connection, terminal_id, time, digest, *, alarm=0, status=3, items=b"", raw=None):
    received = moment(NOON + 0.125)
    await connection.execute(LOCATION, terminal_id, moment(time), digest, received, alarm, status, items, raw)


async def put_alarm(connection, number, **fields):
    values = {
        "id": uuid.UUID(int=number),
        "terminal_id": 1,
        "phone": "1",
        "kind": "fatigue",
        "family": "driver",
        "level": 1,
        "state": "momentary",
        "rev": 1,
        "occurred_at": moment(NOON + number // 3),  # three at a time: the id decides
        "received_at": moment(NOON + 0.5),
        "backfilled": False,
        "latitude": 1,
        "longitude": -2,
        "altitude": 3,
        "speed": 4,
        "source": "su:0x65",
        "code": 1,
        "pairing": "p",
        "details": {"级": 1},
        "raw": b"\0\1",
    } | fields
    places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    await connection.execute(f"INSERT INTO alarms ({', '.join(values)}) VALUES ({places})", *values.values())


# --- terminals


async def test_terminals_with_their_last_location(connection):
    one = await provision(connection, "100", {"plate": "粤B12345"})
    two = await provision(connection, "200", {"plate": "沪A00001"})
    for time, digest in ((NOON, 1), (NOON - 2 * DAY, 2), (NOON - 1, 3)):
        await put(connection, one.id, time, digest, alarm=-1, status=-(2**31), items=b"\1\4", raw=b"r")
    views = await queries.terminals(connection, limit=10)
    assert [view.terminal for view in views] == [one, two]
    assert views[0].last == queries.Location(
        time=NOON,
        received_at=NOON + 0.125,
        digest=1,
        alarm=0xFFFFFFFF,
        status=0x80000000,
        latitude=22_500_000,
        longitude=-113_900_000,
        altitude=-3,
        speed=635,
        heading=359,
        flags=1,
        items=b"\1\4",
        raw=b"r",
    )
    assert views[1].last is None
    assert await queries.terminal(connection, "100") == views[0]
    assert await queries.terminal(connection, "200") == views[1]
    assert await queries.terminal(connection, "300\0") is None


async def test_terminals_by_pages_and_by_search(connection):
    for number in range(7):
        await provision(connection, f"13{number}", {"plate": f"粤b_{number}%"})
    seen, after = [], None
    while page := await queries.terminals(connection, after_phone=after, limit=3):
        seen += [view.terminal.phone for view in page]
        after = seen[-1]
    assert seen == [f"13{number}" for number in range(7)]

    async def search(text):
        views = await queries.terminals(connection, limit=10, search=text)
        return [view.terminal.phone for view in views]

    assert await search("粤B_3") == ["133"]
    assert await search("35") == ["135"]
    assert len(await search("%")) == 7
    assert await search("\\") == []
    assert len(await search("\0")) == 7


async def test_last_location_over_many_days_is_cheap(connection):
    await make_ahead(connection, today=TODAY, back=200, ahead=3)
    terminal = await provision(connection, "100", {})
    for day in range(200):
        await put(connection, terminal.id, NOON - day * DAY, day)
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE page (text, text, bigint) AS {queries.TERMINALS}")
    rows = await connection.fetch(
        "EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF, FORMAT JSON) EXECUTE page ('', '', 100)"
    )
    scans = [
        node
        for node in walk(json.loads(rows[0][0])[0]["Plan"])
        if node.get("Relation Name", "").startswith("locations_")
    ]
    assert len(scans) == 204
    assert all(node["Node Type"].startswith("Index") for node in scans)
    assert sum(node["Actual Loops"] for node in scans) == 4  # the three days ahead, and today


def walk(node):
    yield node
    for child in node.get("Plans", ()):
        yield from walk(child)


# --- tracks


async def test_track_by_pages(connection):
    keys = [(NOON - DAY + 10 * n, digest) for n in range(5) for digest in (-5, 0, 2**63 - 1)]
    keys += [(NOON + 0.000001 * n, -(2**63)) for n in range(4)]
    for time, digest in reversed(keys):
        await put(connection, 7, time, digest)
        await put(connection, 8, time, digest)
    for limit in (1, 2, 100):
        seen, after = [], None
        while page := await queries.track(connection, 7, 0, NOON + DAY, after, limit=limit):
            seen += [(row.time, row.digest) for row in page]
            after = seen[-1]
        assert seen == keys


async def test_track_bounds(connection):
    for n in range(3):
        await put(connection, 7, NOON + n, -(2**63))

    async def times(start, end, after=None):
        rows = await queries.track(connection, 7, start, end, after, limit=10)
        return [row.time - NOON for row in rows]

    assert await times(NOON, NOON + 2) == [0, 1]
    assert await times(NOON + 0.5, NOON + 9) == [1, 2]
    assert await times(float("-inf"), float("inf")) == [0, 1, 2]
    assert await times(NOON + 2, NOON) == []
    # A cursor from before the start does not widen the range.
    assert await times(NOON + 1, NOON + 9, (NOON - 5, 0)) == [1, 2]


# --- alarms


async def test_alarm_comes_back_whole(connection):
    ended = {"state": "ended", "ended_at": moment(NOON + 60), "end_reason": "reported", "rev": 2}
    await put_alarm(connection, 3, **ended, attachments=4)
    view = await queries.alarm(connection, str(uuid.UUID(int=3)))
    assert (view.terminal_id, view.phone) == (1, "1")
    assert view.committed_at > 1.7e9
    assert view.alarm == Alarm(
        id="00000000-0000-0000-0000-000000000003",
        kind="fatigue",
        family="driver",
        level=1,
        state=State.ENDED,
        rev=2,
        occurred_at=int(NOON) + 1,
        ended_at=int(NOON) + 60,
        end_reason="reported",
        received_at=NOON + 0.5,
        backfilled=False,
        position=Position(1, -2, 3, 4),
        source="su:0x65",
        code=1,
        pairing="p",
        details={"级": 1},
        raw=b"\0\1",
        attachments=4,
    )
    assert await queries.alarm(connection, str(uuid.uuid4())) is None
    assert await queries.alarm(connection, "no uuid") is None


async def test_alarms_newest_first_by_pages(connection):
    for number in range(10):
        await put_alarm(connection, number)
    for limit in (1, 4, 10):
        seen, after = [], None
        while page := await queries.alarms(connection, after=after, limit=limit):
            seen += [(view.alarm.occurred_at, view.alarm.id) for view in page]
            after = seen[-1]
        assert [uuid.UUID(id_).int for _, id_ in seen] == list(reversed(range(10)))
    with pytest.raises(ValueError, match="UUID"):
        await queries.alarms(connection, after=(0, "x"), limit=1)


async def test_alarms_narrowed(connection):
    await put_alarm(connection, 0, phone="2", level=3)
    await put_alarm(connection, 3, kind="smoking", state="open")
    await put_alarm(connection, 6, kind="phone_use", level=2)

    async def numbers(**narrowed):
        views = await queries.alarms(connection, limit=10, **narrowed)
        return [uuid.UUID(view.alarm.id).int for view in views]

    assert await numbers() == [6, 3, 0]
    assert await numbers(phone="2\0") == [0]
    assert await numbers(kinds=["smoking"]) == [3]
    assert await numbers(kinds={"smoking", "fatigue", "\0"}) == [3, 0]
    assert await numbers(min_level=2) == [6, 0]
    assert await numbers(state=State.OPEN) == [3]
    assert await numbers(start=NOON + 1, end=NOON + 2) == [3]
    assert await numbers(start=float("-inf"), end=float("inf"), phone="1", min_level=1) == [6, 3]
    with pytest.raises(ValueError, match="is not a valid State"):
        await numbers(state="' OR true --")


async def test_how_a_terminal_stands(connection):
    await put_alarm(connection, 9, state="open")
    await put_alarm(connection, 3, state="open")
    await put_alarm(connection, 1, state="ended")
    await put_alarm(connection, 2, state="open", terminal_id=2)
    found = await queries.standing(connection, 1, "1", ended=10)
    assert [(uuid.UUID(alarm.id).int, alarm.state) for alarm in found.alarms] == [
        (1, State.ENDED),
        (3, State.OPEN),
        (9, State.OPEN),
    ]
    assert (found.word, found.time) == (0, 0)
    await put(connection, 1, NOON + 5, 1)  # backfilled, as `put` says of all
    await put(connection, 1, NOON, 2, alarm=6)
    await connection.execute("UPDATE locations SET flags = 0 WHERE digest = 2")
    found = await queries.standing(connection, 1, "1", ended=0)
    assert (found.word, found.time) == (6, NOON)
    assert len((await queries.standing(connection, 1, "1", ended=0)).alarms) == 2


async def test_open_alarms_without_the_codec(connection, database):
    await put_alarm(connection, 1, state="open")
    plain = await asyncpg.connect(database)
    try:
        assert (await queries.standing(plain, 1, "1", ended=1)).alarms[0].details == {"级": 1}
    finally:
        await plain.close()


async def test_what_a_deleted_terminal_sent_stays(connection):
    terminal = await provision(connection, "1", {})
    await put(connection, terminal.id, NOON, 1)
    await put_alarm(connection, 1, terminal_id=terminal.id)
    await delete(connection, "1")
    assert len(await queries.alarms(connection, phone="1", limit=10)) == 1
    start = (datetime.now(UTC) - timedelta(days=9999)).timestamp()
    assert len(await queries.track(connection, terminal.id, start, NOON + 1, limit=10)) == 1
