"""The parameters of active safety byte by byte, as the tables number them."""

from __future__ import annotations

from typing import Any

import pytest
from construct import Struct

from protocol.codec import Profile
from protocol.header import Edition
from protocol.messages.parameters import PARAMETERS
from protocol.parameters import Parameter


def reading(number: int, dialect: str = "") -> Parameter:
    return next(reading for reading in PARAMETERS[number] if reading.dialect == dialect)


def offsets(parameter: Parameter) -> dict[str, int]:
    structure = parameter.structure
    assert structure is not None
    return {field.name: Struct(*structure.subcons[:n]).sizeof() for n, field in enumerate(structure.subcons)}


@pytest.mark.parametrize(
    ("number", "dialect", "expected"),
    [
        (
            0xF364,
            "su",
            {
                "capture_interval": 3,
                "alarms": 11,
                "obstacle_distance": 20,
                "obstacle_level_speed": 21,
                "lane_change_period": 25,
                "lane_departure_level_speed": 31,
                "collision_time": 35,
                "pedestrian_time": 40,
                "pedestrian_speed": 41,
                "headway_distance": 45,
                "sign_photos": 50,
                "reserved": 52,
            },
        ),
        (0xF364, "guangdong", {"solid_line_level_speed": 52, "aisle_level_speed": 56, "reserved": 60}),
        (
            0xF365,
            "su",
            {
                "alarms": 11,
                "smoking_period": 19,
                "phone_period": 21,
                "fatigue_level_speed": 26,
                "phone_level_speed": 30,
                "smoking_level_speed": 34,
                "distraction_level_speed": 38,
                "abnormal_level_speed": 42,
                "identification": 46,
                "reserved": 47,
            },
        ),
        (
            0xF365,
            "guangdong",
            {
                "occlusion_level_speed": 47,
                "seat_belt_level_speed": 48,
                "ir_blocked_level_speed": 52,
                "hands_off_level_speed": 56,
                "smartphone_level_speed": 60,
                "reserved": 64,
            },
        ),
        (0xF366, "", {"pressure_unit": 12, "high_temperature": 24, "report_interval": 28, "reserved": 30}),
        (0xF367, "", {"rear_time": 0, "side_time": 1}),
    ],
)
def test_offsets(number: int, dialect: str, expected: dict[str, int]) -> None:
    found = offsets(reading(number, dialect))
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("number", "dialect", "size"),
    [
        *((0xF364, "su", 56), (0xF364, "guangdong", 64), (0xF365, "su", 49), (0xF365, "guangdong", 66)),
        *((0xF366, "", 36), (0xF367, "", 2), (0xF370, "guangdong", 1)),
    ],
)
def test_sizes(number: int, dialect: str, size: int) -> None:
    parameter = reading(number, dialect)
    assert [length for length in range(256) if parameter.fits(bytes(length))] == [size]


def test_what_is_not_given_stays_as_the_terminal_has_it() -> None:
    fields = {"parameters": [{"name": "adas_settings", "value": {"volume": 3}, "dialect": "guangdong"}]}
    body = Profile(Edition.V2019).encode(0x8103, fields)
    assert body[6:] == b"\xff\3" + b"\xff" * 17 + b"\0" + b"\xff" * 40 + bytes(4)


def test_the_fields_given_decide_between_the_dialects() -> None:
    for name, size in (("volume", 56), ("aisle_photos", 64)):
        fields = {"parameters": [{"name": "adas_settings", "value": {name: 3}}]}
        assert Profile(Edition.V2013).encode(0x8103, fields)[5] == size


@pytest.mark.parametrize(
    ("number", "dialect", "alarms", "smoking"),
    [
        (0xF364, "su", 0x00010FFF, None),
        (0xF364, "guangdong", 0x000F0FFF, None),
        (0xF365, "su", 0x000001FF, 180),
        (0xF365, "guangdong", 0x000FFFFF, 300),
    ],
)
def test_defaults_of_the_dialects(number: int, dialect: str, alarms: int, smoking: int | None) -> None:
    limits: Any = reading(number, dialect).limits
    assert limits["alarms"].default == alarms
    assert smoking is None or limits["smoking_period"].default == smoking
    assert limits["capture_interval"].unchanged == 0xFFFF


def test_every_default_alarm_has_a_name() -> None:
    for number in (0xF364, 0xF365):
        for parameter in PARAMETERS[number]:
            assert parameter.structure is not None
            word = next(field for field in parameter.structure.subcons if field.name == "alarms")
            names = word.subcon.subcon.names(parameter.limits["alarms"].default)
            assert not [name for name in names if name.startswith("bit")]


def test_a_version_can_only_be_asked_for() -> None:
    assert not reading(0xF370, "guangdong").settable
