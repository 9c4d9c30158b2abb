"""Fields made of fields: lists, values in so many bytes, fields that are there only sometimes.

A composite field walks the fields within it (`walk`) and tells of them (`shape`, `sample`). What they are
made of stands in `fields.py`, what the bytes alone decide in `fitting.py`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from construct import Bytes, Construct, ConstructError, IfThenElse, Pass

from protocol.fields import U8, TextRest


class When(IfThenElse):
    """A field that is there only where fields before it say so; None where it is absent.

    `condition` is an expression of those fields (`this.attributes & 1`), `wording` says it in an error.
    Encoding takes an absent field as None or not at all, and refuses what contradicts the condition.
    """

    def __init__(self, condition: Callable[[Any], Any], subcon: Construct, wording: str) -> None:
        super().__init__(condition, subcon, Pass)
        self.wording = wording
        self.flagbuildnone = True

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        holds = bool(self.condfunc(context))
        if holds != (obj is not None) and not (holds and self.thensubcon.flagbuildnone):
            reason = "is missing, it belongs here" if holds else "is given, it belongs here only"
            raise ConstructError(f"{reason} where {self.wording}", path=path)
        return self.thensubcon._build(obj, stream, context, path) if holds else None


class Composite(Construct):
    """A field that holds fields: it walks them itself, so that a broken one leaves the others readable.

    `walk` is what decoding and explaining call; `_parse`, which construct calls, is the oracle of tests.
    """

    def walk(self, walker: Walker, context: Any, path: str) -> Any:
        raise NotImplementedError

    def shape(self, shape: Callable[[Construct], dict[str, Any]]) -> dict[str, Any]:
        """The JSON Schema of the value, in which `shape` gives that of a field within it."""
        raise NotImplementedError

    def sample(self, example: Callable[[Construct], Any]) -> Any:
        """A value, JSON-ready, in which `example` gives that of a field within it."""
        raise NotImplementedError

    def _sizeof(self, context: Any, path: str) -> int:
        raise ConstructError("the size of this field depends on its value")


class Walker(Protocol):
    """What a composite field needs of the walk over a body (protocol/walk.py)."""

    at: int  # the place in the body
    stopped: bool
    present: bool  # values are wanted JSON-ready
    dialect: str | None  # of the terminal, where it is known
    clause: str  # cited with the fields that are read next

    @property
    def left(self) -> int: ...

    def value(self, sub: Construct, context: Any, path: str) -> Any: ...

    def several(self, number: int | None, element: Construct, context: Any, path: str) -> list[Any]: ...

    def within(self, size: int, sub: Construct, context: Any, path: str) -> Any: ...

    def peek(self, size: int) -> bytes: ...

    def skip(self, size: int, path: str, shown: Any, about: str, names: str = "") -> None: ...

    def stop(self, offset: int, path: str, detail: str) -> None: ...


def _described(count: Construct, docs: str) -> Construct:
    """`count` with `docs`, unless its table says more of it."""
    return count if count.docs else count * docs


class Sized(Composite):
    """A value in as many bytes as a count before it says."""

    def __init__(self, count: Construct, subcon: Construct) -> None:
        super().__init__()
        self.count = _described(count, "长度: bytes that follow [byte]")
        self.subcon = subcon

    def walk(self, walker: Walker, context: Any, path: str) -> Any:
        size = walker.value(self.count, context, f"{path}.length")
        return None if walker.stopped else walker.within(size, self.subcon, context, path)

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        size = self.count._parsereport(stream, context, path)
        raw = Bytes(size)._parsereport(stream, context, path)
        return self.subcon._parsereport(io.BytesIO(raw), context, path)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        inner = io.BytesIO()
        self.subcon._build(obj, inner, context, path)
        raw = inner.getvalue()
        self.count._build(len(raw), stream, context, path)
        stream.write(raw)
        return obj

    def shape(self, shape: Callable[[Construct], dict[str, Any]]) -> dict[str, Any]:
        inner = shape(self.subcon)
        return inner | {
            "x-wire": f"{shape(self.count)['x-wire']} n, {inner.get('x-wire') or 'fields'} in n bytes"
        }

    def sample(self, example: Callable[[Construct], Any]) -> Any:
        return example(self.subcon)


def TextCounted(count: Construct = U8) -> Sized:  # noqa: N802
    """Text after its length in bytes."""
    return Sized(count, TextRest)


def one_of(told: Iterable[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Schemas of which one holds, each with when it does (`x-when`); those that are alike once."""
    found: list[tuple[dict[str, Any], list[str]]] = []
    for when, shape in told:
        known = next((whens for other, whens in found if other == shape), None)
        if known is None:
            found.append((shape, known := []))
        known.append(when)
    return [
        shape | ({"x-when": ", ".join(filter(None, whens))} if any(whens) else {}) for shape, whens in found
    ]


def nullable(told: dict[str, Any]) -> dict[str, Any]:
    """The schema of a field that may be absent."""
    if "anyOf" in told:
        return told | {"anyOf": [*told["anyOf"], {"type": "null"}]}
    kinds = told["type"]
    return told | {"type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}


def _list_shape(element: dict[str, Any], wire: str) -> dict[str, Any]:
    """A list of `element`, each of which is as `wire` says."""
    return {"type": "array", "items": element, "x-wire": f"{wire} {element.get('x-wire') or 'fields'}"}


class Counted(Composite):
    """A list after the number of its elements. Reads what is there, never allocates by the number."""

    def __init__(self, count: Construct, element: Construct) -> None:
        super().__init__()
        self.count = _described(count, "个数: entries that follow")
        self.element = element

    def walk(self, walker: Walker, context: Any, path: str) -> Any:
        number = walker.value(self.count, context, f"{path}.count")
        return [] if walker.stopped else walker.several(number, self.element, context, path)

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        number = self.count._parsereport(stream, context, path)
        return [self.element._parsereport(stream, context, path) for _ in range(number)]

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        self.count._build(len(obj), stream, context, path)
        for number, element in enumerate(obj):
            self.element._build(element, stream, context, f"{path}[{number}]")
        return obj

    def shape(self, shape: Callable[[Construct], dict[str, Any]]) -> dict[str, Any]:
        count = shape(self.count)
        told = _list_shape(shape(self.element), f"{count['x-wire']} n, n x")
        return told | {"maxItems": count["maximum"]} if "maximum" in count else told

    def sample(self, example: Callable[[Construct], Any]) -> Any:
        return [example(self.element)]


class Repeated(Composite):
    """A list up to the end of the body, without a number."""

    def __init__(self, element: Construct) -> None:
        super().__init__()
        self.element = element

    def walk(self, walker: Walker, context: Any, path: str) -> Any:
        return walker.several(None, self.element, context, path)

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        found = []
        while stream.tell() < end_of(stream):
            found.append(self.element._parsereport(stream, context, path))
        return found

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        for number, element in enumerate(obj):
            self.element._build(element, stream, context, f"{path}[{number}]")
        return obj

    def shape(self, shape: Callable[[Construct], dict[str, Any]]) -> dict[str, Any]:
        return _list_shape(shape(self.element), "to the end,")

    def sample(self, example: Callable[[Construct], Any]) -> Any:
        return [example(self.element)]


def end_of(stream: Any) -> int:
    """Where the stream ends."""
    here = stream.tell()
    end: int = stream.seek(0, io.SEEK_END)
    stream.seek(here)
    return end
