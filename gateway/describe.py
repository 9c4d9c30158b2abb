"""A stored report in words: names of the bits that are set, additional items by their layouts.

Rows keep items as bytes; this is the place where the read side meets the catalogue. Knows neither
HTTP nor SQL.
"""

from __future__ import annotations

from typing import Any

from protocol.items import places, read_item
from protocol.location import ALARM, STATUS
from protocol.messages import ITEMS
from storage.queries import Location
from storage.rows import ABSURD_POSITION, ANSWER


def describe(row: Location) -> dict[str, Any]:
    """JSON-ready: `alarms` and `status` as names, `items` in the order sent, and what
    the flags say."""
    items = []
    for place in places(row.items):
        raw = row.items[place.value : place.stop]
        value = read_item(ITEMS, place.id, raw, present=True)
        shown: dict[str, Any] = {"id": f"{place.id:#04x}", "raw": raw.hex()}
        if value.item is not None:
            shown |= {"name": value.item.name, "value": value.fields}
            if value.item.dialect:
                shown["dialect"] = value.item.dialect
        items.append(shown)
    return {
        "alarms": ALARM.names(row.alarm),
        "status": STATUS.names(row.status),
        "items": items,
        "queried": bool(row.flags & ANSWER),
        "absurd_position": bool(row.flags & ABSURD_POSITION),
    }
