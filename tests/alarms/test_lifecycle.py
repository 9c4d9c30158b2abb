"""What becomes of signals: each rule by hand, then a watch against a naive model over restarts."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from alarms.lifecycle import ACTIONS, LATE, RECENT, Standing, Watch, alarm_id, diagram
from alarms.model import Alarm, Change, Phase, State, Transition
from alarms.track import STALE
from protocol.location import Location
from tests.alarms.reports import T, item, report

PHONE = "13800138000"
OVERSPEED, FATIGUE, EMERGENCY = 1 << 1, 1 << 2, 1 << 0


def see(watch: Watch, location: Location, time: int, **options: Any) -> list[Transition]:
    late = options.get("backfilled", False)
    return watch.observe(location, time, options.get("received", float(time)), late)


def changes(transitions: Iterable[Transition]) -> list[tuple[str, str]]:
    return [(t.change.value, t.alarm.kind) for t in transitions]


def driver(time: int, flag: int, serial: int = 0, **fields: Any) -> tuple[int, bytes]:
    """A fatigue item of `time`; `serial` makes the alarm itself."""
    return item("su_driver", time, flag=flag, serial=serial, alarm_id=serial, named=T, **fields)


# --- bits -----------------------------------------------------------------------------------------------


def test_a_standing_bit_is_one_alarm() -> None:
    watch = Watch(PHONE)
    (raised,) = see(watch, report(OVERSPEED), T)
    assert (raised.change, raised.alarm.state, raised.alarm.rev) == (Change.RAISED, State.OPEN, 1)
    assert (raised.alarm.occurred_at, raised.alarm.backfilled) == (T, False)
    assert raised.alarm.id == alarm_id(PHONE, f"808:alarm/1@{T}")
    for n in range(1, 500):
        assert see(watch, report(OVERSPEED), T + n * 30) == []
    (ended,) = see(watch, report(0), T + 500 * 30)
    assert (ended.change, ended.alarm.id, ended.alarm.rev) == (Change.ENDED, raised.alarm.id, 2)
    assert (ended.alarm.ended_at, ended.alarm.end_reason) == (T + 15_000, "cleared")
    assert raised.alarm.ended_at is None


def test_bits_are_alarms_of_their_own() -> None:
    watch = Watch(PHONE)
    see(watch, report(OVERSPEED), T)
    assert changes(see(watch, report(FATIGUE), T + 1)) == [("ended", "overspeed"), ("raised", "fatigue")]


def test_a_momentary_bit_is_told_once_a_rise() -> None:
    watch = Watch(PHONE)
    (first,) = see(watch, report(EMERGENCY), T)
    assert first.alarm.state is State.MOMENTARY
    assert see(watch, report(EMERGENCY), T + 10) == []
    assert see(watch, report(0), T + 20) == []
    assert changes(see(watch, report(EMERGENCY), T + 30)) == [("raised", "emergency")]


def test_a_momentary_bit_after_a_gap_is_told_again() -> None:
    watch = Watch(PHONE)
    see(watch, report(EMERGENCY | OVERSPEED), T)
    see(watch, report(EMERGENCY | OVERSPEED), T + STALE)
    found = see(watch, report(EMERGENCY | OVERSPEED), T + 2 * STALE + 1)
    assert changes(found) == [("raised", "emergency")]  # overspeed goes on: its bit never fell


def test_the_edition_decides_what_lasts() -> None:
    watch = Watch(PHONE, edition=2019)
    assert see(watch, report(8), T)[0].alarm.state is State.OPEN
    assert changes(see(watch, report(0), T + 1)) == [("ended", "dangerous_driving")]


def test_video_items() -> None:
    watch = Watch(PHONE)
    quiet = report(0, (0x14, bytes(4)), (0x15, bytes(4)), (0x16, bytes(4)), (0x17, bytes(2)))
    assert see(watch, quiet, T) == []
    assert watch.live.raws is None
    lost = report(0, (0x14, b"\0\0\0\1"), (0x15, b"\0\0\0\1"))
    assert changes(see(watch, lost, T + 1)) == [("raised", "video_loss")]
    assert see(watch, lost, T + 2) == []
    assert see(watch, report(0), T + 3) == []  # absent: nothing is said
    (more,) = see(watch, report(0, (0x14, b"\0\0\0\1"), (0x15, b"\0\0\0\3")), T + 4)
    assert (more.change, more.alarm.rev) == (Change.UPDATED, 2)
    assert more.alarm.details == {"channels": ["channel1", "channel2"]}
    (ended,) = see(watch, quiet, T + 5)
    assert (ended.change, ended.alarm.rev, ended.alarm.end_reason) == (Change.ENDED, 3, "cleared")
    assert see(watch, quiet, T + 6) == []
    assert watch.live.raws is None


def test_a_video_alarm_is_stale_only_when_its_item_is_gone() -> None:
    watch = Watch(PHONE)
    lost = report(0, (0x14, b"\0\0\0\1"))
    see(watch, lost, T)
    for n in range(1, 200):
        assert see(watch, lost, T + n * 60) == []
    last = T + 199 * 60
    assert see(watch, report(0), last + STALE) == []
    (stale,) = see(watch, report(0), last + STALE + 1)
    assert (stale.alarm.end_reason, stale.alarm.ended_at) == ("stale", last)
    assert changes(see(watch, lost, last + STALE + 2)) == [("raised", "video_loss")]


def test_a_video_alarm_ends_after_a_restart() -> None:
    watch = Watch(PHONE)
    (raised,) = see(watch, report(0, (0x14, b"\0\0\0\2")), T)
    again = Watch(PHONE, [raised.alarm])
    assert see(again, report(0, (0x14, b"\0\0\0\2")), T + 1) == []
    assert changes(see(again, report(0, (0x14, bytes(4))), T + 2)) == [("ended", "camera_occluded")]


# --- items ----------------------------------------------------------------------------------------------


def test_start_and_end() -> None:
    watch = Watch(PHONE)
    (raised,) = see(watch, report(0, driver(T, 1)), T)
    assert (raised.alarm.kind, raised.alarm.state, raised.alarm.attachments) == ("fatigue", State.OPEN, 2)
    end = report(0, driver(T + 9, 2, attachments=4))
    (ended,) = see(watch, end, T + 9)
    assert (ended.alarm.id, ended.alarm.rev, ended.alarm.ended_at) == (raised.alarm.id, 2, T + 9)
    assert (ended.alarm.end_reason, ended.alarm.attachments) == ("reported", 4)
    assert see(watch, end, T + 9) == []
    assert see(watch, end, T + 9, backfilled=True) == []
    assert see(watch, report(0, driver(T, 1)), T) == []


def test_an_end_with_an_identifier_of_its_own_ends_its_pairing() -> None:
    watch = Watch(PHONE)
    see(watch, report(0, driver(T, 1, serial=1)), T)
    end = report(0, driver(T + 9, 2, serial=2))
    assert changes(see(watch, end, T + 9)) == [("ended", "fatigue")]
    assert see(watch, end, T + 9) == []


def test_a_start_sent_again_is_the_same_alarm() -> None:
    watch = Watch(PHONE)
    see(watch, report(0, driver(T, 1)), T)
    assert see(watch, report(0, driver(T, 1)), T) == []
    assert see(watch, report(0, driver(T + 5, 1, vehicle_status=3)), T + 5) == []
    (graver,) = see(watch, report(0, driver(T + 9, 1, level=2, fatigue=9)), T + 9)
    assert (graver.change, graver.alarm.rev, graver.alarm.level) == (Change.UPDATED, 2, 2)
    assert (graver.alarm.occurred_at, graver.alarm.details["fatigue"]) == (T, 9)
    assert see(watch, report(0, driver(T + 12, 2)), T + 12)[0].alarm.rev == 3


def test_a_further_start_supersedes() -> None:
    watch = Watch(PHONE)
    see(watch, report(0, driver(T, 1, serial=1)), T)
    old, new = see(watch, report(0, driver(T + 60, 1, serial=2)), T + 60)
    assert (old.change, old.alarm.end_reason, old.alarm.ended_at) == (Change.ENDED, "superseded", T + 60)
    assert new.change is Change.RAISED
    late_end = report(0, driver(T + 61, 2, serial=1))
    assert see(watch, late_end, T + 61) == []  # of the first one, which is over
    assert changes(see(watch, report(0, driver(T + 62, 2, serial=2)), T + 62)) == [("ended", "fatigue")]


def test_an_older_start_that_comes_later_is_over() -> None:
    watch = Watch(PHONE)
    see(watch, report(0, driver(T + 60, 1, serial=2)), T + 60)
    raised, ended = see(watch, report(0, driver(T, 1, serial=1)), T + 61)
    assert raised.alarm.id == ended.alarm.id
    assert (ended.alarm.end_reason, ended.alarm.ended_at) == ("superseded", T + 60)
    assert changes(see(watch, report(0, driver(T + 70, 2, serial=2)), T + 70)) == [("ended", "fatigue")]


def test_an_older_end_does_not_end_a_younger_alarm() -> None:
    (young,) = see(Watch(PHONE), report(0, driver(T + 60, 1, serial=2)), T + 60)
    restarted = Watch(PHONE, [young.alarm])
    found = see(restarted, report(0, driver(T + 30, 2, serial=1)), T + 61)
    assert young.alarm.id not in {t.alarm.id for t in found}
    assert changes(see(restarted, report(0, driver(T + 70, 2, serial=2)), T + 70)) == [("ended", "fatigue")]


def test_an_end_without_a_start_is_not_lost() -> None:
    watch = Watch(PHONE)
    end = report(0, driver(T, 2))
    raised, ended = see(watch, end, T)
    assert (raised.change, raised.alarm.state, raised.alarm.rev) == (Change.RAISED, State.OPEN, 1)
    assert (ended.change, ended.alarm.state, ended.alarm.rev) == (Change.ENDED, State.ENDED, 2)
    assert ended.alarm.occurred_at == ended.alarm.ended_at == T
    assert ended.alarm.details["start"] == "unknown"
    assert see(watch, end, T) == []
    assert not watch.live.open


def test_a_start_that_never_ends_is_stale() -> None:
    watch = Watch(PHONE)
    see(watch, report(0, driver(T, 1)), T)
    see(watch, report(0, driver(T + 100, 1)), T + 100)
    assert see(watch, report(), T + 100 + STALE) == []
    (stale,) = see(watch, report(), T + 101 + STALE)
    assert (stale.alarm.end_reason, stale.alarm.ended_at) == ("stale", T + 100)
    assert see(watch, report(), T + 102 + 2 * STALE) == []


def test_moments() -> None:
    watch = Watch(PHONE)
    both = report(0, driver(T, 0, serial=1), driver(T, 0, serial=2), driver(T, 0, serial=2))
    assert changes(see(watch, both, T)) == [("raised", "fatigue")] * 2
    assert see(watch, both, T) == []
    assert see(watch, both, T, backfilled=True) == []


def test_a_moment_beside_an_open_alarm_leaves_it_open() -> None:
    watch = Watch(PHONE)
    see(watch, report(0, driver(T, 1, serial=1)), T)
    assert changes(see(watch, report(0, driver(T + 1, 0, serial=2)), T + 1)) == [("raised", "fatigue")]
    assert changes(see(watch, report(0, driver(T + 2, 2, serial=1)), T + 2)) == [("ended", "fatigue")]


def test_tyres_begin_and_end_each_for_itself() -> None:
    def tyres(time: int, flag: int, *positions: int) -> Location:
        listed = [
            {"position": p, "type": 4, "pressure": 1, "temperature": 1, "battery": 1} for p in positions
        ]
        return report(0, item("su_tyres", time, flag=flag, named=time, tyres=listed))

    watch = Watch(PHONE)
    assert len(see(watch, tyres(T, 1, 0, 3), T)) == 2
    (ended,) = see(watch, tyres(T + 9, 2, 3), T + 9)
    assert ended.alarm.details["position"] == 3
    (ended,) = see(watch, tyres(T + 10, 2, 0), T + 10)
    assert ended.alarm.details["position"] == 0


# --- late reports ---------------------------------------------------------------------------------------


def late(watch: Watch, location: Location, time: int, now: int) -> list[Transition]:
    return watch.observe(location, time, float(now), True)


def test_an_alarm_within_an_outage_is_told_as_back_filled() -> None:
    watch = Watch(PHONE)
    see(watch, report(FATIGUE), T)
    now = T + 2000
    see(watch, report(FATIGUE), now)
    words = [FATIGUE, FATIGUE | OVERSPEED, OVERSPEED, 0, 0]
    found = [late(watch, report(word), T + 100 + n * 10, now) for n, word in enumerate(words)]
    assert [changes(f) for f in found] == [[], [("raised", "overspeed")], [], [("ended", "overspeed")], []]
    assert found[1][0].alarm.backfilled
    assert (found[3][0].alarm.occurred_at, found[3][0].alarm.ended_at) == (T + 110, T + 130)
    assert changes(see(watch, report(0), now + 10)) == [("ended", "fatigue")]  # live all the while
    for n, word in enumerate(words):
        assert late(watch, report(word), T + 100 + n * 10, now + 20) == []  # sent again


def test_a_batch_sent_again_in_other_parts_tells_nothing() -> None:
    watch = Watch(PHONE)
    see(watch, report(), T + 2000)
    words = [0, OVERSPEED, OVERSPEED, OVERSPEED, 0]
    for n, word in enumerate(words[:3]):
        late(watch, report(word), T + n, T + 2000)
    for n, word in enumerate(words[2:4], 2):
        assert late(watch, report(word), T + n, T + 2000) == []
    assert changes(late(watch, report(0), T + 4, T + 2000)) == [("ended", "overspeed")]


def test_a_report_that_a_younger_one_overtook_changes_nothing_live() -> None:
    watch = Watch(PHONE)
    see(watch, report(OVERSPEED), T)
    see(watch, report(OVERSPEED), T + 10)
    assert see(watch, report(0), T - 5, received=float(T + 11)) == []
    assert see(watch, report(OVERSPEED), T + 5, received=float(T + 11)) == []
    assert changes(see(watch, report(0), T + 20)) == [("ended", "overspeed")]
    assert see(watch, report(OVERSPEED), T + 15, received=float(T + 21)) == []  # while it stood
    assert changes(see(watch, report(FATIGUE), T + 16, received=float(T + 22))) == [("raised", "fatigue")]


@pytest.mark.parametrize(
    ("off", "is_late"), [(LATE, False), (LATE + 1, True), (-LATE, False), (-LATE - 1, True)]
)
def test_a_report_far_from_the_clock_is_late(off: int, is_late: bool) -> None:
    (raised,) = see(Watch(PHONE), report(OVERSPEED), T, received=float(T + off))
    assert raised.alarm.backfilled == is_late


def test_items_of_late_reports() -> None:
    watch = Watch(PHONE)
    see(watch, report(0, driver(T, 1, serial=1)), T)
    see(watch, report(), T + 500)
    moment = report(0, driver(T + 100, 0, serial=9))
    (raised,) = late(watch, moment, T + 100, T + 500)
    assert (raised.alarm.backfilled, raised.alarm.state) == (True, State.MOMENTARY)
    (ended,) = late(watch, report(0, driver(T + 110, 2, serial=1)), T + 110, T + 500)
    assert (ended.alarm.backfilled, ended.alarm.ended_at) == (
        False,
        T + 110,
    )  # the live one: its end came late
    assert see(watch, report(0, driver(T, 1, serial=1)), T + 501) == []


def test_a_late_start_and_a_live_end() -> None:
    watch = Watch(PHONE)
    see(watch, report(), T + 500)
    (raised,) = late(watch, report(0, driver(T, 1)), T, T + 500)
    (ended,) = see(watch, report(0, driver(T + 510, 2)), T + 510)
    assert (ended.alarm.id, ended.alarm.ended_at) == (raised.alarm.id, T + 510)


def test_a_late_alarm_without_an_end_is_stale_by_our_clock() -> None:
    watch = Watch(PHONE)
    now = T + 5000
    see(watch, report(), now)
    late(watch, report(OVERSPEED), T, now)
    late(watch, report(OVERSPEED), T + 50, now)
    assert see(watch, report(), now + STALE) == []
    (stale,) = see(watch, report(), now + STALE + 2)
    assert (stale.alarm.end_reason, stale.alarm.ended_at) == ("stale", T + 50)


def test_a_later_outage_is_not_taken_for_the_same_alarm() -> None:
    watch = Watch(PHONE)
    now = T + 90_000
    late(watch, report(OVERSPEED), T, now)
    found = late(watch, report(OVERSPEED), T + STALE + 1, now)
    assert changes(found) == [("ended", "overspeed"), ("raised", "overspeed")]
    assert found[0].alarm.end_reason == "stale"


def test_quiet_late_reports_cost_no_memory() -> None:
    watch = Watch(PHONE)
    assert late(watch, report(0, (0x14, bytes(4)), (1, b"\0\0\0\1")), T, T + 5000) == []
    assert watch.back is None


# --- restarts -------------------------------------------------------------------------------------------


def test_a_watch_made_again_goes_on() -> None:
    watch = Watch(PHONE)
    open_ = [t.alarm for t in see(watch, report(OVERSPEED, driver(T, 1)), T)]
    again = Watch(PHONE, open_)
    assert see(again, report(OVERSPEED, driver(T, 1)), T) == []
    found = see(again, report(0, driver(T + 9, 2)), T + 9)
    assert changes(found) == [("ended", "overspeed"), ("ended", "fatigue")]
    assert [t.alarm.rev for t in found] == [2, 2]


def test_the_first_quiet_report_after_a_restart_ends_what_is_over() -> None:
    (raised,) = see(Watch(PHONE), report(OVERSPEED), T)
    assert changes(see(Watch(PHONE, [raised.alarm]), report(), T + 9)) == [("ended", "overspeed")]


def test_a_momentary_bit_over_a_restart() -> None:
    watch = Watch(PHONE)
    see(watch, report(EMERGENCY), T)
    assert see(Watch(PHONE, word=EMERGENCY, time=T), report(EMERGENCY), T + 9) == []
    assert see(Watch(PHONE, word=EMERGENCY, time=T), report(EMERGENCY), T) == []


def test_an_end_sent_again_after_a_restart_is_known_by_its_identity() -> None:
    watch = Watch(PHONE)
    see(watch, report(0, driver(T, 1)), T)
    (ended,) = see(watch, report(0, driver(T + 9, 2)), T + 9)
    assert see(Watch(PHONE, [ended.alarm]), report(0, driver(T + 9, 2)), T + 9) == []
    unknowing = see(Watch(PHONE), report(0, driver(T + 9, 2)), T + 9)
    assert {t.alarm.id for t in unknowing} == {ended.alarm.id}  # storage has it: nothing happens


def test_back_filled_alarms_come_back_on_their_track() -> None:
    watch = Watch(PHONE)
    see(watch, report(), T + 2000)
    (raised,) = late(watch, report(OVERSPEED), T, T + 2000)
    again = Watch(PHONE, [raised.alarm], time=T + 2000)
    assert see(again, report(), T + 2001) == []
    assert changes(late(again, report(0), T + 9, T + 2002)) == [("ended", "overspeed")]


# --- figures and the table ------------------------------------------------------------------------------


def test_an_idle_watch_is_small() -> None:
    watch = Watch(PHONE)
    for n in range(10):
        see(watch, report(0, (1, b"\0\0\0\1"), (0x14, bytes(4))), T + n)
    tracks = sys.getsizeof(watch) + sys.getsizeof(watch.live) + 2 * 16  # and the collector's heads
    assert tracks < 400
    held = [getattr(watch.live, name) for name in ("words", "raws", "open", "affirmed")]
    assert [*held, watch.back, watch.past] == [None] * 6


def test_the_table_is_complete() -> None:
    assert set(ACTIONS) == {(standing, phase) for standing in Standing for phase in Phase}
    assert len(diagram().splitlines()) == 13


def test_many_alarms_stay_bounded() -> None:
    watch = Watch(PHONE)
    for n in range(200):
        see(watch, report(0, driver(T + n, 0, serial=n)), T + n)
    assert len(watch.past or ()) <= RECENT


# --- against a naive model ------------------------------------------------------------------------------


class Store:
    """The tables `alarms` and `events`, by the rule of storage/writer.py."""

    def __init__(self) -> None:
        self.alarms: dict[str, Alarm] = {}
        self.events: list[tuple[str, int, Change]] = []

    def take(self, transitions: list[Transition]) -> list[tuple[str, int, Change]]:
        before = len(self.events)
        for change, alarm in ((t.change, t.alarm) for t in transitions):
            known = self.alarms.get(alarm.id)
            if known is None if change is Change.RAISED else known is not None and known.rev < alarm.rev:
                self.alarms[alarm.id] = alarm
                self.events.append((alarm.id, alarm.rev, change))
        return self.events[before:]

    def newest(self) -> list[Alarm]:
        return sorted(self.alarms.values(), key=lambda a: a.ended_at or a.occurred_at)[-RECENT:] + [
            a for a in self.alarms.values() if a.state is State.OPEN
        ]


class Sent(NamedTuple):
    location: Location
    time: int
    received: int
    late: bool


class Lifecycle(RuleBasedStateMachine):
    """A terminal that reports, repeats itself, has outages, and a gateway that is killed at any time.

    The model: live bits are the runs of ones over the live reports, bits of an outage are the runs over the
    reports of that outage (bits 5 and 6, which live reports do not use), items are told by a counter.
    """

    LIVE = (1, 2, 19)
    OUTAGE = (5, 6)

    @initialize()
    def begin(self) -> None:
        self.store = Store()
        self.watch = Watch(PHONE)
        self.now = T
        self.word = 0
        self.serial = 0
        self.open: dict[int, int] = {}  # type code: serial of the alarm that is open
        self.over: dict[int, int] = {}  # type code: when its last alarm ended
        self.begun: dict[int, int] = {}  # type code: when it began
        self.runs: dict[int, int] = {}  # bit: when it rose
        self.expected: set[tuple[str, int, int | None, str | None]] = set()
        self.sent: list[Sent] = []

    def send(self, sent: Sent, *, again: bool = False) -> None:
        twin = Watch(PHONE, self.store.newest(), word=self.word, time=self.watch.live.time)
        arguments = (sent.location, sent.time, float(sent.received), sent.late)
        theirs = Store()
        theirs.alarms = dict(self.store.alarms)
        told = self.store.take(self.watch.observe(*arguments))
        assert theirs.take(twin.observe(*arguments)) == told  # a restart just before would change nothing
        if again:
            assert told == []
        else:
            self.sent.append(sent)

    def close(self, pairing: str, start: int, end: int, reason: str) -> None:
        self.expected.remove((pairing, start, None, None))
        self.expected.add((pairing, start, end, reason))

    def edges(self, runs: dict[int, int], bits: tuple[int, ...], word: int, time: int) -> None:
        for number in bits:
            pairing = f"808:alarm/{number}"
            if word >> number & 1 and number not in runs:
                runs[number] = time
                self.expected.add((pairing, time, None, None))
            elif not word >> number & 1 and number in runs:
                self.close(pairing, runs.pop(number), time, "cleared")

    @rule(
        step=st.integers(1, 30),
        word=st.sets(st.sampled_from(LIVE)),
        items=st.lists(
            st.tuples(
                st.sampled_from((1, 2)), st.sampled_from(("start", "end", "again", "moment", "lost end"))
            ),
            max_size=2,
        ),
    )
    def report(self, step: int, word: set[int], items: list[tuple[int, str]]) -> None:
        self.now += step
        number = sum(1 << n for n in word)
        self.edges(self.runs, self.LIVE, number, self.now)
        built = [it for code, what in items for it in self.item(code, what)]
        self.send(Sent(report(number, *built), self.now, self.now, False))
        self.word = number

    def item(self, code: int, what: str) -> list[tuple[int, bytes]]:
        pairing = f"su:0x65/{code}"
        is_open = code in self.open
        if what in ("end", "again") and not is_open:
            return []
        if what == "again" and self.begun[code] == self.now:
            return []  # two levels in one second: sent again, it is told again
        if what == "lost end" and (is_open or self.over.get(code) == self.now):
            return []
        level = 1
        if what in ("start", "moment", "lost end"):
            self.serial += 1
        serial = self.serial
        if what == "start":
            if is_open:
                self.end_item(code, "superseded")
            self.open[code], self.begun[code] = serial, self.now
            self.expected.add((f"{pairing}/{serial}", self.now, None, None))
        elif what == "moment":
            self.expected.add((f"{pairing}/{serial}", self.now, None, None))
        elif what == "lost end":
            self.expected.add((f"{pairing}/{serial}", self.now, self.now, "reported"))
            self.over[code] = self.now
        elif what == "again":
            serial, level = self.open[code], 2
        else:
            serial = self.open[code]
            self.end_item(code, "reported")
        flag = {"moment": 0, "end": 2, "lost end": 2}.get(what, 1)
        return [
            item(
                "su_driver",
                self.now,
                type=code,
                flag=flag,
                level=level,
                alarm_id=serial,
                serial=serial,
                named=T,
            )
        ]

    def end_item(self, code: int, reason: str) -> None:
        serial = self.open.pop(code)
        self.over[code] = self.now
        pairing = f"su:0x65/{code}/{serial}"
        (start,) = [entry[1] for entry in self.expected if entry[0] == pairing]
        self.close(pairing, start, self.now, reason)

    @rule(words=st.lists(st.sets(st.sampled_from(OUTAGE)), min_size=1, max_size=6), overlap=st.integers(0, 6))
    def outage(self, words: list[set[int]], overlap: int) -> None:
        """Reports of a gap come after a live report; the last ones come twice, perhaps after a restart."""
        start = self.now + 5
        self.now = start + 10 * len(words) + 20
        self.edges(self.runs, self.LIVE, self.word, self.now)
        self.send(Sent(report(self.word), self.now, self.now, False))
        runs: dict[int, int] = {}
        batch = []
        for n, bits in enumerate((*words, set[int]())):
            number = sum(1 << b for b in bits) | self.word
            self.edges(runs, self.OUTAGE, number, start + 10 * n)
            batch.append(Sent(report(number), start + 10 * n, self.now, True))
        for sent in batch:
            self.send(sent)
        for sent in batch[-overlap:] if overlap else ():
            self.send(sent, again=True)

    @rule()
    def restart(self) -> None:
        self.watch = Watch(PHONE, self.store.newest(), word=self.word, time=self.watch.live.time)

    @rule(back=st.integers(1, 3), late=st.booleans())
    def send_again(self, back: int, late: bool) -> None:
        for sent in self.sent[-back:]:
            self.send(sent._replace(late=late or sent.late), again=True)

    @invariant()
    def the_last_report_again_after_a_kill_does_nothing(self) -> None:
        """Even for a watch that is given no more than the open alarms."""
        if self.sent and not self.sent[-1].late:
            last, store = self.sent[-1], Store()
            store.alarms = dict(self.store.alarms)
            watch = Watch(PHONE, [a for a in store.alarms.values() if a.state is State.OPEN])
            assert store.take(watch.observe(last.location, last.time, float(last.received), False)) == []

    @invariant()
    def stored_is_what_happened(self) -> None:
        def pairing(alarm: Alarm) -> str:
            serial = alarm.details.get("alarm_id")
            return alarm.pairing if serial is None else f"{alarm.pairing}/{serial}"

        found = {(pairing(a), a.occurred_at, a.ended_at, a.end_reason) for a in self.store.alarms.values()}
        assert found == self.expected
        raised = [id_ for id_, _, change in self.store.events if change is Change.RAISED]
        ended = [id_ for id_, _, change in self.store.events if change is Change.ENDED]
        assert len(raised) == len(set(raised)) == len(self.store.alarms)
        assert len(ended) == len(set(ended))
        assert len(self.store.events) == len({(id_, rev) for id_, rev, _ in self.store.events})
        assert len(self.watch.past or ()) <= RECENT


Lifecycle.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestLifecycle = Lifecycle.TestCase
