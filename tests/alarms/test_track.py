"""One order of reports: what the next one follows on, and when an item is news."""

from __future__ import annotations

from alarms.model import Alarm, Position, State
from alarms.normalise import VIDEO, WORD
from alarms.track import NEVER, STALE, Past, Track, past_of
from tests.alarms.reports import T, report


def alarm(source: str, code: int, occurred_at: int = T, end_reason: str | None = None) -> Alarm:
    return Alarm(
        id="id",
        kind="k",
        family="f",
        level=1,
        state=State.OPEN,
        rev=1,
        occurred_at=occurred_at,
        ended_at=None,
        end_reason=end_reason,
        received_at=float(T),
        backfilled=False,
        position=Position(0, 0, 0, 0),
        source=source,
        code=code,
        pairing=f"{source}/{code}",
        details={},
        raw=b"",
        attachments=0,
    )


def test_items_are_news_when_they_say_something_else() -> None:
    track = Track()
    assert not track.news(0x14, bytes(4), T)
    assert not track.news(0x14, b"\1" * 8, T)  # another maker's item
    assert track.news(0x14, b"\0\0\0\1", T)
    assert not track.news(0x64, b"\1", T)
    assert track.news(0x64, bytes(47), T)
    track.follow(report(0, (0x14, b"\0\0\0\1")), {VIDEO: 1, WORD: 0}, T)
    assert not track.news(0x14, b"\0\0\0\1", T + 5)
    assert track.seen(alarm(VIDEO, 0)) == T + 5
    assert track.news(0x14, bytes(4), T + 6)
    track.follow(report(0, (0x14, bytes(4))), {VIDEO: 0, WORD: 0}, T + 6)
    assert (track.words, track.raws) == (None, None)


def test_what_a_report_follows_on() -> None:
    track = Track()
    track.open = {"a": alarm(WORD, 3), "b": alarm(VIDEO, 1, T + 9)}
    track.follow(report(0b1001), {WORD: 0b1001, VIDEO: 2}, T + 9)
    assert track.before(T + 10) == {WORD: 0b1001, VIDEO: 2}
    assert track.before(T + 10 + STALE) == {WORD: 0b1000, VIDEO: 2}
    assert track.before(T + 5) == {WORD: 0b1000}  # before the last one: what was open then


def test_a_bit_whose_alarm_is_closed_begins_anew() -> None:
    track = Track()
    overspeed = alarm(WORD, 1)
    track.open = {overspeed.pairing: overspeed}
    track.follow(report(0b10), {WORD: 0b10}, T)
    track.close(overspeed)
    assert track.open is None
    assert track.before(T) == {WORD: 0}


def test_what_is_remembered() -> None:
    assert past_of(alarm(WORD, 0), NEVER) == Past("id", "808:alarm/0", T, NEVER)
    assert past_of(alarm("su:0x65", 1, end_reason="reported"), T + 1).pairing == "su:0x65/1"
    assert past_of(alarm("su:0x65", 1, end_reason="stale"), T + 1).pairing == ""
