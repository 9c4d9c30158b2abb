"""Provinces' readings and trackers' items, made by hand from what was seen on devices."""

from __future__ import annotations

from typing import Any

import pytest

from protocol import catalog, codec
from protocol.catalog import EncodeError
from protocol.fields import doc
from protocol.items import read_item
from protocol.messages import ITEMS
from protocol.messages.provinces import PROVINCE_ITEMS, TEMPERATURE, TRACKER_ITEMS
from protocol.messages.safety import identifier_of

PLACE = "3c0064015809b806ccd03b2609091230450401"  # 60 km/h, 100 m, 22.546872, 114.085947, ACC, fixed
HEAD = {
    0x64: "0000002a 01 01 02 32 0a 00 00 00",
    0x65: "0000002b 00 09 01 07 00000000",
    0x66: "0000002c 01",
    0x67: "0000002d 02 03",
    0x70: "0000002e 00 02 0003 0028 0000",
}
SU = "544d3130303031 260909123045 02 03 00"
LONG = "5445524d494e414c30303031" + "00" * 18 + "260909123045 02 03"
FORMS = {"sichuan": LONG + "07", "heilongjiang": LONG, "hunan": SU[:-2] + "00" * 17}
TYRE = "02 0006 012c 0019 0050"


def item(item_id: int, identifier: str, tyres: int = 0) -> bytes:
    tail = f"{tyres:02x}" + TYRE * tyres if item_id == 0x66 else ""
    return bytes.fromhex(HEAD[item_id] + PLACE + identifier + tail)


def read(item_id: int, raw: bytes, dialect: str | None = None) -> dict[str, Any]:
    value = read_item(ITEMS, item_id, raw, dialect=dialect)
    return {"dialect": value.item.dialect if value.item else None, **value.fields}


@pytest.mark.parametrize("item_id", [0x64, 0x65, 0x67, 0x70])
@pytest.mark.parametrize("dialect", FORMS)
def test_an_item_is_known_by_its_length(item_id: int, dialect: str) -> None:
    raw = item(item_id, FORMS[dialect])
    found = read(item_id, raw)
    assert found["dialect"] == dialect
    assert (found["latitude"], found["identifier"]["serial"]) == (22546872, 2)
    assert identifier_of(read_item(ITEMS, item_id, raw)) == bytes.fromhex(FORMS[dialect])


@pytest.mark.parametrize(("dialect", "length"), [("sichuan", 70), ("heilongjiang", 69), ("hunan", 63)])
def test_lengths(dialect: str, length: int) -> None:
    assert len(item(0x64, FORMS[dialect])) == length == len(item(0x70, FORMS[dialect]))


@pytest.mark.parametrize("tyres", range(12))
@pytest.mark.parametrize("dialect", [*FORMS, "su"])
def test_tyres(dialect: str, tyres: int) -> None:
    found = read(0x66, item(0x66, FORMS.get(dialect, SU), tyres))
    assert (found["dialect"], len(found["tyres"])) == (dialect, tyres)


@pytest.mark.parametrize("item_id", HEAD)
@pytest.mark.parametrize("dialect", FORMS)
def test_without_a_time_it_is_somebody_elses(item_id: int, dialect: str) -> None:
    raw = item(item_id, FORMS[dialect].replace("260909123045", "ffffffffffff"), 1)
    assert read(item_id, raw)["dialect"] is None


@pytest.mark.parametrize("dialect", ["su", "chongqing", "hunan", "sichuan"])
def test_where_lengths_agree_the_pin_decides(dialect: str) -> None:
    assert read(0x65, item(0x65, SU))["dialect"] == "su"
    assert read(0x65, item(0x65, SU), dialect)["dialect"] == dialect
    assert read(0x65, item(0x65, SU), "heilongjiang")["dialect"] == "su"


def test_codes_of_a_province() -> None:
    """Hunan counts telephones twice and has a fault of the device among the types of 0x64."""
    names = {}
    for item_id in (0x64, 0x65):
        value = read_item(ITEMS, item_id, item(item_id, FORMS["hunan"]))
        assert value.item is not None
        parts = catalog.decode(value.item.layout, value.raw, explain=True).parts
        names[item_id] = next(part.names for part in parts if part.path == "type")
    assert names == {0x64: "forward_collision", 0x65: "phone_use"}
    adas = next(i for i in PROVINCE_ITEMS if i.name == "hunan_adas").layout
    assert next(f for f in adas.subcons if f.name == "type").subcon.subcon.names(0x12) == "device_fault"


def test_every_clause_says_that_it_was_seen() -> None:
    assert all("seen" in item.clause for item in (*PROVINCE_ITEMS, *TRACKER_ITEMS))
    assert all(doc(sub.docs).title for item in TRACKER_ITEMS for sub in item.layout.subcons)


REPORT = "00000000 00000003 015809b8 06ccd03b 0064 0258 005a 260909123045"


def explained(tail: str, dialect: str | None = None) -> dict[str, Any]:
    body = bytes.fromhex(REPORT + tail)
    parts = codec.Profile(codec.Edition.V2013, dialect).explain(0x0200, body)
    return {part.path: part.names for part in reversed(parts)}  # of an item, its head


def test_the_choice_is_explained() -> None:
    raw = item(0x64, FORMS["sichuan"])
    names = explained(f"64{len(raw):02x}{raw.hex()} 51 01 00 fb 04 5f050701")
    assert names["items[0].sichuan_adas"] == "sichuan: the one reading of 70 bytes"
    assert names["items[1]"] == ""  # 0x51 has one reading, and it is not of one byte
    su = item(0x64, SU)
    tail = f"64{len(su):02x}{su.hex()}"
    assert explained(tail)["items[0].su_adas"] == ("su: of 4 readings of 47 bytes the first that makes sense")
    assert explained(tail, "hunan")["items[0].hunan_adas"] == "hunan: the terminal's dialect"
    dateless = item(0x64, FORMS["hunan"].replace("260909123045", "ffffffffffff"))
    names = explained(f"64{len(dateless):02x}{dateless.hex()} 64 02 0001")
    assert names["items[0]"] == "none of 1 readings of 63 bytes makes sense"
    assert names["items[1]"] == "no reading of 2 bytes"


# --- trackers ---


@pytest.mark.parametrize(
    ("item_id", "text", "name", "fields"),
    [
        (0x51, "0123", "temperatures", {"temperatures": [291]}),
        (0x51, "8017ffff0000ffff", "temperatures", {"temperatures": [-23, None, 0, None]}),
        (0x58, "02850263", "humidities", {"humidities": [645, 611]}),
        (0x61, "04b0", "supply_voltage", {"voltage": 1200}),
        (0x82, "0082", "supply_voltage_82", {"voltage": 130}),
        (0xE1, "2d", "battery_level", {"battery": 45}),
        (0xE1, "0072", "supply_voltage_e1", {"voltage": 114}),
        (0xE2, "56312e30", "firmware", {"version": "V1.0"}),
        (0xE4, "0163", "battery_state", {"state": 1, "battery": 99}),
        (
            0xEB,
            "0006002d00002db4 000300a85c",
            "blocks",
            {"blocks": [{"id": 0x2D, "value": b"\0\0\x2d\xb4"}, {"id": 0xA8, "value": b"\x5c"}]},
        ),
        (0xF1, b"89860400000000000001".hex(), "iccid", {"iccid": "89860400000000000001"}),
        (0xF1, "00000001", "guangdong_installation_fault", {"fault": 1}),
        (0xF6, b"860000000000001".hex(), "imei", {"imei": "860000000000001"}),
        (0xFA, "00000001", "tracker_alarm", {"alarm": 1}),
        (0xFB, "5f050701", "power", {"battery": 95, "voltage": 1287, "state": 1}),
        (
            0x07,
            "01 01030002 00 00 01 04050006",
            "satellite_details",
            {
                "beidou": [{"number": 1, "elevation": 3, "azimuth": 2}],
                "gps": [],
                "glonass": [],
                "galileo": [{"number": 4, "elevation": 5, "azimuth": 6}],
            },
        ),
        (
            0xF8,
            "02 0860000000000001 89860400000000000001 4d4f44454c00000000",
            "tracker_identity",
            {"kind": 2, "imei": "0860000000000001", "iccid": "89860400000000000001", "model": "MODEL"},
        ),
    ],
)
def test_trackers_items(item_id: int, text: str, name: str, fields: dict[str, Any]) -> None:
    raw = bytes.fromhex(text)
    value = read_item(ITEMS, item_id, raw)
    assert value.item is not None
    assert (value.item.name, value.fields) == (name, fields)
    assert catalog.encode(value.item.layout, fields) == raw


@pytest.mark.parametrize(
    ("item_id", "text"),
    [
        (0x51, "00"),
        (0xE1, "65"),  # 101 %
        (0xE1, "020800040013b202e4648300"),
        (0xE2, "00000000"),
        (0xE4, "00ff"),
        (0xEB, "00000000"),
        (0xEB, "0006002d0000"),
        (0xF1, "00" * 20),
        (0xF6, "4008fffffffd0009"),
        (0x07, "00000000 00000000"),  # bytes left over
        (0x07, "038120"),
    ],
)
def test_what_makes_no_sense_stays_raw(item_id: int, text: str) -> None:
    value = read_item(ITEMS, item_id, bytes.fromhex(text))
    assert (value.item, value.fields) == (None, {})


def test_temperatures_beyond_their_sign() -> None:
    layout = next(i.layout for i in TRACKER_ITEMS if i.id == 0x51)
    for value in (-0x7FFF, 0x8000):
        with pytest.raises(EncodeError, match="-32766 to 32767"):
            catalog.encode(layout, {"temperatures": [value]})
    assert TEMPERATURE.parse(b"\x80\0") == 0


def test_characters_of_the_wrong_kind_or_number() -> None:
    layout = next(i.layout for i in TRACKER_ITEMS if i.name == "iccid")
    with pytest.raises(EncodeError, match="3 characters, the field 20"):
        catalog.encode(layout, {"iccid": "898"})
    with pytest.raises(EncodeError, match="other characters"):
        catalog.encode(layout, {"iccid": "8986040000000000000-"})
