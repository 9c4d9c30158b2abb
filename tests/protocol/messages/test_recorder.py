"""The driving recorder's packets, drivers, CAN: which layout is taken, and what becomes of broken ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from protocol.catalog import EncodeError
from protocol.codec import Profile
from protocol.header import Edition
from protocol.messages import recorder
from protocol.messages.recorder import BcdClock, BcdDate, BcdNumber

EVERY = list(Edition)
NAME = "d5c5c8fd"  # 张三
TIME = "261122093015"


def read(message_id: int, body: str, edition: Edition = Edition.V2013) -> Any:
    return Profile(edition).decode(message_id, bytes.fromhex(body), present=True)


def fields(message_id: int, body: str, edition: Edition = Edition.V2013) -> tuple[int, dict[str, Any]]:
    reading = read(message_id, body, edition)
    assert (reading.rest, reading.breaks) == (b"", [])
    return int(reading.edition), reading.fields


# --- digits ---


@pytest.mark.parametrize(
    ("field", "raw", "value"),
    [
        (BcdDate(4), "20300228", "2030-02-28"),
        (BcdDate(4), "20300230", "20300230"),
        (BcdDate(4), "00000000", "00000000"),
        (BcdDate(3), "200131", "2020-01-31"),
        (BcdDate(3), "20013f", "20013f"),
        (BcdNumber(4), "00123456", 123456),
        (BcdNumber(4), "ffffffff", "raw:ffffffff"),
        (BcdClock, "2000050350", "20:00:05.350"),
        (BcdClock, "2400050350", "raw:2400050350"),
        (BcdClock, "2000051000", "raw:2000051000"),
        (BcdClock, "20000a0350", "raw:20000a0350"),
    ],
)
def test_digits(field: Any, raw: str, value: Any) -> None:
    found = field.parse(bytes.fromhex(raw))
    assert field.present(found) == value
    assert field.build(found) == field.build(value) == bytes.fromhex(raw)


@pytest.mark.parametrize(
    ("field", "value"), [(BcdDate(4), "2030"), (BcdNumber(2), 10000), (BcdNumber(2), -1), (BcdClock, "noon")]
)
def test_digits_that_do_not_fit(field: Any, value: Any) -> None:
    with pytest.raises(Exception, match=r"no day|no place|Invalid isoformat"):
        field.build(value)


# --- the recorder ---


@pytest.mark.parametrize("claimed", EVERY)
def test_an_upload_is_known_by_its_packet(claimed: Edition) -> None:
    """2011 has lengths where later editions have the serial of the command."""
    old = "05 0030 0030" + "557a 05 0029 00" + "31" * 17 + "32" * 12 + "33" * 12 + "32"
    edition, found = fields(0x0700, old, claimed)
    assert (edition, found["total"], found["packet"]["block"]["vin"]) == (2011, 48, "1" * 17)
    edition, found = fields(0x0700, "0001 00 557a 00 0002 00 19 01 35", claimed)
    assert (edition > 2011, found["reply_serial"], found["packet"]["block"]) == (
        True,
        1,
        {"year": "19", "amendment": 1},
    )


@pytest.mark.parametrize("claimed", EVERY)
def test_data_without_a_packet_stays_bytes(claimed: Edition) -> None:
    edition, found = fields(0x0700, "007b 01 44726976", claimed)
    assert (edition > 2011, found) == (True, {"reply_serial": 123, "command": 1, "packet": "44726976"})


def test_a_packet_is_made_from_command_and_block() -> None:
    profile = Profile(Edition.V2019)
    ask = {"command": "speeds", "packet": {"block": {"start": TIME_ISO, "end": TIME_ISO, "blocks": 1}}}
    body = profile.encode(0x8700, ask)
    assert body.hex(" ", 1) == "08 aa 75 08 00 0e 00 26 11 22 09 30 15 26 11 22 09 30 15 00 01 d8"
    assert profile.encode(0x8700, {"command": 1}) == b"\1"
    assert profile.encode(0x8700, {"command": 1, "packet": {"block": {}}}).hex() == "01aa7501000000de"
    assert profile.encode(0x8701, {"command": 0xC2, "packet": "aabb"}).hex() == "c2aabb"
    assert (
        profile.encode(0x8701, {"command": 0x99, "packet": {"block": "0a0b"}}).hex() == "99aa75990002000a0b45"
    )
    refused = {"reply_serial": 1, "command": 8, "packet": {"command": "collecting_failed"}}
    assert profile.encode(0x0700, refused).hex() == "000108557afa00d5"


TIME_ISO = "2026-11-22T09:30:15+08:00"


def test_a_platform_that_sends_the_recorders_start() -> None:
    _, found = fields(0x8701, f"c2 557a c2 0006 00 {TIME} d2")
    assert found["packet"]["start"] == recorder.FROM_RECORDER
    assert found["packet"]["block"] == {"time": TIME_ISO}


def test_a_block_of_another_size_stays_bytes() -> None:
    """Recorders of 2003 and 2021 have other blocks under the same commands."""
    _, found = fields(0x0700, "0001 05 557a 05 0003 00 010203 29")
    assert found["packet"]["block"] == "010203"
    _, found = fields(0x0700, "0001 30 557a 30 0001 00 01 1f")
    assert found["packet"]["block"] == "01"


@pytest.mark.parametrize(
    ("body", "held", "rest", "path", "offset"),
    [
        ("0001 00 557a 00 0002 00 19 01 36", {"year": "19", "amendment": 1}, "36", "packet.checksum", 11),
        ("0001 00 557a 00 0002 00 19 01", {"year": "19", "amendment": 1}, "", "packet.checksum", 11),
        ("0001 00 557a 00 ffff 00 19 01 35", None, "190135", "packet.block", 9),
        ("0001 00 557a 00 00", None, "00", "packet.length", 6),
        ("0001 00 557a", None, "", "packet.command", 5),
    ],
)
def test_a_packet_that_is_wrong(body: str, held: Any, rest: str, path: str, offset: int) -> None:
    reading = Profile(Edition.V2013).decode(0x0700, bytes.fromhex(body))
    assert reading.fields["packet"].get("block") == held
    assert (reading.rest.hex(), reading.breaks[0].path, reading.breaks[0].offset) == (rest, path, offset)


def test_a_checksum_that_is_wrong_is_named() -> None:
    (fault,) = read(0x0700, "0001 00 557a 00 0002 00 19 01 36").breaks
    assert fault.detail == "checksum 0x36 should be 0x35"


def test_a_packet_is_explained_to_its_last_byte() -> None:
    body = bytes.fromhex("0001 00 557a 00 0002 00 19 01 35")
    parts = Profile(Edition.V2013).explain(0x0700, body)
    assert b"".join(part.raw for part in parts) == body
    told = {part.path: part for part in parts}
    assert told["packet.block.year"].clause == "GB/T 19056-2012 table A.6"
    assert (told["packet.start"].names, told["command"].names) == ("recorder", "standard")
    assert told["packet.checksum"].title == "校验字"


def test_a_command_that_does_not_fit() -> None:
    with pytest.raises(EncodeError, match=r"set_recorder .0x8701.: .*no code 'sped'"):
        Profile(Edition.V2013).encode(0x8701, {"command": "sped", "packet": ""})
    with pytest.raises(EncodeError, match=r"set_recorder .0x8701.: .*pulses.*0 to 65535"):
        Profile(Edition.V2013).encode(
            0x8701, {"command": 0xC3, "packet": {"block": {"time": TIME_ISO, "pulses": 70000}}}
        )


def test_every_command_up_has_a_layout() -> None:
    named = {number for number in recorder.COMMANDS if number < 0xF0}
    assert set(recorder.UP_BLOCKS) == named == set(recorder.DOWN_BLOCKS)


# --- waybill, driver, CAN ---


def test_a_waybill_whose_length_lies() -> None:
    reading = read(0x0701, "ffffffff 0102")
    assert (reading.fields, reading.rest, reading.breaks[0].offset) == ({}, b"\1\2", 4)


@pytest.mark.parametrize("claimed", EVERY)
def test_a_driver_is_known_by_the_bytes(claimed: Edition) -> None:
    card = "32" * 18 + "0000"
    old = f"04 {NAME} {card} {'33' * 40} 04 {NAME}"
    edition, found = fields(0x0702, old, claimed)
    assert (edition, found["name"], found["qualification"]) == (2011, "张三", "3" * 40)
    since = f"01 {TIME} 00 04 {NAME} {'34' * 20} 04 {NAME} 20300101"
    edition, found = fields(0x0702, since, claimed)
    assert (edition > 2011, found["name"], found["expires"]) == (True, "张三", "2030-01-01")
    assert found.get("identity") is None
    edition, found = fields(0x0702, f"{since} {card}", claimed)
    assert (edition, found["identity"]) == (2019, "2" * 18)


@pytest.mark.parametrize("claimed", EVERY)
@pytest.mark.parametrize(
    ("body", "result"), [(f"02 {TIME}", None), (f"01 {TIME} 03", 3), (f"02 {TIME} 00", 0)]
)
def test_a_driver_without_card_data(claimed: Edition, body: str, result: int | None) -> None:
    """Terminals leave off what does not apply, and more than that."""
    edition, found = fields(0x0702, body, claimed)
    assert (edition > 2011, found["result"], found["name"]) == (True, result, None)


def test_a_driver_that_is_cut() -> None:
    reading = read(0x0702, f"01 {TIME} 00 04 {NAME} 3132")
    assert (reading.fields["name"], reading.rest) == ("张三", b"12")
    assert reading.breaks[0].path == "qualification"


def test_can_frames() -> None:
    _, found = fields(0x0705, "0001 0930150250 c0000123 0102030405060708")
    assert (found["time"], found["items"][0]["can_id"] & 0x1FFFFFFF) == ("09:30:15.250", 0x123)
    reading = read(0x0705, "0002 0930150250 c0000123 0102030405060708")
    assert (len(reading.fields["items"]), reading.breaks[0].path) == (2, "items[1].can_id")
    reading = read(0x0705, "0000 0930150250 c0000123")
    assert (reading.fields["items"], reading.rest.hex()) == ([], "c0000123")
    names = ["averaged", "extended", "can2", "id=291"]
    body = Profile(Edition.V2019).encode(
        0x0705, {"time": "09:30:15.250", "items": [{"can_id": names, "data": "01"}]}
    )
    assert body.hex() == "00010930150250e00001230100000000000000"


def test_json() -> None:
    reading = read(0x0700, f"0001 14 557a 14 0007 00 {TIME} c2 77")
    assert json.loads(json.dumps(reading.fields)) == reading.fields
