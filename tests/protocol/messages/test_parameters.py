"""The table of parameters as the standards have it, and which edition a list is of."""

from __future__ import annotations

import re

import pytest
from construct import Struct

from protocol.codec import Profile
from protocol.header import Edition
from protocol.messages.parameters import NAMES, PARAMETERS, SET
from protocol.parameters import Parameter
from protocol.schema import shape

READINGS = [reading for number, group in PARAMETERS.items() for reading in group if reading.id == number]
HAN = re.compile("[\u4e00-\u9fff]")

FROM_2011 = {
    *range(0x01, 0x08),
    *range(0x10, 0x1A),
    *range(0x20, 0x23),
    *range(0x27, 0x2A),
    *range(0x2C, 0x31),
    *range(0x40, 0x4A),
    *range(0x50, 0x5B),
    *range(0x70, 0x75),
    *range(0x80, 0x85),
}
SINCE_2013 = {
    *range(0x1A, 0x1E),
    0x31,
    *range(0x5B, 0x5F),
    0x64,
    0x65,
    *range(0x90, 0x96),
    *range(0x100, 0x104),
    *range(0x110, 0x200),
}
SINCE_2019 = {*range(0x23, 0x27), 0x32}
NOT_IN_2019 = {0x18, 0x19}
OTHERS = {*range(0x75, 0x78), *range(0x79, 0x7D), *range(0xF364, 0xF368), 0xF370}

every_reading = pytest.mark.parametrize(
    "reading", READINGS, ids=[f"{r.id:#06x}-{r.dialect or 'all'}" for r in READINGS]
)


def of(standard: str) -> set[int]:
    return {
        number
        for number, group in PARAMETERS.items()
        if any(standard in reading.clauses for reading in group)
    }


def test_every_id_of_each_edition() -> None:
    assert of("808-2011") == FROM_2011
    assert of("808-2013") == FROM_2011 | SINCE_2013
    assert of("808-2019") == (FROM_2011 | SINCE_2013 | SINCE_2019) - NOT_IN_2019
    assert of("") == OTHERS
    assert set(PARAMETERS) == FROM_2011 | SINCE_2013 | SINCE_2019 | OTHERS


@every_reading
def test_a_row_is_complete(reading: Parameter) -> None:
    assert reading.name.isidentifier()
    assert HAN.search(reading.title)
    assert reading.cited()
    told = shape(reading.layout)
    assert told["description"]
    for name, field in told.get("properties", {}).items():
        assert HAN.search(field["title"]), name
        assert field["description"], name
    fields = {""} if reading.structure is None else {field.name for field in reading.structure.subcons}
    assert set(reading.limits) <= fields
    for limit in reading.limits.values():
        low, high = limit.low or 0, limit.high if limit.high is not None else 0xFFFFFFFF
        assert low < high
        assert not isinstance(limit.default, int) or low <= limit.default <= high


def test_names_are_of_one_id() -> None:
    assert len(set(NAMES.values())) == len(NAMES)
    assert all(len({reading.name for reading in group}) == 1 for group in PARAMETERS.values())
    assert NAMES[0x0001] == "heartbeat_interval"
    assert 0x0111 not in NAMES


def test_readings_of_an_id_take_different_values() -> None:
    for group in PARAMETERS.values():
        if len(group) > 1:
            assert len({reading.dialect for reading in group}) == len(group)
            for size in (1, 2, 4, 8, 49, 56, 64, 66):
                assert sum(reading.fits(bytes(size)) for reading in group) <= 1


def test_reserved_before_2019_and_text_since() -> None:
    address, reserved = b"192.0.2.1:80", bytes(4)
    assert PARAMETERS[0x0026][0].fits(address)
    assert not PARAMETERS[0x0026][0].fits(reserved)


def test_lists_of_channels() -> None:
    single, channels = PARAMETERS[0x0077][0], PARAMETERS[0x0076][0]
    assert single.fits(bytes((2,)) + bytes(42))
    assert not single.fits(bytes((2,)) + bytes(21))
    assert not single.fits(b"")
    assert channels.fits(bytes(3)) and channels.fits(bytes(11))
    assert not channels.fits(bytes(2)) and not channels.fits(bytes(12))


# --- which edition ---

ONE = bytes.fromhex("00000001 04 0000003c")


@pytest.mark.parametrize("claimed", [Edition.V2011, Edition.V2013])
def test_one_number_in_front_or_two(claimed: Edition) -> None:
    """The header is the same in 2011 and 2013, and most terminals of 2011 send the list of 2013."""
    for head, edition in ((b"\1", Edition.V2013), (b"\1\1", Edition.V2011)):
        reading = Profile(claimed).decode(0x8103, head + ONE)
        assert (reading.edition, reading.rest, reading.breaks) == (edition, b"", [])
        assert [entry["value"] for entry in reading.fields["parameters"]] == [60]


def test_a_part_of_the_parameters_of_2011() -> None:
    reading = Profile(Edition.V2013).decode(0x8103, b"\x09\1" + ONE)
    assert reading.edition == Edition.V2011
    assert (reading.fields["total"], reading.fields["count"]) == (9, 1)


@pytest.mark.parametrize("size", range(2, 19))
def test_a_list_that_is_cut_keeps_its_edition(size: int) -> None:
    body = (b"\2" + ONE + bytes.fromhex("00000013 05 6170706c65"))[:size]
    reading = Profile(Edition.V2013).decode(0x8103, body)
    assert reading.edition == Edition.V2013
    assert len(reading.fields["parameters"]) == (size >= 10)
    assert bool(reading.breaks) == (size not in {1, 10})


def test_an_answer_that_announces_another_number() -> None:
    for count in (0, 1, 7):
        reading = Profile(Edition.V2013).decode(0x0104, b"\0\5" + bytes((count,)) + ONE)
        assert reading.fields["count"] == count
        assert [entry["name"] for entry in reading.fields["parameters"]] == ["heartbeat_interval"]
        assert (reading.rest, reading.breaks) == (b"", [])


def test_what_an_edition_writes() -> None:
    fields = {"parameters": [{"name": "province", "value": 44}]}
    assert Profile(Edition.V2011).encode(0x8103, fields).hex() == "010100000081040000002c"
    assert Profile(Edition.V2013).encode(0x8103, fields).hex() == "010000008102002c"


def test_parameters_asked_for_by_name() -> None:
    profile = Profile(Edition.V2019)
    body = profile.encode(0x8106, {"ids": ["heartbeat_interval", 0xF364, "main_address"]})
    assert body == bytes.fromhex("03 00000001 0000f364 00000013")
    told = [part.names for part in profile.explain(0x8106, body)]
    assert told == ["", "heartbeat_interval", "adas_settings", "main_address"]


def test_a_list_says_how_long_it_is() -> None:
    assert isinstance(SET, Struct)
    many = [{"id": 2, "value": 1}] * 256
    with pytest.raises(ValueError, match="count"):
        Profile(Edition.V2013).encode(0x8103, {"parameters": many})
