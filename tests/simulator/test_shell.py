"""The schedule wakes each terminal when it wants to be woken, and no more often than that."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from simulator.shell import DATAGRAM, Schedule, Slot, UdpLine


def slot(wake: float) -> Any:
    return SimpleNamespace(terminal=SimpleNamespace(wake=wake), scheduled=float("inf"))


def test_who_is_due() -> None:
    schedule = Schedule()
    early, late = slot(1.0), slot(5.0)
    for each in (late, early, early):
        schedule.add(each)
    assert schedule.due(0.9) == []
    assert schedule.due(1.0) == [early]
    assert schedule.due(4.9) == []
    early.terminal.wake = 4.0
    schedule.add(early)
    late.terminal.wake = 2.0
    schedule.add(late)
    assert schedule.due(10.0) == [late, early]
    assert schedule.due(99.0) == []


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 100)), max_size=40))
def test_everybody_is_woken_in_time(changes: list[tuple[int, float]]) -> None:
    schedule = Schedule()
    slots = [slot(float("inf")) for _ in range(5)]
    for which, wake in changes:
        slots[which].terminal.wake = wake
        schedule.add(slots[which])
    woken: dict[int, float] = {}
    for now in range(101):
        for each in schedule.due(float(now)):
            index = next(n for n, known in enumerate(slots) if known is each)
            if each.terminal.wake > now:  # it changed its mind: asked again
                schedule.add(each)
            else:
                assert index not in woken
                woken[index] = now
    for index, each in enumerate(slots):
        if each.terminal.wake <= 100:
            assert index in woken


def test_datagrams_hold_whole_frames() -> None:
    sent: list[bytes] = []
    line = UdpLine(cast(Slot, None))
    line._transport = cast(Any, SimpleNamespace(sendto=sent.append))
    frame = b"~" + b"x" * 400 + b"~"
    line.write(frame * 7)
    line.write(frame)
    assert [len(datagram) // len(frame) for datagram in sent] == [2, 2, 2, 1, 1]
    assert all(len(datagram) <= DATAGRAM for datagram in sent)
    assert b"".join(sent) == frame * 8
