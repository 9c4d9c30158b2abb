"""The catalogue: every message of each edition, and every reading of every additional item.

Composed of one file per chapter of the standards; each has `EDITIONS` (messages by edition), or a tuple of
items that `location.py` puts into `ITEMS`. Content only: the machinery is `protocol/catalog.py` and
`protocol/items.py`, what users call is `protocol/codec.py`.
"""

from __future__ import annotations

from protocol.catalog import Catalog, catalog
from protocol.header import Edition
from protocol.messages import general, location
from protocol.messages.location import ITEMS

CHAPTERS = (general, location)

EDITIONS: dict[Edition, Catalog] = {
    edition: catalog(*(row for chapter in CHAPTERS for row in chapter.EDITIONS[edition].values()))
    for edition in Edition
}

__all__ = ["EDITIONS", "ITEMS"]
