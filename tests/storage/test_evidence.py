"""Numbers and files in the tables, and the events of what was new."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid

import pytest

from alarms.model import Alarm, Change, Position, State, Transition
from storage import alarm_rows, evidence, queries
from storage.database import to_json
from storage.evidence import Active, File, GivenUp
from storage.partitions import make_ahead

IDENTIFIER = b"T000001" + bytes(9)
NUMBER = "0123456789ABCDEF" * 2
NOW = int(time.time())


def alarm(number: int = 1, attachments: int = 2, identifier: bytes = IDENTIFIER) -> Alarm:
    return Alarm(
        id=str(uuid.UUID(int=number)), kind="fatigue", family="driver", level=2, state=State.MOMENTARY, rev=1,
        occurred_at=NOW - 60, ended_at=None, end_reason=None, received_at=NOW, backfilled=False,
        position=Position(1, 2, 3, 4), source="su:0x65", code=1, pairing="p",
        details={"identifier": identifier.hex()}, raw=b"raw", attachments=attachments,
    )  # fmt: skip


@pytest.fixture
async def view(connection):
    await make_ahead(connection, today=dt.datetime.now(dt.UTC).date(), back=1, ahead=1)
    return await put(connection, alarm())


async def put(connection, one: Alarm) -> queries.AlarmView:
    columns = ", ".join(alarm_rows.COLUMNS)
    await connection.execute(
        f"INSERT INTO alarms ({columns}) SELECT {columns} FROM json_populate_record(NULL::alarms, $1::json)",
        to_json(alarm_rows.row(one, 7, "138")).decode(),
    )
    return await queries.alarm(connection, one.id)


def file(n: int, state: evidence.State = evidence.State.EXPECTED, **more) -> File:
    whole = {"sha256": bytes(32), "media_type": "image/jpeg", "received": 5} if state == "complete" else {}
    return File(
        alarm_id=str(uuid.UUID(int=1)), n=n, terminal_id=7, phone="138", identifier=IDENTIFIER,
        occurred_at=NOW - 60, name=f"{n}.jpg", slot=f"{n}.jpg", size=5, state=state, **(whole | more),
    )  # fmt: skip


def issue(connection, view, number=NUMBER, *, first=True):
    return evidence.issue(connection, view, number, first=first, now=NOW, life=1000)


async def test_a_number_is_found_while_it_is_valid(connection, view):
    request = await issue(connection, view)
    assert (request.phone, request.identifier, request.attempt) == ("138", IDENTIFIER, 1)
    assert await evidence.find(connection, NUMBER, NOW + 999) == request
    assert await evidence.find(connection, NUMBER, NOW + 1001) is None
    assert await evidence.find(connection, "x\0" * 16, NOW) is None
    assert await issue(connection, view, "1" * 32) is None  # asked already
    assert (await issue(connection, view, "2" * 32, first=False)).attempt == 2


async def test_one_question_for_the_alarms_of_one_item(connection, view):
    twin = await put(connection, alarm(2))
    other = await put(connection, alarm(3, identifier=b"other identifier"))
    none = await put(connection, alarm(4, attachments=0))
    assert none is not None
    assert set(await evidence.unasked(connection, NOW - 60, 10)) == {
        view.alarm.id,
        twin.alarm.id,
        other.alarm.id,
    }
    assert await issue(connection, view) is not None
    assert await issue(connection, twin, "1" * 32) is None
    assert await evidence.unasked(connection, NOW - 60, 10) == [other.alarm.id]
    await evidence.apply(connection, [file(1, evidence.State.COMPLETE)])
    found = await evidence.of_alarms(connection, [(7, view.alarm), (7, twin.alarm), (7, other.alarm)])
    assert {key: [f.n for f in files] for key, files in found.items()} == {
        view.alarm.id: [1],
        twin.alarm.id: [1],
    }
    assert await evidence.of_alarms(connection, [(8, view.alarm), (7, none.alarm)]) == {}


async def test_steps_and_their_events(connection, view):
    await issue(connection, view)
    complete = evidence.State.COMPLETE
    assert await evidence.apply(connection, [Active(NUMBER, NOW), file(1), file(2)]) == []
    [added] = await evidence.apply(connection, [file(1, complete)])
    assert (added.type, added.data["evidence"]["received"]) == ("alarm.evidence.added", 1)
    assert await evidence.apply(connection, [file(1, complete), file(1)]) == []  # it stays complete
    news = await evidence.apply(connection, [file(2, complete)])
    assert [n.type for n in news] == ["alarm.evidence.added", "alarm.evidence.complete"]
    assert len({n.id for n in [added, *news]}) == 3
    assert await evidence.apply(connection, [GivenUp(view.alarm.id, NOW, "late")]) == []  # it was closed
    assert await evidence.stored_since(connection, 7, NOW - 60) == 10


async def test_giving_up_says_what_is_missing_once(connection, view):
    await issue(connection, view)
    await evidence.apply(connection, [file(1, evidence.State.COMPLETE), file(2), file(3)])
    step = GivenUp(view.alarm.id, NOW, "asked 3 times")
    [failed] = await evidence.apply(connection, [step, step])
    told = failed.data["evidence"]
    assert (told["summary"], told["missing"], told["reason"]) == ("1 of 3, 2 missing", 2, "asked 3 times")


async def test_what_is_due(connection, view):
    request = await issue(connection, view)
    assert await evidence.due(connection, NOW - 1, 10) == []
    assert await evidence.due(connection, NOW + 1, 10) == [request]
    await evidence.apply(connection, [Active(NUMBER, NOW + 50)])
    assert await evidence.due(connection, NOW + 1, 10) == []
    assert await evidence.due(connection, NOW + 51, 10) == [request]


async def test_an_update_of_an_alarm_tells_its_files(connection, view):
    await evidence.apply(connection, [file(1, evidence.State.COMPLETE)])
    files = await evidence.of_alarms(connection, [(7, view.alarm)])
    event = alarm_rows.event(
        Transition(Change.UPDATED, view.alarm), "138", evidence.told(view.alarm, files[view.alarm.id])
    )
    assert event.data["evidence"]["files"][0]["url"] == f"/api/v1/alarms/{view.alarm.id}/evidence/1"


async def test_two_at_once_make_one_number(pool, view):
    async def one(number):
        async with pool.acquire() as connection:
            return await issue(connection, view, number)

    made = await asyncio.gather(*(one(str(n) * 32) for n in range(4)))
    assert len([m for m in made if m]) == 1
