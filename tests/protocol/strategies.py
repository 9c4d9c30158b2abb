"""Values for hypothesis, derived from a layout: what a field of it can hold."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from construct import Bytes, Construct, FormatField, GreedyBytes, Rebuild, Renamed, Struct
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from protocol.fields import BcdTime, BcdTimeUtc, Counted, Mapped, Named, Repeated, Sized
from protocol.items import Item, Items, ItemTable, read_item
from protocol.messages.location import Reports

FIRST, LAST = 946656000, 4102415999  # 2000-01-01 and 2099-12-31 in Beijing
SHORT = 40  # bytes of a field without a size


def values(layout: Construct) -> SearchStrategy[Any]:
    """What `layout` can hold; fields that are made of others when it is built are left out."""
    for kind, make in MAKERS:
        if isinstance(layout, kind):
            return make(layout)
    raise TypeError(f"no values for {layout!r}")


def fields(layout: Struct) -> SearchStrategy[dict[str, Any]]:
    named = {sub.name: sub for sub in layout.subcons if not isinstance(bare(sub), Rebuild)}
    return st.fixed_dictionaries({name: values(sub) for name, sub in named.items()})


def bare(field: Construct) -> Construct:
    while isinstance(field, Renamed):
        field = field.subcon
    return field


def mapped(layout: Mapped) -> SearchStrategy[Any]:
    """From bytes, so that all that a wire may carry is tried."""
    raw = values(layout.subcon).map(layout.decode)
    if layout is BcdTime or layout is BcdTimeUtc:
        return st.integers(FIRST + 86400, LAST - 86400) | raw
    return raw


def numbers(field: FormatField) -> SearchStrategy[int]:
    bits = 8 * field.length
    if field.fmtstr[-1].isupper():
        return st.integers(0, (1 << bits) - 1)
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)


def entries(table: ItemTable) -> SearchStrategy[dict[str, Any]]:
    """Items of every reading, and some that nobody can read."""
    known = st.sampled_from([item for group in table.values() for item in group])
    unknown = st.sampled_from(sorted(set(range(1, 256)) - set(table)))
    strange = st.fixed_dictionaries({"id": unknown, "name": st.just(""), "value": st.binary(max_size=SHORT)})
    return (
        known.flatmap(lambda item: item_values(item, table).map(lambda value: entry(item, value))) | strange
    )


def entry(item: Item, value: Mapping[str, Any]) -> dict[str, Any]:
    shown = {"id": item.id, "name": item.name, "value": value}
    return shown | ({"dialect": item.dialect} if item.dialect else {})


def item_values(item: Item, table: ItemTable) -> SearchStrategy[dict[str, Any]]:
    """Values that `item` is the reading of."""

    def counted(value: dict[str, Any]) -> dict[str, Any]:
        lists = [part for part in value.values() if isinstance(part, list)]
        return value | ({"count": len(lists[0])} if "count" in value and lists else {})

    def is_read_so(value: dict[str, Any]) -> bool:
        raw = item.layout.build(value)
        return item.lengths(len(raw)) and read_item(table, item.id, raw).item is item

    return values(item.layout).map(counted).filter(is_read_so)


def splits(data: bytes) -> SearchStrategy[list[bytes]]:
    """`data` in pieces, as a connection may deliver it."""

    def cut(places: list[int]) -> list[bytes]:
        edges = [0, *sorted(places), len(data)]
        return [data[a:b] for a, b in itertools.pairwise(edges)]

    return st.lists(st.integers(0, len(data)), max_size=12).map(cut)


MAKERS: tuple[tuple[Any, Callable[[Any], SearchStrategy[Any]]], ...] = (
    (Struct, fields),
    (Mapped, mapped),
    ((Renamed, Named, Sized), lambda layout: values(layout.subcon)),
    ((Counted, Repeated, Reports), lambda layout: st.lists(values(layout.element), max_size=3)),
    (Items, lambda layout: st.lists(entries(layout.table), max_size=4)),
    (FormatField, numbers),
    (type(GreedyBytes), lambda layout: st.binary(max_size=SHORT)),
    (Bytes, lambda layout: st.binary(min_size=layout.length, max_size=layout.length)),
)
