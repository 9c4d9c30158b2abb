"""The video items, by hand from JT/T 1078-2016 tables 13 to 15."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.catalog import decode
from protocol.items import item_table, read_item
from protocol.messages.video import VIDEO_ITEMS

TABLE = item_table(VIDEO_ITEMS)


@pytest.mark.parametrize(
    ("item_id", "text", "fields", "names"),
    [
        (0x14, "00000042", {"alarm": 0x42}, ["camera_occluded", "recording_threshold"]),
        (0x15, "80000001", {"channels": 0x80000001}, ["channel1", "channel32"]),
        (0x16, "00000002", {"channels": 2}, ["channel2"]),
        (0x17, "9801", {"units": 0x9801}, ["main1", "main12", "backup1", "backup4"]),
        (0x18, "080564", {"behaviour": 0x805, "fatigue": 100}, ["fatigue", "smoking", "custom=1"]),
        (0x18, "0002", {"behaviour": 2}, ["phone_use"]),
    ],
)
def test_items(item_id: int, text: str, fields: dict[str, Any], names: list[str]) -> None:
    raw = bytes.fromhex(text)
    value = read_item(TABLE, item_id, raw)
    assert value.fields == fields
    assert value.item is not None
    assert decode(value.item.layout, raw, explain=True).parts[0].names == names


@pytest.mark.parametrize("item_id", range(0x14, 0x19))
@pytest.mark.parametrize("length", [0, 1, 8])
def test_other_makers_lengths_stay_raw(item_id: int, length: int) -> None:
    assert read_item(TABLE, item_id, bytes(length)).item is None
