"""Batches of saved reports (0x0704) whose lengths are not where the standard has them."""

from __future__ import annotations

from collections.abc import Sequence

from simulator import bodies
from simulator.scenarios.outage import Outage


class BatchSingleLength(Outage):
    title = "a 0x0704 with one length for all its reports"

    def batch(self, reports: Sequence[bytes]) -> bytes:
        if len({len(report) for report in reports}) > 1:
            return bodies.batch(reports)
        head = bodies.batch(reports[:1])
        return len(reports).to_bytes(2) + head[2:] + b"".join(reports[1:])


class BatchWrongCount(Outage):
    title = "a 0x0704 that announces more reports than it has"

    def batch(self, reports: Sequence[bytes]) -> bytes:
        return (len(reports) + 3).to_bytes(2) + bodies.batch(reports)[2:]
