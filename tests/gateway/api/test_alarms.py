"""gateway/api/alarms.py"""

import uuid
from datetime import datetime

import msgspec

from alarms.model import Alarm, Change, Position, State, Transition
from gateway.api import models
from gateway.stream import render
from storage import alarm_rows
from storage.events import Event
from tests.gateway.api.checks import problem

BASE = 1795297443


def alarm(n, **fields):
    values = {
        "id": str(uuid.UUID(int=n)),
        "kind": "fatigue",
        "family": "driver",
        "level": 1 + n % 2,
        "state": State.OPEN,
        "rev": 1,
        "occurred_at": BASE + n // 2,  # two of each second: the id decides
        "ended_at": None,
        "end_reason": None,
        "received_at": BASE + n + 0.25,
        "backfilled": False,
        "position": Position(22543096, 114057865, 12, 635),
        "source": "su:0x65",
        "code": 1,
        "pairing": "p",
        "details": {"degree": 7},
        "raw": b"\x01\x02",
        "attachments": 2,
    } | fields
    return Alarm(**values)


async def store(pool, *alarms, phone="138"):
    async with pool.acquire() as connection:
        for one in alarms:
            row = msgspec.json.encode([alarm_rows.row(one, 1, phone)]).decode()
            names = ", ".join(alarm_rows.COLUMNS)
            await connection.execute(
                f"INSERT INTO alarms ({names}) SELECT {names} "
                "FROM json_populate_recordset(NULL::alarms, $1::text::json)",
                row,
            )


async def test_the_list_by_pages_the_latest_first(api):
    await store(api.pool, *(alarm(n) for n in range(25)))
    found, cursor = [], None
    while True:
        query = {"limit": 4} | ({"cursor": cursor} if cursor else {})
        page = (await api.client("read").get("/api/v1/alarms", params=query)).json()
        models.AlarmPage.model_validate(page)
        found += page["alarms"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert [uuid.UUID(a["alarm_id"]).int for a in found] == list(range(24, -1, -1))


async def test_filters(api):
    ended = {"state": State.ENDED, "ended_at": BASE + 60, "end_reason": "reported", "rev": 2}
    await store(api.pool, alarm(0), alarm(2, kind="phone_use"), alarm(5, **ended))
    await store(api.pool, alarm(8, kind="overspeed", family="vehicle", level=0), phone="9")
    client = api.client()
    for query, expected in {
        "": [8, 5, 2, 0],
        "phone=0138": [5, 2, 0],
        "kind=phone_use,overspeed": [8, 2],
        "kind=fatigue": [5, 0],
        "level=2": [5],
        "state=ended": [5],
        "state=open&phone=9": [8],
        "from=2026-11-21T21:44:05Z": [8, 5],
        "to=2026-11-22T05:44:05+08:00": [2, 0],
    }.items():
        page = (await client.get("/api/v1/alarms?" + query)).json()
        assert [uuid.UUID(a["alarm_id"]).int for a in page["alarms"]] == expected, query


async def test_an_alarm_is_told_in_the_words_of_its_event(api):
    one = alarm(3, state=State.ENDED, ended_at=BASE + 61, end_reason="reported", rev=2)
    await store(api.pool, one)
    document = (await api.client().get(f"/api/v1/alarms/{one.id}")).json()
    models.Alarm.model_validate(document)
    committed = document.pop("committed_at")
    assert datetime.fromisoformat(committed).tzinfo
    new = alarm_rows.event(Transition(Change.ENDED, one), "138")
    event = Event(1, 1, 0.0, new.type, new.phone, new.kind, new.family, new.level, new.id, new.data)
    envelope = msgspec.json.decode(render(event).body)
    models.Envelope.model_validate(envelope)
    assert document == envelope["data"]
    assert document["duration_s"] == 60
    assert document["position"]["wgs84"] == [114.057865, 22.543096]
    assert document["evidence"] == {"expected": 2, "received": 0, "files": []}


async def test_an_unknown_alarm(api):
    for name in ("1", str(uuid.uuid4()), "x" * 1000):
        problem(await api.client().get(f"/api/v1/alarms/{name}"), 404, "not_found")
