"""Values for hypothesis, derived from a layout: what a field of it can hold."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from construct import (
    Bytes,
    Construct,
    Default,
    FormatField,
    GreedyBytes,
    IfThenElse,
    Pass,
    Rebuild,
    Renamed,
    Struct,
    Switch,
)
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from protocol.catalog import decode
from protocol.composite import Counted, Repeated, Sized
from protocol.fields import BcdTime, BcdTimeUtc, Codes, Mapped, Named, Text, TextUpTo
from protocol.fitting import Choice, Form, IfLeft, Times, Within
from protocol.items import Item, Items, ItemTable, read_item
from protocol.messages.areas import THING, PeriodTime
from protocol.messages.control import CommandFields, Maker
from protocol.messages.location import Reports
from protocol.messages.provinces import Characters
from protocol.messages.recorder import FROM_RECORDER, STARTS, TO_RECORDER, Packet
from protocol.parameters import Parameter, Parameters
from protocol.walk import Scope

FIRST, LAST = 946656000, 4102415999  # 2000-01-01 and 2099-12-31 in Beijing
SHORT = 40  # bytes of a field without a size
FITTED = Sized | Choice | Within


def values(layout: Construct) -> SearchStrategy[Any]:
    """What `layout` can hold; fields that are made of others when it is built are left out."""
    for kind, make in MAKERS:
        if isinstance(layout, kind):
            return make(layout)
    raise TypeError(f"no values for {layout!r}")


def fields(layout: Struct) -> SearchStrategy[dict[str, Any]]:
    named = {sub.name: sub for sub in layout.subcons if not isinstance(bare(sub), Rebuild)}
    if any(isinstance(bare(sub), IfThenElse | Switch | IfLeft | FITTED) for sub in named.values()):
        return dependent(named)
    return st.fixed_dictionaries({name: values(sub) for name, sub in named.items()})


@st.composite
def dependent(draw: st.DrawFn, named: Mapping[str, Construct]) -> dict[str, Any]:
    """Fields of which some depend on those before them; absent ones are None."""
    found: dict[str, Any] = {}
    ended = False
    for name, sub in named.items():
        layout = bare(sub)
        if isinstance(layout, IfLeft):
            ended = ended or draw(st.booleans())
            layout = bare(layout.subcon)
        elif ended:
            raise TypeError(f"{name} stands behind fields that may be left off")
        chosen_one = None if ended else chosen(layout, Scope(found))
        if chosen_one is not None and isinstance(inner := inside(chosen_one), Choice):
            found[name] = draw(contents(inner, found))
        else:
            found[name] = None if chosen_one is None else draw(values(chosen_one))
        if isinstance(bare(sub), IfLeft) and found[name] == b"":
            found[name] = None  # no bytes, so it is not there
    return found


def inside(layout: Construct) -> Construct:
    """The field in a field of a stated size."""
    return bare(layout.subcon) if isinstance(layout, Sized | Within) else layout


def contents(layout: Choice, found: Mapping[str, Any]) -> SearchStrategy[Any]:
    """Of each form, and bytes that none takes."""

    def is_read_so(form: Form, value: Any) -> bool:
        return layout.form(found, form.layout.build(value)) is form

    raw = st.binary(max_size=SHORT).filter(lambda raw: layout.form(found, raw) is None)
    for form in layout.forms(found):
        raw = raw | values(form.layout).filter(functools.partial(is_read_so, form))
    return raw


def times(layout: Times) -> SearchStrategy[list[Any]]:
    """As many as there have to be, some of them alike; any number where a field is made of it."""
    if isinstance(layout.number, str):
        return st.lists(values(layout.element), max_size=3)
    few = st.lists(values(layout.element), min_size=1, max_size=3)
    return few.map(lambda found: [*itertools.islice(itertools.cycle(found), layout.number)])


def packets(layout: Packet) -> SearchStrategy[Any]:
    """Packets, refusals, and bytes that are neither; as they are read."""
    field = Struct("packet" / layout)
    raw = st.binary(max_size=SHORT).filter(lambda raw: raw[:2] not in STARTS)
    started = st.fixed_dictionaries({"start": st.sampled_from([FROM_RECORDER, TO_RECORDER])})
    made = (
        values(layout.packet)
        | values(layout.refusal)
        | values(layout.packet).flatmap(lambda packet: started.map(lambda start: packet | start))
    )
    built = made.map(lambda packet: field.build({"packet": {"block": b""} | packet}))
    return raw | built.map(lambda raw: decode(field, raw).fields["packet"])


def chosen(layout: Construct, scope: Scope) -> Construct | None:
    """What a field is, once the fields before it are known."""
    if isinstance(layout, IfThenElse):
        layout = layout.thensubcon if layout.condfunc(scope) else layout.elsesubcon
        return None if layout is Pass else layout
    if isinstance(layout, Switch):
        return layout.cases.get(layout.keyfunc(scope), layout.default)
    return layout


def bare(field: Construct) -> Construct:
    while isinstance(field, Renamed):
        field = field.subcon
    return field


def mapped(layout: Mapped) -> SearchStrategy[Any]:
    """From bytes, so that all that a wire may carry is tried."""
    if isinstance(layout, TextUpTo):
        return st.binary(max_size=min(layout.size, SHORT)).map(layout.decode)
    raw = values(layout.subcon).map(layout.decode)
    if layout is PeriodTime:
        return st.integers(FIRST + 366 * 86400, LAST - 86400) | periods() | raw
    if layout is BcdTime or layout is BcdTimeUtc:
        return st.integers(FIRST + 86400, LAST - 86400) | raw
    return raw


def characters(layout: Characters) -> SearchStrategy[str]:
    return st.text(layout.characters, min_size=layout.size or 1, max_size=layout.size or SHORT)


def periods() -> SearchStrategy[str]:
    """Times of an area that come again."""
    days = st.tuples(st.integers(0, 12), st.integers(0, 28))
    times = st.tuples(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
    digits = st.tuples(days, times).map(lambda parts: "".join(f"{n:02}" for part in parts for n in part))
    return digits.map(lambda text: PeriodTime.decode(bytes.fromhex("00" + text)))


def lists(layout: Counted | Repeated | Reports) -> SearchStrategy[list[Any]]:
    element = values(layout.element)
    if layout.element is THING:  # one of unknown length takes the rest, so there is none behind it
        known = element.filter(lambda control: control["type"] == 1)
        return st.tuples(st.lists(known, max_size=2), element).map(lambda parts: [*parts[0], parts[1]])
    return st.lists(element, max_size=3)


def numbers(field: FormatField) -> SearchStrategy[int]:
    bits = 8 * field.length
    if field.fmtstr[-1].isupper():
        return st.integers(0, (1 << bits) - 1)
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)


def entries(table: ItemTable) -> SearchStrategy[dict[str, Any]]:
    """Items of every reading, and some that nobody can read."""
    known = st.sampled_from([item for group in table.values() for item in group if not eclipsed(item, group)])
    unknown = st.sampled_from(sorted(set(range(1, 256)) - set(table)))
    strange = st.fixed_dictionaries({"id": unknown, "name": st.just(""), "value": st.binary(max_size=SHORT)})
    return (
        known.flatmap(lambda item: item_values(item, table).map(lambda value: entry(item, value))) | strange
    )


def eclipsed(item: Item, group: Sequence[Item]) -> bool:
    """Whether a reading before `item` takes its lengths, so that only a pinned dialect has it."""
    return any(takes(first) == takes(item) for first in group[: group.index(item)])


def takes(item: Item) -> list[int]:
    return [length for length in range(256) if item.lengths(length)]


def entry(item: Item, value: Mapping[str, Any]) -> dict[str, Any]:
    shown = {"id": item.id, "name": item.name, "value": value}
    return shown | ({"dialect": item.dialect} if item.dialect else {})


def parameters(layout: Parameters) -> SearchStrategy[list[dict[str, Any]]]:
    """Parameters of every reading, ids that nobody knows, and values of lengths that none has."""
    readings = [
        reading for number, group in layout.table.items() for reading in group if number == reading.id
    ]
    raw = st.binary(max_size=SHORT)
    ids = st.sampled_from([reading.id for reading in readings]) | st.integers(0x0200, 0xFFFFFFFF)
    pairs = st.tuples(ids, raw).filter(lambda pair: layout.reading(*pair) is None)
    strange = pairs.map(lambda pair: {"id": pair[0], "name": "", "value": pair[1]})
    known = st.sampled_from(readings).flatmap(lambda reading: parameter(layout, reading))
    return st.lists(known | strange, max_size=4)


def parameter(layout: Parameters, reading: Parameter) -> SearchStrategy[dict[str, Any]]:
    shown = {"name": reading.name} | ({"dialect": reading.dialect} if reading.dialect else {})
    ids = st.integers(reading.id, max(reading.id, reading.last))
    fitting = values(reading.layout).filter(
        lambda value: layout.reading(reading.id, reading.layout.build(value)) is reading
    )
    return st.tuples(ids, fitting).map(lambda pair: {"id": pair[0], "value": pair[1]} | shown)


def command_fields(layout: CommandFields) -> SearchStrategy[dict[str, Any]]:
    """From bytes between semicolons, so that all ways to read them are tried."""
    field = st.sampled_from([b"", b"0", b"80", b"7611"]) | st.binary(max_size=6)
    return st.lists(field, max_size=15).map(b";".join).map(layout.parse)


def item_values(item: Item, table: ItemTable, dialect: str | None = None) -> SearchStrategy[dict[str, Any]]:
    """Values that `item` is the reading of, for a terminal of this dialect."""

    def counted(value: dict[str, Any]) -> dict[str, Any]:
        lists = [part for part in value.values() if isinstance(part, list)]
        return value | ({"count": len(lists[0])} if "count" in value and lists else {})

    def is_read_so(value: dict[str, Any]) -> bool:
        raw = item.layout.build(value)
        return item.lengths(len(raw)) and read_item(table, item.id, raw, dialect=dialect).item is item

    return values(item.layout).map(counted).filter(is_read_so)


def splits(data: bytes) -> SearchStrategy[list[bytes]]:
    """`data` in pieces, as a connection may deliver it."""

    def cut(places: list[int]) -> list[bytes]:
        edges = [0, *sorted(places), len(data)]
        return [data[a:b] for a, b in itertools.pairwise(edges)]

    return st.lists(st.integers(0, len(data)), max_size=12).map(cut)


MAKERS: tuple[tuple[Any, Callable[[Any], SearchStrategy[Any]]], ...] = (
    (Struct, fields),
    (Characters, characters),
    (Mapped, mapped),
    (Codes, lambda layout: st.sampled_from(sorted(layout.table)) | values(layout.subcon)),
    ((Renamed, Named, Sized, Default), lambda layout: values(layout.subcon)),
    ((Counted, Repeated, Reports), lists),
    (Times, times),
    (Packet, packets),
    (Parameters, parameters),
    (CommandFields, command_fields),
    # Those of 5 bytes: among random bytes, some of 11 would look like one of 5.
    (Maker, lambda layout: st.binary(max_size=5).map(Text(5).decode)),
    (IfLeft, lambda layout: st.none() | values(layout.subcon)),
    (Items, lambda layout: st.lists(entries(layout.table), max_size=4)),
    (FormatField, numbers),
    (type(GreedyBytes), lambda layout: st.binary(max_size=SHORT)),
    (Bytes, lambda layout: st.binary(min_size=layout.length, max_size=layout.length)),
)
