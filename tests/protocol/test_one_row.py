"""A message more is one row in one file of `protocol/` and one vector in `tests/`; the rest follows.

Proved on a copy of both: a row and a vector are added to it, then its own tests and commands are run.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TABLE = "protocol/messages/general.py"
VECTORS = "tests/vectors/general.jsonl"

ROW = """V2019 = overlay(
    V2019,
    add=(
        Row(
            0x0FFE,
            "figures",
            "数值上报",
            Struct("figure" / U16 * "数值: what is told [m]", "all" / Counted(U8, U16) * "列表: of others"),
            "808-2019 8.99 table 99",
        ),
    ),
)

"""
VECTOR = {
    "message": "0x0ffe",
    "clause": {"2019": "808-2019 8.99 table 99"},
    "body": "0102 02 0003 0004",
    "fields": {"figure": 258, "all": [3, 4]},
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rooms as they would be with one message more."""
    folder = tmp_path_factory.mktemp("copy")
    for room in ("protocol", "tests"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    table = folder / TABLE
    text = table.read_text()
    assert text.count("\nEDITIONS: ") == 1
    table.write_text(text.replace("\nEDITIONS: ", f"\n{ROW}EDITIONS: "))
    with (folder / VECTORS).open("a") as file:
        file.write(json.dumps(VECTOR) + "\n")
    return folder


def run(copy: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=copy, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_nothing_else_was_touched(copy: Path) -> None:
    changed = {
        str(path.relative_to(copy))
        for room in ("protocol", "tests")
        for path in (copy / room).rglob("*.*")
        if path.is_file() and path.read_bytes() != (ROOT / path.relative_to(copy)).read_bytes()
    }
    assert {name for name in changed if not name.endswith(".pyc")} == {TABLE, VECTORS}


def test_the_tests_of_all_rows_try_it_and_hold(copy: Path) -> None:
    """There and back by hypothesis, any bytes, the vector, names, schema, example."""
    files = ("tests/protocol/messages/test_messages.py", "tests/protocol/test_schema.py")
    chosen = ("-k", "0x0ffe or vector_of_its_own")
    told = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *files, *chosen)
    assert " passed" in told
    assert int(told.rsplit(" passed", maxsplit=1)[0].rsplit(maxsplit=1)[-1]) >= 8, told


PROGRAM = """
import protocol
from protocol.schema import example, schema
from protocol.messages import EDITIONS
wire = protocol.encode(0x0FFE, {"figure": 7, "all": [1]}, "1", 0, 2019)
told = protocol.decode(wire)
row = EDITIONS[2019][0x0FFE]
print(protocol.__file__, told["name"], told["title"], told["body"], told["faults"])
print(*(f"{f.offset}:{f.path}:{f.title}:{f.value}:{f.unit}" for f in protocol.explain(wire)[5:-1]))
print(example(row.layout), schema(row.layout)["properties"]["figure"]["maximum"])
from tests.protocol.fuzz import MESSAGE_IDS, seeds
print(0x0FFE in MESSAGE_IDS, len(seeds().bodies[0x0FFE]))
"""


def test_what_derives_from_a_row_has_it(copy: Path) -> None:
    lines = run(copy, "-c", PROGRAM).splitlines()
    assert lines == [
        f"{copy}/protocol/__init__.py figures 数值上报 {{'figure': 7, 'all': [1]}} []",
        "17:figure:数值:7:m 19:all.count:个数:1: 20:all[0]:列表:1:",
        "{'figure': 0, 'all': [0]} 65535",
        "True 2",
    ]
    page = run(copy, "-m", "protocol.docs")
    assert "### 0x0ffe figures 数值上报" in page
    assert "| `figure` | 数值 | WORD | m | what is told |" in page
    assert (
        "| [0x0ffe](#0x0ffe-figures-数值上报) | figures | 数值上报 | terminal |  |  | 8.99 table 99 |" in page
    )
