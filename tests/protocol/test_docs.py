"""docs/messages.md is what the tables say today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from protocol.catalog import Row
from protocol.docs import document
from protocol.messages import DIALECTS, EDITIONS, ITEMS
from protocol.messages.parameters import PARAMETERS

COMMITTED = Path(__file__).parents[2] / "docs" / "messages.md"


@pytest.fixture(scope="module")
def text() -> str:
    return document()


def test_the_committed_file_is_up_to_date(text: str) -> None:
    up_to_date = COMMITTED.read_text() == text
    assert up_to_date, "run `make docs`"


def test_every_message_item_and_parameter_is_in_it(text: str) -> None:
    headings = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    for rows in (*EDITIONS.values(), *DIALECTS.values()):
        for row in rows.values():
            assert any(heading.startswith(f"{row.id:#06x} {row.name} ") for heading in headings), row.name
            assert row.clause in text or row.clause.partition(" ")[2] in text
    for item in (item for group in ITEMS.values() for item in group):
        assert any(heading.startswith(f"Item {item.id:#04x} {item.name} ") for heading in headings), item.name
    for number, readings in PARAMETERS.items():
        assert any(f"| {reading.id:#06x}" in text for reading in readings), number


def test_links_lead_to_headings(text: str) -> None:
    anchors = {anchor(line[4:]) for line in text.splitlines() if line.startswith("### ")}
    links = re.findall(r"\]\(#([^)]*)\)", text)
    assert len(links) == len({row.id for rows in EDITIONS.values() for row in rows.values()} | forms())
    assert set(links) <= anchors


def forms() -> set[int]:
    return {row.id for rows in DIALECTS.values() for row in rows.values()}


def anchor(heading: str) -> str:
    """As GitHub makes it: lower case, no punctuation, spaces as hyphens."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_tables_are_even(text: str) -> None:
    """Every line of a table has as many cells as its head."""
    width = 0
    for line in text.splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not (width and cells) or cells == width, line
        width = cells


def test_rows_say_what_makes_them_differ(text: str) -> None:
    row: Row = EDITIONS[max(EDITIONS)][0x0102]
    section = text.split(f"### {row.id:#06x} {row.name}")[1].split("\n### ", maxsplit=1)[0]
    assert section.count("**") == 4
    assert "| `imei` | 终端IMEI | STRING[15] |  | IMEI of the terminal |" in section
    assert "**2019 · 808-2019 8.11 table 10**" in section
