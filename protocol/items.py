"""Additional items of a location report: where they are, and which layout reads a value.

This file knows how an item is chosen, not what items there are: the tables stand in
`protocol/messages/`. One id means different things to different makers, and one item has different
lengths in different dialects; so the length decides, and then whether the fields make sense. An item
that nothing can read stays raw; it never spoils its neighbours.

The list of a healthy report is walked by `protocol/location.py`. What that leaves over is looked at here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
from construct import Construct, ConstructError

from protocol.catalog import Break, Decoded, decode
from protocol.composite import Composite, Walker, end_of
from protocol.fields import RawRest
from protocol.location import SIZE, Location


class Item(msgspec.Struct, frozen=True):
    """One reading of one additional item."""

    id: int
    name: str
    title: str  # Chinese
    layout: Construct
    clause: str
    lengths: Callable[[int], bool]  # which lengths of the value this reading takes
    dialect: str = ""  # "su", "guangdong", "1078" …; empty: of 808 itself
    # Whether decoded fields can be true, where other readings have the same length.
    plausible: Callable[[Mapping[str, Any]], bool] | None = None


def exactly(*lengths: int) -> Callable[[int], bool]:
    return frozenset(lengths).__contains__


def steps(base: int, step: int) -> Callable[[int], bool]:
    """base, base + step, base + 2 * step …"""
    return lambda length: length >= base and (length - base) % step == 0


class ItemValue(msgspec.Struct):
    """One additional item as read."""

    id: int
    raw: bytes
    item: Item | None  # None: no reading fits, `fields` is empty
    fields: dict[str, Any]
    rest: bytes = b""
    breaks: tuple[Break, ...] = ()


ItemTable = Mapping[int, tuple[Item, ...]]


def item_table(*groups: Iterable[Item]) -> dict[int, tuple[Item, ...]]:
    """Readings by id, in the order of the groups: earlier ones are tried first."""
    table: dict[int, tuple[Item, ...]] = {}
    for group in groups:
        for item in group:
            table[item.id] = (*table.get(item.id, ()), item)
    return table


def read_item(
    table: ItemTable, item_id: int, raw: bytes, *, dialect: str | None = None, present: bool = False
) -> ItemValue:
    """The reading of one item. `dialect` pins it where a terminal's habit is known."""
    item, decoded = choose(table, item_id, raw, dialect=dialect, present=present)
    if item is None or decoded is None:
        return ItemValue(item_id, raw, None, {})
    return ItemValue(item_id, raw, item, decoded.fields, decoded.rest, tuple(decoded.breaks))


def choose(
    table: ItemTable,
    item_id: int,
    raw: bytes,
    *,
    dialect: str | None = None,
    present: bool = False,
    explain: bool = False,
) -> tuple[Item | None, Decoded | None]:
    """The first reading whose length fits and whose fields make sense."""
    readings = table.get(item_id, ())
    if dialect is not None:
        readings = tuple(sorted(readings, key=lambda item: item.dialect != dialect))
    for item in readings:
        if not item.lengths(len(raw)):
            continue
        decoded = decode(item.layout, raw, present=present, explain=explain)
        if decoded.breaks or decoded.rest:
            continue
        if item.plausible is None or item.plausible(decoded.fields):
            return item, decoded
    return None, None


# --- where the items are ------------------------------------------------------------------------------


class Place(NamedTuple):
    """One item in the bytes after the fixed part: id and length at `start`, the value from `value`."""

    id: int
    start: int
    value: int
    stop: int


CODINGS = ((2, 1), (2, 2), (1, 4))
"""Sizes of id and length that some makers use for their own items, behind standard ones (1, 1)."""

FIXED_TAIL = 20
"""So many bytes behind the fixed part that are no item list are one maker's own record."""


def places(data: bytes) -> list[Place]:
    """The items of `data` (the body of a report after its fixed part), in their order.

    One byte of id and one of length (808-2013 table 26) first. Where that does not come out even: zeros at
    the end are padding; the tail may have one of the other `CODINGS`, if it begins where such an item can
    and is consumed to its last byte; else the items up to the break. Bytes behind the last place are none.
    """
    found = _chain(data, 0, 1, 1)
    end = found[-1].stop if found else 0
    if any(data[end:]):
        if len(data) == FIXED_TAIL:
            return []
        return _recoded(data, found, end) or found
    while found and found[-1].id == 0 and found[-1].value == found[-1].stop:
        found.pop()
    return found


def _chain(data: bytes, at: int, id_size: int, length_size: int) -> list[Place]:
    """Items of one coding from `at` on, as far as they go."""
    found, end, head = [], len(data), id_size + length_size
    while at + head <= end:
        value = at + head
        stop = value + int.from_bytes(data[at + id_size : value])
        if stop > end:
            break
        found.append(Place(int.from_bytes(data[at : at + id_size]), at, value, stop))
        at = stop
    return found


def _recoded(data: bytes, found: list[Place], end: int) -> list[Place] | None:
    """The items with a tail of another coding. A tail of two-byte ids begins with a zero (0 is no id of
    one byte), one of four-byte lengths with an id and zeros; the break itself may be either."""
    for number, start in enumerate([*(place.start for place in found), end]):
        for id_size, length_size in CODINGS:
            if start < end and data[start + (length_size == 4)] != 0:
                continue
            tail = _chain(data, start, id_size, length_size)
            if tail and tail[-1].stop == len(data) and all(place.id for place in tail):
                return found[:number] + tail
    return None


def reread(report: Location, body: bytes) -> Location:
    """`report`, which `location.read` made of `body`, with a second look at the item list.

    For reports whose `left` is not empty: 1 in some thousands, so the hot path has none of it.
    """
    data = body[SIZE:]
    found = places(data)
    items = [(place.id, data[place.value : place.stop]) for place in found]
    left = data[found[-1].stop if found else 0 :]
    return msgspec.structs.replace(report, items=items, left=left if any(left) else b"")


# --- the list as a field --------------------------------------------------------------------------------


class Items(Composite):
    """The item list at the end of a body: a list of {id, name, value} in the order sent.

    `dialect` stands beside the name where a reading belongs to one. Encoding takes the same list; an item
    may be named by id or by name, and a value that is no mapping is bytes (or their hex).
    """

    def __init__(self, table: ItemTable) -> None:
        super().__init__()
        self.table = table
        self._named: dict[str, tuple[Item, ...]] = {}
        for item in (item for group in table.values() for item in group):
            self._named[item.name] = (*self._named.get(item.name, ()), item)

    def walk(self, walker: Walker, context: Any, path: str) -> Any:
        data = walker.peek(walker.left)
        clause = walker.clause
        found: list[dict[str, Any]] = []
        for place in places(data):
            raw = data[place.value : place.stop]
            item, _ = choose(self.table, place.id, raw, dialect=walker.dialect)
            where = f"{path}[{len(found)}]"
            if item is not None:
                walker.clause = item.clause
                where = f"{where}.{item.name}"
            why = _why(item, self.table.get(place.id, ()), len(raw), walker.dialect)
            walker.skip(place.value - place.start, where, f"{place.id:#04x}", _about(item), why)
            layout = item.layout if item is not None else RawRest
            value = walker.within(len(raw), layout, context, where)
            found.append(_entry(f"{place.id:#04x}" if walker.present else place.id, item, value))
            walker.clause = clause
        return found

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        start, end = stream.tell(), end_of(stream)
        data = stream.read(end - start)
        found, last = [], 0
        for place in places(data):
            value = read_item(self.table, place.id, data[place.value : place.stop])
            found.append(_entry(place.id, value.item, value.fields if value.item else value.raw))
            last = place.stop
        stream.seek(start + last)
        return found

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        for entry in obj:
            item_id, raw = self._encoded(entry)
            if not 0 < item_id < 256:
                raise ValueError(f"item {item_id:#04x}: ids go from 0x01 to 0xff")
            if len(raw) > 255:
                raise ValueError(f"item {item_id:#04x} has {len(raw)} bytes, the most is 255")
            stream.write(bytes((item_id, len(raw))) + raw)
        return obj

    def shape(self, shape: Callable[[Construct], dict[str, Any]]) -> dict[str, Any]:
        names = sorted(self._named)
        entry = {
            "id": {"type": ["string", "integer"], "title": "附加信息ID", "description": "0x01 to 0xff"},
            "name": {"enum": [*names, ""], "title": "名称", "description": "of the reading"},
            "value": {"type": ["object", "string"], "title": "附加信息", "description": "its fields, or hex"},
            "dialect": {"type": "string", "title": "方言", "description": "whose reading it is"},
        }
        items = {"type": "object", "properties": entry, "required": ["value"], "additionalProperties": False}
        return {"type": "array", "items": items, "x-wire": "to the end, BYTE id, BYTE n, n bytes"}

    def sample(self, example: Callable[[Construct], Any]) -> Any:
        first = next(iter(self.table.values()))[0]
        return [_entry(f"{first.id:#04x}", first, example(first.layout))]

    def _encoded(self, entry: Mapping[str, Any]) -> tuple[int, bytes]:
        """Id and value of one entry. Among readings of one name, the first that its fields fit."""
        value, name, dialect = entry["value"], entry.get("name"), entry.get("dialect", "")
        item_id = entry.get("id")
        if isinstance(item_id, str):
            item_id = int(item_id, 16)
        if not isinstance(value, Mapping):
            return self._readings(name)[0].id if item_id is None else item_id, RawRest.build(value)
        readings = self._readings(name) if name else self.table.get(item_id or 0, ())
        reason: Exception = ValueError(f"item {item_id!r} has no layout; give its bytes")
        for item in sorted(readings, key=lambda item: item.dialect != dialect):
            if not value.keys() <= {field.name for field in item.layout.subcons}:
                reason = ValueError(f"item {item.name}: no reading has the fields {', '.join(value)}")
                continue
            try:
                raw = item.layout.build(dict(value))
            except (ConstructError, ValueError, KeyError, TypeError, AttributeError) as error:
                reason = error
                continue
            if item.lengths(len(raw)):
                return item_id or item.id, raw
            reason = ValueError(f"item {item.name}: no reading has {len(raw)} bytes")
        raise reason

    def _readings(self, name: str | None) -> tuple[Item, ...]:
        if name not in self._named:
            raise ValueError(f"no item {name!r}; there are {', '.join(sorted(self._named))}")
        return self._named[name]


def _why(item: Item | None, readings: tuple[Item, ...], size: int, dialect: str | None) -> str:
    """Why an item is read so, where more than one reading has its id."""
    if len(readings) < 2:
        return ""
    fit = sum(reading.lengths(size) for reading in readings)
    if item is None:
        return f"none of {fit} readings of {size} bytes makes sense" if fit else f"no reading of {size} bytes"
    reading = item.dialect or "808"
    if item.dialect and item.dialect == dialect:
        return f"{reading}: the terminal's dialect"
    if fit == 1:
        return f"{reading}: the one reading of {size} bytes"
    return f"{reading}: of {fit} readings of {size} bytes the first that makes sense"


def _about(item: Item | None) -> str:
    return f"{item.title}: id and length of the item" if item is not None else "附加信息项: no layout"


def _entry(item_id: int | str, item: Item | None, value: Any) -> dict[str, Any]:
    entry = {"id": item_id, "name": item.name if item else "", "value": value}
    if item is not None and item.dialect:
        entry["dialect"] = item.dialect
    return entry
