"""The table of the shared frames: source, cases, held, explained (`make vectors`)."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Cases = Mapping[str, collections.Counter[str]]
"""By vector: how many of its values `held`, are `explained`, `failed`."""


class Line(NamedTuple):
    """What became of the vectors of one source."""

    source: str
    vectors: int = 0  # each is decoded and explained, byte by byte
    cases: int = 0  # those with expectations of ours
    held: int = 0  # cases of which all expectations do
    explained: int = 0  # some do not, and a line of the tests says which clause is against the source
    failed: int = 0
    values_held: int = 0
    values_explained: int = 0


def rows(vectors: Iterable[Mapping[str, Any]], cases: Cases) -> list[Line]:
    """One line a source, most vectors first."""
    found: dict[str, list[Line]] = {}
    for vector in vectors:
        source = project(vector["source"])
        found.setdefault(source, []).append(judged(source, cases.get(vector["id"], collections.Counter())))
    lines = [total(lines)._replace(source=source) for source, lines in found.items()]
    return sorted(lines, key=lambda line: (-line.vectors, line.source))


def judged(source: str, case: collections.Counter[str]) -> Line:
    """One vector."""
    held, explained, failed = bool(case), bool(case["explained"]), bool(case["failed"])
    outcome = (held and not explained and not failed, explained and not failed, failed)
    return Line(source, 1, held, *outcome, case["held"], case["explained"])


def project(source: str) -> str:
    """Owner and name of a repository, without the place in it."""
    return "/".join(source.split(" ", maxsplit=1)[0].split("/")[:2])


def total(lines: Sequence[Line]) -> Line:
    return Line("total", *(sum(column) for column in list(zip(*lines, strict=True))[1:]) if lines else ())


def text(
    vectors: Iterable[Mapping[str, Any]],
    cases: Cases,
    reasons: Mapping[str, tuple[Sequence[str], str]],
) -> str:
    """The table, what it comes to, and the reason of each explanation."""
    vectors = list(vectors)
    lines = rows(vectors, cases)
    whole = total(lines)
    widths = [max(len(line.source) for line in (*lines, whole)), *(max(8, len(name)) for name in HEADS[1:])]
    head, *table, last = [
        "  ".join(justified(row, widths)) for row in (HEADS, *map(cells, lines), cells(whole))
    ]
    rule = "-" * len(head)
    asserted = [vector for vector in vectors if vector["id"] in cases and asserts(vector)]
    of_these = total([judged("", cases[vector["id"]]) for vector in asserted])
    values = of_these.values_held + of_these.values_explained
    told = [
        f"Asserted by their sources (direction decode or both, no quirk): {of_these.cases} cases,"
        f" {of_these.held} held, {of_these.explained} explained, {of_these.failed} failed;",
        f"of their {values} values {of_these.values_held} held, {of_these.values_explained} explained.",
    ]
    why = [f"  {name}: {reasons[name][1]}" for name in sorted(cases) if cases[name]["explained"]]
    return "\n".join([head, rule, *table, rule, last, "", *told, "", "Explained:", *why])


def asserts(vector: Mapping[str, Any]) -> bool:
    """Whether the source asserts that decoding gives its expectations."""
    return vector.get("assert_direction") in {"decode", "both"} and not vector.get("quirk")


HEADS = ("source", "vectors", "cases", "held", "explained", "failed", "values held", "explained")


def cells(line: Line) -> tuple[str, ...]:
    return (line.source, *map(str, line[1:]))


def justified(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *rest = row
    return [
        first.ljust(widths[0]),
        *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)),
    ]
