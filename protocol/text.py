"""The text of a field to bytes and back: GB18030, with what is no text kept and shown.

This file knows bytes and characters, not fields.
"""

from __future__ import annotations

import re


class RawText(str):
    """Text that remembers its bytes, where encoding the text would not give them back."""

    __slots__ = ("raw",)
    raw: bytes

    def __new__(cls, text: str, raw: bytes) -> RawText:
        self = super().__new__(cls, text)
        self.raw = raw
        return self


def decode_text(raw: bytes) -> str:
    """GB18030 (which holds GBK), else UTF-8, else GB18030 with the odd bytes as \\xNN.

    The standards say GBK (808-2013 clause 4.2 table 1, STRING); some devices send UTF-8. A backslash
    that stands before an x in the text itself is shown as \\x5c, so that what is shown has one reading
    and `encode_text` finds the bytes again after a trip through JSON (which only UTF-8 text does not
    survive: it comes back as GB18030).
    """
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        try:
            return RawText(_shown(raw.decode()), raw)
        except UnicodeDecodeError:
            text = raw.decode("gb18030", "surrogateescape")
    shown = _shown(text)
    if encode_text(shown) != raw:  # two byte sequences for one character
        shown = _shown(raw.decode("ascii", "surrogateescape"))
    return shown if shown == text else RawText(shown, raw)


def _shown(text: str) -> str:
    """Text with the bytes that are none (surrogates) as \\xNN."""
    text = text.replace("\\x", "\\x5cx")
    return _ODD_BYTE.sub(lambda odd: f"\\x{ord(odd[0]) & 0xFF:02x}", text)


_ODD_BYTE = re.compile("[\udc80-\udcff]")
_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")


def encode_text(value: str) -> bytes:
    """Text as GB18030; \\xNN stands for the byte NN. A `RawText` gives back the bytes it was read from."""
    if isinstance(value, RawText):
        return value.raw
    if "\\x" not in value:
        return value.encode("gb18030")
    parts = _ESCAPE.split(value)  # text, two digits, text, two digits, … text
    return b"".join(
        bytes.fromhex(part) if place % 2 else part.encode("gb18030") for place, part in enumerate(parts)
    )
