"""Fields that are what the bytes allow: left off at the end, counted elsewhere, one of several layouts.

This file knows bytes and layouts, not messages. What a field without a choice can be stands in `fields.py`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from construct import Bytes, Construct, ConstructError, Struct

from protocol.composite import Composite, Repeated, Walker, end_of, nullable, one_of
from protocol.fields import RawRest

UNREADABLE = (ConstructError, ValueError, KeyError, IndexError)
UNWRITABLE = (*UNREADABLE, TypeError, AttributeError)
"""What reading and writing a field may raise because of its bytes, or of its value."""


Shaper = Callable[[Construct], dict[str, Any]]
Sampler = Callable[[Construct], Any]


class IfLeft(Composite):
    """A field at the end of a body that may be left off: None where the body has ended.

    Encoding takes None, or no such field. `after` is the field in front that must not be left off before
    this one.
    """

    def __init__(self, subcon: Construct, after: str = "") -> None:
        super().__init__()
        self.subcon = subcon
        self.after = after
        self.flagbuildnone = True

    def walk(self, walker: Walker, context: Any, path: str) -> Any:
        return walker.value(self.subcon, context, path) if walker.left else None

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        return self.subcon._parsereport(stream, context, path) if stream.tell() < end_of(stream) else None

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        if obj is None:
            return None
        if self.after and context.get(self.after) is None:
            raise ConstructError(f"is given, it belongs here only behind {self.after}", path=path)
        return self.subcon._build(obj, stream, context, path)

    def shape(self, shape: Shaper) -> dict[str, Any]:
        return nullable(shape(self.subcon))

    def sample(self, example: Sampler) -> Any:
        return example(self.subcon)


class Times(Composite):
    """A list of a known number of elements: a figure, or the name of the field that has it."""

    def __init__(self, number: int | str, element: Construct) -> None:
        super().__init__()
        self.number = number
        self.element = element

    def _expected(self, context: Any) -> int:
        expected: int = context[self.number] if isinstance(self.number, str) else self.number
        return expected

    def walk(self, walker: Walker, context: Any, path: str) -> Any:
        return walker.several(self._expected(context), self.element, context, path)

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        return [self.element._parsereport(stream, context, path) for _ in range(self._expected(context))]

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        if len(obj) != self._expected(context):
            raise ConstructError(f"has {len(obj)} entries, not {self._expected(context)}", path=path)
        for number, element in enumerate(obj):
            self.element._build(element, stream, context, f"{path}[{number}]")
        return obj

    def _sizeof(self, context: Any, path: str) -> int:
        if isinstance(self.number, str):
            return super()._sizeof(context, path)
        size: int = self.element._sizeof(context, path)
        return self.number * size

    def shape(self, shape: Shaper) -> dict[str, Any]:
        element = shape(self.element)
        told = {"type": "array", "items": element}
        wire = element.get("x-wire") or "fields"
        if isinstance(self.number, str):
            return told | {"x-wire": f"{self.number} x {wire}"}
        return told | {"minItems": self.number, "maxItems": self.number, "x-wire": f"{self.number} x {wire}"}

    def sample(self, example: Sampler) -> Any:
        return [example(self.element)] * (1 if isinstance(self.number, str) else self.number)


class Within(Composite):
    """A value in as many bytes as a field further in front says."""

    def __init__(self, size: str, subcon: Construct) -> None:
        super().__init__()
        self.size = size
        self.subcon = subcon

    def walk(self, walker: Walker, context: Any, path: str) -> Any:
        return walker.within(context[self.size], self.subcon, context, path)

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        raw = Bytes(context[self.size])._parsereport(stream, context, path)
        return self.subcon._parsereport(io.BytesIO(raw), context, path)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        return self.subcon._build(obj, stream, context, path)

    def shape(self, shape: Shaper) -> dict[str, Any]:
        return shape(self.subcon)

    def sample(self, example: Sampler) -> Any:
        return example(self.subcon)


class Form(NamedTuple):
    """One layout that bytes may have."""

    layout: Construct
    clause: str = ""
    dialect: str = ""


FormTable = Mapping[int, tuple[Form, ...]]


class Choice(Composite):
    """All bytes that are left, by the number that the field `key` in front has.

    The first form of that number that takes them to the last byte reads them, forms of the terminal's
    dialect first; where none does, they stay bytes. Encoding takes what decoding gives.
    """

    def __init__(self, key: str, table: FormTable) -> None:
        super().__init__()
        self.key = key
        self.table = table

    def forms(self, context: Any, dialect: str | None = None) -> Iterable[Form]:
        forms = self.table.get(context[self.key], ())
        return sorted(forms, key=lambda form: form.dialect != dialect) if dialect else forms

    def form(self, context: Any, raw: bytes, dialect: str | None = None) -> Form | None:
        """What reads `raw`, if anything does."""
        return next((form for form in self.forms(context, dialect) if takes(form.layout, raw)), None)

    def walk(self, walker: Walker, context: Any, path: str) -> Any:
        form = self.form(context, walker.peek(walker.left), walker.dialect)
        if form is None:
            return walker.value(RawRest, context, path)
        outer = walker.clause
        walker.clause = form.clause or outer
        value = walker.value(form.layout, context, path)
        walker.clause = outer
        return value

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        raw = stream.read()
        form = self.form(context, raw)
        return raw if form is None else form.layout.parse(raw)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        if isinstance(obj, bytes | str):
            RawRest._build(obj, stream, context, path)
            return obj
        reason: Exception = ConstructError(f"{self.key} {context[self.key]:#04x} has no layout; give bytes")
        for form in self.forms(context):
            if isinstance(obj, Mapping) and isinstance(form.layout, Struct):
                known = [field.name for field in form.layout.subcons]
                if strange := [name for name in obj if name not in known]:
                    reason = ConstructError(f"no field {', '.join(strange)}; there are {', '.join(known)}")
                    continue
            try:
                stream.write(form.layout.build(obj))
            except UNWRITABLE as error:
                reason = error
                continue
            return obj
        raise reason

    def shape(self, shape: Shaper) -> dict[str, Any]:
        forms = [(number, form) for number, forms in self.table.items() for form in forms]
        told = [(f"{self.key} {number:#04x}", shape(form.layout)) for number, form in forms]
        return {"anyOf": one_of([*told, ("", shape(RawRest))]), "x-wire": f"by {self.key}"}

    def sample(self, example: Sampler) -> Any:
        return example(RawRest)


def takes(layout: Construct, raw: bytes) -> bool:
    """Whether `layout` reads `raw`, to its last byte."""
    base, step = _size(layout)
    if base is not None:
        return (len(raw) - base) % step == 0 if step else len(raw) == base
    stream = io.BytesIO(raw)
    try:
        layout.parse_stream(stream)
    except UNREADABLE:
        return False
    return stream.tell() == len(raw)


@lru_cache(1024)
def _size(layout: Construct) -> tuple[int | None, int]:
    """Bytes of a layout, and of each of its elements where it is a list; None where they depend."""
    try:
        return (0, layout.element.sizeof()) if isinstance(layout, Repeated) else (layout.sizeof(), 0)
    except ConstructError:
        return None, 0
