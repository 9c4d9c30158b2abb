"""What a message costs that is read by its layout: every message but those of the hot path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import Options, best
from protocol import catalog
from protocol.codec import Profile
from protocol.header import Edition
from protocol.messages import DIALECTS, EDITIONS
from protocol.schema import example

QUESTION = "What does the dearest of the messages cost that are decoded by their layout?"

TARGET = 60.0  # microseconds
SHOWN = 10
HOT = {0x0200, 0x0704}
"""The gateway reads these with `protocol/location.py`; measured here all the same, but not counted."""

VECTORS = Path(__file__).parent.parent / "tests" / "vectors"


class Case(NamedTuple):
    id: int
    name: str
    edition: Edition
    dialect: str | None
    body: bytes


def run(options: Options) -> dict[str, Any]:
    costs = sorted(((measured(case), case) for case in cases()), key=lambda pair: -pair[0])
    cold = [(cost, case) for cost, case in costs if case.id not in HOT]
    return {
        "bodies": len(cold),
        "us_mean": round(sum(cost for cost, _ in cold) / len(cold), 1),
        "us_dearest": round(cold[0][0], 1),
        "us_target": TARGET,
        "bodies_above_target": sum(cost > TARGET for cost, _ in cold),
        "dearest": [shown(cost, case) for cost, case in cold[:SHOWN]],
        "hot_by_layout": [shown(cost, case) for cost, case in costs if case.id in HOT],
    }


def cases() -> Iterator[Case]:
    """One body of each message, edition and dialect: the longest of our vectors, else the example."""
    longest: dict[tuple[int, str, str], bytes] = {}
    for path in sorted(VECTORS.glob("*.jsonl")):
        for vector in map(json.loads, path.read_text().splitlines()):
            if "message" in vector:
                body, dialect = bytes.fromhex(vector["body"]), vector.get("dialect", "")
                for edition in vector["clause"]:
                    key = int(vector["message"], 16), edition, dialect
                    longest[key] = max(longest.get(key, b""), body, key=len)
    tables = [(edition, "", rows) for edition, rows in EDITIONS.items()]
    tables += [(Edition.V2013, dialect, rows) for dialect, rows in DIALECTS.items()]
    for edition, dialect, rows in tables:
        for row in rows.values():
            of_ours = longest.get((row.id, str(int(edition)), dialect))
            body = of_ours if of_ours is not None else catalog.encode(row.layout, example(row.layout))
            yield Case(row.id, row.name, edition, dialect or None, body)


def measured(case: Case) -> float:
    """Microseconds to read the body, choice of the edition included."""
    profile = Profile(case.edition, case.dialect)
    return best(lambda: profile.decode(case.id, case.body), 200) * 1e6


def shown(cost: float, case: Case) -> dict[str, Any]:
    told = {"message": f"{case.id:#06x} {case.name}", "edition": int(case.edition), "bytes": len(case.body)}
    return told | ({"dialect": case.dialect} if case.dialect else {}) | {"us": round(cost, 1)}
