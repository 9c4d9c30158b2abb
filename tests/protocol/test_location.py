"""The hot path of a report against the layout that it is derived from."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.location import LOCATION, MAX_COORDINATE, SIZE, Location, read

BODY = bytes.fromhex("0000000200040003015881c906ca8e05fff6025900b4230727150914")


@given(st.binary(min_size=SIZE, max_size=300))
def test_reads_as_construct_reads(body: bytes) -> None:
    report, oracle = read(body), LOCATION.parse(body)
    assert [getattr(report, sub.name) for sub in LOCATION.subcons] == [
        oracle[s.name] for s in LOCATION.subcons
    ]
    again = b"".join(bytes((item_id, len(raw))) + raw for item_id, raw in report.items)
    assert body[SIZE:] == again + report.left


def test_by_hand() -> None:
    """808-2013 table 23: overspeed, ACC on and fixed by GPS, 10 m below the sea, 60.1 km/h, south."""
    report = read(BODY + bytes.fromhex("010400000064 3101 0c 31010d f900 0105 ff"))
    assert report == Location(
        alarm=2,
        status=0x40003,
        latitude=22577609,
        longitude=113937925,
        altitude=-10,
        speed=601,
        heading=180,
        time=1690441754,
        items=[(1, bytes.fromhex("00000064")), (0x31, b"\x0c"), (0x31, b"\x0d"), (0xF9, b"")],
        left=bytes.fromhex("0105ff"),
    )


@pytest.mark.parametrize("size", [0, 1, 27])
def test_shorter_than_the_fixed_part(size: int) -> None:
    with pytest.raises(struct.error):
        read(BODY[:size])


@pytest.mark.parametrize(
    ("status", "latitude", "longitude", "signed"),
    [
        (0, 12222222, 132444444, (12222222, 132444444)),
        (0b0100, 12222222, 132444444, (-12222222, 132444444)),
        (0b1000, 12222222, 132444444, (12222222, -132444444)),
        (0b1100, 12222222, 132444444, (-12222222, -132444444)),
        (0, 2**32 - 12222222, 2**32 - 132444444, (-12222222, -132444444)),  # two's complement
        (0, 0, 136, (0, 136)),
    ],
)
def test_signs(status: int, latitude: int, longitude: int, signed: tuple[int, int]) -> None:
    body = struct.pack(">IIII", 0, status, latitude, longitude) + BODY[16:]
    report = read(body)
    assert report.signed == signed
    assert report.absurd == (max(latitude, longitude) > MAX_COORDINATE)


def test_a_magnitude_that_is_no_coordinate() -> None:
    report = read(struct.pack(">IIII", 0, 0, 1066569743, 0) + BODY[16:])
    assert report.signed == (0, 0)
    assert report.absurd


def test_a_time_that_is_none_stays_raw() -> None:
    assert read(BODY[:22] + bytes(6)).time == bytes(6)
