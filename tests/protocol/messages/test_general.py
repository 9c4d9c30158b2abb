"""Registration, authentication and the rest: which reading is taken where the header does not tell."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.codec import Profile
from protocol.header import Edition
from protocol.messages.general import a_code, printable, registration
from tests.protocol.own import vectors

REGISTRATIONS = [vector for vector in vectors("general") if vector["message"] == "0x0100"]
HEAD = "002c 012f"
MAKER = "3730313131"
IMEI = "333536393338303335363433383039"
NUL = "00"


def read(body: str, edition: Edition = Edition.V2013, message_id: int = 0x0100) -> tuple[int, dict[str, Any]]:
    reading = Profile(edition).decode(message_id, bytes.fromhex(body))
    assert reading.edition is not None
    return int(reading.edition), reading.fields


@pytest.mark.parametrize("claimed", list(Edition))
@pytest.mark.parametrize("vector", REGISTRATIONS)
def test_a_registration_is_known_by_its_bytes(claimed: Edition, vector: dict[str, Any]) -> None:
    """2011 and 2013 have one header; and the version bit lies."""
    edition, fields = read(vector["body"], claimed)
    assert (str(edition) in vector["clause"], fields) == (True, vector["fields"])


@pytest.mark.parametrize("claimed", list(Edition))
def test_registrations_of_real_shapes(claimed: Edition) -> None:
    empty_plate = f"{HEAD} {MAKER} {'4442323034' + NUL * 15} 31323334353637 00"
    assert len(bytes.fromhex(empty_plate)) == 37
    edition, fields = read(empty_plate, claimed)
    assert (edition, fields["model"], fields["terminal_id"], fields["plate"]) == (
        2013,
        "DB204",
        "1234567",
        "",
    )
    vin_in_2011 = f"{HEAD} {MAKER} 4442323034202020 31323334353637 00 4c5a5a45334d4448384e38383030303031"
    assert len(bytes.fromhex(vin_in_2011)) == 42
    edition, fields = read(vin_in_2011, claimed)
    assert (edition, fields["plate"]) == (2011, "LZZE3MDH8N8800001")
    padded_in_front = f"{HEAD} {MAKER} {NUL * 15 + '4442323034'} {NUL * 2}3132333435 02 d4c1423132333435 00"
    edition, fields = read(padded_in_front, claimed)
    assert (edition, fields["model"], fields["terminal_id"], fields["plate"]) == (
        2013,
        "DB204",
        "12345",
        "粤B12345",
    )
    behind = (
        f"{HEAD} {MAKER}{NUL * 6} {'4442323034' + NUL * 25} {'3132333435' + NUL * 25} 5d d4c1423132333435"
    )
    edition, fields = read(behind, claimed)
    assert (edition, fields["model"], fields["plate_colour"]) == (2019, "DB204", 93)


def test_a_registration_that_is_cut() -> None:
    reading = Profile(Edition.V2013).decode(0x0100, bytes.fromhex(f"{HEAD} {MAKER} 4442"))
    assert reading.fields["maker"] == "70111"
    assert (reading.breaks[0].path, reading.rest) == ("model", b"DB")


def test_hostile_text_in_a_registration() -> None:
    body = f"{HEAD} {MAKER} {'1b5b324a' + NUL * 16} 27223b2d2d2020 02 ff00fe3c736372697074"
    _, fields = read(body)
    assert fields["terminal_id"] == "'\";--"
    assert fields["plate"].startswith("\\xff\0")
    assert registration(fields) < registration(REGISTRATIONS[2]["fields"])


@pytest.mark.parametrize("claimed", [Edition.V2011, Edition.V2013])
def test_a_code_before_2019_is_all_of_the_body(claimed: Edition) -> None:
    assert read("313233343536", claimed, 0x0102)[1] == {"code": "123456"}
    assert read("", claimed, 0x0102)[1] == {"code": ""}
    assert read("3132333435360000", claimed, 0x0102)[1] == {"code": "123456"}
    assert read("01ff02", claimed, 0x0102)[1] == {"code": "\x01\\xff\x02"}  # binary, but no layout of 2019


@pytest.mark.parametrize("claimed", list(Edition))
def test_authentication_of_2019(claimed: Edition) -> None:
    edition, fields = read(f"06 313233343536 {IMEI} {'56312e3032' + NUL * 15}", claimed, 0x0102)
    assert edition == 2019
    assert fields == {"code": "123456", "imei": "356938035643809", "software_version": "V1.02"}


def test_a_length_that_is_longer_than_the_body_is_no_length() -> None:
    """Frames of real devices: bit 14 set, and the body is the code."""
    edition, fields = read("313233343536", Edition.V2019, 0x0102)
    assert (edition, fields) == (2013, {"code": "123456"})


def test_authentication_of_2019_that_is_cut() -> None:
    reading = Profile(Edition.V2019).decode(0x0102, bytes.fromhex(f"06 313233343536 {IMEI} 5631"))
    assert reading.fields == {"code": "123456", "imei": "356938035643809"}
    assert reading.breaks[0].path == "software_version"


@pytest.mark.parametrize("claimed", list(Edition))
def test_the_list_of_parts_is_read_by_what_comes_out_even(claimed: Edition) -> None:
    short, wide = "0010 02 0002 0005", "0010 0002 0002 0005"
    assert read(short, claimed, 0x8003) == (2013, {"first_serial": 16, "parts": [2, 5]})
    assert read(wide, claimed, 0x8003) == (2019, {"first_serial": 16, "parts": [2, 5]})


def test_a_heartbeat_with_a_body() -> None:
    reading = Profile(Edition.V2013).decode(0x0002, b"\x64\x1f\x01")
    assert (reading.fields, reading.rest, reading.breaks) == ({}, b"\x64\x1f\x01", [])


def test_sense() -> None:
    assert printable("京A-1")
    assert not printable("a\x00b")
    assert not printable("\\xff")
    assert a_code({"code": "abc"}) == 0
    assert a_code({"code": "\x01"}) < 0
    assert registration({}) < 0
