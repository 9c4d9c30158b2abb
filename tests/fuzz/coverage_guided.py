"""The checks of `tests/protocol/fuzz.py`, driven by coverage, for those who look deeper.

    pip install atheris                              (not among the dependencies)
    python -m tests.fuzz.coverage_guided [CORPUS] [-runs=N] [-max_total_time=SECONDS] …

The arguments are libFuzzer's. Inputs that fail are written to the present folder by it.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["protocol"]):
    from tests.protocol import fuzz

ITEM_IDS = sorted(fuzz.ITEMS)
PEER = fuzz.Peer()


def one(data: bytes) -> None:
    """The first three bytes choose what is checked, the rest is the input."""
    if len(data) < 3:
        return
    kind, which, how, rest = data[0] % 6, data[1], data[2], data[3:]
    if kind == 0:
        profile = fuzz.PROFILES[how % len(fuzz.PROFILES)]
        fuzz.check_body(rest, fuzz.MESSAGE_IDS[which % len(fuzz.MESSAGE_IDS)], profile, thorough=True)
    elif kind == 1:
        fuzz.check_item(rest[:255], ITEM_IDS[which % len(ITEM_IDS)], fuzz.NAMES[how % len(fuzz.NAMES)])
    elif kind == 2:
        fuzz.check_report(rest)
    elif kind == 3:
        fuzz.check_frame(rest)
    elif kind == 4:
        fuzz.check_split(rest, sorted(place % (len(rest) + 1) for place in (which, how)))
    else:
        # What libFuzzer makes rarely has a right checksum: it is put right, so that the link takes it.
        PEER.check(fuzz.frame.escape(rest) if which % 4 else rest)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
