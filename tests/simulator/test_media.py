"""What cameras make is what it claims to be: read back by hand, as no decoder comes with the program.

(Pillow and FFmpeg opened the same pictures, films and sounds when this was written.)
"""

from __future__ import annotations

import io
import wave
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.messages.evidence import read_states
from simulator import media

TIME = 1_750_000_000  # 2025-06-15 23:06:40 in Beijing


def segments(picture: bytes) -> tuple[dict[int, bytes], bytes]:
    """The segments of a JPEG by their marker, and its scan."""
    assert picture[:2] == b"\xff\xd8" and picture[-2:] == b"\xff\xd9"
    found: dict[int, bytes] = {}
    at = 2
    while 0xDA not in found:
        assert picture[at] == 0xFF
        length = int.from_bytes(picture[at + 2 : at + 4])
        table = picture[at + 1] << 8 | picture[at + 4] if picture[at + 1] == 0xC4 else picture[at + 1]
        found[table] = picture[at + 4 : at + 2 + length]
        at += 2 + length
    return found, picture[at:-2]


def levels(picture: bytes) -> list[int]:
    """The brightness of each block: a decoder of the pictures that have no other frequencies."""
    found, scan = segments(picture)
    codes, code, at = {}, 0, 17
    for length, number in enumerate(found[0xC400][1:17], 1):
        for _ in range(number):
            codes[f"{code:0{length}b}"] = found[0xC400][at]
            code, at = code + 1, at + 1
        code <<= 1
    data = scan.replace(b"\xff\x00", b"\xff")
    bits = f"{int.from_bytes(data):0{len(data) * 8}b}"
    place, level, result = 0, 128, []
    while len(result) < media.CELLS[0] * media.CELLS[1]:
        stop = place + 1
        while bits[place:stop] not in codes:
            stop += 1
        size = codes[bits[place:stop]]
        value = int(bits[stop : stop + size], 2) if size else 0
        level += value if not size or value >> size - 1 else value - (1 << size) + 1
        result.append(level)
        assert bits[stop + size] == "0"  # the end of the block
        place = stop + size + 1
    assert set(bits[place:]) <= {"1"} and len(bits) - place < 8
    return result


@settings(max_examples=20)
@given(st.integers(0, 1 << 32), st.integers(0, 4_000_000_000))
def test_a_picture_shows_its_scene(seed: int, time: int) -> None:
    picture = media.jpeg(time, seed)
    rows = media.scene(*media.CELLS, media.local(time), seed)
    assert levels(picture) == [level for row in rows for level in row]
    assert 2000 < len(picture) < 8000


def test_a_picture_says_when_it_was_taken() -> None:
    found, _ = segments(media.jpeg(TIME))
    assert found[0xFE] == b"2025-06-15 23:06:40"
    assert found[0xC0] == bytes((8, 480 >> 8, 480 & 255, 640 >> 8, 640 & 255, 1, 1, 0x11, 0))
    assert media.jpeg(TIME, 1) != media.jpeg(TIME, 2) == media.jpeg(TIME, 2)


def boxes(data: bytes) -> list[tuple[bytes, int, bytes]]:
    """Kind, place of the content, and content of each box."""
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        assert 8 <= size <= len(data) - at
        found.append((data[at + 4 : at + 8], at + 8, data[at + 8 : at + size]))
        at += size
    return found


def within(data: bytes, *path: bytes) -> bytes:
    for kind in path:
        data = next(content for found, _, content in boxes(data) if found == kind)
    return data


@pytest.mark.parametrize("size", [0, 100_000, 250_001, 2_000_000])
def test_a_film_has_its_frames_where_it_says(size: int) -> None:
    film = media.mp4(TIME, 4, size)
    assert len(film) == size or size < 40_000 > len(film)
    top = boxes(film)
    assert [kind for kind, _, _ in top] == [b"ftyp", b"moov", b"mdat", b"free"][: len(top)]
    table = within(film, b"moov", b"trak", b"mdia", b"minf", b"stbl")
    sizes = within(table, b"stsz")
    number = int.from_bytes(sizes[8:12])
    lengths = [int.from_bytes(sizes[12 + 4 * n : 16 + 4 * n]) for n in range(number)]
    first = int.from_bytes(within(table, b"stco")[8:12])
    assert (top[2][1], len(top[2][2])) == (first, sum(lengths))
    assert number == max(1, (size - 1200) // media.FRAME_SIZE)
    at = first
    for length in lengths:
        assert film[at : at + 5] == (length - 4).to_bytes(4) + b"\x65"
        at += length
    # What precedes the first macroblock differs from frame to frame: idr_pic_id.
    heads = [film[first + sum(lengths[:n]) + 4 :][:6] for n in range(number)]
    assert all(one != two for one, two in pairwise(heads))


def test_a_stream_has_no_start_code_within() -> None:
    stream = media.h264(TIME, 4, 100_000)
    units = stream.split(b"\0\0\0\1")
    assert [unit[:1] for unit in units[1:]] == [b"\x67", b"\x68", b"\x65", b"\x65"]
    assert not any(bad in unit for unit in units for bad in (b"\0\0\0", b"\0\0\1", b"\0\0\2"))
    assert len(units[3]) == media.ACROSS * media.DOWN * 386 + 4


def test_sound() -> None:
    with wave.open(io.BytesIO(media.wav(7, 1.5))) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 8000)
        assert sound.getnframes() == 12_000
        assert len(set(sound.readframes(100))) > 20


def test_vehicle_states() -> None:
    data = media.states(TIME, latitude=23_000_000, longitude=113_000_000, altitude=5, speed=600, heading=90)
    found = read_states(data)
    assert len(data) == 640 and not found.breaks and not found.rest
    assert [block["number"] for block in found.blocks] == list(range(10))
    assert found.blocks[-1]["time"] == TIME and found.blocks[0]["time"] == TIME - 9
    speeds = [block["speed"] for block in found.blocks]
    assert speeds == sorted(speeds, reverse=True) and speeds[-1] == 600
