"""`jtgate decode`: what a frame says, field by field, for people or (--json) for programs.

Reads a frame from the command line, or with `-` one a line from standard input: then each line gives one
JSON object, and a bad line an object with `error`. With `--json` an object lists each field too, as the
table does. Knows no layout: all of it is `protocol/codec.py`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from protocol import codec

COLUMNS = ("offset", "bytes", "field", "title", "value", "unit", "meaning", "clause")
"""`field` is the English name, `title` the Chinese one."""
SHOWN_BYTES = 16
"""Bytes of a field that the table shows; `--json` has all of them."""


def decode(
    frame: Annotated[str, typer.Argument(help="A frame in hexadecimal, or - for one a line from stdin.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, every field listed.")] = False,
    edition: Annotated[
        int | None, typer.Option(help="2011, 2013 or 2019: read the body so, whatever the header claims.")
    ] = None,
    dialect: Annotated[
        str | None, typer.Option(help="Whose readings go first: su, guangdong, sichuan …")
    ] = None,
) -> None:
    """Explain a JT/T 808 frame."""
    if edition not in {None, *map(int, codec.Edition)}:
        raise typer.BadParameter(f"edition {edition}: it is 2011, 2013 or 2019")
    if frame == "-":
        for told in lines(sys.stdin, edition, dialect, fields=as_json):
            typer.echo(json.dumps(told, ensure_ascii=False))
        return
    try:
        told = tell(frame, edition, dialect, fields=as_json)
    except ValueError as error:
        typer.echo(f"this is no hexadecimal: {error}", err=True)
        raise typer.Exit(2) from error
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    show(told, codec.explain(frame, edition=edition, dialect=dialect))


def tell(frame: str, edition: int | None, dialect: str | None, *, fields: bool = False) -> dict[str, Any]:
    """What a frame says; with `fields` each of them too, in the order of the bytes. ValueError: no hex."""
    told = codec.decode(frame, edition=edition, dialect=dialect)
    if fields:
        told["fields"] = [_field(part) for part in codec.explain(frame, edition=edition, dialect=dialect)]
    return told


def lines(
    source: Iterable[str],
    edition: int | None = None,
    dialect: str | None = None,
    *,
    fields: bool = False,
) -> Iterable[dict[str, Any]]:
    """What each line that is not empty says; `error` in place of it where a line is no hexadecimal."""
    for number, line in enumerate(source, 1):
        if not line.strip():
            continue
        try:
            yield tell(line, edition, dialect, fields=fields)
        except ValueError as error:
            yield {"error": str(error), "line": number, "given": line.strip()[:200]}


def show(told: dict[str, Any], parts: list[codec.Field]) -> None:
    """A table on a terminal, tabs between the columns otherwise."""
    head = " ".join(
        str(told[key]) for key in ("message_id", "name", "title", "edition", "phone", "clause") if key in told
    )
    rows = [_row(part) for part in parts]
    if sys.stdout.isatty():
        console = Console()
        table = Table(*COLUMNS, title=Text(head), title_justify="left")
        for row in rows:
            table.add_row(*map(Text, row))
        console.print(table)
    else:
        typer.echo(head)
        for row in (COLUMNS, *rows):
            typer.echo("\t".join(row))
    for fault in told["faults"]:
        typer.echo(f"fault: {fault['reason']} at {fault['offset']}: {fault['detail']}")


def _field(part: codec.Field) -> dict[str, Any]:
    """A field for programs: the columns of the table, whole."""
    columns = (
        part.offset,
        part.raw.hex(),
        part.path,
        part.title,
        part.value,
        part.unit,
        part.meaning,
        part.clause,
    )
    return dict(zip(COLUMNS, columns, strict=True)) | ({"names": part.names} if part.names else {})


def _row(part: codec.Field) -> tuple[str, ...]:
    shown = part.raw[:SHOWN_BYTES].hex() + ("…" if len(part.raw) > SHOWN_BYTES else "")
    names = ", ".join(part.names) if isinstance(part.names, list) else part.names
    value = _plain(f"{part.value} ({names})" if names else str(part.value))
    return str(part.offset), shown, part.path, part.title, value, part.unit, part.meaning, part.clause


def _plain(text: str) -> str:
    """Text from a terminal must not steer the screen of who looks at it."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
