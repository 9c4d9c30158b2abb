"""Framing: whatever the bytes, and however they arrive, the same frames and faults."""

from __future__ import annotations

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from protocol.frame import (
    MAX_FRAME,
    Fault,
    Reason,
    Splitter,
    checksum,
    escape,
    unescape,
)
from tests.protocol.strategies import splits

HEARTBEAT = bytes.fromhex("000200000138001380000001")
WIRE = bytes.fromhex("7e000200000138001380000001a97e")

frames = st.binary(min_size=12, max_size=80)
streams = st.lists(
    frames.map(escape)
    | st.binary(max_size=30)
    | st.just(bytes(MAX_FRAME - 3))
    | st.sampled_from([b"\x7e", b"\x7d", b"\x7e\x7e", WIRE[:-1]]),
    max_size=8,
).map(b"".join)


def fed(data: bytes) -> list[bytes | Fault]:
    return Splitter().feed(data)


def reasons(data: bytes) -> list[Reason | bytes]:
    return [found.reason if isinstance(found, Fault) else found for found in fed(data)]


@given(st.binary(max_size=5000))
def test_checksum_is_the_xor_of_all_bytes(data: bytes) -> None:
    assert checksum(data) == reduce(lambda a, b: a ^ b, data, 0)


def test_the_example_of_the_standard() -> None:
    """808-2013 clause 4.4.2: 30 7e 08 7d 55."""
    assert escape(bytes.fromhex("307e087d55")) == bytes.fromhex(
        "7e307d02087d0155%02x7e" % (0x30 ^ 0x7E ^ 0x08 ^ 0x7D ^ 0x55)
    )
    assert unescape(bytes.fromhex("307d02087d0155")) == bytes.fromhex("307e087d55")


def test_an_escaped_escape_is_not_read_twice() -> None:
    assert unescape(bytes.fromhex("7d0102")) == bytes.fromhex("7d02")


@given(st.binary(max_size=200))
def test_unescape_undoes_escape(data: bytes) -> None:
    wire = escape(data)
    assert b"\x7e" not in wire[1:-1]
    assert unescape(wire[1:-1]) == data + bytes([checksum(data)])


@given(st.lists(frames, max_size=6))
def test_frames_come_out_as_they_went_in(sent: list[bytes]) -> None:
    assert fed(b"".join(map(escape, sent))) == sent


@given(streams.flatmap(lambda data: st.tuples(st.just(data), splits(data))))
def test_any_split_of_a_stream_gives_the_same(case: tuple[bytes, list[bytes]]) -> None:
    data, pieces = case
    splitter = Splitter()
    found = [item for piece in pieces for item in splitter.feed(piece)]
    assert found == fed(data)
    assert splitter.buffered == 0 or data.endswith(splitter._rest)


@given(streams)
def test_byte_by_byte_gives_the_same(data: bytes) -> None:
    splitter = Splitter()
    assert [item for byte in data for item in splitter.feed(bytes([byte]))] == fed(data)


def test_delimiters_doubled_shared_and_missing() -> None:
    assert fed(WIRE + WIRE) == [HEARTBEAT, HEARTBEAT]  # 7e7e
    assert fed(WIRE[:-1] + WIRE) == [HEARTBEAT, HEARTBEAT]  # one for both
    assert fed(b"\x7e\x7e\x7e" + WIRE) == [HEARTBEAT]
    assert fed(WIRE[:-1]) == []


def test_a_checksum_of_7d_that_was_not_escaped() -> None:
    frame = bytes.fromhex("0002000001380013800000d5")
    assert checksum(frame) == 0x7D
    assert fed(b"\x7e" + frame + b"\x7d\x7e") == [frame]
    assert fed(b"\x7e" + frame + b"\x7d\x01\x7e") == [frame]


def test_a_lone_7d_stays_what_it_is() -> None:
    frame = bytes.fromhex("000200007d380013800000017d")
    wire = b"\x7e" + frame + bytes([checksum(frame)]) + b"\x7e"
    assert fed(wire) == [frame]


def test_faults_name_their_reason_and_the_stream_goes_on() -> None:
    broken = WIRE[:5] + b"\xff" + WIRE[6:]
    assert reasons(b"\x01\x02" + WIRE) == [Reason.GARBAGE, HEARTBEAT]
    assert reasons(broken + WIRE) == [Reason.CHECKSUM, HEARTBEAT]
    assert reasons(b"\x7e\x01\x02\x7e" + WIRE) == [Reason.TOO_SHORT, HEARTBEAT]
    assert reasons(b"\x7e" + bytes(MAX_FRAME + 1) + WIRE) == [Reason.TOO_LONG, HEARTBEAT]
    fault = fed(broken)[0]
    assert isinstance(fault, Fault)
    assert (fault.raw, fault.offset) == (broken[1:-1], len(broken) - 3)
    assert fault.detail == "checksum 0xa9 should be 0x57"
    assert reasons(b"\x00\x7e\x00\x7e") == [Reason.GARBAGE, Reason.TOO_SHORT]  # one object, two places


def test_garbage_costs_no_memory() -> None:
    splitter = Splitter()
    found = []
    for _ in range(1000):
        found += splitter.feed(b"\x55" * 100)
        assert splitter.buffered <= MAX_FRAME
    assert [fault.reason for fault in found if isinstance(fault, Fault)] == [Reason.GARBAGE]
    assert splitter.feed(b"\x7e" + WIRE) == [HEARTBEAT]


@given(st.binary(max_size=100_000))
def test_whatever_is_fed_the_memory_is_bounded(data: bytes) -> None:
    splitter = Splitter()
    for found in splitter.feed(data):
        assert len(found.raw if isinstance(found, Fault) else found) <= MAX_FRAME
    assert splitter.buffered <= MAX_FRAME
