"""Frames come apart and together as they were."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocol.frame import escape
from simulator.wire import envelopes, frames, join

FRAMES = st.lists(st.binary(min_size=12, max_size=60), min_size=1, max_size=5)


@given(FRAMES)
def test_round_trip(parts: list[bytes]) -> None:
    assert frames(join(parts)) == parts


@given(FRAMES)
def test_envelopes(parts: list[bytes]) -> None:
    assert envelopes(join(parts)) == [escape(part) for part in parts]
    assert b"".join(envelopes(join(parts))) == join(parts)
