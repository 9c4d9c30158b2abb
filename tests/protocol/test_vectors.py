"""Frames that nobody here wrote: decoded, held against what their sources assert.

They lie beside the checkout (`../shared/vectors`) and are no part of it; the tests skip where they are not.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol import codec, frame, header
from protocol.location import SIZE
from protocol.messages import EDITIONS
from tests.protocol import vector_keys
from tests.protocol.vector_keys import Seen

FRAMES = Path(__file__).parents[3] / "shared" / "vectors" / "frames.jsonl"
KNOWN = {message_id for rows in EDITIONS.values() for message_id in rows}


def vectors() -> Iterator[dict[str, Any]]:
    """Frames and bodies of the messages that the catalogue has."""
    if FRAMES.exists():
        for line in FRAMES.read_text().splitlines():
            vector = json.loads(line)
            if vector["kind"] != "jt808" or not ("hex" in vector or "body_hex" in vector):
                continue
            if int(vector.get("msg_id") or "0", 16) in KNOWN:
                yield vector


VECTORS = list(vectors())
needs_frames = pytest.mark.skipif(not VECTORS, reason=f"the shared frames are not at {FRAMES}")

SOURCE_IS_WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "jt808-jt808-0x0200-0x58-test-deserialize": (
        ("0x58.attach_info_length",),
        "a default of the source's class; table 26 puts the length into the item, 4 here",
    ),
    "jt808-jt808-0x0200-0xe2-test-deserialize": (("0xe2.attach_info_length",), "the same, 6 here"),
    "jt808-jt808-0x0200-0xf6-test-deserialize": (("0xf6.attach_info_length",), "the same, 8 here"),
    "jt808-jt808-0x0200-0x64-test-deserialize": (
        ("0x64.*",),
        "declares 32 bytes (should be 47): table 26 makes the length of an item binding",
    ),
    "jt808-jt808-0x0100test-test2019-2": (
        ("version",),
        "the source's enumeration; byte 4 of the header is 1",
    ),
    "jt808-demo7-test2": (("version",), "the source's enumeration; byte 4 of the header is 1"),
    "jt808-jt808-0x0100test-test2011-2": (("protocol_version",), "a header of 2011 has no version byte"),
    "jt808-jt808-0x0200test-latlngtest1-2": (
        ("latitude_raw", "longitude_raw"),
        "two's complement; table 23 has magnitudes, the sign is in the status (Location.signed takes both)",
    ),
    "jt808-jt808-0x0200test-latlngtest2-2": (("latitude_raw", "longitude_raw"), "the same"),
    "jt808-jt808-0x0200test-lngtest1-1": (("longitude_raw",), "the same"),
    "jt808-jt808-0x0200test-lngtest3-2": (("longitude_raw",), "the same"),
    "jt808-demo10configbase-test2-1-4": (
        ("0x62.*",),
        "a length of four bytes before zeros: the coding of table 26 comes out even as well and goes first",
    ),
    "jt-framework-builtinmsg8100test-test1": (
        ("auth_code",),
        "a refused registration carries no code (808-2013 table 8), nor does the frame",
    ),
    "yezhihao-unit-0201-v13": (("altitude_m",), "48243 m: beyond the highest mountain the word is signed"),
    "go-jt808-0200-addition": (
        ("0x11.area_or_road_id", "0x11.length"),
        "the source takes the identifier one byte too early; table 28 has it behind the type",
    ),
    "go-jt808-0200-addition-2": (("0x06.*",), "the frame has no item 0x06"),
    "iss-github-file-id-71430354033-repository-not-identifiable-b": (
        ("latitude_deg", "longitude_deg"),
        "published with a wrong checksum and four bytes missing; table 23 gives 23.8572 and 140.01024",
    ),
}


def excused(vector: dict[str, Any], key: str) -> bool:
    keys, _ = SOURCE_IS_WRONG.get(vector["id"], ((), ""))
    return any(key == k or (k.endswith(".*") and key.startswith(k[:-1])) for k in keys)


class Tally:
    """What became of the expectations."""

    def __init__(self) -> None:
        self.held = collections.Counter[str]()
        self.excused: list[str] = []
        self.not_ours = collections.Counter[str]()
        self.failed: list[str] = []
        self.frames = 0


def compare() -> Tally:
    tally = Tally()
    for vector in VECTORS:
        expectations = list(vector_keys.flat(vector["expect"]))
        if not expectations:
            continue
        seen = vector_keys.see(vector)
        tally.frames += 1
        for key, expected in expectations:
            where = f"{vector['id']}: {key}"
            try:
                place = vector_keys.lookup(key)
            except KeyError:
                tally.failed.append(f"{where}: neither in KEYS nor in NOT_OURS")
                continue
            if place is None:
                tally.not_ours[key] += 1
                continue
            ours = value_of(seen, place)
            if vector_keys.same(expected, ours):
                tally.held[key] += 1
                if excused(vector, key) and not any(
                    k.endswith(".*") for k in SOURCE_IS_WRONG[vector["id"]][0]
                ):
                    tally.failed.append(f"{where}: excused, but holds")
            elif excused(vector, key):
                tally.excused.append(where)
            else:
                tally.failed.append(f"{where}: {expected!r} expected, {ours!r} found")
    return tally


def value_of(seen: Seen, place: tuple[vector_keys.Getter, Any]) -> Any:
    get, found = place
    try:
        return get(seen, found)
    except (KeyError, IndexError, StopIteration, TypeError) as error:
        return error


@needs_frames
def test_what_the_sources_assert_holds() -> None:
    tally = compare()
    assert not tally.failed, "\n".join(tally.failed)
    # The floor keeps a change of the tables or of the keys from comparing nothing.
    assert sum(tally.held.values()) >= 1250, sum(tally.held.values())
    assert tally.frames >= 180, tally.frames
    assert len(tally.excused) <= 41, tally.excused


@needs_frames
def test_every_excuse_is_of_a_vector() -> None:
    assert set(SOURCE_IS_WRONG) <= {vector["id"] for vector in VECTORS}


@needs_frames
def test_every_frame_decodes_and_explains_all_its_bytes() -> None:
    for vector in VECTORS:
        seen = vector_keys.see(vector)
        wire = vector.get("wire_hex") or vector.get("hex")
        json.dumps(seen.told)
        if wire is None:
            continue
        parts = codec.explain(wire)
        shown = b"".join(part.raw for part in parts)
        assert shown == seen.opened.data + seen.opened.trailer, vector["id"]
        at = 0
        for part in parts:
            assert part.offset == at, (vector["id"], part)
            at += len(part.raw)


def justified(seen: Seen, fault: dict[str, Any]) -> bool:
    """Whether the bytes of a frame, looked at by themselves, show what a fault says."""
    data, body = seen.opened.data + seen.opened.trailer, seen.opened.body
    declared = int.from_bytes(data[2:4]) & header.LENGTH_MASK
    parts = 4 if data[2] & 0x20 else 0
    match fault["reason"]:
        case "checksum":
            return frame.checksum(data) != 0
        case "header":
            return all(len(data) - 1 - size - parts != declared for size in (12, 17))
        case "too_short":
            return len(data) < 13
        case "body":
            return BODY_FAULTS[seen.message_id](body)
    return False


def items_cut_off(body: bytes) -> bool:
    at = SIZE
    while at + 2 <= len(body) and at + 2 + body[at + 1] <= len(body):
        at += 2 + body[at + 1]
    return len(body) < SIZE or (at != len(body) and any(body[at:]))


BODY_FAULTS = {
    0x0002: lambda body: body != b"",
    0x8201: lambda body: body != b"",
    0x0001: lambda body: len(body) != 5,
    0x8001: lambda body: len(body) != 5,
    0x8100: lambda body: len(body) < 3,
    0x8003: lambda body: len(body) not in {3 + 2 * body[2], 4 + 2 * int.from_bytes(body[2:4])},
    0x0102: lambda body: 1 + body[0] < len(body) < 1 + body[0] + 35,
    0x0200: items_cut_off,
}


@needs_frames
def test_no_fault_without_a_reason_in_the_bytes() -> None:
    real = 0
    for vector in VECTORS:
        seen = vector_keys.see(vector)
        real += vector["origin"] == "real-capture"
        for fault in seen.told["faults"]:
            assert justified(seen, fault), (vector["id"], fault)
            assert vector["origin"] != "real-capture", (vector["id"], fault)  # none of them is faulty
    assert real >= 140


@needs_frames
def test_frames_that_are_right_are_written_as_they_were_read() -> None:
    """Of the sources that assert both directions; padding and vendors' liberties are not ours to repeat."""
    written = 0
    for vector in VECTORS:
        if vector.get("assert_direction") not in {"both", "encode"} or vector.get("quirk"):
            continue
        seen = vector_keys.see(vector)
        if seen.told["faults"] or "rest" in seen.told or seen.head.total:
            continue
        clause = seen.told["clause"]
        edition = codec.Edition(int(clause.split(" ")[0].split("-")[1]))
        body = codec.Profile(edition).encode(seen.message_id, seen.body)
        if body != seen.opened.body:
            assert vector["id"] in REWRITTEN, vector["id"]
            continue
        written += 1
    assert written >= 38, written


REWRITTEN: dict[str, str] = {
    "jt808-jt808-0x0100test-test2019-2": "model padded behind; 808-2019 table 8 pads it in front",
    "jt808-jt808-0x0100test-test2011-2": "model padded with NUL; 808-2011 table 6 pads it with spaces",
    "jt808-demo10configbase-test2-2-1": "an item with an id of two bytes; we write the coding of table 26",
}
"""Vectors whose bytes come out differently, and why."""


if __name__ == "__main__":
    found = compare()
    print(f"{found.frames} frames with expectations, {sum(found.held.values())} held,", end=" ")
    print(f"{len(found.excused)} excused, {sum(found.not_ours.values())} not ours")
    print(f"keys: {len(found.held)} mapped, {len(found.not_ours)} not ours")
