"""Additional items of a location report: which layout reads a value, and the walk over the item list.

This file knows how an item is chosen, not what items there are: the tables stand in
`protocol/messages/`. One id means different things to different makers, and one item has different
lengths in different dialects; so the length decides, and then whether the fields make sense. An item
that nothing can read stays raw; it never spoils its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from construct import Construct

from protocol.catalog import Break, Decoded, decode
from protocol.fields import Composite, RawRest, Walker, end_of
from protocol.location import walk_items


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
        if decoded.breaks:
            continue
        if item.plausible is None or item.plausible(decoded.fields):
            return item, decoded
    return None, None


class Items(Composite):
    """The item list at the end of a body, as a list of {id, name, value} in the order sent."""

    def __init__(self, table: ItemTable) -> None:
        super().__init__()
        self.table = table

    def walk(self, walker: Walker, context: Any, path: str) -> Any:
        found = []
        while not walker.stopped and walker.left >= 2:
            item_id, length = walker.peek(2)
            if 2 + length > walker.left:
                break
            raw = walker.peek(2 + length)[2:]
            item, _ = choose(self.table, item_id, raw)
            where = f"{path}[{len(found)}]"
            walker.skip(2, f"{where}.id", f"{item_id:#04x}", item.title if item else "")
            if item is None:
                value = walker.within(length, RawRest, context, where)
            else:
                value = walker.within(length, item.layout, context, f"{where}.{item.name}")
            found.append({"id": item_id, "name": item.name if item else "", "value": value})
        return found

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        start, end = stream.tell(), end_of(stream)
        data = stream.read(end - start)
        found, last = [], 0
        for at, item_id, raw in walk_items(data):
            value = read_item(self.table, item_id, raw)
            name = value.item.name if value.item else ""
            found.append({"id": item_id, "name": name, "value": value.fields if name else raw})
            last = at + 2 + len(raw)
        stream.seek(start + last)
        return found

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        """Takes the list that decoding gives; an item is named by id or name, raw values are bytes."""
        by_name = {item.name: item for group in self.table.values() for item in group}
        for entry in obj:
            raw = self._encode(entry, by_name, context, path)
            item_id = entry["id"] if "id" in entry else by_name[entry["name"]].id
            if len(raw) > 255:
                raise ValueError(f"item {item_id:#04x} has {len(raw)} bytes, the most is 255")
            stream.write(bytes((item_id, len(raw))) + raw)
        return obj

    def _encode(self, entry: Any, by_name: Mapping[str, Item], context: Any, path: str) -> bytes:
        value = entry["value"]
        if not isinstance(value, Mapping):
            built: bytes = RawRest.build(value)
            return built
        name = entry.get("name") or self.table[entry["id"]][0].name
        built = by_name[name].layout.build(dict(value))
        return built
