"""What a file is, told by its first bytes and never by its name.

Knows signatures, no disks. Vehicle states (T/JSATL 12 table 4-22) have no signature: they are blocks of 64
bytes whose last byte is the sum of the others.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from protocol.messages.evidence import STATE, checksum

STATES = "application/vnd.jtgate.vehicle-states"
UNKNOWN = "application/octet-stream"

HEAD = 64
"""Bytes that are enough to tell: a block of vehicle states."""


class Kind(NamedTuple):
    media_type: str
    suffix: str


JPEG = Kind("image/jpeg", "jpg")
PNG = Kind("image/png", "png")
MP4 = Kind("video/mp4", "mp4")
WAV = Kind("audio/wav", "wav")
H264 = Kind("video/h264", "h264")
H265 = Kind("video/h265", "h265")
BLOCKS = Kind(STATES, "bin")
OTHER = Kind(UNKNOWN, "bin")
KINDS = {kind.media_type: kind for kind in (JPEG, PNG, MP4, WAV, H264, H265, BLOCKS, OTHER)}


# Annex B of H.264 and H.265: a start code, then a unit whose type begins a stream.
SIGNATURES = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"\xff\xd8\xff", JPEG),
        (rb"\x89PNG\r\n\x1a\n", PNG),
        (rb"....ftyp", MP4),
        (rb"RIFF....WAVE", WAV),
        (rb"\0{2,3}\x01[\x40\x42\x44\x46\x4e]\x01", H265),
        (rb"\0{2,3}\x01[\x09\x21\x25\x26\x27\x28\x41\x45\x46\x47\x61\x65-\x68\x06]", H264),
    )
)


def recognise(head: bytes, size: int) -> Kind:
    """What a file of `size` bytes is that begins with `head` (HEAD bytes of it, or all)."""
    for pattern, kind in SIGNATURES:
        if pattern.match(head):
            return kind
    return BLOCKS if _is_states(head, size) else OTHER


def _is_states(head: bytes, size: int) -> bool:
    block: int = STATE.sizeof()
    if not size or size % block or len(head) < block or not any(head):
        return False
    return head[block - 1] == checksum(head[:block]) or int.from_bytes(head[:4]) == size // block
