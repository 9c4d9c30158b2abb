"""What a body may hold, told from its layout: a JSON Schema (2020-12) and an example.

    schema(row.layout)      for the interface and the documents
    example(row.layout)     a body in its JSON form, always the same

Each field has its Chinese name as `title`, its meaning as `description`; beside the keywords of JSON Schema
stand `x-wire` (how the standards call the type), `x-unit`, what numbers stand for (`x-codes`, `x-bits`), and
where a field belongs (`x-when`).
Made for people and forms. What really validates a body is the encoder: it knows how fields depend on each
other and how many bytes a text takes.

This file knows kinds of fields, not messages. A composite field tells its own part (`Composite.shape`,
`Composite.sample`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from construct import (
    Bytes,
    BytesInteger,
    Construct,
    Default,
    FormatField,
    IfThenElse,
    Pass,
    Rebuild,
    Renamed,
    Struct,
    Switch,
)

from protocol.composite import Composite, When, nullable, one_of
from protocol.fields import Bits, Codes, Mapped, doc
from protocol.walk import Scope

Shape = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(layout: Construct, **more: Any) -> Shape:
    """The JSON Schema of what `layout` holds, in its JSON form, with `more` keywords at its top."""
    return {"$schema": DIALECT} | more | shape(layout) | {"examples": [example(layout)]}


def shape(layout: Construct) -> Shape:
    """The schema of one field."""
    for kind, tell, _ in KINDS:
        if isinstance(layout, kind):
            return tell(layout)
    raise TypeError(f"no schema for {layout!r}")


def example(layout: Construct, scope: Mapping[str, Any] | None = None) -> Any:
    """A value that `layout` can hold, JSON-ready. `scope` has the fields before it, for those that depend
    on them."""
    scope = Scope() if scope is None else scope
    for kind, _, make in KINDS:
        if isinstance(layout, kind):
            return make(layout, scope)
    raise TypeError(f"no example for {layout!r}")


# --- numbers, bytes, and what is made of them -----------------------------------------------------------


def _number(low: int, high: int, wire: str) -> Shape:
    return {"type": "integer", "minimum": low, "maximum": high, "x-wire": wire, "examples": [max(low, 0)]}


UNSIGNED = {1: "BYTE", 2: "WORD", 4: "DWORD"}


def _integer(size: int, signed: bool) -> Shape:
    bits = 8 * size
    wire = UNSIGNED.get(size, f"BYTE[{size}]") + (", signed" if signed else "")
    return (
        _number(-(1 << bits - 1), (1 << bits - 1) - 1, wire) if signed else _number(0, (1 << bits) - 1, wire)
    )


def _format(layout: FormatField) -> Shape:
    code = layout.fmtstr[-1]
    return _integer(struct.calcsize(f">{code}"), code.islower())


def _raw(layout: Construct) -> Shape:
    size = layout.length if isinstance(layout, Bytes) and isinstance(layout.length, int) else None
    wire = "BYTE[n]" if size is None else f"BYTE[{size}]"
    return {
        "type": "string",
        "pattern": "^([0-9a-fA-F]{2})*$",
        "x-wire": wire,
        "examples": ["00" * (size or 0)],
    }


JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


def _mapped(layout: Mapped) -> Shape:
    """What the field says of itself; else the type of what zeros are shown as."""
    if layout.shape:
        return dict(layout.shape)
    below = shape(layout.subcon)
    shown = layout.present(layout.decode(_zeros(layout.subcon)))
    return {"type": JSON_TYPES[type(shown)], "x-wire": below.get("x-wire", ""), "examples": [shown]}


def _zeros(layout: Construct) -> Any:
    if isinstance(layout, FormatField | BytesInteger):
        return 0
    return bytes(layout.length) if isinstance(layout, Bytes) else b""


def _codes(layout: Codes) -> Shape:
    number = shape(layout.subcon)
    names = list(layout.table.values())
    return {
        "anyOf": [_type(number), {"enum": names}],
        "x-wire": number.get("x-wire", ""),
        "x-codes": {str(code): name for code, name in layout.table.items()},
        "examples": [min(layout.table, default=0)],
    }


def _type(of: Shape) -> Shape:
    """A schema without what is said of the field as a whole."""
    return {key: value for key, value in of.items() if key not in {"x-wire", "examples"}}


def _bits(layout: Bits) -> Shape:
    number = shape(layout.subcon)
    flags = [span.name for span in layout.spans if span.low == span.high]
    named = [{"enum": flags}] if flags else []
    return {
        "anyOf": [
            _type(number),
            {
                "type": "array",
                "items": {"anyOf": [*named, {"type": "string", "pattern": "^[a-z]\\w*(=\\d+)?$"}]},
            },
        ],
        "x-wire": number.get("x-wire", ""),
        "x-bits": [
            {"bits": f"{s.low}" if s.low == s.high else f"{s.low}-{s.high}", "name": s.name}
            | ({"note": s.note} if s.note else {})
            for s in layout.spans
        ],
        "examples": [0],
    }


# --- fields made of fields ------------------------------------------------------------------------------


def _renamed(layout: Renamed) -> Shape:
    told = shape(layout.subcon)
    title, meaning, unit = doc(layout.docs or "")
    more = {"title": title, "description": meaning, "x-unit": unit}
    return told | {key: text for key, text in more.items() if text}


def _struct(layout: Struct) -> Shape:
    fields = [field for field in layout.subcons if field.name]
    told: Shape = {"type": "object", "properties": {field.name: shape(field) for field in fields}}
    if required := [field.name for field in fields if not _optional(field)]:
        told["required"] = required
    return told | {"additionalProperties": False}


def _optional(field: Construct) -> bool:
    """Whether a body may leave the field out: it is made when the body is built, or not always there."""
    while isinstance(field, Renamed):
        field = field.subcon
    return isinstance(field, Rebuild | Default) or _absent(field) or field.flagbuildnone is True


def _absent(field: Construct) -> bool:
    return isinstance(field, IfThenElse) and isinstance(field.elsesubcon, type(Pass))


def _struct_example(layout: Struct, scope: Mapping[str, Any]) -> dict[str, Any]:
    inner = Scope(_=scope)
    for field in layout.subcons:
        if field.name and not isinstance(_bare(field), Rebuild):
            inner[field.name] = example(field, inner)
    del inner["_"]
    return dict(inner)


def _bare(field: Construct) -> Construct:
    while isinstance(field, Renamed):
        field = field.subcon
    return field


def _either(*layouts: tuple[str, Construct]) -> Shape:
    """One of several, each with when it is."""
    told = one_of((when, shape(sub)) for when, sub in layouts if not isinstance(_bare(sub), type(Pass)))
    if len(told) == 1:
        return {key: value for key, value in told[0].items() if key != "x-when"}
    wires = dict.fromkeys(found["x-wire"] for found in told if found.get("x-wire"))
    return {"anyOf": told, "x-wire": " or ".join(wires)}


def _conditional(layout: IfThenElse) -> Shape:
    told = _either(("", layout.thensubcon), ("", layout.elsesubcon))
    if not _absent(layout):
        return told
    return nullable(told) | ({"x-when": layout.wording} if isinstance(layout, When) else {})


def _conditional_example(layout: IfThenElse, scope: Mapping[str, Any]) -> Any:
    holds = layout.condfunc(scope) if callable(layout.condfunc) else layout.condfunc
    return example(layout.thensubcon if holds else layout.elsesubcon, scope)


def _switch(layout: Switch) -> Shape:
    cases = [
        (f"{case:#04x}" if isinstance(case, int) else str(case), sub) for case, sub in layout.cases.items()
    ]
    return _either(*cases, ("", layout.default))


def _switch_example(layout: Switch, scope: Mapping[str, Any]) -> Any:
    key = layout.keyfunc(scope) if callable(layout.keyfunc) else layout.keyfunc
    return example(layout.cases.get(key, layout.default), scope)


def _given(layout: Construct, scope: Mapping[str, Any]) -> Any:
    """The example that stands in the schema of a field without parts."""
    return shape(layout)["examples"][0]


Tell = Callable[[Any], Shape]
Make = Callable[[Any, Mapping[str, Any]], Any]

KINDS: tuple[tuple[Any, Tell, Make], ...] = (
    (Renamed, _renamed, lambda layout, scope: example(layout.subcon, scope)),
    (Rebuild, lambda layout: shape(layout.subcon) | {"readOnly": True}, _given),
    (Default, lambda layout: shape(layout.subcon), lambda layout, scope: example(layout.subcon, scope)),
    (Struct, _struct, _struct_example),
    (IfThenElse, _conditional, _conditional_example),
    (Switch, _switch, _switch_example),
    (
        Composite,
        lambda layout: layout.shape(shape),
        lambda layout, scope: layout.sample(lambda sub: example(sub, scope)),
    ),
    (Mapped, _mapped, _given),
    (Codes, _codes, _given),
    (Bits, _bits, _given),
    (FormatField, _format, _given),
    (BytesInteger, lambda layout: _integer(layout.length, layout.signed), _given),
    (type(Pass), lambda layout: {"type": "null"}, lambda layout, scope: None),
    (Construct, _raw, _given),
)
"""What is said of each kind of field, and an example of it; the first that fits."""
