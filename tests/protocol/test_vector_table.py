"""The table of the shared frames, on made-up ones."""

from __future__ import annotations

from collections import Counter

from tests.protocol.vector_table import Line, project, rows, text, total

VECTORS = [
    {"id": "a-1", "source": "owner/a src/test.java:1", "assert_direction": "both"},
    {"id": "a-2", "source": "owner/a issue #2", "assert_direction": "decode"},
    {"id": "a-3", "source": "owner/a issue #2", "assert_direction": "both", "quirk": "wrong length"},
    {"id": "b-1", "source": "owner/b", "assert_direction": "decode"},
    {"id": "b-2", "source": "owner/b"},
]
CASES = {
    "a-1": Counter(held=3),
    "a-2": Counter(held=1, explained=2),
    "a-3": Counter(held=1),
    "b-1": Counter(failed=1, explained=1),
}


def test_lines() -> None:
    a, b = rows(VECTORS, CASES)
    assert a == Line("owner/a", 3, 3, 2, 1, 0, 5, 2)
    assert b == Line("owner/b", 2, 1, 0, 0, 1, 0, 1)
    assert total([a, b]) == Line("total", 5, 4, 2, 1, 1, 5, 3)
    assert total([]) == Line("total")
    assert project("one two") == "one"


def test_text() -> None:
    told = text(VECTORS, CASES, {"a-2": (("x",), "table 1 says so"), "b-1": (("y",), "so does table 2")})
    lines = told.splitlines()
    assert lines[0].split()[:4] == ["source", "vectors", "cases", "held"]
    assert lines[2].split() == ["owner/a", "3", "3", "2", "1", "0", "5", "2"]
    assert lines[7].endswith("3 cases, 1 held, 1 explained, 1 failed;")
    assert lines[8] == "of their 7 values 4 held, 3 explained."
    assert lines[-2:] == ["  a-2: table 1 says so", "  b-1: so does table 2"]
