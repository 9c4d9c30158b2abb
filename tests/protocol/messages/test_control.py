"""Commands with fields between semicolons, properties of either size, and what stops tracking."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import catalog
from protocol.catalog import EncodeError
from protocol.codec import Profile
from protocol.header import Edition
from protocol.messages.control import (
    CONNECT,
    CONTROL,
    IN_TABLE_ORDER,
    PROPERTIES_2019,
    UPGRADE,
    CommandFields,
)
from tests.protocol.strategies import values

FIELDS = [CommandFields(UPGRADE, IN_TABLE_ORDER), CommandFields(CONNECT, IN_TABLE_ORDER)]
EMPTY = {column.name: "" for column in IN_TABLE_ORDER}


def read(body: bytes) -> Any:
    found = catalog.decode(CONTROL, body)
    assert (found.rest, found.breaks) == (b"", [])
    assert catalog.encode(CONTROL, found.fields) == body
    return found.fields["parameters"]


def write(command: int, parameters: Any) -> bytes:
    return catalog.encode(CONTROL, {"command": command, "parameters": parameters}, name="control")


# --- 0x8105 ---


@pytest.mark.parametrize("fields", FIELDS)
@given(st.binary(max_size=60) | st.lists(st.binary(max_size=4), max_size=16).map(b";".join))
def test_nothing_of_a_command_gets_lost(fields: CommandFields, data: bytes) -> None:
    assert fields.build(fields.parse(data)) == data


@pytest.mark.parametrize("command", [1, 2])
@given(data=st.data())
def test_a_command_there_and_back(command: int, data: st.DataObject) -> None:
    value = data.draw(values(FIELDS[command - 1]))
    body = write(command, value)
    assert read(body) == value
    parts = catalog.decode(CONTROL, body, explain=True).parts
    assert b"".join(part.raw for part in parts) == body


def test_in_the_order_of_the_command() -> None:
    url = read(b"\x01ftp://192.0.2.1/a.zip;;;;;;;;;;")
    assert list(url) == [column.name for column in UPGRADE]
    assert url == {column.name: "" for column in UPGRADE} | {"url": "ftp://192.0.2.1/a.zip"}
    assert read(b"\x01http://192.0.2.1/a") == {"url": "http://192.0.2.1/a"}
    assert read(b"\x02\0;C;;;;192.0.2.9;7611;7612;0")["tcp_port"] == "7611"


def test_in_the_order_of_the_table_that_explains_them() -> None:
    for command in (b"\1", b"\2"):
        sent = read(command + b"\1;net;u;p;192.0.2.9;\x1d\xbb;;70111;C;H;F;url;\0\x3c;")
        assert list(sent) == [*(column.name for column in IN_TABLE_ORDER), "more"]
        assert (sent["control"], sent["tcp_port"], sent["udp_port"]) == (1, 7611, "")
        assert (sent["code"], sent["url"], sent["minutes"], sent["more"]) == ("C", "url", 60, "")
    assert read(b"\2;N;;P;;\x1a\x0a;;;;;;;;") == EMPTY | {
        "apn": "N",
        "password": "P",
        "tcp_port": 6666,
        "more": "",
    }


def test_numbers_that_hold_semicolons() -> None:
    for tcp, udp in ((0x3B3B, 0x1A3B), (0x353B, 0x3B35), (0x1D3B, 0x3B00)):
        parameters = {"control": 0, "address": "192.0.2.9", "tcp_port": tcp, "udp_port": udp, "minutes": 0}
        assert read(write(2, parameters)) == {column.name: "" for column in CONNECT} | parameters


def test_digits_or_bytes() -> None:
    assert write(2, {"control": 1}) == b"\2\1"
    assert write(2, {"control": "1"}) == b"\0021"
    assert write(1, {"tcp_port": 21}) == b"\1;;;;;\0\x15"
    assert write(1, {"tcp_port": "21", "url": "u"}) == b"\1u;;;;;21"


def test_more_than_the_command_has() -> None:
    sent = read(b"\2\0;C;;;;a;7611;7612;0;x;y")
    assert (sent["minutes"], sent["more"]) == ("0", "x;y")


def test_a_body_of_a_maker() -> None:
    assert read(b"\x7bas;12") == "as;12"
    assert read(b"\x64") == ""
    assert read(b"#0;1") == "0;1"
    assert read(b"\xf0\xff\x01") == "\\xff\x01"


@pytest.mark.parametrize(
    ("command", "parameters", "reason"),
    [
        (1, {"tcp_port": 65536}, "65536 is no integer from 0 to 65535"),
        (1, {"url": "a;b"}, "url: 'a;b' has a semicolon"),
        (1, {"url": 5}, "url: 5 is no text"),
        (1, {"link": "x"}, "no command has all of link; there are url, apn"),
        (256, "", "command: 256 is no integer from 0 to 255"),
        (2, "text", "no attribute"),
    ],
)
def test_commands_that_can_not_be_written(command: int, parameters: Any, reason: str) -> None:
    with pytest.raises(EncodeError, match=r"^control: ") as refused:
        write(command, parameters)
    assert reason in str(refused.value)


# --- 0x0107 ---

_BEHIND = b"M".ljust(30, b"\0") + b"T".ljust(30, b"\0") + bytes(10) + b"\2h1\3f12" + b"\3\x20"


@pytest.mark.parametrize(("maker", "size"), [("70111", 5), ("70111001234", 11), ("7", 5)])
def test_a_maker_of_either_size(maker: str, size: int) -> None:
    body = b"\0\5" + maker.encode().ljust(size, b"\0") + _BEHIND
    for claimed in Edition:
        reading = Profile(claimed).decode(0x0107, body)
        assert (reading.edition, reading.rest, reading.breaks) == (Edition.V2019, b"", [])
        assert (reading.fields["maker"], reading.fields["model"]) == (maker, "M")
        assert reading.fields["firmware_version"] == "f12"
        assert catalog.encode(PROPERTIES_2019, reading.fields) == body
    assert PROPERTIES_2019.parse(body)["maker"] == maker


def test_a_maker_of_11_bytes_that_are_mostly_padding() -> None:
    fields = catalog.decode(PROPERTIES_2019, b"\0\5" + b"70111".ljust(11, b"\0") + _BEHIND).fields
    assert (fields["maker"], fields["model"], fields["modem"]) == ("70111", "M", 0x20)


def test_properties_that_are_cut() -> None:
    body = b"\0\5" + b"70111" + _BEHIND
    for size in range(len(body)):
        found = catalog.decode(PROPERTIES_2019, body[:size])
        assert found.breaks
        assert body[:size].endswith(found.rest)
    assert found.fields["gnss"] == 3


def test_properties_of_2013_and_2019_are_told_apart() -> None:
    of_2013 = b"\0\5" + b"70111" + b"M".ljust(20, b"\0") + b"T".ljust(7, b"\0") + bytes(10) + b"\0\0\3\1"
    for claimed in Edition:
        assert Profile(claimed).decode(0x0107, of_2013).edition == Edition.V2013


# --- upgrades, tracking ---


def test_a_package_that_lies_about_its_size() -> None:
    body = bytes.fromhex("00 3730313131 00 ffffffff 0102")
    reading = Profile(Edition.V2013).decode(0x8108, body)
    assert (reading.fields["version"], reading.rest) == ("", b"\1\2")
    assert reading.breaks[0].detail == "4294967295 bytes announced, 2 there"


def test_tracking_needs_its_validity_unless_it_stops() -> None:
    profile = Profile(Edition.V2013)
    assert profile.encode(0x8202, {"interval": 0}) == b"\0\0"
    assert profile.encode(0x8202, {"interval": 0, "validity": 0}) == bytes(6)
    assert profile.encode(0x8202, {"interval": 5, "validity": 600}) == b"\0\5\0\0\2\x58"
    with pytest.raises(EncodeError, match="validity"):
        profile.encode(0x8202, {"interval": 5})
    cut = profile.decode(0x8202, b"\0\5")
    assert (cut.fields, cut.breaks[0].path) == ({"interval": 5}, "validity")


def test_progress_is_read_whatever_the_header_says() -> None:
    for claimed in Edition:
        reading = Profile(claimed).decode(0x1FC4, bytes.fromhex("0001 64 04 64 00"))
        assert (reading.fields["state"], reading.fields["progress"]) == (4, 100)
