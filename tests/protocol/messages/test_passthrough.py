"""Passthrough, packed messages, keys."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.catalog import EncodeError
from protocol.codec import Profile
from protocol.header import Edition
from protocol.messages.passthrough import inflate

EVERY = list(Edition)


def read(message_id: int, body: str, edition: Edition = Edition.V2013) -> tuple[int, dict[str, Any]]:
    reading = Profile(edition).decode(message_id, bytes.fromhex(body), present=True)
    assert (reading.rest, reading.breaks) == (b"", [])
    assert reading.edition is not None
    return int(reading.edition), reading.fields


@pytest.mark.parametrize("message_id", [0x0900, 0x8900])
@pytest.mark.parametrize("claimed", EVERY)
def test_lengths_that_come_out_even_are_lengths(claimed: Edition, message_id: int) -> None:
    edition, fields = read(message_id, "41 00000003 0003 010203", claimed)
    assert (edition, fields["content"]) == (2011, "010203")
    for body in ("41 00000003 0004 010203", "41 00000000 0000", "41 0102", "41", "41 24474e47 4741 2c31"):
        edition, fields = read(message_id, body, claimed)
        assert (edition > 2011, fields["content"]) == (True, body.replace(" ", "")[2:])


def test_types_with_a_layout() -> None:
    assert read(0x0900, f"0b {'ab' * 64}")[1]["content"] == {"card": "ab" * 64}
    assert read(0x0900, f"0b {'ab' * 63}")[1]["content"] == "ab" * 63
    assert read(0x8900, f"0b {'ab' * 24}")[1]["content"] == {"card": "ab" * 24}
    states = read(0x0900, "f7 02 64 05 02 00000001 65 05 03 00000000")[1]["content"]["peripherals"]
    assert [(state["id"], state["content"]["state"]) for state in states] == [(0x64, 2), (0x65, 3)]
    assert read(0x8900, "f8 02 64 65")[1]["content"] == {"peripherals": [0x64, 0x65]}
    assert read(0x0900, "f7 02 64 05 02")[1]["content"] == "0264050" + "2"


def test_content_may_be_given_as_bytes() -> None:
    profile = Profile(Edition.V2013)
    assert profile.encode(0x8900, {"type": "serial_port1", "content": b"AT\r"}).hex() == "4141540d"
    assert profile.encode(0x8900, {"type": 0xF7, "content": "0164"}).hex() == "f70164"
    assert profile.encode(0x8900, {"type": 0xF7, "content": {"peripherals": ["adas"]}}).hex() == "f70164"
    with pytest.raises(EncodeError, match=r"passthrough_down .0x8900.: .*type 0x41 has no layout"):
        profile.encode(0x8900, {"type": 0x41, "content": {"text": "AT"}})


# --- packed messages ---


@given(st.binary(max_size=500), st.integers(0, 600))
def test_what_is_packed_is_unpacked_within_its_limit(data: bytes, limit: int) -> None:
    for packed in (gzip.compress(data), zlib.compress(data), gzip.compress(data) + b"\0\0"):
        if len(data) > limit:
            with pytest.raises(ValueError, match=f"more than {limit}"):
                inflate(packed, limit)
        else:
            assert inflate(packed, limit) == data


@given(st.binary(max_size=100))
def test_any_bytes_are_unpacked_or_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert len(inflate(data, 1000)) <= 1000


def test_what_is_not_whole() -> None:
    packed = gzip.compress(b"a message" * 20)
    with pytest.raises(ValueError, match="is cut"):
        inflate(packed[:-9])
    with pytest.raises(ValueError, match="4 bytes behind"):
        inflate(packed + b"more")
    with pytest.raises(ValueError, match="no packed data"):
        inflate(b"a message" * 20)


def test_a_bomb_is_not_held() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    with pytest.raises(ValueError, match="unpack to more than 1048576"):
        inflate(bomb)


def test_a_packed_message_in_its_body() -> None:
    packed = gzip.compress(b"0200", mtime=0)
    body = Profile(Edition.V2019).encode(0x0901, {"data": packed})
    assert inflate(bytes.fromhex(read(0x0901, body.hex())[1]["data"])) == b"0200"
    reading = Profile(Edition.V2019).decode(0x0901, bytes.fromhex("ffffffff 1f8b"))
    assert (reading.fields, reading.rest.hex(), reading.breaks[0].path) == ({}, "1f8b", "data")


# --- keys ---


def test_a_key_has_128_bytes() -> None:
    reading = Profile(Edition.V2013).decode(0x0A00, bytes.fromhex("00010001") + bytes(127))
    assert (reading.fields, len(reading.rest)) == ({"e": 65537}, 127)
    with pytest.raises(EncodeError, match=r"platform_key .0x8a00.: n: 129 bytes, the field has 128"):
        Profile(Edition.V2013).encode(0x8A00, {"e": 3, "n": bytes(129)})
