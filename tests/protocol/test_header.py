"""Headers: which layout a frame carries, and what both say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import codec, header
from protocol.header import HEADER_2013, HEADER_2019, Edition, build, parse, phone_bytes, phone_text
from tests.protocol.own import vectors

phones = st.integers(0, 10**12 - 1).map(str)
long_phones = st.integers(0, 10**20 - 1).map(str)
words = st.integers(0, 0xFFFF)


@given(words, phones, words, st.binary(max_size=60), st.sampled_from([(0, 0), (1, 1), (9, 65535)]))
def test_2013_is_read_as_construct_reads_it(
    message_id: int, phone: str, serial: int, body: bytes, part: tuple[int, int]
) -> None:
    total, index = part
    number = phone_bytes(phone, Edition.V2013)
    data = build(message_id, number, serial, len(body), total=total, index=index) + body
    head, oracle = parse(data), HEADER_2013.parse(data)
    assert head is not None
    assert (head.message_id, head.properties, head.serial) == (
        oracle.message_id,
        oracle.properties,
        oracle.serial,
    )
    assert (head.phone.hex(), phone_text(head.phone)) == (oracle.phone, phone.lstrip("0") or "0")
    assert (head.edition, head.oddities, data[head.size :]) == (Edition.V2013, (), body)
    assert (head.total, head.index) == part


@given(words, long_phones, words, st.binary(max_size=60), st.integers(0, 255))
def test_2019_is_read_as_construct_reads_it(
    message_id: int, phone: str, serial: int, body: bytes, version: int
) -> None:
    number = phone_bytes(phone, Edition.V2019)
    data = build(message_id, number, serial, len(body), version=version, total=2, index=1) + body
    head, oracle = parse(data), HEADER_2019.parse(data)
    assert head is not None
    assert (head.message_id, head.version, head.phone.hex(), head.serial) == (
        oracle.message_id,
        oracle.version,
        oracle.phone,
        oracle.serial,
    )
    assert (head.edition, head.oddities, data[head.size :]) == (Edition.V2019, (), body)


@given(st.binary(min_size=12, max_size=200), st.sampled_from([None, *Edition]))
def test_any_bytes_are_a_header_or_none(data: bytes, habit: Edition | None) -> None:
    head = parse(data, habit)
    if head is not None:
        assert 12 <= head.size <= len(data)


def test_a_version_bit_that_lies() -> None:
    """The shape of two frames of real devices: bit 14 set before a header of 12 bytes."""
    data = bytes.fromhex("0102 400c 003000068109 0001") + b"authcode1234"
    head = parse(data)
    assert head is not None
    assert (head.edition, head.oddities, phone_text(head.phone)) == (
        Edition.V2013,
        ("version_bit",),
        "3000068109",
    )
    assert data[head.size :] == b"authcode1234"
    body = bytes(28) + bytes.fromhex("010400000001")
    data = bytes.fromhex("0200 4022 003000068109 0e01") + body
    head = parse(data)
    assert head is not None
    assert (head.edition, data[head.size :]) == (Edition.V2013, body)


def test_a_version_bit_that_is_missing() -> None:
    number = phone_bytes("13800138000", Edition.V2019)
    data = bytearray(build(0x0102, number, 1, 4) + b"code")
    data[2] &= ~0x40
    head = parse(bytes(data))
    assert head is not None
    assert (head.edition, head.oddities) == (Edition.V2019, ("version_bit",))


@pytest.mark.parametrize("edition", [Edition.V2013, Edition.V2019])
@pytest.mark.parametrize("declared", [0, 4, 20, 1023])
def test_a_declared_length_that_is_wrong(edition: Edition, declared: int) -> None:
    """Delimiters are trusted, the length is an oddity."""
    data = build(0x0002, phone_bytes("13800138000", edition), 1, declared) + bytes(8)
    head = parse(data)
    assert head is not None
    assert (head.edition, head.oddities, len(data) - head.size) == (edition, ("body_length",), 8)


def test_five_bytes_off_decided_by_the_digits() -> None:
    """Declared 5 bytes short: the length fits the header of 2019, so the claim of neither bit is needed."""
    data = build(0x0200, phone_bytes("13800138000", Edition.V2013), 1, 23) + bytes(28)
    head = parse(data)
    assert head is not None
    assert "version_bit" in head.oddities  # what the bytes say; a link's habit has no say here


def test_a_habit_decides_where_the_bytes_do_not() -> None:
    data = build(0x0002, phone_bytes("0", Edition.V2013), 0, 100) + bytes(28)
    head = parse(data, Edition.V2019)
    assert head is not None
    assert head.edition is Edition.V2019


def test_too_short_for_what_it_claims() -> None:
    assert parse(bytes.fromhex("000220000138001380000001")) is not None  # no room for parts: the bit lies
    head = parse(bytes.fromhex("000240000138001380000001"))
    assert head is not None
    assert head.edition is Edition.V2013


def test_phones() -> None:
    assert phone_text(bytes.fromhex("013800138000")) == "13800138000"
    assert phone_text(bytes(6)) == "0"
    assert phone_text(bytes.fromhex("4eb6fb4afd9e")) == "4eb6fb4afd9e"  # a binary IMEI in the BCD field
    with pytest.raises(ValueError, match="12 digits"):
        phone_bytes("1234567890123", Edition.V2013)
    with pytest.raises(ValueError, match="1023"):
        build(0x0200, bytes(6), 0, 1024)


@pytest.mark.parametrize("vector", vectors("frames"), ids=lambda vector: vector["why"])
def test_own_frames(vector: dict[str, object]) -> None:
    told = codec.decode(str(vector["hex"]))
    wanted = vector["told"]
    assert isinstance(wanted, dict)
    assert {key: told.get(key) for key in wanted} == wanted
    json.dumps(told)


def test_encryption_bits_are_kept() -> None:
    head = parse(build(0x0900, bytes(6), 0, 1, encryption=0x0800) + b"\0")
    assert head is not None
    assert head.properties & header.ENCRYPTION_MASK == 0x0800
