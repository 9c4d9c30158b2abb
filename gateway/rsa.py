"""RSA on the link: our key pair, the exchange of keys, bodies opened and sealed.

What is agreed with terminals, and what it is worth, stands in `protocol/cipher.py`. The pair lies in the data
folder (mode 0600) and is made when it is first needed. Knows sessions and the cipher; no socket, no table.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.session import Session
from protocol import cipher
from protocol.codec import Profile
from protocol.header import RSA, Edition
from protocol.link import Message

log = structlog.get_logger(__name__)

BITS = 1024
"""Of our modulus: 0x8A00 has room for 128 bytes (808-2013 table 95) and no other length."""


class Plain:
    """RSA is off: bodies under it are kept as they came."""

    def opened(self, message: Message) -> Message | None:
        return None

    def sealed(self, session: Session, body: bytes) -> tuple[bytes, int]:
        return body, 0

    def arrived(self, session: Session) -> None:
        pass

    def learn(self, session: Session, message: Message) -> None:
        pass


class Keys:
    """RSA is on: our key is told to each terminal that authenticates; `seal`: commands are encrypted too."""

    def __init__(self, key: rsa.RSAPrivateKey, *, seal: bool) -> None:
        self._key = key
        self._seal = seal
        self._profiles = {edition: Profile(edition) for edition in Edition}

    def opened(self, message: Message) -> Message | None:
        """`message` with its body in the clear; None where it is not for us (about 1 ms a block)."""
        body = cipher.opened(message.body, message.encryption, self._key)
        return None if body is None else msgspec.structs.replace(message, body=body, encryption=0)

    def sealed(self, session: Session, body: bytes) -> tuple[bytes, int]:
        """`body` for this terminal, and the encryption bits of its header."""
        if not self._seal or session.key is None:
            return body, 0
        return cipher.encrypt(body, session.key), RSA

    def arrived(self, session: Session) -> None:
        """Tells a terminal our key: 0x8A00, which it answers by its own in 0x0A00."""
        body = self._profiles[session.edition].encode(0x8A00, cipher.key_fields(self._key))
        session.link.send(0x8A00, body, session.now)
        session.flush()

    def learn(self, session: Session, message: Message) -> None:
        """0x0A00: the terminal's key, for this session."""
        try:
            fields = self._profiles[session.edition].decode(0x0A00, message.body).fields
            session.key = cipher.public_key(fields)
        except (cipher.CipherError, KeyError) as error:
            session.services.counters.faults["rsa_key"] += 1
            log.info("no key in a 0x0A00", phone=session.phone, error=str(error))


def load_or_make(path: Path) -> rsa.RSAPrivateKey:
    """Our key pair. ValueError with a sentence where the file holds none."""
    if path.exists():
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), None)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} holds no private key: {error}.") from error
        if not isinstance(key, rsa.RSAPrivateKey) or key.key_size > BITS:
            raise ValueError(f"{path} holds no RSA key of {BITS} bits; a message has no room for another.")
        return key
    key = rsa.generate_private_key(65537, BITS)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    return key
