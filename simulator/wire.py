"""Frames taken apart and put together again, for scenarios that bend what lies between."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.frame import DELIMITER, Splitter, escape


def frames(data: bytes) -> list[bytes]:
    """Header and body of each frame of `data`, unescaped, without checksum."""
    return [frame for frame in Splitter().feed(data) if isinstance(frame, bytes)]


def join(parts: Iterable[bytes]) -> bytes:
    """The inverse of `frames`."""
    return b"".join([escape(part) for part in parts])


def envelopes(data: bytes) -> list[bytes]:
    """Each frame of `data` as it is on the line, with its delimiters."""
    return [DELIMITER + inner + DELIMITER for inner in data.split(DELIMITER) if inner]
