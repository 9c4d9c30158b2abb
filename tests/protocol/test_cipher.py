"""Bodies under RSA: what is encrypted is opened again, by the library too, and nothing else is."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import given
from hypothesis import strategies as st

from protocol import cipher, header
from protocol.cipher import CipherError
from protocol.codec import Profile
from protocol.header import Edition

KEY = generate_private_key(65537, 1024)
OTHER = generate_private_key(65537, 1024)
THREE = generate_private_key(3, 1024)
PUBLIC = KEY.public_key()
HEARTBEAT_TIME = bytes.fromhex("002a 8103 00")


@given(st.binary(max_size=400))
def test_there_and_back(body: bytes) -> None:
    sealed = cipher.encrypt(body, PUBLIC)
    assert len(sealed) == -(-len(body) // 117) * 128
    assert cipher.decrypt(sealed, KEY) == body
    blocks = [sealed[at : at + 128] for at in range(0, len(sealed), 128)]
    assert b"".join(KEY.decrypt(block, PKCS1v15()) for block in blocks) == body


@given(st.binary(max_size=117))
def test_what_the_library_encrypts(body: bytes) -> None:
    assert cipher.decrypt(PUBLIC.encrypt(body, PKCS1v15()), KEY) == body
    assert cipher.decrypt(cipher.encrypt(body, THREE.public_key()), THREE) == body


def test_blocks_of_other_sizes_and_of_parts() -> None:
    """Each part encrypted by itself, then joined; blocks that are not full."""
    parts = [b"\0\0first", b"", b"second\0", bytes(117)]
    sealed = b"".join(PUBLIC.encrypt(part, PKCS1v15()) for part in parts)
    assert cipher.decrypt(sealed, KEY) == b"".join(parts)


@given(st.binary(min_size=128, max_size=128))
def test_made_up_blocks_are_refused(block: bytes) -> None:
    """The library would make up an answer."""
    with pytest.raises(CipherError):
        cipher.decrypt(block, KEY)


@pytest.mark.parametrize(
    "plain",
    [
        b"\0" * 120 + b"no padding",
        b"\0\1" + b"\xff" * 20 + b"\0signature",
        b"\0\2" + b"\x01" * 7 + b"\0too short",
        b"\0\2" + b"\x01" * 126,
    ],
)
def test_padding_that_is_none(plain: bytes) -> None:
    numbers = PUBLIC.public_numbers()
    block = pow(int.from_bytes(plain.ljust(128, b"\x01")), numbers.e, numbers.n).to_bytes(128)
    with pytest.raises(CipherError, match="no padding"):
        cipher.decrypt(block, KEY)


def test_what_is_for_another_key() -> None:
    with pytest.raises(CipherError):
        cipher.decrypt(cipher.encrypt(b"body", OTHER.public_key()), KEY)
    with pytest.raises(CipherError, match="no blocks of 128"):
        cipher.decrypt(bytes(127), KEY)
    with pytest.raises(CipherError, match="larger than the modulus"):
        cipher.decrypt(b"\xff" * 128, KEY)


def test_keys_go_over_the_wire() -> None:
    profile = Profile(Edition.V2013)
    body = profile.encode(0x8A00, cipher.key_fields(KEY))
    assert len(body) == 132
    for present in (True, False):
        fields = profile.decode(0x8A00, body, present=present).fields
        assert cipher.public_key(fields) == PUBLIC
    assert cipher.public_key(cipher.key_fields(THREE)) == THREE.public_key()


@pytest.mark.parametrize("n", [0, 7, (1 << 1023) + 32, (1 << 511) - 1])
def test_a_modulus_that_is_none(n: int) -> None:
    with pytest.raises(CipherError, match="no RSA key"):
        cipher.public_key({"e": 65537, "n": n.to_bytes(128)})


@pytest.mark.parametrize("e", [0, 1, 2, 65536])
def test_an_exponent_that_is_none(e: int) -> None:
    with pytest.raises(CipherError, match="no RSA key"):
        cipher.public_key({"e": e, "n": b"\xff" * 128})


def test_a_key_without_room_in_the_message() -> None:
    with pytest.raises(CipherError, match="2048 bits"):
        cipher.key_fields(generate_private_key(65537, 2048))


@pytest.mark.parametrize("bits", range(8))
def test_the_bits_of_the_header(bits: int) -> None:
    sealed = cipher.encrypt(HEARTBEAT_TIME, PUBLIC)
    head = header.parse(header.build(0x0001, bytes(6), 1, len(sealed), encryption=bits << 10) + sealed)
    assert head is not None
    found = cipher.opened(sealed, head.properties, KEY)
    assert found == {0: sealed, 1: HEARTBEAT_TIME}.get(bits)
    assert bits == 0 or cipher.opened(sealed, head.properties, None) is None
    assert bits == 0 or cipher.opened(sealed, head.properties, OTHER) is None
