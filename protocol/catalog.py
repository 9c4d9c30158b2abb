"""The machinery of the catalogue: rows, overlays, and the one walk that decodes and explains.

This file knows layouts, not their content: the tables stand in `protocol/messages/`. A message is a row;
an edition or a dialect is a table laid over another one. `decode` gives what a body holds even where it
is broken: the fields up to the break, the rest as bytes, and the place.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from construct import (
    Construct,
    ConstructError,
    Container,
    IfThenElse,
    Renamed,
    StreamError,
    Struct,
    Switch,
)

from protocol.fields import Composite, Mapped, Named

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


class Break(msgspec.Struct, frozen=True):
    """Where a body stopped making sense."""

    offset: int
    path: str
    detail: str


class Field(msgspec.Struct, frozen=True):
    """One field as it stands in a body, for people to read."""

    path: str
    offset: int
    raw: bytes
    value: Any  # JSON-ready
    names: list[str] | str  # what a number or the bits of a word stand for
    meaning: str
    unit: str
    clause: str = ""


class Decoded(msgspec.Struct):
    """What a body holds."""

    fields: dict[str, Any]
    rest: bytes = b""  # bytes that the layout does not reach
    breaks: list[Break] = msgspec.field(default_factory=list)
    parts: list[Field] = msgspec.field(default_factory=list)


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
    fields = walk.value(layout, Container(), "")
    return Decoded(fields, body[walk.stream.tell() :], walk.breaks, walk.parts)


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
    where = (getattr(error, "path", None) or "").partition(" -> ")[2].replace(" -> ", ".")
    return f"{where}: {text}" if where else text


_REFUSED = re.compile(r"struct '(.+?)' error during building, given value (.*)")


class Walk:
    """One pass over a body, field by field. Stops at the first field that can't be read."""

    def __init__(
        self, body: bytes, *, present: bool, explain: bool, dialect: str | None, clause: str
    ) -> None:
        self.stream = io.BytesIO(body)
        self.body = body
        self.end = len(body)
        self.stopped = False
        self.breaks: list[Break] = []
        self.parts: list[Field] = []
        self.present = present
        self.dialect = dialect
        self.clause = clause
        self._explain = explain
        self._doc = ""

    @property
    def left(self) -> int:
        return self.end - self.stream.tell()

    def value(self, sub: Construct, context: Any, path: str) -> Any:
        """The value of `sub` at the present place; partial where the walk stops inside it."""
        if isinstance(sub, Renamed):
            if sub.docs:
                self._doc = sub.docs
            return self.value(sub.subcon, context, path)
        if isinstance(sub, Struct):
            return self._struct(sub, context, path)
        if isinstance(sub, IfThenElse):
            holds = sub.condfunc(context) if callable(sub.condfunc) else sub.condfunc
            return self.value(sub.thensubcon if holds else sub.elsesubcon, context, path)
        if isinstance(sub, Switch):
            key = sub.keyfunc(context) if callable(sub.keyfunc) else sub.keyfunc
            return self.value(sub.cases.get(key, sub.default), context, path)
        if isinstance(sub, Composite):
            return sub.walk(self, context, path)
        return self._leaf(sub, context, path)

    def within(self, size: int, sub: Construct, context: Any, path: str) -> Any:
        """`sub` in the next `size` bytes: a break inside them does not stop what follows."""
        start = self.stream.tell()
        if size > self.left:
            self.stop(start, path, f"{size} bytes announced, {self.left} there")
            return None
        outer_end, self.end = self.end, start + size
        found = self.value(sub, context, path)
        if self.left:
            unread = self.stream.tell()
            if not self.stopped:
                self.breaks.append(Break(unread, path, f"{self.left} bytes more than the layout has"))
            self.skip(self.left, f"{path}.rest", self.body[unread : self.end].hex(), "not in the layout")
        self.end, self.stopped = outer_end, False
        self.stream.seek(start + size)
        return found

    def peek(self, size: int) -> bytes:
        """The next bytes, without moving on."""
        here = self.stream.tell()
        return self.body[here : here + size]

    def skip(self, size: int, path: str, shown: Any, meaning: str) -> None:
        """Moves over bytes that a composite field has read itself."""
        start = self.stream.tell()
        self.stream.seek(start + size)
        self._doc = meaning
        self.note(path, start, shown)

    def stop(self, offset: int, path: str, detail: str) -> None:
        self.breaks.append(Break(offset, path, detail))
        self.stream.seek(offset)
        self.stopped = True

    def note(self, path: str, start: int, shown: Any, names: list[str] | str = "") -> None:
        """Adds the bytes from `start` to here to the explanation."""
        if self._explain:
            meaning, _, unit = self._doc.removesuffix("]").partition(" [")
            raw = self.body[start : self.stream.tell()]
            self.parts.append(Field(path, start, raw, shown, names, meaning, unit, self.clause))
        self._doc = ""

    def _struct(self, sub: Struct, context: Any, path: str) -> dict[str, Any]:
        inner = Container(_=context)
        found: dict[str, Any] = {}
        for field in sub.subcons:
            where = f"{path}.{field.name}" if path and field.name else path or field.name or ""
            value = self.value(field, inner, where)
            if field.name and not (self.stopped and value is None):
                inner[field.name] = value
                found[field.name] = value
            if self.stopped:
                break
        return found

    def _leaf(self, sub: Construct, context: Any, path: str) -> Any:
        start = self.stream.tell()
        try:
            if self.end < len(self.body):  # inside a sized field: it must not read beyond its bytes
                region = io.BytesIO(self.body[: self.end])
                region.seek(start)
                value = sub._parsereport(region, context, path)
                self.stream.seek(region.tell())
            else:
                value = sub._parsereport(self.stream, context, path)
        except StreamError:
            self.stop(start, path, f"{self.end - start} bytes there, fewer than the field has")
            return None
        except (ConstructError, ValueError, KeyError) as error:
            self.stop(start, path, str(error).splitlines()[-1])
            return None
        shown = value
        if isinstance(sub, Mapped):
            shown = sub.present(value)
        elif isinstance(value, bytes):
            shown = value.hex()
        if self._explain:
            self.note(path, start, shown, sub.names(value) if isinstance(sub, Named) else "")
        return shown if self.present else value
