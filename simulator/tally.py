"""What a fleet has done: counters, and how long acknowledgements took."""

from __future__ import annotations

import math

import msgspec

_STEP = math.log(1.05)  # a bucket is 5 % wide: percentiles are exact to that
_FLOOR = 1e-5  # s
_BUCKETS = 360  # up to 400 s


class Latency:
    """A histogram with logarithmic buckets."""

    __slots__ = ("_counts", "count", "highest")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self.count = 0
        self.highest = 0.0

    def add(self, seconds: float) -> None:
        bucket = int(math.log(seconds / _FLOOR) / _STEP) if seconds > _FLOOR else 0
        self._counts[min(bucket, _BUCKETS - 1)] += 1
        self.count += 1
        self.highest = max(self.highest, seconds)

    def percentile(self, part: float) -> float:
        """Seconds below which `part` (0 to 1) of all lie; 0 where there are none."""
        wanted, seen = part * self.count, 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return min(_FLOOR * math.exp((bucket + 1) * _STEP), self.highest)
        return 0.0


class Tally(msgspec.Struct):
    """Counters of one fleet; each terminal of it adds to them."""

    online: int = 0  # now: connected and authenticated
    connects: int = 0
    reconnects: int = 0  # connects of terminals that had been connected before
    failed_connects: int = 0
    registered: int = 0
    authenticated: int = 0
    login_refused: int = 0
    recorded: int = 0  # reports made, sent or not
    sent: int = 0  # reports sent for the first time on a connection
    backfilled: int = 0  # of these, in a 0x0704
    acked: int = 0  # reports acknowledged as stored
    refused: int = 0  # reports answered with another result
    repeated: int = 0  # messages sent again for want of an answer
    exhausted: int = 0  # messages given up after the last repetition
    heartbeats: int = 0
    alarms: int = 0  # alarms begun
    commands: int = 0  # messages of the platform that were no answers
    answers: int = 0  # acknowledgements of commands and other answers to them
    texts: int = 0  # texts for the driver
    uploads: int = 0  # connections with evidence
    uploads_refused: int = 0  # announcements of alarms and files that were refused
    files_uploaded: int = 0  # of evidence: called complete by the platform
    files_failed: int = 0  # given up
    bytes_uploaded: int = 0  # of the files that are complete
    bytes_sent: int = 0  # in data packets
    pieces_again: int = 0  # missing pieces that the platform asked for
    faults: int = 0  # bytes of the platform that were no message
    discarded: int = 0  # reports dropped because the store of the terminal was full
    latency: Latency = msgspec.field(default_factory=Latency)

    def summary(self) -> dict[str, int | float]:
        """All counters, and the latency of acknowledgements in milliseconds."""
        found: dict[str, int | float] = {
            name: getattr(self, name) for name in self.__struct_fields__ if name != "latency"
        }
        for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)):
            found[f"latency_{name}_ms"] = round(self.latency.percentile(part) * 1000, 3)
        return found
