"""The Su items, by hand from T/JSATL 12 tables 4-15 to 4-20, and against other projects' frames."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.catalog import decode, encode
from protocol.items import item_table, read_item
from protocol.location import read
from protocol.messages.guangdong import GUANGDONG_ITEMS
from protocol.messages.safety import SAFETY_ITEMS, identifier, identifier_of, safety_items

TABLE = item_table(SAFETY_ITEMS, GUANGDONG_ITEMS)
VECTORS = Path(__file__).parents[4] / "shared/vectors/frames.jsonl"

PLACE = "3c0064015809b806ccd03b2609091230450401"  # 60 km/h, 100 m, 22.546872, 114.085947, ACC, fixed
IDENTIFIER = "544d31303030312609091230450203" + "00"  # TM10001, number 2, 3 files
ADAS = "0000002a010202320a010000" + PLACE + IDENTIFIER
DRIVER = "0000002b0001010700000000" + PLACE + IDENTIFIER
TYRE_HEAD = "0000002c01" + PLACE + IDENTIFIER
BLIND_SPOT = "0000002d0203" + PLACE + IDENTIFIER
TYRE = "020006012c00190050"  # the third tyre: high and low, 300 kPa, 25 degrees, 80 %
WIDE_TYRE = "00" + TYRE


def fields(item_id: int, text: str, **options: Any) -> dict[str, Any]:
    value = read_item(TABLE, item_id, bytes.fromhex(text), **options)
    assert value.item is not None
    return {"item": value.item.name, **value.fields}


def test_adas() -> None:
    assert fields(0x64, ADAS) == {
        "item": "su_adas",
        "alarm_id": 42,
        "flag": 1,
        "type": 2,
        "level": 2,
        "front_speed": 50,
        "front_distance": 10,
        "deviation": 1,
        "sign": 0,
        "sign_value": 0,
        "speed": 60,
        "altitude": 100,
        "latitude": 22546872,
        "longitude": 114085947,
        "time": 1788928245,
        "vehicle_status": 0x0401,
        "identifier": {
            "terminal_id": "TM10001",
            "time": 1788928245,
            "serial": 2,
            "attachments": 3,
            "reserved": b"\0",
        },
    }


def test_driver() -> None:
    found = fields(0x65, DRIVER, present=True)
    assert found["item"] == "su_driver"
    assert (found["flag"], found["type"], found["level"], found["fatigue"]) == (0, 1, 1, 7)
    assert found["time"] == "2026-09-09T12:30:45+08:00"


def test_blind_spot() -> None:
    found = fields(0x67, BLIND_SPOT)
    assert (found["item"], found["flag"], found["type"]) == ("su_blind_spot", 2, 3)


@pytest.mark.parametrize(
    ("count", "tyres", "item"),
    [
        (0, "", "su_tyres"),
        (2, TYRE * 2, "su_tyres"),
        (2, WIDE_TYRE * 2, "su_tyres_wide"),
        (10, TYRE * 10, "su_tyres"),  # ten of nine bytes or nine of ten: the count decides
        (9, WIDE_TYRE * 9, "su_tyres_wide"),
    ],
)
def test_tyres(count: int, tyres: str, item: str) -> None:
    found = fields(0x66, TYRE_HEAD + f"{count:02x}" + tyres)
    assert (found["item"], found["count"], len(found["tyres"])) == (item, count, count)
    for tyre in found["tyres"]:
        assert tyre == {
            "position": 2,
            "type": 6,
            "pressure": 300,
            "temperature": 25,
            "battery": 80,
        }


def test_a_tyre_list_whose_count_is_wrong_stays_raw() -> None:
    value = read_item(TABLE, 0x66, bytes.fromhex(TYRE_HEAD + "03" + TYRE * 2))
    assert value.item is None


def test_other_makers_lengths_stay_raw() -> None:
    known = {0x64: {47, 71}, 0x65: {47, 71}, 0x67: {41, 65}}
    for item_id, lengths in known.items():
        for length in range(256):
            value = read_item(TABLE, item_id, bytes(length))
            assert (value.item is not None) == (length in lengths), (item_id, length)
    for length in (0, 1, 4, 8, 11, 29):
        assert read_item(TABLE, 0x66, bytes(length)).item is None


def test_every_length_of_a_tyre_list_that_is_taken_is_consumed() -> None:
    for length in range(256):
        raw = bytes.fromhex(TYRE_HEAD) + bytes(max(0, length - 40))
        for count in range(25):
            body = (raw[:40] + bytes([count]) + raw[41:])[:length]
            value = read_item(TABLE, 0x66, body)
            if value.item is not None:
                assert value.rest == b""
                assert len(value.fields["tyres"]) == value.fields["count"]


@pytest.mark.parametrize(
    ("item_id", "text"),
    [(0x64, ADAS), (0x65, DRIVER), (0x66, TYRE_HEAD + "01" + TYRE), (0x67, BLIND_SPOT)],
)
def test_the_identifier_is_kept_byte_for_byte(item_id: int, text: str) -> None:
    assert identifier_of(read_item(TABLE, item_id, bytes.fromhex(text))).hex() == IDENTIFIER
    assert identifier_of(read_item(TABLE, item_id, b"\1")) == b""


@given(st.sampled_from([0x64, 0x65, 0x67]), st.data())
def test_any_bytes_decode_and_encode_again(item_id: int, data: st.DataObject) -> None:
    item = SAFETY_ITEMS[item_id - 0x64 + (item_id == 0x67)]
    size = item.layout.sizeof()
    raw = data.draw(st.binary(min_size=size, max_size=size))
    decoded = decode(item.layout, raw)
    assert not decoded.breaks
    again = encode(item.layout, decoded.fields)
    start = raw.index(identifier_of(read_item(TABLE, item_id, raw)))
    assert again[:start] == raw[:start]  # text fields give padding up, all others are exact
    assert again[start + 7 :] == raw[start + 7 :]


def test_presented_fields_encode_too() -> None:
    item = SAFETY_ITEMS[0]
    shown = decode(item.layout, bytes.fromhex(ADAS), present=True).fields
    assert encode(item.layout, json.loads(json.dumps(shown))).hex() == ADAS
    assert encode(item.layout, shown | {"type": "lane_departure", "flag": "start"}).hex() == ADAS


@pytest.mark.parametrize(
    ("layout", "length"),
    [(identifier(30, 0), 38), (identifier(30, 1), 39), (identifier(22, 2), 32)],
)
def test_a_further_dialect_is_one_more_call(layout: Any, length: int) -> None:
    items = safety_items(layout, "province", clauses=("a", "b", "c", "d"))
    table = item_table(SAFETY_ITEMS, GUANGDONG_ITEMS, items)
    value = read_item(table, 0x64, bytes(31 + length))
    assert value.item is not None
    assert value.item.dialect == "province"
    assert len(identifier_of(value)) == length


def test_names_of_items_are_unique() -> None:
    names = [item.name for item in (*SAFETY_ITEMS, *GUANGDONG_ITEMS)]
    assert len(names) == len(set(names))


NAMES = {  # names of the vectors' expectations that differ from ours
    "alarm_type": "type",
    "alarm_level": "level",
    "flag_status": "flag",
    "fatigue_level": "fatigue",
    "front_vehicle_speed_kmh": "front_speed",
    "front_distance_100ms": "front_distance",
    "deviation_type": "deviation",
    "road_sign_type": "sign",
    "road_sign_value": "sign_value",
    "vehicle_speed_kmh": "speed",
    "altitude_m": "altitude",
    "latitude_raw": "latitude",
    "longitude_raw": "longitude",
    "alarm_id_u32": "alarm_id",
    "vehicle_status_u16": "vehicle_status",
    "status_bit": "vehicle_status",
    "alarm_or_event_count": "count",
    "sequence": "serial",
    "sequence_no": "serial",
    "attachment_count": "attachments",
    "tire_pressure": "pressure",
    "tire_pressure_alarm_position": "position",
    "tire_temperature": "temperature",
    "battery_level": "battery",
    "device_id": "terminal_id",
}
NOT_OURS = {"item_id", "item_length", "length", "reserves", "retain", "alarm_reserve", "reserved"} | {
    "retain1",  # reserve bytes: sources split them in ways of their own
    "retain2",
    "terminal_id_hex",  # 00fefefefefefe, no text
}


def _holds(expected: dict[str, Any], found: dict[str, Any]) -> int:
    """How many expectations were looked at; AssertionError names the one that fails."""
    seen = 0
    for key, value in expected.items():
        name = NAMES.get(key, key)
        if key in NOT_OURS:
            continue
        if name == "alarm_identification":
            seen += _holds(value, found["identifier"])
        elif name == "alarm_or_events":
            for wanted, tyre in zip(value, found["tyres"], strict=True):
                seen += _holds(wanted, tyre)
        elif name == "time":
            assert found["time"][:19] == value.replace(" ", "T"), key
            seen += 1
        else:
            own = found.get(name, found["identifier"].get(name) if "identifier" in found else None)
            assert own == (value["original_value"] if isinstance(value, dict) else value), key
            seen += 1
    return seen


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not there")
def test_frames_of_other_projects() -> None:
    seen = 0
    for line in VECTORS.read_text(encoding="utf-8").splitlines():
        vector = json.loads(line)
        expect = vector.get("expect") or {}
        wanted = {n: expect[f"{n:#04x}"] for n in range(0x64, 0x68) if f"{n:#04x}" in expect}
        if not wanted or vector["msg_id"] != "0x0200" or vector.get("quirk"):
            continue
        body = bytes.fromhex(vector.get("hex") or vector["body_hex"])
        if body[0] == 0x7E:
            plain = body[1:-1].replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")
            body = plain[17 if plain[2] & 0x40 else 12 : -1]
        items = dict(read(body).items)
        for item_id, expected in wanted.items():
            value = read_item(TABLE, item_id, items[item_id], present=True)
            assert value.item is not None, vector["id"]
            seen += _holds(expected, value.fields)
    assert seen > 100
