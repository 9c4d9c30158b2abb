"""The project's own vectors, `tests/vectors/*.jsonl`: made by hand from the text of the standards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1] / "vectors"


def vectors(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / f"{name}.jsonl").read_text().splitlines()]


def chapters() -> list[str]:
    """The files with bodies of messages, by their names; others have frames or items."""
    return [path.stem for path in sorted(HERE.glob("*.jsonl")) if "message" in vectors(path.stem)[0]]
