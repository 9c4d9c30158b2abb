"""The derived reader and writer against construct, which stays the oracle."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from construct import GreedyBytes, Int16ub, Int16ul, Int24ub, Struct
from hypothesis import given
from hypothesis import strategies as st

from protocol.fast import fixed
from protocol.fields import S8, S16, S32, U8, U16, U32, U64, Bcd, BcdTime, Bits, Codes, Mapped, Raw, Text, bit
from protocol.location import FIXED, LOCATION
from tests.protocol.strategies import values

ALL = Struct(
    "u8" / U8,
    "u16" / U16,
    "u32" / U32,
    "u64" / U64,
    "s8" / S8,
    "s16" / S16,
    "s32" / S32,
    "bits" / Bits(U32, bit(0, "one")),
    "code" / Codes(U8, {1: "one"}),
    "digits" / Bcd(6) * "of a phone",
    "time" / BcdTime,
    "text" / Text(9),
    "raw" / Raw(3),
)


@pytest.mark.parametrize("layout", [ALL, LOCATION], ids=["all", "location"])
@given(data=st.data())
def test_reads_as_construct_reads(layout: Struct, data: st.DataObject) -> None:
    fast = fixed(layout)
    body = data.draw(st.binary(min_size=fast.size, max_size=fast.size + 9))
    oracle = layout.parse(body)
    assert fast.unpack(body) == [oracle[name] for name in fast.names]


@pytest.mark.parametrize("layout", [ALL, LOCATION], ids=["all", "location"])
@given(data=st.data())
def test_writes_as_construct_writes(layout: Struct, data: st.DataObject) -> None:
    value: dict[str, Any] = data.draw(values(layout))
    fast = fixed(layout)
    assert fast.pack(*(value[name] for name in fast.names)) == layout.build(value)


def test_an_offset_and_too_few_bytes() -> None:
    assert FIXED.size == 28
    assert FIXED.unpack(b"\xff" * 5 + bytes(28), 5)[:2] == [0, 0]
    with pytest.raises(struct.error):
        FIXED.unpack(bytes(27))


@pytest.mark.parametrize(
    "field",
    [GreedyBytes, Int16ul, Int24ub, Mapped(Mapped(Int16ub, int, int), int, int)],
    ids=["no size", "little-endian", "three bytes", "mapped twice"],
)
def test_what_has_no_fixed_place_is_refused(field: Any) -> None:
    with pytest.raises(TypeError):
        fixed(Struct("field" / field))
