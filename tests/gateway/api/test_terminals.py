"""gateway/api/terminals.py"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.api import models
from gateway.api.terminals import location_json
from storage import terminals
from storage.queries import Location
from storage.rows import ANSWER, BACKFILLED, TIME_STALE
from tests.gateway.api.checks import problem
from tests.gateway.conftest import ONLINE

NOW = datetime.now(UTC).replace(microsecond=0)


async def locate(pool, phone, *seconds, **fields):
    """Reports of a terminal, so many seconds before now."""
    values = {
        "alarm": 2,
        "status": 3,
        "latitude": 22543096,
        "longitude": 114057865,
        "altitude": -5,
        "speed": 635,
        "heading": 359,
        "flags": 0,
        "items": b"\x01\x04\x00\x00\x00\x01",
    } | fields
    async with pool.acquire() as connection:
        terminal = await terminals.find(connection, phone)
        for n, second in enumerate(seconds):
            row = {
                "terminal_id": terminal.id,
                "time": NOW - timedelta(seconds=second),
                "digest": n - 2**63 if n % 2 else n,
                "received_at": NOW,
                **values,
            }
            await connection.execute(
                f"INSERT INTO locations ({', '.join(row)}) VALUES "
                f"({', '.join(f'${i}' for i in range(1, len(row) + 1))})",
                *row.values(),
            )


async def provision(api, *phones, **fields):
    async with api.pool.acquire() as connection:
        for phone in phones:
            await terminals.provision(connection, phone, fields)


async def test_one_terminal_with_connection_and_last_position(api):
    await provision(api, ONLINE, plate="粤B12345", plate_color=2)
    await locate(api.pool, ONLINE, 20, 10, 30)
    response = await api.client("read").get(f"/api/v1/terminals/0{ONLINE}")
    document = response.json()
    models.Terminal.model_validate(document)
    assert document["plate"] == "粤B12345"
    assert document["connection"] == {
        "since": "2026-11-21T21:44:03.000Z",
        "transport": "tcp",
        "address": "10.0.0.9",
        "edition": 2019,
        "last_seen": "2026-11-21T21:45:00.500Z",
    }
    location = document["location"]
    assert location["position"] == {"wgs84": [114.057865, 22.543096], "altitude_m": -5}
    assert (location["speed_kmh"], location["heading"]) == (63.5, 359)
    assert location["alarms"] == ["overspeed"]
    assert datetime.fromisoformat(location["time"]) == NOW - timedelta(seconds=10)
    assert "code_hash" not in response.text


async def test_an_unknown_terminal(api):
    problem(await api.client().get("/api/v1/terminals/1"), 404, "not_found")
    problem(await api.client().get("/api/v1/terminals/1/locations"), 404, "not_found")
    problem(await api.client().delete("/api/v1/terminals/1"), 404, "not_found")


async def test_pages_of_terminals(api):
    phones = sorted(str(n) for n in range(1, 26))
    await provision(api, *phones, plate="粤B1")
    found, cursor = [], None
    while True:
        query = {"limit": 10} | ({"cursor": cursor} if cursor else {})
        page = (await api.client().get("/api/v1/terminals", params=query)).json()
        models.TerminalPage.model_validate(page)
        found += [terminal["phone"] for terminal in page["terminals"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == phones
    page = (await api.client().get("/api/v1/terminals?search=粤b")).json()
    assert len(page["terminals"]) == 25
    page = (await api.client().get("/api/v1/terminals?search=25")).json()
    assert [terminal["phone"] for terminal in page["terminals"]] == ["25"]


async def test_provisioning(api):
    client = api.client("terminals:write")
    response = await client.put("/api/v1/terminals/00138", json={"plate": "粤B1", "note": "a\nb"})
    assert response.status_code == 201
    document = response.json()
    models.Terminal.model_validate(document)
    assert (document["phone"], document["state"], document["plate"]) == ("138", "provisioned", "粤B1")
    response = await client.put("/api/v1/terminals/138", json={"maker": "X", "state": None})
    assert response.status_code == 200
    document = response.json()
    assert (document["plate"], document["maker"], document["note"]) == ("粤B1", "X", "a\nb")
    assert api.forgotten == []
    response = await client.put("/api/v1/terminals/138", json={"state": "blocked", "plate": None})
    assert (response.json()["state"], response.json()["plate"]) == ("blocked", None)
    assert api.forgotten == ["138"]
    assert (await client.delete("/api/v1/terminals/138")).status_code == 204
    assert api.forgotten == ["138", "138"]
    problem(await client.delete("/api/v1/terminals/138"), 404, "not_found")


async def test_the_code_is_reset(api):
    async with api.pool.acquire() as connection:
        await terminals.register(connection, "138", {}, b"x" * 32, 2019)
    client = api.client()
    assert (await client.get("/api/v1/terminals/138")).json()["has_code"] is True
    response = await client.put("/api/v1/terminals/138", json={"reset_code": True})
    assert response.json()["has_code"] is False
    assert api.forgotten == ["138"]


BODIES = (
    (b"", ""),
    (b"{", ""),
    (b"[]", ""),
    (b"null", ""),
    (b"\xff", ""),
    (b'{"plate": "\\u0000"}', "plate"),
    (b'{"plate": "\\ud800"}', ""),
    (b'{"plate": 1}', "plate"),
    (b'{"plate": "' + b"x" * 65 + b'"}', "plate"),
    (b'{"plate_color": 256}', "plate_color"),
    (b'{"province": 1e99}', "province"),
    (b'{"state": "gone"}', "state"),
    (b'{"id": 1}', "id"),
    (b'{"code_hash": ""}', "code_hash"),
    (b"[" * 50_000, ""),
)


async def test_hostile_bodies_are_named_and_change_nothing(api):
    client = api.client()
    for body, name in BODIES:
        response = await client.put("/api/v1/terminals/138", content=body)
        document = problem(response, 422, "invalid_request")
        assert document["errors"][0]["name"] == name, body[:40]
        assert document["errors"][0]["in"] == "body"
    response = await client.put("/api/v1/terminals/138", content=b" " * 70_000 + b"{}")
    problem(response, 413, "body_too_large")
    response = await api.client(None).put("/api/v1/terminals/138", content=b"{")
    problem(response, 401, "unauthorized")
    problem(await client.get("/api/v1/terminals/138"), 404, "not_found")


async def test_the_track_by_pages(api):
    await provision(api, "138")
    await locate(api.pool, "138", *range(60, 0, -1))
    await locate(api.pool, "138", 3600, flags=BACKFILLED | TIME_STALE)
    client = api.client("read")
    found, cursor = [], None
    while True:
        query = {"limit": 7} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/api/v1/terminals/138/locations", params=query)).json()
        models.Track.model_validate(page)
        found += page["locations"]
        if (cursor := page["next_cursor"]) is None:
            break
    times = [datetime.fromisoformat(location["time"]) for location in found]
    assert len(times) == 61
    assert times == sorted(times)
    assert (found[0]["backfilled"], found[0]["time_quality"]) == (True, "stale")
    assert (found[1]["backfilled"], found[1]["time_quality"]) == (False, "good")
    start, end = (NOW - timedelta(seconds=s) for s in (10, 5))
    query = {"from": start.isoformat(), "to": end.isoformat()}
    page = (await client.get("/api/v1/terminals/138/locations", params=query)).json()
    times = [datetime.fromisoformat(location["time"]) for location in page["locations"]]
    assert times == [NOW - timedelta(seconds=s) for s in range(10, 5, -1)]


async def test_what_describe_says_is_part_of_a_location(api):
    describe = pytest.importorskip("gateway.describe").describe
    row = Location(
        0.0, 1.0, 1, 2, 3, 22543096, 114057865, 12, 635, 90, ANSWER | BACKFILLED,
        b"\x01\x04\x00\x00\x00\x64\xe0\x01\xff", None,
    )  # fmt: skip
    context = replace(api.context, describe=describe)
    document = location_json(context, row)
    location = models.Location.model_validate(document)
    assert location.queried
    assert location.backfilled
    assert [item.id for item in location.items] == ["0x01", "0xe0"]
    assert len(location.alarms) == 1
    assert len(location.status) == 2


async def test_coordinates_are_the_stored_integers(api):
    await provision(api, "138")
    values = (-90_000_000, 0, 1, 22_543_096, 90_000_000)
    for n, value in enumerate(values):
        await locate(api.pool, "138", 10 - n, latitude=value, longitude=-value)
    page = (await api.client().get("/api/v1/terminals/138/locations")).json()
    for location, value in zip(page["locations"], values, strict=True):
        assert location["position"]["wgs84"] == [-value / 1e6, value / 1e6]
