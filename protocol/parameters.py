"""Parameters of a terminal (0x8103, 0x0104): where they are in a list, and which layout reads a value.

This file knows how a parameter is read and written, not what parameters there are: the table stands in
`protocol/messages/parameters.py`. A value that no layout of its id fits stays bytes and is written back
as it was read; it never spoils its neighbours.
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
from construct import Construct, ConstructError, Renamed, Struct

from protocol.composite import Composite, Walker, end_of
from protocol.fields import RawRest, TextEnd, doc


def bare(layout: Construct) -> Construct:
    """A layout without its name and docs."""
    while isinstance(layout, Renamed):
        layout = layout.subcon
    return layout


class Limits(msgspec.Struct, frozen=True):
    """What the standard says of a value beside its layout; None where it says nothing."""

    low: int | None = None
    high: int | None = None
    default: int | str | None = None
    unchanged: int | None = None  # in 0x8103: leave what the terminal has


class Parameter(msgspec.Struct, frozen=True):
    """One reading of one parameter."""

    id: int
    layout: Construct  # with name and docs
    clauses: Mapping[str, str]  # by standard, as the clauses of rows begin; "" for any
    fits: Callable[[bytes], bool]  # which values this reading takes
    limits: Mapping[str, Limits] = {}  # by field; "" is the value itself
    dialect: str = ""  # where ids have several readings: which one this is
    last: int = 0  # ids up to here are further ones of the kind
    settable: bool = True

    @property
    def name(self) -> str:
        return str(self.layout.name)

    @property
    def title(self) -> str:
        """Chinese, as operators know it."""
        return doc(self.layout.docs).title

    @property
    def structure(self) -> Struct | None:
        """The fields of a value that has some."""
        found = bare(self.layout)
        return found if isinstance(found, Struct) else None

    def cited(self, clause: str = "") -> str:
        """Where the standard that `clause` is of defines this parameter, else the newest that does."""
        standard = clause.partition(" ")[0]
        return self.clauses.get(standard) or list(self.clauses.values())[-1]

    def filled(self, value: Any) -> Any:
        """`value` with the fields that it leaves out set to what leaves them as the terminal has them."""
        if self.structure is None:
            return value
        spare = {field.name: b"" for field in self.structure.subcons if field.name.startswith("reserved")}
        kept = {
            name: limits.unchanged for name, limits in self.limits.items() if limits.unchanged is not None
        }
        return spare | kept | dict(value)


def fitting(layout: Construct) -> Callable[[bytes], bool]:
    """The values that `layout` takes: those of its size, any where that depends."""
    if bare(layout) is TextEnd:
        return lambda raw: True
    size = layout.sizeof()
    return lambda raw: len(raw) == size


class Part(NamedTuple):
    """One field of a value that has fields."""

    field: Construct
    limits: Limits | None = None


def part(
    field: Construct, low: int | None = None, high: int | None = None, default: int | str | None = None
) -> Part:
    return Part(field, Limits(low, high, default) if (low, high, default) != (None, None, None) else None)


def structured(
    number: int,
    name: str,
    docs: str,
    parts: Iterable[Part],
    clauses: Mapping[str, str],
    *,
    dialect: str = "",
    fits: Callable[[bytes], bool] | None = None,
) -> Parameter:
    """A parameter whose value has fields."""
    parts = tuple(parts)
    layout = name / Struct(*(one.field for one in parts)) * docs
    limits = {str(one.field.name): one.limits for one in parts if one.limits is not None}
    return Parameter(number, layout, clauses, fits or fitting(layout), limits, dialect)


ParameterTable = Mapping[int, tuple[Parameter, ...]]


def parameter_table(*groups: Iterable[Parameter]) -> dict[int, tuple[Parameter, ...]]:
    """Readings by id, in the order of the groups."""
    table: dict[int, tuple[Parameter, ...]] = {}
    for parameter in (parameter for group in groups for parameter in group):
        for number in range(parameter.id, max(parameter.id, parameter.last) + 1):
            table[number] = (*table.get(number, ()), parameter)
    return table


# --- where they are ---------------------------------------------------------------------------------------

HEAD = 5  # id DWORD, length BYTE (808-2011 table 10, 808-2013 table 11, 808-2019 table 12)


class Place(NamedTuple):
    """One parameter: its head at `start`, its value from `value`."""

    id: int
    start: int
    value: int
    stop: int


def places(data: bytes, count: int) -> tuple[list[Place], int]:
    """The parameters of `data`, and how many bytes the next one would need: 0 where there is none.

    The count in front is not believed: what reads as a parameter is one. Zeros and fragments behind so
    many parameters are none.
    """
    found: list[Place] = []
    at, end = 0, len(data)
    while at < end:
        value = at + HEAD
        stop = value + data[value - 1] if value <= end else value
        if stop > end:
            break
        found.append(Place(int.from_bytes(data[at : at + 4]), at, value, stop))
        at = stop
    while len(found) > count and found[-1].id == 0:
        found.pop()
    return found, stop - at if at < end and len(found) < count else 0


# --- the list as a field ----------------------------------------------------------------------------------


class Parameters(Composite):
    """The list at the end of a body, in the order sent: {id, name, value} each.

    `dialect` stands beside the name where an id has several readings. The name is empty where none fits;
    the value is bytes then. Encoding takes the same list; a parameter may be named by id or by name, a
    value given as bytes is written as it is, and fields that a structured value leaves out are filled
    (`Parameter.filled`).
    """

    def __init__(self, table: ParameterTable, dialect: str = "") -> None:
        super().__init__()
        self.table = table
        self.dialect = dialect  # preferred in encoding, where an entry names none
        self._named: dict[str, tuple[Parameter, ...]] = {}
        for parameter in self._rows():
            self._named[parameter.name] = (*self._named.get(parameter.name, ()), parameter)

    def _rows(self) -> Iterable[Parameter]:
        return (reading for number, group in self.table.items() for reading in group if reading.id == number)

    def reading(self, number: int, raw: bytes, dialect: str | None = None) -> Parameter | None:
        """The first reading of an id that takes `raw`, those of `dialect` before others."""
        readings = [reading for reading in self.table.get(number, ()) if reading.fits(raw)]
        return min(readings, key=lambda reading: reading.dialect != dialect, default=None)

    def walk(self, walker: Walker, context: Any, path: str) -> Any:
        data = walker.peek(walker.left)
        clause = walker.clause
        entries: list[dict[str, Any]] = []
        spans, missing = places(data, context["count"])
        for place in spans:
            raw = data[place.value : place.stop]
            reading = self.reading(place.id, raw, walker.dialect)
            where = f"{path}[{len(entries)}]"
            about, layout = "参数: no layout", RawRest
            if reading is not None:
                walker.clause = reading.cited(clause)
                about, layout = f"{reading.title}: id and length of the parameter", reading.layout
            walker.skip(HEAD, f"{where}.id", f"{place.id:#06x}", about)
            value = walker.within(
                len(raw), layout, context, f"{where}.{reading.name if reading else 'value'}"
            )
            entries.append(_entry(f"{place.id:#06x}" if walker.present else place.id, reading, value))
            walker.clause = clause
        if missing:
            walker.within(missing, RawRest, context, f"{path}[{len(entries)}]")  # stops the walk
        return entries

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        start = stream.tell()
        data = stream.read(end_of(stream) - start)
        spans, _ = places(data, context["count"])
        stream.seek(start + (spans[-1].stop if spans else 0))
        entries = []
        for place in spans:
            raw = data[place.value : place.stop]
            reading = self.reading(place.id, raw)
            entries.append(_entry(place.id, reading, (reading.layout if reading else RawRest).parse(raw)))
        return entries

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        for entry in obj:
            number, raw = self._encoded(entry, context, path)
            if not 0 <= number < 1 << 32:
                raise ValueError(f"parameter {number:#x}: ids go from 0 to 0xffffffff")
            if len(raw) > 255:
                raise ValueError(f"parameter {number:#06x} has {len(raw)} bytes, the most is 255")
            stream.write(number.to_bytes(4) + bytes((len(raw),)) + raw)
        return obj

    def shape(self, shape: Callable[[Construct], dict[str, Any]]) -> dict[str, Any]:
        known = [
            _entry_shape(
                reading.name,
                [f"{reading.id:#06x}"] if not reading.last else [],
                {"title": reading.title, "description": reading.cited()},
                _limited(shape(reading.layout), reading.limits, filled=reading.structure is not None),
            )
            for reading in self._rows()
        ]
        other = {"title": "其他参数值", "description": "without a layout"}
        raw = _entry_shape("", [], other, dict(shape(RawRest)) | other)
        return {
            "type": "array",
            "items": {"anyOf": [*known, raw]},
            "maxItems": 255,
            "x-wire": "to the end, DWORD id, BYTE n, n bytes",
        }

    def sample(self, example: Callable[[Construct], Any]) -> Any:
        first = next(iter(self.table.values()))[0]
        return [_entry(f"{first.id:#06x}", first, example(first.layout))]

    def _encoded(self, entry: Mapping[str, Any], context: Any, path: str) -> tuple[int, bytes]:
        """Id and value of one entry. Among readings of one id, the first that the value fits."""
        number, name, value = entry.get("id"), entry.get("name"), entry["value"]
        if isinstance(number, str):
            number = int(number, 16)
        readings = self._readings(name) if name else self.table.get(number or 0, ())
        if number is None:
            if not readings or readings[0].last:
                raise ValueError(f"parameter {name!r}: give its id")
            number = readings[0].id
        if name == "" or not readings or isinstance(value, bytes):
            return number, RawRest.build(value)
        dialect = entry.get("dialect", self.dialect)
        reasons: list[Exception] = []
        for reading in sorted(readings, key=lambda reading: reading.dialect != dialect):
            structure = reading.structure
            if structure is not None and (strange := _strange(structure, value)):
                reasons.append(ValueError(f"{reading.name}: {strange}"))
                continue
            inner = io.BytesIO()
            try:
                reading.layout._build(reading.filled(value), inner, context, path)
            except (ConstructError, ValueError, KeyError, TypeError, AttributeError) as error:
                reasons.append(error)
                continue
            raw = inner.getvalue()
            if reading.fits(raw):
                return number, raw
            reasons.append(ValueError(f"{reading.name}: no reading has {len(raw)} bytes"))
        raise reasons[0]

    def _readings(self, name: str) -> tuple[Parameter, ...]:
        if name not in self._named:
            near = difflib.get_close_matches(name, self._named, 3) or sorted(self._named)
            raise ValueError(f"no parameter {name!r}; there are {', '.join(near)}")
        return self._named[name]


def _strange(structure: Struct, value: Any) -> str:
    """Why `value` can't be one of `structure`; empty where it may."""
    if not isinstance(value, Mapping):
        return f"{value!r} has no fields"
    strange = value.keys() - {field.name for field in structure.subcons}
    return f"no reading has the fields {', '.join(sorted(strange))}" if strange else ""


def _entry(number: int | str, reading: Parameter | None, value: Any) -> dict[str, Any]:
    entry = {"id": number, "name": reading.name if reading else "", "value": value}
    if reading is not None and reading.dialect:
        entry["dialect"] = reading.dialect
    return entry


def _entry_shape(name: str, ids: list[str], about: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """The schema of one entry of the list."""
    number = {"enum": ids} if ids else {"type": ["string", "integer"]}
    told = {
        "id": number | {"title": "参数ID", "description": "in hex"},
        "name": {"const": name, "title": "名称", "description": "of the parameter"},
        "value": value,
        "dialect": {"type": "string", "title": "方言", "description": "which of several readings it is"},
    }
    needed = ["value", "name"] if ids else ["value", "name", "id"]
    return about | {"type": "object", "properties": told, "required": needed, "additionalProperties": False}


def _limited(
    value: dict[str, Any], limits: Mapping[str, Limits], *, filled: bool, field: str = ""
) -> dict[str, Any]:
    """The schema of a value with its limits; fields that are filled need not be given."""
    if filled and not field:
        parts = {
            name: _limited(part, limits, filled=True, field=name)
            for name, part in value["properties"].items()
        }
        kept = {name for name, limit in limits.items() if limit.unchanged is not None}
        needed = [
            name for name in value.get("required", []) if name not in kept and not name.startswith("reserved")
        ]
        return value | {"properties": parts, "required": needed}
    limit = limits.get(field, Limits())
    more = {
        "x-low": limit.low,
        "x-high": limit.high,
        "default": limit.default,
        "x-unchanged": limit.unchanged,
    }
    return value | {keyword: told for keyword, told in more.items() if told is not None}
