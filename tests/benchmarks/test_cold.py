"""The benchmark of cold messages measures all of them."""

from __future__ import annotations

import pytest

from benchmarks import cold
from benchmarks.common import Options, best
from protocol.codec import Profile
from protocol.messages import DIALECTS, EDITIONS


def test_every_message_is_a_case_that_is_read_whole() -> None:
    cases = list(cold.cases())
    wanted = {(row.id, edition, None) for edition, rows in EDITIONS.items() for row in rows.values()}
    assert wanted <= {(case.id, case.edition, case.dialect) for case in cases}
    assert {dialect for dialect, rows in DIALECTS.items() if rows} <= {case.dialect for case in cases}
    for case in cases:
        reading = Profile(case.edition, case.dialect).decode(case.id, case.body)
        assert (reading.breaks, reading.rest) == ([], b""), case


def test_the_dearest_stand_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cold, "best", lambda work, count: best(work, 1, 1))
    figures = cold.run(Options())
    assert len(figures["dearest"]) == cold.SHOWN
    assert [row["us"] for row in figures["dearest"]] == sorted(
        (r["us"] for r in figures["dearest"]), reverse=True
    )
    assert {row["message"] for row in figures["hot_by_layout"]} == {
        "0x0200 location",
        "0x0704 location_batch",
    }
