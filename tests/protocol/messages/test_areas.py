"""Control, areas and routes: which fields are there, times that come again, and how mistakes are told."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.catalog import EncodeError
from protocol.codec import Profile
from protocol.header import Edition
from protocol.messages.areas import PeriodTime, decode_period, encode_period, present_period

# --- times ---


@pytest.mark.parametrize(
    ("digits", "value"),
    [
        ("000000083000", "08:30:00"),  # the standard's own example (808-2013 8.35)
        ("000000180000", "18:00:00"),
        ("000000000000", "00:00:00"),
        ("000000240000", "24:00:00"),
        ("000001083000", "*-*-01T08:30:00"),
        ("000700000000", "*-07-*T00:00:00"),
        ("000701083000", "*-07-01T08:30:00"),
        ("260912143045", 1789194645),
        ("000000240001", bytes.fromhex("000000240001")),
        ("000000086000", bytes.fromhex("000000086000")),
        ("001300000000", bytes.fromhex("001300000000")),
        ("000032000000", bytes.fromhex("000032000000")),
        ("00000a000000", bytes.fromhex("00000a000000")),
        ("261312143045", bytes.fromhex("261312143045")),
        ("ffffffffffff", bytes.fromhex("ffffffffffff")),
    ],
)
def test_a_bound_of_a_time_range(digits: str, value: int | str | bytes) -> None:
    raw = bytes.fromhex(digits)
    assert decode_period(raw) == value
    assert encode_period(value) == raw
    assert encode_period(present_period(value)) == raw


@given(st.binary(min_size=6, max_size=6))
def test_any_bytes_are_a_bound(raw: bytes) -> None:
    value = decode_period(raw)
    assert encode_period(value) == encode_period(present_period(value)) == raw


def test_what_a_bound_may_be_given_as() -> None:
    assert encode_period("8:30".rjust(5, "0")).hex() == "000000083000"
    assert encode_period("*-*-*T08:30").hex() == "000000083000"
    assert encode_period("2026-09-12T14:30:45").hex() == "260912143045"  # Beijing time
    assert encode_period("2026-09-12T06:30:45+00:00").hex() == "260912143045"
    assert encode_period(dt.datetime(2026, 9, 12, 6, 30, 45, tzinfo=dt.UTC)).hex() == "260912143045"


@pytest.mark.parametrize(
    "value", ["25:00", "*-13-01T00:00", "*-*-32T00:00:00", "08:60:00", "soon", "2000-07-01"]
)
def test_what_is_no_bound(value: str) -> None:
    with pytest.raises(ValueError):
        encode_period(value)


def test_a_year_that_would_be_read_as_every_year() -> None:
    with pytest.raises(ValueError, match="mean every year"):
        encode_period(962380800)  # 2000-07-01
    assert PeriodTime.decode(bytes.fromhex("000701000000")) == "*-07-01T00:00:00"


# --- control ---


def test_control_of_2013_is_a_flag_and_of_2019_a_list() -> None:
    old, new = Profile(Edition.V2013), Profile(Edition.V2019)
    assert old.encode(0x8500, {"flags": ["lock_doors"]}) == b"\1"
    lock = new.encode(0x8500, {"controls": [{"type": "door", "value": "lock"}]})
    assert lock.hex() == "0001000100"  # 0 locks, where 1 did
    for claimed in (old, new):
        assert claimed.decode(0x8500, b"\1").fields == {"flags": 1}
        assert claimed.decode(0x8500, lock).fields == {"controls": [{"type": 1, "value": 0}]}


def test_a_control_that_only_its_maker_knows_takes_the_rest() -> None:
    profile = Profile(Edition.V2019)
    controls = [{"type": "door", "value": "unlock"}, {"type": 0xF001, "value": "0102"}]
    body = profile.encode(0x8500, {"controls": controls})
    assert body.hex() == "0002000101f0010102"
    assert profile.decode(0x8500, body).fields["controls"][1] == {"type": 0xF001, "value": b"\1\2"}
    with pytest.raises(EncodeError, match=r"controls\[0\].value: no code 'ajar'; there are lock, unlock"):
        profile.encode(0x8500, {"controls": [{"type": 1, "value": "ajar"}]})


# --- areas ---

PLACE = {"id": 1, "latitude": 22_543_000, "longitude": 114_057_000, "radius": 500}


def circle(**more: Any) -> dict[str, Any]:
    return {"type": "append", "areas": [PLACE | more]}


TIMES: dict[str, Any] = {"start": "08:30", "end": "18:00"}
TIMED = "attributes has the flag time_range"
SPEEDS = {"max_speed": 60, "overspeed_duration": 10}


@pytest.mark.parametrize(
    ("attributes", "fields", "size"),
    [
        ([], {}, 18),
        (["time_range"], TIMES, 30),
        (["speed_limit", "south"], SPEEDS, 21),
        (["speed_limit", "time_range"], TIMES | SPEEDS, 33),
        ([], {"start": None, "end": None, "max_speed": None, "overspeed_duration": None}, 18),
    ],
)
def test_attributes_say_which_fields_are_there(
    attributes: list[str], fields: dict[str, Any], size: int
) -> None:
    profile = Profile(Edition.V2013)
    body = profile.encode(0x8600, circle(attributes=attributes, **fields))
    assert len(body) == 2 + size
    reading = profile.decode(0x8600, body, present=True)
    (area,) = reading.fields["areas"]
    assert (area["start"] is None, area["max_speed"] is None) == (
        "time_range" not in attributes,
        "speed_limit" not in attributes,
    )
    assert profile.encode(0x8600, reading.fields) == body


@pytest.mark.parametrize(
    ("edition", "fields", "reason"),
    [
        (2013, {"attributes": 1, "start": "08:30"}, f"end: is missing, it belongs here where {TIMED}"),
        (2013, {"attributes": 0} | TIMES, f"start: is given, it belongs here only where {TIMED}"),
        (2013, {"attributes": ["speed_limit"]}, "max_speed: is missing"),
        (2013, {"attributes": 2, "max_speed": 1 << 16}, "max_speed: 65536 is no integer from 0 to 65535"),
        (2013, {"attributes": ["speeding"]}, "attributes: no flag 'speeding'; there are time_range"),
        (2013, {"attributes": 1, "start": "25:00", "end": "18:00"}, "start: '25:00' is no time"),
        (2019, {"attributes": 2, "name": ""} | SPEEDS, "night_max_speed: is missing"),
    ],
)
def test_contradictions_are_told_by_name(edition: int, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(EncodeError) as refused:
        Profile(Edition(edition)).encode(0x8600, circle(**fields))
    assert str(refused.value).startswith("set_circles (0x8600): areas[0]." + reason)


def test_an_area_of_2011_is_known_by_its_bytes() -> None:
    """It says how many areas there are in all before it says how many are here."""
    fields = {"type": 1, "total": 5, "areas": [PLACE | {"attributes": 0}]}
    body = Profile(Edition.V2011).encode(0x8600, fields)
    reading = Profile(Edition.V2013).decode(0x8600, body)
    assert (reading.edition, reading.fields["total"]) == (Edition.V2011, 5)
    assert Profile(Edition.V2011).encode(0x8600, circle(attributes=0))[:3] == b"\1\1\1"


def test_a_header_of_2019_with_areas_of_2013() -> None:
    body = Profile(Edition.V2013).encode(0x8600, circle(attributes=["speed_limit"], **SPEEDS))
    reading = Profile(Edition.V2019).decode(0x8600, body)
    assert (reading.edition, reading.breaks, reading.rest) == (Edition.V2013, [], b"")


def test_a_number_of_areas_that_is_a_lie() -> None:
    body = Profile(Edition.V2013).encode(0x8600, circle(attributes=0))
    reading = Profile(Edition.V2013).decode(0x8600, b"\1\xff" + body[2:])
    assert [area.get("id") for area in reading.fields["areas"]] == [1, None]
    assert reading.breaks[0].path == "areas[1].id"
    lie = b"\1\xff\xff\xff\xff\0\0\0\1"
    reading = Profile(Edition.V2019).decode(0x8608, lie)
    assert (reading.fields["type"], reading.fields["ids"][0], reading.breaks[0].path) == (1, 1, "ids[1]")


def test_a_broken_body_of_2013_is_not_one_of_2011_without_areas() -> None:
    whole = Profile(Edition.V2013).encode(
        0x8604, {key: BODIES[0x8604][key] for key in ("id", "attributes", "vertices")}
    )
    reading = Profile(Edition.V2013).decode(0x8604, whole[:-1])
    assert (reading.edition, reading.breaks[0].path) == (Edition.V2013, "vertices[0].longitude")


# --- reading back ---


@pytest.mark.parametrize(
    ("kind", "setter"),
    [("circles", 0x8600), ("rectangles", 0x8602), ("polygons", 0x8604), ("routes", 0x8606)],
)
def test_what_is_read_back_is_what_was_set(kind: str, setter: int) -> None:
    profile = Profile(Edition.V2019)
    own = BODIES[setter]
    setting = profile.encode(setter, own)
    body = profile.encode(0x0608, {"type": kind, "data": [own, own]})
    assert body[1:] == b"\0\0\0\2" + setting * 2
    reading = profile.decode(0x0608, body)
    assert reading.fields["data"] == [profile.decode(setter, setting).fields] * 2


_CORNERS = {
    f"{corner}_{axis}": 1 for corner in ("upper_left", "lower_right") for axis in ("latitude", "longitude")
}
BODIES: dict[int, dict[str, Any]] = {
    0x8600: circle(attributes=0, name="学校"),
    0x8602: {"type": 0, "areas": [{"id": 2, "attributes": 0, "name": ""} | _CORNERS]},
    0x8604: {"id": 3, "attributes": 0, "vertices": [{"latitude": 1, "longitude": 2}], "name": "a"},
    0x8606: {"id": 4, "attributes": 0, "points": [], "name": "b"},
}


def test_a_kind_that_is_none_is_kept_raw() -> None:
    reading = Profile(Edition.V2019).decode(0x0608, b"\7\1\2\3", present=True)
    assert (reading.fields, reading.breaks) == ({"type": 7, "data": "010203"}, [])
