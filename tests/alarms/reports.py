"""Reports for the tests of alarms: the fixed part, and items built from their layouts."""

from __future__ import annotations

from typing import Any

from protocol.catalog import encode
from protocol.location import Location
from protocol.messages import ITEMS

T = 1_788_928_245  # 2026-09-09 12:30:45 in Beijing
BY_NAME = {item.name: item for group in ITEMS.values() for item in group}


def item(name: str, time: int = T, **fields: Any) -> tuple[int, bytes]:
    """An additional item; `serial` and `named` (the identifier's time) make its identifier."""
    defaults: dict[str, Any] = {
        "alarm_id": 0,
        "flag": 0,
        "type": 1,
        "level": 1,
        "front_speed": 0,
        "front_distance": 0,
        "deviation": 0,
        "sign": 0,
        "sign_value": 0,
        "fatigue": 0,
        "reserved": b"",
        "speed": 60,
        "altitude": 100,
        "latitude": 22_546_872,
        "longitude": 114_085_947,
        "time": time,
        "vehicle_status": 1,
        "count": len(fields.get("tyres", ())),
        "tyres": [],
        "identifier": {
            "terminal_id": "TM10001",
            "time": fields.pop("named", time),
            "serial": fields.pop("serial", 0),
            "attachments": fields.pop("attachments", 2),
            "reserved": b"",
        },
    }
    row = BY_NAME[name]
    known = {field.name for field in row.layout.subcons}
    used = {name: value for name, value in defaults.items() if name in known}
    return row.id, encode(row.layout, used | fields)


def report(
    alarm: int = 0, *items: tuple[int, bytes], time: int | bytes = T, status: int = 3, **fixed: Any
) -> Location:
    place = {"latitude": 22_500_000, "longitude": 114_000_000, "altitude": 20, "speed": 550, "heading": 90}
    return Location(alarm=alarm, status=status, time=time, items=list(items), **(place | fixed))
