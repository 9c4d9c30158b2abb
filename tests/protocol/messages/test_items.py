"""The items of 808 itself, by hand from its tables."""

from __future__ import annotations

from typing import Any

import pytest

from protocol import catalog
from protocol.catalog import EncodeError
from protocol.items import read_item
from protocol.messages import ITEMS
from protocol.messages.items import IO, ITEMS_808, SIGNAL
from tests.protocol.own import vectors

OWN = vectors("items")


def test_every_item_has_a_vector_of_its_own() -> None:
    assert {item.id for item in ITEMS_808} <= {int(vector["item"], 16) for vector in OWN}


@pytest.mark.parametrize("vector", OWN, ids=[f"{v['item']}-{n}" for n, v in enumerate(OWN)])
def test_own_vector(vector: dict[str, Any]) -> None:
    raw = bytes.fromhex(vector["value"])
    found = read_item(ITEMS, int(vector["item"], 16), raw, present=True)
    assert found.item is not None
    assert (found.item.name, found.item.clause) == (vector["name"], vector["clause"])
    assert found.fields == vector["fields"]
    assert catalog.encode(found.item.layout, vector["fields"]) == raw


@pytest.mark.parametrize(
    ("item_id", "raw"),
    [
        (0x06, "01"),
        (0x11, ""),
        (0x11, "0000"),
        (0x2B, "00" * 8),
        (0x05, "00" * 8),
        (0x31, "0000"),
        (0x51, "00"),
    ],
)
def test_lengths_of_other_makers_stay_raw(item_id: int, raw: str) -> None:
    found = read_item(ITEMS, item_id, bytes.fromhex(raw))
    assert (found.item, found.raw.hex(), found.fields) == (None, raw, {})


def test_names_of_signals() -> None:
    """808-2013 table 31 and 32."""
    assert SIGNAL.names(0x5003) == ["low_beam", "high_beam", "abs", "clutch"]
    assert IO.names(3) == ["deep_sleep", "sleep"]


def test_a_temperature_beyond_its_sign() -> None:
    layout = next(item.layout for item in ITEMS_808 if item.id == 0x06)
    with pytest.raises(EncodeError, match="-32767 to 32767"):
        catalog.encode(layout, {"temperature": 40000})
