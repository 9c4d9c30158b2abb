"""Rows in words."""

from __future__ import annotations

from gateway.describe import describe
from storage.queries import Location
from storage.rows import ANSWER


def row(**values) -> Location:
    base = {
        "time": 0.0, "received_at": 0.0, "digest": 0, "alarm": 0, "status": 0, "latitude": 0, "longitude": 0,
        "altitude": 0, "speed": 0, "heading": 0, "flags": 0, "items": b"", "raw": None,
    }  # fmt: skip
    return Location(**(base | values))


def test_bits_items_and_flags():
    items = bytes.fromhex("0104000003e8" + "fe021234" + "300115")
    told = describe(row(alarm=0b110, status=0b11, items=items, flags=ANSWER))
    assert told["alarms"] == ["overspeed", "fatigue"] and told["status"] == ["acc_on", "fixed"]
    assert told["queried"] and not told["absurd_position"]
    assert [item.get("name") for item in told["items"]] == ["mileage", None, "network_signal"]
    assert told["items"][0]["value"] == {"mileage": 1000}
    assert told["items"][1] == {"id": "0xfe", "raw": "1234"}


def test_any_bytes_are_described():
    assert describe(row(items=bytes(range(256))))["items"]
