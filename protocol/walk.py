"""The one walk over a body: it decodes and explains, and stops where the bytes stop making sense.

This file knows layouts, not messages. How a layout is walked is made out once (`step`): neighbouring
fields of a fixed size are then read by one `struct`, the rest field by field. Explaining goes field by
field always, for it wants to know where each of them is.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from construct import (
    Construct,
    ConstructError,
    Default,
    GreedyBytes,
    IfThenElse,
    Pass,
    Rebuild,
    Renamed,
    StreamError,
    Struct,
    Switch,
)

from protocol.composite import Composite
from protocol.fast import Converter, derive
from protocol.fields import Mapped, Named, doc


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
    title: str  # Chinese
    meaning: str
    unit: str
    clause: str = ""


class Decoded(msgspec.Struct):
    """What a body holds."""

    fields: dict[str, Any]
    rest: bytes = b""  # bytes that the layout does not reach
    breaks: list[Break] = msgspec.field(default_factory=list)
    parts: list[Field] = msgspec.field(default_factory=list)


class Scope(dict[str, Any]):
    """The fields read so far, for those that depend on them (`this.count`); `_` is the scope around it."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    __setattr__ = dict.__setitem__  # construct's own repeaters keep their index here


class Walk:
    """One pass over a body, field by field. Stops at the first field that can't be read."""

    def __init__(
        self, body: bytes, *, present: bool, explain: bool, dialect: str | None, clause: str
    ) -> None:
        self.body = body
        self.at = 0
        self.end = len(body)
        self.stopped = False
        self.breaks: list[Break] = []
        self.parts: list[Field] = []
        self.present = present
        self.dialect = dialect
        self.clause = clause
        self.explain = explain
        self.doc = ""  # of the innermost field that has one

    @property
    def left(self) -> int:
        return self.end - self.at

    def value(self, sub: Construct, context: Any, path: str) -> Any:
        """The value of `sub` at the present place; partial where the walk stops inside it."""
        return step(sub)(self, context, path)

    def several(self, number: int | None, element: Construct, context: Any, path: str) -> list[Any]:
        """A list of `number` elements, or up to the end; no longer than the bytes that are there."""
        found: list[Any] = []
        if not self.explain and (run := _run_of(element)) is not None:
            found = run.read_all(self, number)
        read = step(element)
        while not self.stopped and (self.at < self.end if number is None else len(found) < number):
            before = self.at
            found.append(read(self, context, f"{path}[{len(found)}]"))
            if self.at == before and not self.left:
                break  # elements may have no bytes, their number is a claim
        return found

    def within(self, size: int, sub: Construct, context: Any, path: str) -> Any:
        """`sub` in the next `size` bytes: a break inside them does not stop what follows."""
        start = self.at
        if size > self.left:
            self.stop(start, path, f"{size} bytes announced, {self.left} there")
            return None
        outer_end, self.end = self.end, start + size
        found = step(sub)(self, context, path)
        if self.left:
            if not self.stopped:
                self.breaks.append(Break(self.at, path, f"{self.left} bytes more than the layout has"))
            self.skip(self.left, f"{path}.rest", self.body[self.at : self.end].hex(), UNREAD)
        self.end, self.stopped = outer_end, False
        self.at = start + size
        return found

    def peek(self, size: int) -> bytes:
        """The next bytes, without moving on."""
        return self.body[self.at : self.at + size]

    def skip(self, size: int, path: str, shown: Any, about: str, names: str = "") -> None:
        """Moves over bytes that a composite field has read itself; `about` is written as docs are."""
        start = self.at
        self.at += size
        outer, self.doc = self.doc, about
        self.note(path, start, shown, names)
        self.doc = outer

    def stop(self, offset: int, path: str, detail: str) -> None:
        self.breaks.append(Break(offset, path, detail))
        self.at = offset
        self.stopped = True

    def note(self, path: str, start: int, shown: Any, names: list[str] | str = "") -> None:
        """Adds the bytes from `start` to here to the explanation."""
        if self.explain:
            raw = self.body[start : self.at]
            self.parts.append(Field(path, start, raw, shown, names, *doc(self.doc), self.clause))


UNREAD = "剩余字节: not in the layout"

# --- how a layout is walked -----------------------------------------------------------------------------

Step = Callable[[Walk, Any, str], Any]
"""Reads a layout at the walk's place: walk, scope and path to the value."""


@lru_cache(8192)
def step(layout: Construct) -> Step:
    """How `layout` is walked, made out once."""
    for kind, make in _STEPS:
        if isinstance(layout, kind):
            return make(layout)
    return _leaf(layout)


def _renamed(layout: Renamed) -> Step:
    inner, docs = step(layout.subcon), layout.docs
    if not docs:
        return inner

    def walk_documented(walk: Walk, context: Any, path: str) -> Any:
        outer, walk.doc = walk.doc, docs
        value = inner(walk, context, path)
        walk.doc = outer
        return value

    return walk_documented


def _chosen(layout: IfThenElse) -> Step:
    condition, yes, no = layout.condfunc, step(layout.thensubcon), step(layout.elsesubcon)
    if not callable(condition):
        return yes if condition else no
    return lambda walk, context, path: (yes if condition(context) else no)(walk, context, path)


def _switched(layout: Switch) -> Step:
    key, default = layout.keyfunc, step(layout.default)
    cases = {case: step(sub) for case, sub in layout.cases.items()}
    if not callable(key):
        return cases.get(key, default)
    return lambda walk, context, path: cases.get(key(context), default)(walk, context, path)


def _absent(walk: Walk, context: Any, path: str) -> None:
    """What an `If` reads where it does not hold."""


def _struct(layout: Struct) -> Step:
    groups = _groups(layout.subcons)
    scoped = any(run is None for run, _ in groups)

    def walk_struct(walk: Walk, context: Any, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        scope = Scope(_=context) if scoped else None
        for run, fields in groups:
            if run is not None and not walk.explain and (read := run.read(walk)) is not None:
                found.update(read)
                if scope is not None:
                    scope.update(read)
                continue
            for name, read_field in fields:
                value = read_field(walk, scope, f"{path}.{name}" if path and name else path or name)
                if name and not (walk.stopped and value is None):
                    found[name] = value
                    if scope is not None:
                        scope[name] = value
                if walk.stopped:
                    return found
        return found

    return walk_struct


def _groups(fields: Sequence[Construct]) -> list[tuple[Run | None, list[tuple[str, Step]]]]:
    """Fields in their order, neighbours of a fixed size together."""
    groups: list[tuple[list[_Fixed], list[tuple[str, Step]]]] = []
    for field in fields:
        name, fixed = field.name or "", _fixed(field) if field.name else None
        if not groups or fixed is None or not groups[-1][0]:
            groups.append(([], []))
        if fixed is not None:
            groups[-1][0].append(fixed)
        groups[-1][1].append((name, step(field)))
    return [(Run([name for name, _ in steps], run) if run else None, steps) for run, steps in groups]


@lru_cache(8192)
def _run_of(layout: Construct) -> Run | None:
    """The one run that a layout is; None for all others."""
    layout = _bare(layout)
    groups = _groups(layout.subcons) if isinstance(layout, Struct) else []
    return groups[0][0] if len(groups) == 1 else None


class _Fixed(NamedTuple):
    """A field of a fixed size: how `struct` reads it, what is made of that, and how it is shown."""

    code: str
    decode: Converter | None
    show: Converter | None


def _bare(layout: Construct) -> Construct:
    """The field itself: names, docs and what only building needs taken off."""
    while isinstance(layout, Renamed | Rebuild | Default):
        layout = layout.subcon
    return layout


def _fixed(layout: Construct) -> _Fixed | None:
    layout = _bare(layout)
    try:
        code, decode, _ = derive(layout)
    except TypeError:
        return None
    show = layout.present if isinstance(layout, Mapped) else bytes.hex if code.endswith("s") else None
    return _Fixed(code, decode, show)


class Run:
    """Neighbouring fields of a fixed size, read at once."""

    def __init__(self, names: Sequence[str], fields: Sequence[_Fixed]) -> None:
        self._names = tuple(names)
        self._struct = struct.Struct(">" + "".join(field.code for field in fields))
        self._decoders = [(n, field.decode) for n, field in enumerate(fields) if field.decode]
        self._shows = [(n, field.show) for n, field in enumerate(fields) if field.show]

    def read(self, walk: Walk) -> dict[str, Any] | None:
        """The fields; None where some can't be read, and have to be looked at one by one."""
        stop = walk.at + self._struct.size
        if stop > walk.end:
            return None
        try:
            found = self._made(self._struct.unpack_from(walk.body, walk.at), walk.present)
        except UNREADABLE:
            return None
        walk.at = stop
        return found

    def read_all(self, walk: Walk, number: int | None) -> list[dict[str, Any]]:
        """So many times the fields, as far as they can be read."""
        size = self._struct.size
        whole = (walk.end - walk.at) // size
        count = whole if number is None else min(whole, number)
        rows = self._struct.iter_unpack(walk.body[walk.at : walk.at + count * size])
        found: list[dict[str, Any]] = []
        if self._plain(walk.present):
            names = self._names
            found = [dict(zip(names, values, strict=True)) for values in rows]  # half of what `_made` takes
        else:
            with contextlib.suppress(*UNREADABLE):
                for values in rows:
                    found.append(self._made(values, walk.present))
        walk.at += len(found) * size
        return found

    def _plain(self, present: bool) -> bool:
        """Whether the fields are what `struct` gives."""
        return not self._decoders and not (present and self._shows)

    def _made(self, raw: tuple[Any, ...], present: bool) -> dict[str, Any]:
        """The fields of what `struct` gives."""
        if self._plain(present):
            return dict(zip(self._names, raw, strict=True))
        values = list(raw)
        for place, decode in self._decoders:
            values[place] = decode(values[place])
        if present:
            for place, show in self._shows:
                values[place] = show(values[place])
        return dict(zip(self._names, values, strict=True))


UNREADABLE = (ConstructError, ValueError, KeyError, IndexError)
"""What reading a field may raise because of its bytes."""


def _leaf(layout: Construct) -> Step:
    """A field that holds no others."""
    layout = _bare(layout)
    read, size = _reader(layout)
    show: Callable[[Any], Any] | None = layout.present if isinstance(layout, Mapped) else None
    names = layout.names if isinstance(layout, Named) else None

    def walk_leaf(walk: Walk, context: Any, path: str) -> Any:
        start = walk.at
        if start + size > walk.end:
            walk.stop(start, path, f"{walk.end - start} bytes there, fewer than the field has")
            return None
        try:
            value = read(walk, context, path)
        except StreamError:
            walk.stop(start, path, f"{walk.end - start} bytes there, fewer than the field has")
            return None
        except UNREADABLE as error:
            walk.stop(start, path, (str(error).splitlines() or ["it can't be read"])[-1])
            return None
        if not (walk.explain or walk.present):
            return value
        shown = show(value) if show else value.hex() if isinstance(value, bytes) else value
        walk.note(path, start, shown, names(value) if names and walk.explain else "")
        return shown if walk.present else value

    return walk_leaf


def _reader(layout: Construct) -> tuple[Step, int]:
    """What reads a field, and the bytes that it needs at least."""
    if (field := _fixed(layout)) is not None:
        return _fixed_reader(field)
    if isinstance(layout, Mapped) and layout.subcon is GreedyBytes:
        decode = layout.decode

        def read_rest(walk: Walk, context: Any, path: str) -> Any:
            value = decode(walk.body[walk.at : walk.end])
            walk.at = walk.end
            return value

        return read_rest, 0

    def read_by_construct(walk: Walk, context: Any, path: str) -> Any:
        stream = io.BytesIO(walk.body[walk.at : walk.end])
        value = layout._parsereport(stream, context, path)
        walk.at += stream.tell()
        return value

    return read_by_construct, 0


def _fixed_reader(field: _Fixed) -> tuple[Step, int]:
    one, decode = struct.Struct(">" + field.code), field.decode

    def read_fixed(walk: Walk, context: Any, path: str) -> Any:
        (value,) = one.unpack_from(walk.body, walk.at)
        if decode is not None:
            value = decode(value)
        walk.at += one.size
        return value

    return read_fixed, one.size


_STEPS: tuple[tuple[Any, Callable[[Any], Step]], ...] = (
    (Renamed, _renamed),
    (Struct, _struct),
    (IfThenElse, _chosen),
    (Switch, _switched),
    ((Rebuild, Default), lambda layout: step(layout.subcon)),
    (Composite, lambda layout: layout.walk),
    (type(Pass), lambda layout: _absent),
)
