"""Pictures and sound: which layout is taken, lists that are left off, parts that become a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from protocol import codec
from protocol.catalog import EncodeError
from protocol.codec import Profile
from protocol.header import Edition

EVERY = list(Edition)
LOCATION = "00000001 00000003 01dbf8e0 073d4f60 0014 0258 005a 261122093015"
FRAMES = Path(__file__).parents[4] / "shared" / "vectors" / "frames.jsonl"


def read(message_id: int, body: str, edition: Edition = Edition.V2013) -> tuple[int, dict[str, Any]]:
    reading = Profile(edition).decode(message_id, bytes.fromhex(body), present=True)
    assert (reading.rest, reading.breaks) == (b"", [])
    assert reading.edition is not None
    return int(reading.edition), reading.fields


@pytest.mark.parametrize("claimed", EVERY)
def test_a_picture_is_known_by_the_bytes_before_it(claimed: Edition) -> None:
    """All bytes fit both layouts: a location tells the later one, a part of so many that of 2011."""
    jpeg = "ffd8ffe000104a46494600010100000100010000ffdb0043"
    edition, fields = read(0x0801, f"00000007 00 00 01 02 {LOCATION} {jpeg}", claimed)
    assert (edition > 2011, fields["location"]["latitude"], fields["data"]) == (True, 31193312, jpeg)
    edition, fields = read(0x0801, f"00000007 00 00 01 02 00000003 00000001 {jpeg * 2}", claimed)
    assert (edition, fields["total"], fields["index"], fields["data"]) == (2011, 3, 1, jpeg * 2)


def test_a_picture_with_a_clock_that_is_not_set() -> None:
    body = f"00000007 00 00 01 02 {LOCATION[:-12]}000000000000 ffd8"
    edition, fields = read(0x0801, body)
    assert (edition, fields["location"]["time"], fields["data"]) == (2013, "raw:000000000000", "ffd8")


@pytest.mark.parametrize("claimed", [Edition.V2013, Edition.V2019])
@pytest.mark.parametrize(
    ("body", "edition", "parts"),
    [
        ("0010 00000007", 2011, None),
        ("0010 00000007 01 0002", 2011, [2]),
        ("00000007", 2013, None),
        ("00000007 00", 2013, []),
        ("00000007 03 0002 0003 0004", 2013, [2, 3, 4]),
    ],
)
def test_the_answer_to_an_upload(claimed: Edition, body: str, edition: int, parts: list[int] | None) -> None:
    found, fields = read(0x8800, body, claimed)
    assert (min(found, 2013), fields["media_id"], fields["parts"]) == (edition, 7, parts)
    assert Profile(Edition(found)).encode(0x8800, fields) == bytes.fromhex(body)


def test_all_parts_have_come() -> None:
    assert Profile(Edition.V2013).encode(0x8800, {"media_id": 7}).hex() == "00000007"


@pytest.mark.parametrize("claimed", EVERY)
def test_a_search_is_answered_with_or_without_ids(claimed: Edition) -> None:
    edition, fields = read(0x0802, f"0001 0009 0002 {('00 02 01' + LOCATION) * 2}", claimed)
    assert (edition, fields["total"], len(fields["items"])) == (2011, 9, 2)
    edition, fields = read(0x0802, f"0001 0002 {('00000007 00 02 01' + LOCATION) * 2}", claimed)
    assert (edition > 2011, [item["media_id"] for item in fields["items"]]) == (True, [7, 7])


def test_a_search_answer_that_is_cut() -> None:
    reading = Profile(Edition.V2013).decode(
        0x0802, bytes.fromhex(f"0001 0002 00000007 00 02 01 {LOCATION} 00000008 00")
    )
    assert [item["media_id"] for item in reading.fields["items"]] == [7, 8]
    assert reading.breaks[0].path == "items[1].channel"


def test_a_camera_that_failed_leaves_the_list_off() -> None:
    assert read(0x0805, "0010 01")[1] == {"reply_serial": 16, "result": 1, "media_ids": None}
    assert read(0x0805, "0010 01 0000")[1]["media_ids"] == []


SHOT = {
    "channel": 1,
    "command": "record",
    "interval": 10,
    "save": "upload",
    "quality": 1,
    "brightness": 128,
    "contrast": 64,
    "saturation": 64,
    "chroma": 128,
}


@pytest.mark.parametrize(
    ("edition", "dialect", "resolution", "code"),
    [
        (Edition.V2011, None, "640x480", 2),
        (Edition.V2019, None, "highest", 255),
        (Edition.V2013, "su", "640x480", 2),
        (Edition.V2013, "guangdong", "640x480", 4),
        (Edition.V2013, "guangdong", "1920x1080", 6),
    ],
)
def test_resolutions(edition: Edition, dialect: str | None, resolution: str, code: int) -> None:
    body = Profile(edition, dialect).encode(0x8801, SHOT | {"resolution": resolution})
    assert (body[1:3], body[6]) == (b"\xff\xff", code)


def test_a_resolution_that_nobody_has() -> None:
    with pytest.raises(EncodeError, match=r"take_picture .0x8801.: .*no code '4x3'; there are 320x240"):
        Profile(Edition.V2013).encode(0x8801, SHOT | {"resolution": "4x3"})


def test_a_search_without_limits_in_time() -> None:
    fields = {
        "type": "image",
        "channel": 0,
        "event": 0,
        "start": "raw:000000000000",
        "end": "raw:000000000000",
    }
    body = Profile(Edition.V2013).encode(0x8802, fields)
    assert body.hex() == "000000" + "00" * 12
    assert read(0x8802, body.hex())[1]["start"] == "raw:000000000000"


@pytest.mark.skipif(not FRAMES.exists(), reason=f"the shared frames are not at {FRAMES}")
def test_parts_of_a_picture_become_a_picture() -> None:
    """Ten frames of another project's test, joined: a JPEG of the size that it asserts."""
    vectors = [json.loads(line) for line in FRAMES.read_text().splitlines()]
    parts = [vector for vector in vectors if vector.get("group") == "francistm-0801-jpeg"]
    opened = [codec.unwrap(vector["hex"]) for vector in parts]
    heads = [frame.head for frame in opened]
    assert [(head.total, head.index) for head in heads if head] == [(10, n) for n in range(1, 11)]
    reading = Profile(Edition.V2013).decode(0x0801, b"".join(frame.body for frame in opened))
    assert (reading.edition, reading.breaks) == (Edition.V2013, [])
    expected = parts[0]["group_expect"]
    assert (reading.fields["type"], reading.fields["format"]) == (
        expected["media_type"],
        expected["media_format"],
    )
    data = reading.fields["data"]
    assert (data[:2], data.rstrip(b"\0")[-2:]) == (b"\xff\xd8", b"\xff\xd9")
