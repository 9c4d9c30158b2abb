"""Peripherals behind a passthrough type, by hand from T/JSATL 12 tables 4-1 to 4-7."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from construct import Construct
from hypothesis import given
from hypothesis import strategies as st

from protocol.catalog import decode, encode
from protocol.messages.peripherals import MAKE_TYPE, PERIPHERAL_QUERIES, PERIPHERALS, STATE_TYPE
from tests.protocol.strategies import values

FRAMES = Path(__file__).parents[4] / "shared/vectors/frames.jsonl"

STATES = "02 64 05 01 00000000 65 05 04 00000809"
ALL = [*PERIPHERALS.values(), *PERIPHERAL_QUERIES.values()]


def test_states() -> None:
    found = decode(PERIPHERALS[STATE_TYPE], bytes.fromhex(STATES), explain=True)
    assert found.fields == {
        "peripherals": [
            {"id": 0x64, "content": {"state": 1, "alarm": 0}},
            {"id": 0x65, "content": {"state": 4, "alarm": 0x809}},
        ]
    }
    assert (found.rest, found.breaks) == (b"", [])
    names = {part.path: part.names for part in found.parts}
    assert names["peripherals[1].id"] == "driver"
    assert names["peripherals[1].content.state"] == "fault"
    assert names["peripherals[1].content.alarm"] == ["camera_fault", "infrared_light_fault", "gnss_fault"]


def test_makes() -> None:
    content = b"\5Maker\3M-1\0031.0\0032.1\00247\2c1"
    body = bytes((1, 0x64, len(content))) + content
    found = decode(PERIPHERALS[MAKE_TYPE], body)
    (told,) = found.fields["peripherals"]
    assert told["content"] == {
        "maker": "Maker",
        "model": "M-1",
        "hardware_version": "1.0",
        "software_version": "2.1",
        "device_id": "47",
        "customer_code": "c1",
    }
    assert encode(PERIPHERALS[MAKE_TYPE], found.fields) == body


def test_a_longer_content_does_not_spoil_the_next() -> None:
    """Devices add bytes of their own to a state."""
    found = decode(PERIPHERALS[STATE_TYPE], bytes.fromhex("02 64 07 01 00000000 ffff 65 05 02 00000000"))
    assert [told["content"]["state"] for told in found.fields["peripherals"]] == [1, 2]
    assert [b.path for b in found.breaks] == ["peripherals[0].content"]


def test_a_query() -> None:
    for layout in PERIPHERAL_QUERIES.values():
        assert decode(layout, b"\2\x64\x66").fields == {"peripherals": [0x64, 0x66]}
        assert encode(layout, {"peripherals": ["adas", "tyres"]}) == b"\2\x64\x66"


@pytest.mark.parametrize("layout", ALL[:3])
@given(data=st.data())
def test_there_and_back(layout: Construct, data: st.DataObject) -> None:
    value = data.draw(values(layout))
    found = decode(layout, encode(layout, value))
    assert (found.fields, found.rest, found.breaks) == (value, b"", [])


@pytest.mark.parametrize("layout", ALL[:3])
@given(body=st.binary(max_size=80))
def test_any_bytes(layout: Construct, body: bytes) -> None:
    json.dumps(decode(layout, body, present=True, explain=True).fields)


def fragments() -> list[dict[str, Any]]:
    if not FRAMES.exists():
        return []
    vectors = [json.loads(line) for line in FRAMES.read_text().splitlines()]
    return [v for v in vectors if "fragment_hex" in v and v.get("msg_id") in {"0x0900", "0x8900"}]


@pytest.mark.skipif(not FRAMES.exists(), reason=f"the shared frames are not at {FRAMES}")
def test_fragments_of_other_projects() -> None:
    found = fragments()
    assert len(found) == 5
    for vector in found:
        raw, expect = bytes.fromhex(vector["fragment_hex"]), vector["expect"]
        layout = (PERIPHERALS if vector["msg_id"] == "0x0900" else PERIPHERAL_QUERIES)[STATE_TYPE]
        peripherals = decode(layout, raw).fields["peripherals"]
        assert encode(layout, {"peripherals": peripherals}) == raw
        if "multiple_usb" in expect:
            assert peripherals == expect["multiple_usb"]
            continue
        assert len(peripherals) == expect["usb_message_count"]
        for ours, theirs in zip(peripherals, expect["usb_messages"], strict=True):
            assert (ours["id"], ours["content"]) == (
                theirs["usbid"],
                {"state": theirs["working_condition"], "alarm": theirs["alarm_status"]},
            )
