"""docs/messages.md: what the tables of `protocol/messages/` say, for people.

    python -m protocol.docs > docs/messages.md          (make docs)

Everything comes from the rows and the schema of their layouts (`protocol/schema.py`); there is no text here
but that of the headings. A test holds the committed file against this.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from construct import Struct

from protocol import catalog
from protocol.catalog import Row
from protocol.header import HEADER_2013, HEADER_2019, Edition
from protocol.items import Item
from protocol.messages import DIALECTS, EDITIONS, ITEMS
from protocol.messages.parameters import PARAMETERS
from protocol.parameters import Parameters
from protocol.schema import example, shape

INTRODUCTION = """\
# Messages · 消息

Made from the tables in `protocol/messages/` by `make docs`; not to be edited by hand.
由 `protocol/messages/` 中的表自动生成，请勿手工修改。

Each field has the name under which programs see it, its Chinese name in the standard, its type on the wire,
its unit and its meaning. Types: BYTE, WORD and DWORD are unsigned numbers of 1, 2 and 4 bytes, big-endian;
`n x T` is a list; STRING is GBK text. Fields marked *optional* may be left out when a message is encoded.
Times are shown in ISO 8601, bytes in hexadecimal. A number that has names is encoded from either.
"""

ELSEWHERE = "elsewhere"  # the column of documents that are no edition of JT/T 808


def document() -> str:
    """The whole file."""
    return "\n".join(
        [
            INTRODUCTION,
            "## All messages · 消息一览\n",
            *_overview(),
            "\n## Header · 消息头\n",
            *_header(),
            "## Bodies · 消息体\n",
            *(line for message_id in _ids() for line in _message(message_id)),
            "## Additional items of a location report · 位置附加信息项\n",
            *_items(),
            "## Parameters of a terminal · 终端参数\n",
            *_parameters(),
        ]
    )


# --- messages -------------------------------------------------------------------------------------------


class Form(NamedTuple):
    """One layout of a message, and who has it."""

    row: Row
    editions: tuple[Edition, ...]
    dialect: str


def _ids() -> list[int]:
    tables = (*EDITIONS.values(), *DIALECTS.values())
    return sorted({message_id for rows in tables for message_id in rows}, key=lambda n: (n & 0x7FFF, n))


def _forms(message_id: int) -> list[Form]:
    """The layouts of a message: of the editions first, then of dialects."""
    found: list[Form] = []
    for edition in Edition:
        row = EDITIONS[edition].get(message_id)
        if row is None:
            continue
        if found and found[-1].row.layout is row.layout:
            found[-1] = found[-1]._replace(editions=(*found[-1].editions, edition))
        else:
            found.append(Form(row, (edition,), row.dialect))
    dialects = [(name, rows[message_id]) for name, rows in DIALECTS.items() if message_id in rows]
    return found + [Form(row, (), name) for name, row in dialects]


def _overview() -> Iterator[str]:
    heads = ("id", "name", "名称", "from", "2011", "2013", "2019", ELSEWHERE, "answered by")
    yield from _table(heads, (_listed(message_id) for message_id in _ids()))


def _listed(message_id: int) -> tuple[str, ...]:
    forms = _forms(message_id)
    row = _newest(forms)
    cited = {
        edition: EDITIONS[edition][message_id].clause
        for edition in Edition
        if message_id in EDITIONS[edition]
    }
    own = {edition: _of_808(clause) for edition, clause in cited.items()}
    others = [clause for clause in cited.values() if not _of_808(clause)]
    dialects = ", ".join(form.dialect for form in forms if not form.editions)
    others += [f"with forms of {dialects}"] if dialects else []
    link = f"[{message_id:#06x}](#{_anchor(row)})"
    side = "terminal" if row.uplink else "platform"
    columns = [own.get(edition, "") for edition in Edition]
    return (link, row.name, row.title, side, *columns, "; ".join(dict.fromkeys(others)), _answer(row))


def _newest(forms: Sequence[Form]) -> Row:
    """The row by which a message is called."""
    return next((form.row for form in reversed(forms) if form.editions), forms[0].row)


def _of_808(clause: str) -> str:
    """The place in an edition of 808; empty for another document."""
    return clause.partition(" ")[2] if clause.startswith("808-") else ""


def _answer(row: Row) -> str:
    if row.answer:
        return f"{row.answer:#06x}"
    if not row.acknowledged:
        return ""
    return "0x8001" if row.uplink else "0x0001"


def _heading(row: Row) -> str:
    return f"{row.id:#06x} {row.name} {row.title}"


def _anchor(row: Row) -> str:
    """As forges make it of a heading."""
    kept = (char for char in _heading(row).lower() if char.isalnum() or char in "-_ ")
    return "".join(kept).replace(" ", "-")


def _header() -> Iterator[str]:
    for who, layout in (
        ("2011, 2013 · 808-2013 4.4.3 table 2", HEADER_2013),
        ("2019 · 808-2019 4.4.3 table 2", HEADER_2019),
    ):
        yield f"**{who}**\n"
        yield from _fields(layout)


def _message(message_id: int) -> Iterator[str]:
    forms = _forms(message_id)
    row = _newest(forms)
    yield f"### {_heading(row)}\n"
    side = "terminal · 终端" if row.uplink else "platform · 平台"
    answer = f"; answered by {_answer(row)}" if _answer(row) else ""
    yield f"From the {side}{answer}.\n"
    for form in forms:
        yield f"**{_whose(form)}**\n"
        yield from _fields(form.row.layout)
        yield from _example(form.row.layout)


def _whose(form: Form) -> str:
    if not form.editions:
        return f"{form.dialect} · {form.row.clause}"
    clauses = dict.fromkeys(EDITIONS[edition][form.row.id].clause for edition in form.editions)
    return f"{', '.join(str(int(edition)) for edition in form.editions)} · {'; '.join(clauses)}"


# --- items and parameters -------------------------------------------------------------------------------


def _items() -> Iterator[str]:
    readings = [item for item_id in sorted(ITEMS) for item in ITEMS[item_id]]
    heads = ("id", "name", "名称", "dialect", "bytes", "defined in")
    yield from _table(
        heads,
        (
            (f"{item.id:#04x}", item.name, item.title, item.dialect, _lengths(item), item.clause)
            for item in readings
        ),
    )
    seen: dict[int, Item] = {}
    for item in readings:
        yield f"### Item {item.id:#04x} {item.name} {item.title} ({_lengths(item)})\n"
        if same := seen.get(id(item.layout)):
            yield f"As {same.name}.\n"
            continue
        seen[id(item.layout)] = item
        yield from _fields(item.layout)
        yield from _example(item.layout)


def _lengths(item: Item) -> str:
    """The lengths that a reading takes: `4`, `1, 5`, `40 + 9n`, `1 to 255`."""
    found = [length for length in range(256) if item.lengths(length)]
    steps = {after - before for before, after in itertools.pairwise(found)}
    if len(found) <= 4 or len(steps) > 1:
        return ", ".join(map(str, found))
    return f"{found[0]} to {found[-1]}" if steps == {1} else f"{found[0]} + {steps.pop()}n"


def _parameters() -> Iterator[str]:
    known = Parameters(PARAMETERS).shape(shape)["items"]["anyOf"][:-1]
    readings = [reading for number, group in PARAMETERS.items() for reading in group if reading.id == number]
    heads = ("id", "name", "名称", "type", "unit", "range", "default", "unchanged", "meaning", "defined in")
    rows = []
    for reading, entry in zip(readings, known, strict=True):
        value = entry["properties"]["value"]
        last = f" to {reading.last:#06x}" if reading.last else ""
        name = f"{reading.name} ({reading.dialect})" if reading.dialect else reading.name
        clauses = "; ".join(dict.fromkeys(reading.clauses.values()))
        about = (_type(value), value.get("x-unit", ""), *_limits(value), _meaning(value))
        rows.append((f"{reading.id:#06x}{last}", name, reading.title, *about, clauses))
    yield from _table(heads, rows)
    for reading, entry in zip(readings, known, strict=True):
        if reading.structure is not None:
            dialect = f" ({reading.dialect})" if reading.dialect else ""
            yield f"### Parameter {reading.id:#06x} {reading.name} {reading.title}{dialect}\n"
            yield from _table(HEADS, _rows(entry["properties"]["value"], ""))


def _limits(value: Any) -> tuple[str, str, str]:
    low, high = value.get("x-low"), value.get("x-high")
    ranged = f"{low} to {high}" if low is not None else f"up to {high}"
    if high is None:
        ranged = "" if low is None else f"from {low}"
    return ranged, str(value.get("default", "")), str(value.get("x-unchanged", ""))


# --- fields ---------------------------------------------------------------------------------------------

HEADS = ("field", "字段", "type", "unit", "meaning")


def _fields(layout: Struct) -> Iterator[str]:
    """A layout as a table."""
    told = shape(layout)
    if told["properties"]:
        yield from _table(HEADS, _rows(told, ""))
    else:
        yield "No body · 消息体为空。\n"


def _rows(told: Any, path: str) -> Iterator[tuple[str, ...]]:
    """What is within a schema, field by field."""
    for name, field in told.get("properties", {}).items():
        where = f"{path}.{name}" if path else name
        optional = name not in told.get("required", ())
        notes = [
            _meaning(field),
            *_ranged(field),
            "made when it is encoded" if field.get("readOnly") else "*optional*" if optional else "",
        ]
        yield (
            f"`{where}`",
            field.get("title", ""),
            _type(field),
            field.get("x-unit", ""),
            "; ".join(filter(None, notes)),
        )
        yield from _within(field, where)


def _ranged(field: Any) -> Iterator[str]:
    ranged, default, unchanged = _limits(field)
    yield from (
        f"{word} {text}".strip()
        for word, text in (("", ranged), ("default", default), ("unchanged", unchanged))
        if text
    )


def _within(field: Any, path: str) -> Iterator[tuple[str, ...]]:
    """The fields inside of a field; where it is one of several, each of them."""
    if "x-bits" in field or "x-codes" in field:
        return
    if "properties" in field:
        yield from _rows(field, path)
    elif "items" in field:
        if len(field["items"].get("anyOf", ())) > MANY:
            yield f"`{path}[]`", "", "", "", "one of the tables at the end"
        else:
            yield from _within(field["items"], f"{path}[]")
    variants = [one for one in field.get("anyOf", ()) if one.get("type") != "null"]
    for one in variants:
        if len(variants) > 1:
            yield (
                f"`{path}`",
                one.get("title", ""),
                _type(one),
                one.get("x-unit", ""),
                _meaning(one) or "else",
            )
        yield from _within(one, path)


MANY = 50
"""A list whose entries may be one of so many has a chapter of its own."""


def _type(field: Any) -> str:
    wire = str(field.get("x-wire", ""))
    return wire or ("fields" if "properties" in field else "")


def _meaning(field: Any) -> str:
    """The meaning, and what numbers stand for."""
    told = [field.get("description", "")]
    if "x-codes" in field:
        told.append(", ".join(f"{_code(code)} {name}" for code, name in field["x-codes"].items()))
    if "x-bits" in field:
        told.append(", ".join(f"bit {bit['bits']} {bit['name']}{_note(bit)}" for bit in field["x-bits"]))
    if "x-when" in field:
        told.append(f"where {field['x-when']}")
    return "; ".join(filter(None, told))


def _code(code: str) -> str:
    return code if int(code) < 10 else f"{int(code):#04x}"


def _note(bit: Any) -> str:
    return f" ({bit['note']})" if "note" in bit else ""


def _example(layout: Struct) -> Iterator[str]:
    fields = example(layout)
    if fields:
        raw = catalog.encode(layout, fields)
        yield f"`{raw.hex()}` is `{json.dumps(fields, ensure_ascii=False)}`\n"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _line(heads)
    yield "|" + "---|" * len(heads)
    yield from map(_line, rows)
    yield ""


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    print(document(), end="")
