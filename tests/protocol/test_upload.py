"""Data packets between frames, however they are cut; what is missing, against a naive set."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.frame import MAX_FRAME, escape
from protocol.header import Edition
from protocol.link import Link, Message, Role
from protocol.upload import HEADER, MAGIC, MAX_DATA, Chunk, Ranges, Splitter, known

FRAMES = Path(__file__).parents[3] / "shared" / "vectors" / "frames.jsonl"
NAME = b"00_64_6401_0_0123456789ABCDEF0123456789ABCDEF.jpg"


def packet(name: bytes, offset: int, data: bytes, length: int | None = None) -> bytes:
    size = len(data) if length is None else length
    return MAGIC + name[:50].ljust(50, b"\0") + offset.to_bytes(4) + size.to_bytes(4) + data


def counted(name: bytes, offset: int, data: bytes) -> bytes:
    """As Heilongjiang's terminals write it."""
    return MAGIC + bytes([len(name)]) + name + offset.to_bytes(4) + len(data).to_bytes(4) + data


def message(serial: int, body: bytes = b"") -> bytes:
    link = Link(Role.TERMINAL, phone="13800000001", edition=Edition.V2013, serial=serial)
    link.send(0x1212, body, 0.0)
    return link.data_to_send()


def read(*pieces: bytes, names: tuple[bytes, ...] = ()) -> tuple[list[tuple], list[int], int]:
    """Files' pieces merged, serials of messages, faults."""
    splitter = Splitter({form for name in names for form in known(name)})
    link = Link(Role.PLATFORM)
    chunks: list[list] = []
    serials, faults = [], 0
    for piece in pieces:
        for item in splitter.feed(piece):
            if isinstance(item, Chunk):
                last = chunks[-1] if chunks else None
                if last and last[0] == item.name and last[1] + len(last[2]) == item.offset:
                    last[2] += bytes(item.data)
                else:
                    chunks.append([item.name, item.offset, bytes(item.data)])
                continue
            for received in link.receive(item, 0.0):
                if isinstance(received, Message):
                    serials.append(received.serial)
                else:
                    faults += 1
        assert splitter.buffered <= MAX_FRAME + HEADER
    return [tuple(chunk) for chunk in chunks], serials, faults


def cuts(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(ends)]


def test_packets_between_frames():
    stream = (
        message(1) + packet(NAME, 0, b"~7E~") + packet(NAME, 9, b"x") + message(2) + packet(b"b", 0, b"y")
    )
    assert read(stream) == ([(NAME, 0, b"~7E~"), (NAME, 9, b"x"), (b"b", 0, b"y")], [1, 2], 0)


@pytest.mark.skipif(not FRAMES.exists(), reason=f"the shared frames are not at {FRAMES}")
def test_the_packet_of_a_real_terminal():
    found = map(json.loads, FRAMES.read_text().splitlines())
    [vector] = [v for v in found if v["kind"] == "attachment-stream"]
    raw = bytes.fromhex(vector["hex"])
    [chunk], _, _ = read(raw)
    assert chunk[0].hex() == vector["expect"]["file_name_field_hex"].rstrip("0")
    assert (chunk[1], chunk[2]) == (0, raw[HEADER:])


def test_a_counted_name_is_told_from_a_padded_one():
    for name in (b"a.jpg", NAME, b"N" * 200, "报警.jpg".encode("gb18030")):
        stream = counted(name, 5, b"data") + message(3)
        assert read(stream, names=(name,)) == ([(name, 5, b"data")], [3], 0)
    assert read(counted(b"a.jpg", 5, b"d") + message(3)) == ([(b"a.jpg", 5, b"d")], [3], 0)
    # A padded one stays one although its first character counts an announced name.
    other = b"0" + b"x" * 40
    assert read(packet(other, 0, b"d"), names=(b"y" * 48,)) == ([(other, 0, b"d")], [], 0)


def test_names_are_padded_and_cut():
    long = b"02_64_6401_10_0123456789ABCDEF0123456789ABCDEF.h264"
    assert known(long) == (long, long[:50])
    assert read(MAGIC + b"a b".ljust(50) + bytes(7) + b"\x01z")[0] == [(b"a b", 0, b"z")]


def test_garbage_costs_no_more_than_itself():
    good = packet(NAME, 0, b"good") + message(1)
    after = ([(NAME, 0, b"good")], [1])
    for junk in (b"junk", b"\0" * 10_000, MAGIC[:3], message(9)[:-5], packet(NAME, 0, b"", 0xFFFF_FFFF)):
        chunks, serials, _ = read(junk + good)
        assert (chunks, serials) == after, junk[:20]
    assert read(packet(NAME, 0, b"", MAX_DATA) + b"x")[0] == [(NAME, 0, b"x")]


def test_a_magic_inside_a_frame_is_part_of_it():
    assert read(message(1, b"name 01cd" + bytes(90)) + packet(NAME, 0, b"d")) == ([(NAME, 0, b"d")], [1], 0)


def test_a_delimiter_may_be_shared():
    assert read(message(1) + message(2)[1:] + packet(NAME, 0, b"d"))[:2] == ([(NAME, 0, b"d")], [1, 2])


PIECES = st.one_of(
    st.builds(packet, st.sampled_from((NAME, b"b.bin")), st.integers(0, 2**32 - 1), st.binary(max_size=300)),
    st.builds(counted, st.sampled_from((NAME, b"b.bin")), st.integers(0, 999), st.binary(max_size=300)),
    st.builds(message, st.integers(0, 65535), st.binary(max_size=80)),
    st.binary(max_size=60),
    st.sampled_from((b"~", MAGIC, MAGIC[:2], bytes(5000), escape(MAGIC + bytes(20)))),
)


@given(st.lists(PIECES, max_size=8), st.lists(st.integers(0, 20_000), max_size=12))
@settings(max_examples=300, deadline=None)
def test_any_cutting_gives_the_same(pieces, places):
    stream = b"".join(pieces)
    whole = read(stream, names=(NAME, b"b.bin"))
    assert read(*cuts(stream, places), names=(NAME, b"b.bin")) == whole
    if len(stream) < 1500:
        assert read(*(stream[i : i + 1] for i in range(len(stream))), names=(NAME, b"b.bin")) == whole


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=40),
    st.integers(1, 6),
    st.integers(0, 70),
)
def test_ranges_against_a_set(pieces, most, size):
    free, bounded, naive, counted_ = Ranges(), Ranges(most), set(), set()
    for start, length in pieces:
        assert free.add(start, start + length)
        naive |= set(range(start, start + length))
        if bounded.add(start, start + length):
            counted_ |= set(range(start, start + length))
    for ranges, wanted in ((free, naive), (bounded, counted_)):
        there = {byte for start, end in ranges for byte in range(start, end)}
        assert there == wanted
        assert ranges.received == len(wanted)
        gaps = ranges.missing(size)
        assert {b for offset, length in gaps for b in range(offset, offset + length)} == set(
            range(size)
        ) - wanted
        pairs = list(ranges)
        assert all(a[1] < b[0] for a, b in pairwise(pairs))
        assert ranges.missing(size, 2) == gaps[:2]
    assert len(list(bounded)) <= most


def test_a_file_in_a_random_order_is_whole():
    ranges = Ranges()
    places = list(range(0, 1000))
    random.Random(1).shuffle(places)
    for place in places:
        assert ranges.add(place * 10, place * 10 + 10)
    assert (list(ranges), ranges.missing(10_000), ranges.received) == ([(0, 10_000)], [], 10_000)
    ranges.clear()
    assert ranges.missing(3) == [(0, 3)]
