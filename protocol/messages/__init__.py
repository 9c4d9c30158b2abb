"""The catalogue: every message of each edition, and every reading of every additional item.

Composed of one file per chapter of the standards; each has `EDITIONS` (messages by edition), `DIALECTS`
(forms that a dialect has of its own), or a tuple of items that `location.py` puts into `ITEMS`. Content
only: the machinery is `protocol/catalog.py` and `protocol/items.py`, what users call is `protocol/codec.py`.
"""

from __future__ import annotations

from protocol.catalog import Catalog, catalog
from protocol.header import Edition
from protocol.messages import (
    areas,
    control,
    evidence,
    general,
    information,
    location,
    multimedia,
    parameters,
    passthrough,
    provinces,
    recorder,
    video,
)
from protocol.messages.location import ITEMS

CHAPTERS = (
    general,
    location,
    parameters,
    control,
    information,
    areas,
    video,
    evidence,
    recorder,
    multimedia,
    passthrough,
)

EDITIONS: dict[Edition, Catalog] = {
    edition: catalog(*(row for chapter in CHAPTERS for row in chapter.EDITIONS[edition].values()))
    for edition in Edition
}

_FORMS = [chapter.DIALECTS for chapter in (*CHAPTERS, provinces) if hasattr(chapter, "DIALECTS")]

DIALECTS: dict[str, Catalog] = {
    dialect: catalog(*(row for forms in _FORMS for row in forms.get(dialect, {}).values()))
    for dialect in dict.fromkeys(name for forms in _FORMS for name in forms)
}
"""Messages that a dialect has a form of its own of, whatever the edition."""

__all__ = ["DIALECTS", "EDITIONS", "ITEMS"]
