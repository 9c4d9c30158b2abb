"""Files as a camera terminal makes them: pictures, video, sound, vehicle states. Small, and real.

A picture is a baseline JPEG whose blocks have one brightness each, a video H.264 whose macroblocks are not
compressed (I_PCM): so both can be written by hand, play everywhere, and show the time they were taken at.
Bytes in, bytes out: knows neither alarms nor messages, and of `protocol` only the vehicle states of `.bin`.
"""

from __future__ import annotations

import math
import random
import re
import struct
import time as clock
from functools import cache, lru_cache

from protocol.messages.evidence import write_states

CELLS = 80, 60  # of a picture: blocks of 8 by 8 pixels, so 640 by 480
GLYPHS = dict(  # 3 by 5 cells, three bits a row
    zip(
        "0123456789:- ",
        (0x7B6F, 0x2C97, 0x73E7, 0x73CF, 0x5BC9, 0x79CF, 0x79EF, 0x7249, 0x7BEF, 0x7BCF, 0x0410, 0x01C0, 0),
        strict=True,
    )
)
SKY, ROAD, INK = 200, 90, 250


def local(time: float) -> str:
    """The moment as cameras write it into a picture: Beijing time."""
    return clock.strftime("%Y-%m-%d %H:%M:%S", clock.gmtime(time + 8 * 3600))


def scene(width: int, height: int, text: str, seed: int) -> list[bytearray]:
    """Rows of brightness: a road under a sky, grainy as `seed` has it, with `text` on top."""
    rng = random.Random(seed)
    horizon, bend = height // 2, rng.uniform(-0.3, 0.3)
    rows = []
    for y in range(height):
        depth = (y - horizon) / (height - horizon)
        middle, half = width * (0.5 + bend * (1 - depth) ** 2), width * 0.45 * depth
        grain = rng.randbytes(width)
        rows.append(
            bytearray(
                (ROAD if depth > 0 and abs(x - middle) < half else SKY - (y * 80 // height)) + grain[x] % 12
                for x in range(width)
            )
        )
    for place, character in enumerate(text):
        for bit in range(15):
            if GLYPHS[character] >> 14 - bit & 1:
                rows[1 + bit // 3][1 + place * 4 + bit % 3] = INK
    return rows


# --- pictures -------------------------------------------------------------------------------------------


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


_SIZES = bytes((0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0))  # ITU-T T.81 table K.3


@cache
def _differences() -> list[str]:
    """The bits of a block that is `n - 255` brighter than the one before it, and has no other frequencies."""
    codes, code = [], 0
    for length, number in enumerate(_SIZES, 1):
        codes += [f"{code + n:0{length}b}" for n in range(number)]
        code = code + number << 1
    found = []
    for difference in range(-255, 256):
        size = abs(difference).bit_length()
        value = difference if difference > 0 else difference + (1 << size) - 1
        found.append(codes[size] + (f"{value:0{size}b}" if size else "") + "0")
    return found


def jpeg(time: float, seed: int = 0) -> bytes:
    """A grey picture of 640 by 480 (ITU-T T.81, baseline), about 5 kB; its comment is the time, too."""
    width, height = CELLS
    differences, before, bits = _differences(), 128, []
    for row in scene(width, height, local(time), seed):
        for level in row:
            bits.append(differences[level - before + 255])
            before = level
    scan = "".join(bits)
    scan += "1" * (-len(scan) % 8)
    data = int(scan, 2).to_bytes(len(scan) // 8).replace(b"\xff", b"\xff\x00")
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
            _segment(0xFE, local(time).encode()),
            _segment(0xDB, b"\0" + bytes([8] * 64)),
            _segment(0xC0, struct.pack(">BHHB3B", 8, height * 8, width * 8, 1, 1, 0x11, 0)),
            _segment(0xC4, b"\0" + _SIZES + bytes(range(12))),
            _segment(0xC4, b"\x10\1" + bytes(15) + b"\0"),  # one code: the block has no more
            _segment(0xDA, bytes((1, 1, 0, 0, 63, 0))),
            data,
            b"\xff\xd9",
        )
    )


# --- video ----------------------------------------------------------------------------------------------

ACROSS, DOWN, FRAME_RATE = 11, 9, 5  # macroblocks of 16 by 16 pixels: QCIF
_CELL = 4  # pixels


def _ue(value: int) -> str:
    """An unsigned Exp-Golomb code (ITU-T H.264 clause 9.1)."""
    return f"{value + 1:0{2 * (value + 1).bit_length() - 1}b}"


def _nal(kind: int, bits: str) -> bytes:
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    return _escaped(bytes((kind,)) + int(bits, 2).to_bytes(len(bits) // 8))


def _escaped(nal: bytes) -> bytes:
    return re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", nal)


SPS = _nal(  # baseline, level 4, output in the order of decoding
    0x67, f"{66:08b}{0xC0:08b}{40:08b}" + _ue(0) * 2 + _ue(2) + _ue(1) + "0" + _ue(10) + _ue(8) + "1100"
)
PPS = _nal(0x68, _ue(0) * 2 + "00" + _ue(0) * 3 + "000" + _ue(0) * 3 + "100")
_PCM = b"\x0d\0"  # ue(25), I_PCM, and zeros up to the next byte


@lru_cache(64)
def _slices(time: int, seed: int) -> tuple[bytes, ...]:
    """One frame as an IDR picture, in the two forms that must take turns."""
    rows = scene(ACROSS * 16 // _CELL, DOWN * 16 // _CELL, local(time)[11:], seed)
    pixels = [b"".join([bytes((level,)) * _CELL for level in row]) for row in rows for _ in range(_CELL)]
    grey, blocks = bytes([128] * 128), []
    for down in range(0, DOWN * 16, 16):
        for across in range(0, ACROSS * 16, 16):
            blocks.append(b"".join([line[across : across + 16] for line in pixels[down : down + 16]]) + grey)
    body = _PCM.join(blocks) + b"\x80"
    # Two IDR pictures in a row must differ in their idr_pic_id (clause 7.4.3).
    heads = (_ue(0) + _ue(7) + _ue(0) + "0000" + _ue(turn) + "00" + "1" + _ue(1) + _ue(25) for turn in (0, 1))
    whole = [head + "0" * (-len(head) % 8) for head in heads]
    return tuple(_escaped(b"\x65" + int(head, 2).to_bytes(len(head) // 8) + body) for head in whole)


FRAME_SIZE = ACROSS * DOWN * (2 + 384) + 16  # bytes at the most, with its length


def _frames(time: float, seed: int, size: int) -> list[bytes]:
    """As many frames as `size` bytes take, one at least."""
    number = max(1, size // FRAME_SIZE)
    return [_slices(int(time) + n // FRAME_RATE, seed)[n & 1] for n in range(number)]


def h264(time: float, seed: int = 0, size: int = 200_000) -> bytes:
    """An H.264 stream (ITU-T H.264 annex B) of at most `size` bytes, or one frame of 38 kB."""
    return b"".join(b"\0\0\0\1" + nal for nal in (SPS, PPS, *_frames(time, seed, size - 40)))


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _table(kind: bytes, *content: bytes) -> bytes:
    """A box with a version and flags."""
    return _box(kind, bytes(4), *content)


_MATRIX = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
_WIDTH, _HEIGHT = ACROSS * 16, DOWN * 16


def mp4(time: float, seed: int = 0, size: int = 200_000) -> bytes:
    """A film (ISO/IEC 14496-12) of exactly `size` bytes, of one frame and 39 kB at least."""
    frames = [len(f).to_bytes(4) + f for f in _frames(time, seed, size - 1200)]
    number, stamp = len(frames), int(time) + 2_082_844_800  # seconds since 1904
    times = struct.pack(">4I", stamp, stamp, FRAME_RATE, number)
    avcc = _box(b"avcC", bytes((1, *SPS[1:4], 0xFF, 0xE1)), _short(SPS), b"\1", _short(PPS))
    entry = _box(
        b"avc1", bytes(6), b"\0\1", bytes(16),
        struct.pack(">HHIIIH", _WIDTH, _HEIGHT, 72 << 16, 72 << 16, 0, 1), bytes(32),
        struct.pack(">Hh", 24, -1), avcc,
    )  # fmt: skip
    head = _box(b"ftyp", b"isom", bytes((0, 0, 2, 0)), b"isomiso2avc1mp41")

    def moov(first: int) -> bytes:
        stbl = _box(
            b"stbl",
            _table(b"stsd", struct.pack(">I", 1), entry),
            _table(b"stts", struct.pack(">3I", 1, number, 1)),
            _table(b"stsc", struct.pack(">4I", 1, 1, number, 1)),
            _table(b"stsz", struct.pack(f">2I{number}I", 0, number, *map(len, frames))),
            _table(b"stco", struct.pack(">2I", 1, first)),
        )
        data = _box(b"dinf", _table(b"dref", struct.pack(">I", 1), _box(b"url ", b"\0\0\0\1")))
        minf = _box(b"minf", _box(b"vmhd", b"\0\0\0\1", bytes(8)), data, stbl)
        mdia = _box(
            b"mdia",
            _table(b"mdhd", times, struct.pack(">HH", 0x55C4, 0)),
            _table(b"hdlr", bytes(4), b"vide", bytes(12), b"camera\0"),
            minf,
        )
        tkhd = _box(
            b"tkhd", b"\0\0\0\3", struct.pack(">5I", stamp, stamp, 1, 0, number), bytes(16), _MATRIX,
            struct.pack(">II", _WIDTH << 16, _HEIGHT << 16),
        )  # fmt: skip
        mvhd = _table(
            b"mvhd", times, struct.pack(">IH", 1 << 16, 1 << 8), bytes(10), _MATRIX, bytes(24), b"\0\0\0\2"
        )
        return _box(b"moov", mvhd, _box(b"trak", tkhd, mdia))

    first = len(head) + len(moov(0)) + 8
    film = head + moov(first) + _box(b"mdat", *frames)
    left = size - len(film)
    return film + _box(b"free", bytes(left - 8)) if left >= 8 else film


def _short(nal: bytes) -> bytes:
    return len(nal).to_bytes(2) + nal


# --- sound, vehicle states ------------------------------------------------------------------------------


def wav(seed: int = 0, seconds: float = 2.0, rate: int = 8000) -> bytes:
    """A tone: 16 bits, one channel, uncompressed."""
    step = 2 * math.pi * (300 + seed % 500) / rate
    number = int(seconds * rate)
    data = struct.pack(f"<{number}h", *(int(9000 * math.sin(n * step)) for n in range(number)))
    form = struct.pack("<HHIIHH", 1, 1, rate, rate * 2, 2, 16)
    parts = b"WAVE" + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data))
    return b"RIFF" + struct.pack("<I", len(parts) + len(data)) + parts + data


def states(
    time: float, *, latitude: int, longitude: int, altitude: int, speed: int, heading: int, blocks: int = 10
) -> bytes:
    """A `.bin` file: a block for each second up to `time`, in which the vehicle brakes.

    Units are those of a location report: 1e-6 degree, m, 0.1 km/h, degree.
    """
    found = []
    for before in range(blocks - 1, -1, -1):
        fast = min(speed + 25 * before, 0xFFFF)
        found.append(
            {
                "alarm": 0,
                "status": 3,
                "latitude": latitude,
                "longitude": longitude,
                "altitude": altitude,
                "speed": fast,
                "heading": heading,
                "time": int(time) - before,
                "acceleration_x": -7,
                "acceleration_y": 0,
                "acceleration_z": 98,
                "rotation_x": 0,
                "rotation_y": 0,
                "rotation_z": 0,
                "pulse_speed": fast,
                "obd_speed": fast,
                "gear": 4,
                "accelerator": 0,
                "brake_pedal": 30,
                "braking": 1,
                "engine_speed": 900 + fast,
                "steering": 0,
                "indicator": 0,
            }
        )
    return write_states(found)
