"""The machinery of the catalogue: overlays, and what encoding refuses."""

from __future__ import annotations

import pytest
from construct import Struct

from protocol.catalog import EncodeError, Row, catalog, encode, overlay
from protocol.fields import U8


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "the field 'n' is missing"),
        ({"n": 256}, "n: 256 is no integer from 0 to 255"),
        ({"n": -1}, "n: -1 is no integer from 0 to 255"),
        ({"n": "x"}, "n: 'x' is no integer from 0 to 255"),
        ({"n": None}, "n: None is no integer"),
        ({"n": 1, "k": 1}, "no field k; there are n"),
    ],
)
def test_what_does_not_fit_is_named(fields: dict[str, object], text: str) -> None:
    with pytest.raises(EncodeError, match="message: ") as caught:
        encode(Struct("n" / U8), fields, name="message")
    assert text in str(caught.value)


# --- tables ---

ONE = Row(0x0001, "one", "一", Struct(), "doc 1")
TWO = Row(0x8002, "two", "二", Struct(), "doc 2")


def test_overlays() -> None:
    base = catalog(ONE, TWO)
    new = Row(0x0001, "other", "", Struct("n" / U8), "later 1")
    assert overlay(base, add=[new]) == {0x0001: new, 0x8002: TWO}
    assert overlay(base, remove=[0x0001]) == {0x8002: TWO}
    cited = overlay(base, clauses={0x8002: "later 2"})[0x8002]
    assert (cited.clause, cited.layout, cited.name) == ("later 2", TWO.layout, "two")
    assert base == {0x0001: ONE, 0x8002: TWO}
    assert (ONE.uplink, TWO.uplink) == (True, False)
    with pytest.raises(ValueError, match="two rows for 0x0001: one and other"):
        catalog(ONE, new)
    with pytest.raises(KeyError):
        overlay(base, remove=[0x0009])
