"""Bodies under RSA: bits 10 to 12 of the properties are 001 (808-2013 and 808-2019 clause 4.4.3).

The standards say that a body is encrypted by RSA and how public keys are exchanged: {e, n} with n in 128
bytes, the platform's in 0x8A00, the terminal's in 0x0A00 (7.11). They say neither how a body is cut into
blocks nor how a block is padded. What is done here, and has to be agreed with whoever makes the terminal:

- The sender takes the receiver's public key.
- Padding is that of PKCS#1 v1.5 (RFC 8017 clause 7.2), what "RSA" means in Java, .NET and OpenSSL: blocks
  of at most k - 11 bytes (117 for a modulus of 1024 bits) become k bytes each and stand one behind the
  other; an empty body stays empty. Without padding a body would lose its length, and zeros in front.
- The whole body is encrypted, then cut into parts where it is too long for one packet. A terminal that
  encrypts each part by itself is read as well: parts are joined first, and the blocks are the same.
- Other values of the bits belong to makers. Their bodies stay as they are.

Such keys protect against listeners of an ordinary sort: nothing authenticates the keys or the bodies, and
1024 bits are few today. Where it matters, use TLS below.

This file knows numbers and bytes, not who has which key. A body that can't be decrypted must be answered as
one that can: an answer that tells the two apart gives the plain text away, bit by bit (Bleichenbacher).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicKey,
    RSAPublicNumbers,
)

from protocol.header import ENCRYPTION_MASK, RSA

MODULUS = 128
"""Bytes of a modulus on the wire."""
SMALLEST = 512
"""Bits of a modulus, at least: beneath, a terminal has sent something else."""
PADDING = 11
"""Bytes of a block that are not of the body, at least."""


class CipherError(ValueError):
    """A key that is none, or a body that this key does not open."""


def public_key(fields: Mapping[str, Any]) -> RSAPublicKey:
    """The key in the fields of a 0x0A00 or 0x8A00; CipherError where the numbers are no key."""
    n = fields["n"]
    modulus = int.from_bytes(bytes.fromhex(n) if isinstance(n, str) else n)
    if not modulus & 1 or modulus.bit_length() < SMALLEST:
        raise CipherError(f"no RSA key: a modulus of {modulus.bit_length()} bits, or an even one")
    try:
        return RSAPublicNumbers(fields["e"], modulus).public_key()
    except ValueError as error:
        raise CipherError(f"no RSA key: {error}") from error


def key_fields(key: RSAPrivateKey | RSAPublicKey) -> dict[str, Any]:
    """The fields of the message that tells `key` to the peer."""
    public = key.public_key() if isinstance(key, RSAPrivateKey) else key
    numbers = public.public_numbers()
    if public.key_size > 8 * MODULUS or numbers.e >> 32:
        raise CipherError(f"a key of {public.key_size} bits, the message has room for {8 * MODULUS}")
    return {"e": numbers.e, "n": numbers.n.to_bytes(MODULUS)}


def encrypt(body: bytes, key: RSAPublicKey) -> bytes:
    """`body` for the owner of `key`; its header needs `encryption=RSA`.

    Drawing the random bytes of the padding is left to the library: that they are drawn here, not handed in,
    is the one exception to the purity of this room.
    """
    size = _block(key) - PADDING
    try:
        return b"".join(key.encrypt(body[at : at + size], PKCS1v15()) for at in range(0, len(body), size))
    except ValueError as error:
        raise CipherError(f"the key does not encrypt: {error}") from error


def decrypt(body: bytes, key: RSAPrivateKey) -> bytes:
    """What `encrypt` was given; CipherError where `body` is not for `key`. About 1 ms a block.

    Not by the library: OpenSSL answers wrong padding by made-up bytes (implicit rejection), which would be
    taken for a report. A terminal that still has the key of yesterday must be noticed instead.
    """
    numbers = key.private_numbers()
    size = _block(key)
    if len(body) % size:
        raise CipherError(f"{len(body)} bytes are no blocks of {size}")
    return b"".join(_opened(body[at : at + size], numbers, size) for at in range(0, len(body), size))


def opened(body: bytes, properties: int, key: RSAPrivateKey | None) -> bytes | None:
    """The plain body of a message with these properties; None where nobody here can tell.

    That is: bits other than those of RSA, no key, or a body that is not for it.
    """
    bits = properties & ENCRYPTION_MASK
    if not bits:
        return body
    if bits != RSA or key is None:
        return None
    try:
        return decrypt(body, key)
    except CipherError:
        return None


def _block(key: RSAPrivateKey | RSAPublicKey) -> int:
    return (key.key_size + 7) // 8


def _opened(block: bytes, key: RSAPrivateNumbers, size: int) -> bytes:
    """The content of one block: 00 02, at least eight bytes that are not zero, 00, content."""
    public = key.public_numbers
    cipher = int.from_bytes(block)
    if cipher >= public.n:
        raise CipherError("a block that is larger than the modulus")
    # The time that the power takes tells of the key. So a multiple is taken to it that the sender can't
    # know, and that needs no randomness (blinding).
    mask = _mask(block, key)
    blinded = cipher * pow(mask, public.e, public.n) % public.n
    m1, m2 = pow(blinded, key.dmp1, key.p), pow(blinded, key.dmq1, key.q)
    masked = m2 + (m1 - m2) * key.iqmp % key.p * key.q
    plain = (masked * pow(mask, -1, public.n) % public.n).to_bytes(size)
    end = plain.find(b"\0", 2)
    if plain[:2] != b"\0\2" or end < PADDING - 1:
        raise CipherError("no padding of PKCS#1 v1.5: not encrypted for this key, or otherwise")
    return plain[end + 1 :]


def _mask(block: bytes, key: RSAPrivateNumbers) -> int:
    """A number that only the owner of `key` can make of `block`."""
    secret = key.d.to_bytes((key.d.bit_length() + 7) // 8)
    return int.from_bytes(hashlib.shake_256(secret + block).digest(MODULUS)) % key.public_numbers.n or 1
