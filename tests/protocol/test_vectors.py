"""Frames that nobody here wrote: decoded, held against what their sources assert.

They lie beside the checkout (`../shared/vectors`) and are no part of it; the tests skip where they are not.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol import codec, frame, header
from protocol.location import SIZE
from protocol.messages import EDITIONS
from tests.protocol import vector_control, vector_keys, vector_table
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
    **vector_control.SOURCE_IS_WRONG,
    "jt808-jt808-0x0801test-test2011-2": (
        ("multimedia_data_package",),
        "no count and number of parts before the data; 808-2011 table 66 has them",
    ),
    "jt808-jt808-0x0802test-test2011-2": (
        ("multimedia_search_items[0].*", "multimedia_search_items[1].*"),
        "no number of items before them; 808-2011 table 70 has it",
    ),
    "yezhihao-unit-0705-v13": (
        ("time",),
        "a time of day at the end of its field; 808-2013 table 78 has the hours first, milliseconds last",
    ),
    "yezhihao-unit-0705-v19": (("time",), "the same, 808-2019 table 69"),
    **dict.fromkeys(
        (
            "bienxanh-datacompressionreport",
            "bienxanh-datatransmission",
            "bienxanh-immediatecameracapturecommandresponse",
        ),
        (("data", "ids"), "the name of a variable of the source, not its value"),
    ),
    "bienxanh-rsapublickey": (
        ("data",),
        "a length and a PEM file; 808-2013 tables 95 and 96 have exponent and modulus",
    ),
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
    "jt808-jt808-0x0608test-test-jt808-0x8604s-2": (
        ("jt808_0x8604s[0].night_maximum_speed",),
        "the attributes have no speed limit, so 808-2019 table 52 has no such field: none here, 0 there",
    ),
    "jt808-jt808-0x8606test-test2": (
        ("inflection_point_items[0].section_overspeed_duration",),
        "the segment has no speed limit: 808-2013 table 68 leaves the field off, as the bytes do",
    ),
    "jt-framework-builtinmsg8600test-testbuild0x8600v2019": (
        ("areas[0].start_time", "areas[0].end_time"),
        "the area has no time range: 808-2019 table 46 leaves the fields off, as the bytes do",
    ),
    "jt-framework-builtinmsg8602test-testbuild0x8602v2019": (
        ("areas[0].max_speed", "areas[0].continuous_time", "areas[0].max_speed_at_night"),
        "the area has no speed limit: 808-2019 table 50 leaves the fields off, as the bytes do",
    ),
    "jt-framework-builtinmsg8604test-testbuild0x8604v2019": (
        ("start_time", "end_time"),
        "the area has no time range: 808-2019 table 52 leaves the fields off, as the bytes do",
    ),
    "xtream-codec-builtinmessage0608test-testdecode": (
        ("data_list[0].area_list[1].start_time", "data_list[1].area_list[1].start_time"),
        "the area has no time range: 808-2019 table 46 leaves the field off, as the bytes do",
    ),
    "xtream-codec-builtinmessage8600test-testdecode": (
        ("area_list[1].start_time",),
        "the area has no time range: 808-2013 table 57 leaves the field off, as the bytes do",
    ),
    "yezhihao-unit-8300-v13": (("type",), "808-2013 table 37 has no type, nor have the bytes"),
    "yezhihao-unit-8500-v19": (
        ("type", "param"),
        "808-2019 table 42 begins with the number of controls, which the source leaves off",
    ),
    "go-jt808-parse-8300": (("flag",), "what the source is given; all bits of the byte are set"),
    "go-jt808-parse-8300-2": (("text",), "five characters more than the bytes have"),
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
        self.cases: dict[str, collections.Counter[str]] = {}  # by vector, what became of each expectation


def compare() -> Tally:
    tally = Tally()
    for vector in VECTORS:
        expectations = list(vector_keys.flat(vector["expect"]))
        if not expectations:
            continue
        seen = vector_keys.see(vector)
        tally.frames += 1
        case = tally.cases[vector["id"]] = collections.Counter[str]()
        for key, expected in expectations:
            where = f"{vector['id']}: {key}"
            try:
                place = vector_keys.lookup(key, seen.message_id)
            except KeyError:
                tally.failed.append(f"{where}: neither in KEYS nor in NOT_OURS")
                case["failed"] += 1
                continue
            if place is None:
                tally.not_ours[key] += 1
                continue
            ours = value_of(seen, place)
            if ours is vector_keys.ABSENT:
                tally.not_ours[key] += 1
                continue
            if vector_keys.same(expected, ours):
                tally.held[key] += 1
                case["held"] += 1
                if excused(vector, key) and not any(
                    k.endswith(".*") for k in SOURCE_IS_WRONG[vector["id"]][0]
                ):
                    tally.failed.append(f"{where}: excused, but holds")
            elif excused(vector, key):
                tally.excused.append(where)
                case["explained"] += 1
            else:
                case["failed"] += 1
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
    assert sum(tally.held.values()) >= 3900, sum(tally.held.values())
    assert tally.frames >= 180, tally.frames
    assert len(tally.excused) <= 330, tally.excused


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


def word(body: bytes, at: int, size: int = 2) -> int:
    return int.from_bytes(body[at : at + size])


def circles_end(body: bytes, night: int) -> int:
    """Where the last circle of 0x8600 ends by 808-2013 table 57, or with the `night` fields of 2019."""
    at = 2
    for _ in range(body[1]):
        flags = word(body, at + 4)
        at += 18 + 12 * (flags & 1) + (3 + night) * (flags >> 1 & 1)
        at += 2 + word(body, at) if night else 0
    return at


def polygon_end(body: bytes, night: int) -> int:
    """The same for the vertices of 0x8604 (808-2013 table 63)."""
    flags = word(body, 4)
    at = 6 + 12 * (flags & 1) + 3 * (flags >> 1 & 1)
    at += 2 + 8 * word(body, at) + night * (flags >> 1 & 1)
    return at + 2 + word(body, at) if night else at


def route_end(body: bytes, night: int) -> int:
    """The same for the points of 0x8606 (808-2013 tables 66 and 68)."""
    at = 6 + 12 * (word(body, 4) & 1)
    number, at = word(body, at), at + 2
    for _ in range(number):
        flags = word(body, at + 17, 1)
        at += 18 + 4 * (flags & 1) + (3 + night) * (flags >> 1 & 1)
    return at + 2 + word(body, at) if night else at


def unlike(end: Callable[[bytes, int], int]) -> Callable[[bytes], bool]:
    return lambda body: len(body) not in {end(body, 0), end(body, 2)}


BODY_FAULTS = {
    **vector_control.BODY_FAULTS,
    0x0801: lambda body: len(body) < 16,
    0x0802: lambda body: (len(body) - 4) % 35 != 0 and (len(body) - 6) % 31 != 0,
    0x8800: lambda body: len(body) not in {4, 5 + 2 * body[4], 6, *(7 + 2 * count for count in body[6:7])},
    0x0A00: lambda body: len(body) != 132,
    0x8500: lambda body: 1 < len(body) < 5,
    0x8600: unlike(circles_end),
    0x8604: unlike(polygon_end),
    0x8606: unlike(route_end),
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
        document = seen.told["clause"].split(" ")[0]  # other documents than 808 have one layout for all
        year = document.partition("808-")[2] or seen.told["edition"]
        edition = codec.Edition(int(year))
        body = codec.Profile(edition).encode(seen.message_id, seen.body)
        if body != seen.opened.body:
            assert vector["id"] in REWRITTEN, vector["id"]
            continue
        written += 1
    assert written >= 38, written


REWRITTEN: dict[str, str] = {
    **vector_control.REWRITTEN,
    "jt808-jt808-0x0702test-test3": "certificate padded in front; 808-2013 table 75 fills it up behind",
    "jt808-jt808-0x0702test-test-2019-1": "the same, certificate and identity card; 808-2019 table 66",
    "jt808-jt808-0x0100test-test2019-2": "model padded behind; 808-2019 table 8 pads it in front",
    "jt808-jt808-0x0100test-test2011-2": "model padded with NUL; 808-2011 table 6 pads it with spaces",
    "jt808-demo10configbase-test2-2-1": "an item with an id of two bytes; we write the coding of table 26",
}
"""Vectors whose bytes come out differently, and why."""


@needs_frames
def test_the_table_counts_every_vector() -> None:
    found = vector_table.total(vector_table.rows(VECTORS, compare().cases))
    assert (found.vectors, found.failed) == (len(VECTORS), 0)
    assert found.held + found.explained == found.cases
    assert found.held >= 350


if __name__ == "__main__":
    print(vector_table.text(VECTORS, compare().cases, SOURCE_IS_WRONG))
