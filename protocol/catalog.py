"""The machinery of the catalogue: rows, overlays, and what is done with a layout.

This file knows layouts, not their content: the tables stand in `protocol/messages/`. A message is a row;
an edition or a dialect is a table laid over another one. `decode` gives what a body holds even where it
is broken: the fields up to the break, the rest as bytes, and the place.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from construct import Construct, ConstructError

from protocol.walk import Break, Decoded, Field, Scope, Walk

__all__ = [
    "Break",
    "Catalog",
    "Decoded",
    "EncodeError",
    "Field",
    "Row",
    "catalog",
    "decode",
    "encode",
    "overlay",
]

UPLINK_END = 0x8000
"""Ids below are sent by terminals, ids from here on by platforms (808-2013 table 3 ff.)."""


class Row(msgspec.Struct, frozen=True):
    """One message of the standards."""

    id: int
    name: str
    title: str  # Chinese, as operators know it
    layout: Construct
    clause: str  # where it is defined
    answer: int = 0  # the message that answers this one; 0: the general acknowledgement
    acknowledged: bool = True  # the receiver answers with a general acknowledgement
    # How much sense decoded fields make, where several rows could read a body: the highest wins.
    sense: Callable[[Mapping[str, Any]], int] | None = None
    dialect: str = ""  # whose form it is, where a standard or a province has one of its own

    @property
    def uplink(self) -> bool:
        return self.id < UPLINK_END


Catalog = Mapping[int, Row]


def catalog(*rows: Row) -> dict[int, Row]:
    """A table of rows; ValueError where two share an id."""
    table: dict[int, Row] = {}
    for row in rows:
        if row.id in table:
            raise ValueError(f"two rows for {row.id:#06x}: {table[row.id].name} and {row.name}")
        table[row.id] = row
    return table


def overlay(
    base: Catalog,
    *,
    add: Iterable[Row] = (),
    remove: Iterable[int] = (),
    clauses: Mapping[int, str] | None = None,
) -> dict[int, Row]:
    """`base` with rows replaced or added, rows taken away, and the rest cited from another document."""
    table = dict(base)
    for message_id in remove:
        del table[message_id]
    for message_id, clause in (clauses or {}).items():
        table[message_id] = msgspec.structs.replace(table[message_id], clause=clause)
    table.update(catalog(*add))
    return table


class EncodeError(ValueError):
    """Fields that their layout can't carry; the text names message, field and reason."""


def decode(
    layout: Construct,
    body: bytes,
    *,
    present: bool = False,
    explain: bool = False,
    dialect: str | None = None,
    clause: str = "",
) -> Decoded:
    """The fields of `body`. Never raises for what a peer may send.

    `present` gives JSON-ready values (hex for bytes, ISO 8601 for times); `explain` also lists each field
    with its place, in the order of the bytes, citing `clause`. `dialect` decides between readings of an
    item that fit equally.
    """
    walk = Walk(body, present=present, explain=explain, dialect=dialect, clause=clause)
    fields = walk.value(layout, Scope(), "")
    return Decoded(fields, body[walk.at :], walk.breaks, walk.parts)


def encode(layout: Construct, fields: Mapping[str, Any], *, name: str = "body") -> bytes:
    """`fields` as bytes; EncodeError names what does not fit, or that nobody asked for."""
    known = [field.name for field in getattr(layout, "subcons", ())]
    if strange := [field for field in fields if field not in known]:
        raise EncodeError(f"{name}: no field {', '.join(strange)}; there are {', '.join(known) or 'none'}")
    try:
        built: bytes = layout.build(dict(fields))
    except KeyError as error:
        raise EncodeError(f"{name}: the field {error.args[0]!r} is missing") from error
    except (ConstructError, ValueError, TypeError, AttributeError) as error:
        raise EncodeError(f"{name}: {_reason(error)}") from error
    return built


def _reason(error: Exception) -> str:
    """What construct says of a field, as `field: value and range`."""
    text = str(error).splitlines()[-1]
    if refused := _REFUSED.search(text):
        code, value = refused.groups()
        bits = 8 * struct.calcsize(code)
        low, high = (0, (1 << bits) - 1) if code[-1].isupper() else (-(1 << bits - 1), (1 << bits - 1) - 1)
        text = f"{value} is no integer from {low} to {high}"
    steps = (getattr(error, "path", None) or "").split(" -> ")[1:]
    # A field with docs is named twice, one without a name of its own "None".
    following = [step.partition("[")[0] for step in steps[1:]] + [""]
    where = ".".join(s for s, after in zip(steps, following, strict=False) if s not in {"None", after})
    return f"{where}: {text}" if where else text


_REFUSED = re.compile(r"struct '(.+?)' error during building, given value (.*)")
