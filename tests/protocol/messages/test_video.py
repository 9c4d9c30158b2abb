"""Video items and messages, by hand from JT/T 1078-2016. The messages' vectors are in `video.jsonl`."""

from __future__ import annotations

from typing import Any

import pytest

from protocol import codec
from protocol.catalog import EncodeError, decode
from protocol.header import Edition
from protocol.items import item_table, read_item
from protocol.messages import EDITIONS
from protocol.messages.video import ALARMS, ROWS, TIME_OR_NONE, VIDEO_ITEMS

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


PROFILE = codec.Profile(Edition.V2013)
RESOURCE = "05 260909080000 260909093015 0000000100000000 00 01 01 00000400"


def test_the_messages_stand_in_every_edition() -> None:
    ids = {0x1003, 0x1005, 0x1205, 0x1206, 0x9003, 0x9101, 0x9102, 0x9105, 0x9201, 0x9202}
    assert set(ROWS) == ids | {0x9205, 0x9206, 0x9207, *range(0x9301, 0x9307)}
    for rows in EDITIONS.values():
        assert all(rows[message_id] is row for message_id, row in ROWS.items())


def test_alarms_of_both_words_by_name() -> None:
    """Bits 0 to 31 as in 808, 32 to 63 as in table 14."""
    assert ALARMS.names(1 << 37 | 1 << 32 | 2) == ["overspeed", "video_loss", "abnormal_driving"]
    assert ALARMS.number(["overcrowded", "emergency"]) == 1 << 36 | 1
    assert len({span.name for span in ALARMS.spans}) == len(ALARMS.spans)


def test_no_time_is_none() -> None:
    assert TIME_OR_NONE.parse(bytes(6)) is None
    assert TIME_OR_NONE.build(None) == bytes(6)
    assert TIME_OR_NONE.parse(bytes.fromhex("991332000000")) == bytes.fromhex("991332000000")


def test_a_list_that_is_cut_gives_what_it_holds() -> None:
    body = bytes.fromhex("0007 00000003" + RESOURCE * 2)
    reading = PROFILE.decode(0x1205, body[:-5])
    assert [resource.get("size") for resource in reading.fields["resources"]] == [1024, None]
    assert (reading.breaks[0].path, reading.rest) == ("resources[1].storage", b"")
    assert PROFILE.decode(0x1205, body).breaks  # three are announced


def test_a_number_of_resources_is_not_believed() -> None:
    reading = PROFILE.decode(0x1205, bytes.fromhex("0007 ffffffff" + RESOURCE))
    assert [bool(resource) for resource in reading.fields["resources"]] == [True, False]
    assert [b.path for b in reading.breaks] == ["resources[1].channel"]


def test_commands_by_name() -> None:
    wire = PROFILE.encode(0x9301, {"channel": 1, "direction": "left", "speed": 9})
    assert wire == b"\1\3\x09"
    assert PROFILE.encode(0x9304, {"channel": 1, "switch": "on"}) == b"\1\1"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"channel": 256, "direction": 0, "speed": 0}, "channel.*255"),
        ({"channel": 1, "direction": "sideways", "speed": 0}, "sideways.*left"),
        ({"channel": 1, "direction": 1}, "speed"),
    ],
)
def test_a_command_that_does_not_fit(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(EncodeError, match=f"ptz_rotate.*{said}"):
        PROFILE.encode(0x9301, fields)
