"""Frames to meaning and back, from the outside."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import codec, frame
from protocol.codec import Edition, EncodeError, Profile
from protocol.messages import EDITIONS
from tests.protocol.own import vectors

HEARTBEAT = "7e000200000138001380000001a97e"
REPORT: dict[str, Any] = {
    "alarm": ["overspeed"],
    "status": ["acc_on", "fixed", "gps"],
    "latitude": 22577609,
    "longitude": 113937925,
    "altitude": -10,
    "speed": 601,
    "heading": 180,
    "time": "2023-07-27T15:09:14+08:00",
    "items": [{"name": "mileage", "value": {"mileage": 100}}, {"id": "0xf9", "value": "0a0b"}],
}


def test_a_frame_in_every_way_it_may_be_given() -> None:
    bare = HEARTBEAT[2:-2]
    wanted = codec.decode(HEARTBEAT)
    for given_ in (
        HEARTBEAT.upper(),
        " 7e 00 02 00 00\n01 38 00 13 80 00 00 01 a9 7e ",
        bytes.fromhex(HEARTBEAT),
        bare,
        bare[:-2],  # without its checksum
        "7e" + HEARTBEAT + "7e",
        HEARTBEAT[:-2],
    ):
        assert codec.decode(given_) == wanted
    assert wanted == {
        "message_id": "0x0002",
        "phone": "13800138000",
        "serial": 1,
        "edition": 2013,
        "checksum_ok": True,
        "name": "heartbeat",
        "title": "终端心跳",
        "clause": "808-2013 8.3",
        "body": {},
        "names": {},
        "faults": [],
    }


def test_two_frames_are_one_and_a_fault() -> None:
    told = codec.decode(HEARTBEAT + HEARTBEAT)
    assert (told["message_id"], told["faults"][0]["reason"]) == ("0x0002", "garbage")


@pytest.mark.parametrize("text", ["", "7e", "7e7e", "00", "7e0002007e"])
def test_what_is_too_short(text: str) -> None:
    told = codec.decode(text)
    assert (told["checksum_ok"], told["faults"][0]["reason"]) == (False, "too_short")
    assert [part.path for part in codec.explain(text)] == ["raw"]


def test_what_is_no_hexadecimal() -> None:
    with pytest.raises(ValueError, match="hex"):
        codec.decode("7e zz 7e")


def test_faults_by_name_and_offset() -> None:
    told = codec.decode("7e0002000001380013800000012a7e")
    assert told["faults"] == [{"reason": "checksum", "offset": 12, "detail": "checksum 0x2a should be 0xa9"}]
    wire = frame.escape(bytes.fromhex("800100ff013800138000000100010200"))
    told = codec.decode(wire)
    assert told["body"] == {"reply_serial": 1, "reply_id": 512}
    assert [(fault["reason"], fault["offset"]) for fault in told["faults"]] == [("header", 2), ("body", 16)]
    wire = frame.escape(bytes.fromhex("000200020138001380000001 6402"))
    assert codec.decode(wire)["faults"][0]["detail"] == "2 bytes not in the layout"
    assert codec.decode(wire)["rest"] == "6402"


@pytest.mark.parametrize("edition", list(Edition))
def test_a_report_there_and_back(edition: Edition) -> None:
    wire = codec.encode(0x0200, REPORT, "13800138000", 7, edition)
    told = codec.decode(wire)
    assert (told["phone"], told["serial"], told["faults"]) == ("13800138000", 7, [])
    assert told["body"]["items"][0] == {"id": "0x01", "name": "mileage", "value": {"mileage": 100}}
    assert told["names"]["status"] == ["acc_on", "fixed", "gps"]
    assert codec.encode(0x0200, told["body"], "13800138000", 7, edition) == wire


def test_explain() -> None:
    wire = codec.encode(0x8001, {"reply_serial": 9, "reply_id": 0x0200, "result": 4}, "13800138000", 7, 2019)
    parts = codec.explain(wire)
    assert [(p.path, p.offset, p.value, p.names) for p in parts] == [
        ("message_id", 0, "0x8001", "platform_ack 平台通用应答"),
        ("properties", 2, 0x4005, ["body_length=5", "versioned"]),
        ("version", 4, 1, ""),
        ("phone", 5, "00000000013800138000", ""),
        ("serial", 15, 7, ""),
        ("reply_serial", 17, 9, ""),
        ("reply_id", 19, "0x0200", "location 位置信息汇报"),
        ("result", 21, 4, "alarm_confirmed"),
        ("checksum", 22, parts[-1].raw[0], ""),
    ]
    assert (parts[0].clause, parts[5].clause) == ("808-2019 4.4.3 table 2", "808-2019 8.2 table 5")


def test_a_part_of_a_message_and_an_encrypted_one_stay_raw() -> None:
    part = next(v for v in vectors("frames") if "sub_package" in v["told"])["hex"]
    told = codec.decode(part)
    assert (told["body"], told["rest"], told["faults"]) == ({}, "00000002", [])
    assert [p.path for p in codec.explain(part)][4:] == ["total", "index", "rest", "checksum"]
    wire = frame.escape(bytes.fromhex("0200 0404 013800138000 0001 01020304"))
    told = codec.decode(wire)
    assert (told["encryption"], told["body"], told["rest"]) == (1, {}, "01020304")


def test_a_message_that_nobody_knows() -> None:
    wire = frame.escape(bytes.fromhex("0f0f 0002 013800138000 0001 0102"))
    told = codec.decode(wire)
    assert (told["message_id"], "name" in told, told["rest"], told["faults"]) == ("0x0f0f", False, "0102", [])
    assert codec.explain(wire)[-2].path == "rest"


def test_an_edition_can_be_pinned() -> None:
    wire = codec.encode(0x0102, {"code": "abc"}, "1", 0, 2013)
    assert codec.decode(wire)["clause"].startswith("808-2013")
    assert codec.decode(wire, edition=2011)["clause"].startswith("808-2011")


@pytest.mark.parametrize(
    ("message_id", "fields", "phone", "text"),
    [
        (0x0F0F, {}, "1", "no edition has a message 0x0f0f"),
        (0x8001, {"reply_serial": 1}, "1", "platform_ack (0x8001): the field 'reply_id' is missing"),
        (0x8001, {"reply_serial": 70000, "reply_id": 1, "result": 0}, "1", "reply_serial"),
        (0x0002, {"x": 1}, "1", "heartbeat (0x0002): no field x; there are none"),
        (0x0002, {}, "1234567890123", "more than the 12 digits"),
        (0x0102, {"code": "x" * 1024}, "1", "does not fit one packet"),
    ],
)
def test_what_can_not_be_encoded(message_id: int, fields: dict[str, Any], phone: str, text: str) -> None:
    with pytest.raises(EncodeError) as caught:
        codec.encode(message_id, fields, phone, 0, 2013)
    assert text in str(caught.value)


@pytest.mark.parametrize("code", ["\\xff\\x80", "粤", "a\\x5cx41", "é"])
def test_text_is_written_back_from_json(code: str) -> None:
    wire = codec.encode(0x0102, {"code": code}, "1", 0, 2013)
    told = json.loads(json.dumps(codec.decode(wire)))
    assert told["body"]["code"] == code
    assert codec.encode(0x0102, told["body"], "1", 0, 2013) == wire


@given(st.binary(max_size=120), st.booleans())
def test_any_bytes_are_told(data: bytes, wrapped: bool) -> None:
    given_ = frame.escape(data) if wrapped else data
    json.dumps(codec.decode(given_))
    codec.explain(given_)


@given(
    st.sampled_from(sorted(EDITIONS[Edition.V2019])), st.binary(max_size=80), st.sampled_from(list(Edition))
)
def test_any_body_is_told(message_id: int, body: bytes, edition: Edition) -> None:
    reading = Profile(edition).decode(message_id, body)
    assert reading.row is not None
    assert body.endswith(reading.rest)
    parts = Profile(edition).explain(message_id, body)
    assert b"".join(part.raw for part in parts) == body


def test_a_dialect_pins_the_reading_of_an_item() -> None:
    assert Profile(Edition.V2019, "guangdong").row(0x0200) is EDITIONS[Edition.V2019][0x0200]
    assert Profile(Edition.V2011).row(0x0704) is EDITIONS[Edition.V2013][0x0704]  # the nearest that has it
    assert Profile(Edition.V2019).row(0x0F0F) is None
