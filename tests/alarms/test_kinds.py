"""The vocabulary is complete: every code of the standards' tables, counted here by hand."""

from __future__ import annotations

import pytest

from alarms.kinds import BY_CODE, BY_CODE_2019, CUSTOM, TABLE, TABLE_2019, TITLES, UNDECODED, Span, kind_of
from alarms.normalise import LEVEL_SOURCES
from protocol.fields import Bits
from protocol.location import ALARM
from protocol.messages.guangdong import GUANGDONG_ADAS_CODES, GUANGDONG_DRIVER_CODES
from protocol.messages.safety import ADAS_CODES, BLIND_SPOT_CODES, DRIVER_CODES, TYRE_BITS
from protocol.messages.video import BEHAVIOUR, VIDEO_ALARM

CODES = {  # source: codes that its table names
    "su:0x64": [1, 2, 3, 4, 5, 6, 7, 0x10, 0x11],
    "su:0x65": [1, 2, 3, 4, 5, 0x10, 0x11],
    "su:0x66": [0, 1, 2, 3, 4, 5, 6, 7],
    "su:0x67": [1, 2, 3],
    "guangdong:0x64": [1, 2, 3, 4, 5, 6, 7, 0x10, 0x11, 0x12, 0x13],
    "guangdong:0x65": [1, 2, 3, 4, 5, 6, 8, 0xA, 0xB, 0xC, 0xD, 0x10, 0x11],
    "guangdong:0x66": [0, 1, 2, 3, 4, 5, 6, 7],
    "guangdong:0x67": [1, 2, 3],
    **{
        f"{province}:{item}": codes
        for province in ("sichuan", "heilongjiang", "hunan", "chongqing")
        for item, codes in {
            "0x64": [1, 2, 3, 4, 5, 6, 7, 0x10, 0x11, *([0x12] if province == "hunan" else [])],
            "0x65": [1, 2, 3, 4, 5, *([9] if province == "hunan" else []), 0x10, 0x11],
            "0x66": [0, 1, 2, 3, 4, 5, 6, 7],
            "0x67": [1, 2, 3],
        }.items()
    },
    "guangdong:0xf1": [0],
    "guangdong:0xf2": [0],
    "808:alarm": list(range(32)),
    "1078:0x14": [0, 1, 2, 3, 4, 5, 6],
    "1078:0x18": [0, 1, 2],
}


def test_the_table_has_each_code_once() -> None:
    found: dict[str, list[int]] = {}
    for row in TABLE:
        found.setdefault(row.source, []).append(row.code)
    assert {source: sorted(codes) for source, codes in found.items()} == CODES
    assert len(BY_CODE) == len(TABLE)


def test_the_kinds_that_are_promised() -> None:
    promised = """fatigue phone_use smoking distraction driver_abnormal forward_collision lane_departure
        headway pedestrian frequent_lane_change road_sign_violation obstacle blind_spot_rear blind_spot_left
        blind_spot_right tyre_pressure_high tyre_pressure_low overspeed camera_occluded hands_off_wheel
        seat_belt ir_blocked driving_overtime driver_change auto_capture road_sign_recognised emergency
        custom undecoded"""
    assert set(promised.split()) <= set(TITLES)


def test_rows_are_whole() -> None:
    for row in (*TABLE, *TABLE_2019):
        assert row.title
        assert row.clause
        assert row.family
        assert 0 <= row.level <= 3
        assert row.kind == row.kind.lower()
        assert (row.span is not Span.FLAG) == (row.source in LEVEL_SOURCES)


def test_bits_that_an_acknowledgement_clears_are_momentary() -> None:
    # 808-2011 table 18 and 808-2013 table 24, column on processing; 808-2019 table 25
    momentary = {
        code for (source, code), row in BY_CODE.items() if source == "808:alarm" and row.span is Span.MOMENT
    }
    assert momentary == {0, 3, 20, 21, 22, 27, 28, 31}
    assert kind_of("1078:0x14", 6).span is Span.MOMENT
    assert kind_of("808:alarm", 3, 2019).span is Span.LEVEL
    assert kind_of("808:alarm", 3).kind == "danger_warning"
    assert kind_of("808:alarm", 3, 2019).kind == "dangerous_driving"
    assert len(BY_CODE_2019) == len(BY_CODE)


@pytest.mark.parametrize(
    ("source", "bits"),
    [
        ("808:alarm", ALARM.spans),
        ("1078:0x14", VIDEO_ALARM.spans),
        ("1078:0x18", BEHAVIOUR.spans[:3]),
        ("su:0x66", TYRE_BITS),
    ],
)
def test_bits_are_called_as_in_their_layouts(source: str, bits: Bits) -> None:
    assert {s.low: s.name for s in bits} == {row.code: row.kind for row in TABLE if row.source == source}


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        ("su:0x64", ADAS_CODES),
        ("su:0x65", DRIVER_CODES),
        ("su:0x67", BLIND_SPOT_CODES),
        ("guangdong:0x64", GUANGDONG_ADAS_CODES),
        ("guangdong:0x65", GUANGDONG_DRIVER_CODES),
        ("guangdong:0x67", BLIND_SPOT_CODES),
    ],
)
def test_codes_are_called_as_in_their_layouts(source: str, codes: dict[int, str]) -> None:
    assert codes == {row.code: row.kind for row in TABLE if row.source == source}


def test_codes_without_a_row_are_custom() -> None:
    row = kind_of("guangdong:0x65", 0x12)
    assert (row.kind, row.family, row.span) == (CUSTOM, "driver", Span.FLAG)
    assert kind_of("1078:0x18", 11).span is Span.LEVEL
    assert kind_of(f"{UNDECODED}:0x66", 0).kind == UNDECODED
    assert kind_of(f"{UNDECODED}:0x66", 0).family == "tyre"
