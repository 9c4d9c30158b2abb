"""Text of terminals: whatever the bytes, they come back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.text import RawText, decode_text, encode_text


def reread(raw: bytes) -> bytes:
    """Through JSON and back: the bytes that `RawText` remembers are lost."""
    return encode_text(str.__str__(decode_text(raw)) + "")


@given(st.binary(max_size=40))
def test_any_bytes_come_back(raw: bytes) -> None:
    text = decode_text(raw)
    assert encode_text(text) == raw
    try:
        raw.decode("gb18030")
    except UnicodeDecodeError:
        try:
            raw.decode()
        except UnicodeDecodeError:
            assert reread(raw) == raw
    else:
        assert reread(raw) == raw


@given(st.text(st.characters(exclude_categories=["Cs", "Co", "Cn"]), max_size=20))
def test_text_is_gb18030(text: str) -> None:
    if "\\x" not in text:
        assert decode_text(text.encode("gb18030")) == text
        assert encode_text(text) == text.encode("gb18030")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\xd4\xc142", "粤42"),
        (b"\xff\x81", "\\xff\\x81"),
        (b"a\\x41", "a\\x5cx41"),  # a backslash of the text itself
        ("京".encode(), "京"),  # three bytes are no GB18030
        (b"\x95\x32\x82\x36", "𠀀"),  # four bytes, a character outside of GBK
    ],
)
def test_how_text_is_shown(raw: bytes, text: str) -> None:
    assert decode_text(raw) == text


def test_raw_text_is_still_text() -> None:
    text = decode_text(b"\xff")
    assert isinstance(text, RawText)
    assert (text, text.raw, text.upper()) == ("\\xff", b"\xff", "\\XFF")
