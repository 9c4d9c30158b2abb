"""The Guangdong items, by hand from T/GDRTA 002 tables 5-14 to 5-20."""

from __future__ import annotations

import pytest

from protocol.items import item_table, read_item
from protocol.messages.guangdong import GUANGDONG_ITEMS
from protocol.messages.safety import SAFETY_ITEMS, identifier_of

TABLE = item_table(SAFETY_ITEMS, GUANGDONG_ITEMS)

PLACE = "3c0064015809b806ccd03b2609091230450401"
IDENTIFIER = b"TERMINAL0001".ljust(30, b"\0").hex() + "2609091230450203" + "0506"
ADAS = "0000002a011202320a010400" + PLACE + IDENTIFIER
DRIVER = "0000002b000c010700000000" + PLACE + IDENTIFIER
TYRES = "0000002c01" + PLACE + IDENTIFIER
BLIND_SPOT = "0000002d0203" + PLACE + IDENTIFIER
WIDE_TYRE = "00020006012c00190050"


@pytest.mark.parametrize(
    ("item_id", "text", "name", "length"),
    [
        (0x64, ADAS, "guangdong_adas", 71),
        (0x65, DRIVER, "guangdong_driver", 71),
        (0x66, TYRES + "02" + WIDE_TYRE * 2, "guangdong_tyres_wide", 85),
        (0x66, TYRES + "02" + WIDE_TYRE[2:] * 2, "guangdong_tyres", 83),
        (0x66, TYRES + "09" + WIDE_TYRE * 9, "guangdong_tyres_wide", 155),
        (0x66, TYRES + "0a" + WIDE_TYRE[2:] * 10, "guangdong_tyres", 155),
        (0x66, TYRES + "03" + WIDE_TYRE * 3, "guangdong_tyres_wide", 95),  # six tyres of Su as well
        (0x67, BLIND_SPOT, "guangdong_blind_spot", 65),
    ],
)
def test_items(item_id: int, text: str, name: str, length: int) -> None:
    raw = bytes.fromhex(text)
    value = read_item(TABLE, item_id, raw)
    assert value.item is not None
    assert (value.item.name, len(raw), value.rest) == (name, length, b"")
    assert identifier_of(value).hex() == IDENTIFIER
    assert value.fields["identifier"] == {
        "terminal_id": "TERMINAL0001",
        "time": 1788928245,
        "serial": 2,
        "attachments": 3,
        "reserved": b"\5\6",
    }
    assert value.fields["longitude"] == 114085947
    for tyre in value.fields.get("tyres", ()):
        assert (tyre["position"], tyre["pressure"], tyre["battery"]) == (2, 300, 80)


@pytest.mark.parametrize("item_id", [0xF1, 0xF2])
def test_faults(item_id: int) -> None:
    assert read_item(TABLE, item_id, bytes.fromhex("00000102")).fields == {"fault": 0x102}
    assert read_item(TABLE, item_id, b"\1").item is None
