"""What becomes of signals: a table of transitions, and what one terminal's alarms stand at.

`Watch.observe` is the gateway's one entry: a report goes in, what it did to alarms comes out. It knows
neither clock nor storage; times come in with the report, and a watch can be made again from the alarms that
storage has. Ids are made from the terminal and the alarm's own key, so whoever sees the same alarm again,
after a restart or in a second process, gives it the same id, and storage takes it once.

A terminal has two tracks. On the live one a report follows on the report before it. Reports that come late
(filled in after an outage, overtaken by a younger one, or far from the clock) go to the second, where levels
have edges of their own: an alarm that rose and fell during an outage is told, as a back-filled one, and the
live state stays as it is. A bit that a late report has set while an alarm is known to have stood is that
alarm's, so a report that is sent again tells nothing. An alarm that stands at the end of a batch and goes on
live is told in two halves; the back-filled one ends as stale, at the time it was last seen.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import NamedTuple

import msgspec

from alarms.model import Alarm, Change, Phase, Signal, State, Transition
from alarms.normalise import LEVEL_SOURCES, WATCHED, WORD, signals, words
from alarms.track import NEVER, STALE, Past, Track, past_of
from protocol.location import Location

LATE = 600
"""Seconds between device and reception from which a report is not live."""

RECENT = 32
"""Alarms that a watch remembers after their end."""

NAMESPACE = uuid.UUID("6d2f3a64-0a53-5c0e-9f5b-52b0c6a2c5d1")
"""Of alarm ids. Never to be changed: stored alarms would be taken for others when sent again."""

_VOLATILE = ("vehicle_status",)  # details that are of the moment: a change alone makes no revision


def alarm_id(phone: str, key: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{phone}/{key}"))


def _order(of: Signal | Alarm) -> tuple[int, int]:
    """Which alarm of a pairing is the younger one: by time, then by the terminal's own count."""
    return of.occurred_at, of.details.get("alarm_id", 0)


class Standing(Enum):
    """What a signal finds."""

    NONE = auto()  # nothing open that it could be about
    SAME = auto()  # its own alarm is open
    OTHER = auto()  # another alarm of its pairing is open
    PAST = auto()  # its alarm is known and over


class Watch:
    """The alarm state of one terminal."""

    __slots__ = ("back", "edition", "live", "past", "phone")

    def __init__(
        self, phone: str, alarms: Sequence[Alarm] = (), *, word: int = 0, time: int = 0, edition: int = 2013
    ) -> None:
        """From what storage has: the open `alarms`, and where at hand the newest that are over (an end that
        is sent again is then known to be one); `word` and `time` of the newest live report, where at hand
        (a momentary bit that still stands is then not told again)."""
        self.phone = phone
        self.edition = edition
        self.live = Track()
        self.back: Track | None = None
        self.past: list[Past] | None = None
        for alarm in sorted(alarms, key=lambda alarm: alarm.occurred_at):
            if alarm.state is not State.OPEN:
                end = alarm.occurred_at if alarm.ended_at is None else alarm.ended_at
                self._remember(past_of(alarm, end))
                continue
            track = self._second() if alarm.backfilled else self.live
            track.open = (track.open or {}) | {alarm.pairing: alarm}
            if alarm.source in LEVEL_SOURCES:
                track.time = alarm.occurred_at
            track.received = max(track.received, alarm.received_at)
        for track in filter(None, (self.live, self.back)):
            found = track.standing_words(NEVER)
            track.word = found.pop(WORD)
            track.words = found or None
        self.live.time = max(self.live.time, time)
        self.live.word |= word
        self._plan()

    def observe(
        self, location: Location, time: int, received: float, backfilled: bool = False
    ) -> list[Transition]:
        """What a report does to alarms (hot: nothing for most).

        `time` is what the report is stored under and `received` when it came, in seconds since 1970;
        `backfilled` says that the terminal itself calls it late (0x0704 of type 1).
        """
        live = self.live
        if backfilled or time < live.time or not -LATE <= received - time <= LATE:
            return self._late(location, time, received)
        if location.alarm == live.word and time < live.due:
            for item_id, raw in location.items:
                if item_id in WATCHED and live.news(item_id, raw, time):
                    break
            else:
                live.time = time
                return []
        return self._step(live, location, time, received)

    # --- one report -------------------------------------------------------------------------------------

    def _late(self, location: Location, time: int, received: float) -> list[Transition]:
        back = self.back
        if back is None or not (back.word or back.words or back.open):
            told = (item_id in WATCHED and any(raw) for item_id, raw in location.items)
            if not location.alarm and not any(told):
                return []
        return self._step(self._second(), location, time, received)

    def _step(self, track: Track, location: Location, time: int, received: float) -> list[Transition]:
        found: list[Transition] = []
        self._expire(track, time, received, found)
        before = track.before(time)
        after = words(location, before)
        for signal in signals(location, time, before, after, self.edition):
            find = self._bit if signal.source in LEVEL_SOURCES else self._item
            standing, of, alarm = find(track, signal)
            ACTIONS[standing, signal.phase](_Move(self, track, received, found), signal, of, alarm)
        track.received = received
        track.follow(location, after, time)
        self._plan()
        return found

    def _bit(self, track: Track, signal: Signal) -> tuple[Standing, Track, Alarm | None]:
        """What the signal of a bit finds, and on which track."""
        own = (track.open or {}).get(signal.pairing)
        if own is not None:
            return Standing.SAME, track, own
        if signal.phase is Phase.END:
            self._fell(signal)
            return Standing.PAST, track, None
        known = track is self.back and self._covered(signal)
        return Standing.PAST if known else Standing.NONE, track, None

    def _item(self, track: Track, signal: Signal) -> tuple[Standing, Track, Alarm | None]:
        """What the signal of an item finds, and on which track."""
        own = (track.open or {}).get(signal.pairing)
        identity = alarm_id(self.phone, signal.key)
        if own is not None and own.id == identity:
            return Standing.SAME, track, own
        if any(past.id == identity for past in self.past or ()):
            return Standing.PAST, track, None
        if own is not None and (signal.phase is not Phase.END or _order(own) <= _order(signal)):
            return Standing.OTHER, track, own
        return self._elsewhere(track, signal, identity)

    def _elsewhere(self, track: Track, signal: Signal, identity: str) -> tuple[Standing, Track, Alarm | None]:
        """What an item's signal finds where nothing of its pairing is open on its own track."""
        other = self.back if track is self.live else self.live
        alarm = (other.open or {}).get(signal.pairing) if other is not None else None
        if other is not None and alarm is not None:
            if alarm.id == identity:
                return Standing.SAME, other, alarm
            if signal.phase is Phase.END and _order(alarm) <= _order(signal):
                return Standing.OTHER, other, alarm
        ended = signal.phase is Phase.END and any(
            past.pairing == signal.pairing and past.end == signal.occurred_at for past in self.past or ()
        )
        return Standing.PAST if ended else Standing.NONE, track, None

    # --- what is over, what is known --------------------------------------------------------------------

    def _second(self) -> Track:
        if self.back is None:
            self.back = Track()
        return self.back

    def _remember(self, past: Past) -> None:
        self.past = [*(self.past or ())[1 - RECENT :], past]

    def _covered(self, signal: Signal) -> bool:
        """Whether a bit that a late report has set belongs to an alarm that is known."""
        time, pairing = signal.occurred_at, signal.pairing
        alarm = (self.live.open or {}).get(pairing)
        if alarm is not None and alarm.occurred_at <= time:
            return True
        identity = alarm_id(self.phone, signal.key)
        return any(
            past.id == identity or (past.pairing == pairing and past.start <= time < past.end)
            for past in self.past or ()
        )

    def _fell(self, signal: Signal) -> None:
        """Notes that the bit of a momentary kind stands no longer."""
        self.past = [
            past._replace(end=signal.occurred_at)
            if past.pairing == signal.pairing and past.start <= signal.occurred_at and past.end == NEVER
            else past
            for past in self.past or ()
        ] or None

    def _expire(self, track: Track, time: int, received: float, found: list[Transition]) -> None:
        """Ends what was last heard of too long ago: by the track's own times, and for late reports by ours.

        The alarm word is in every report, so a live alarm of it is never stale.
        """
        for alarm in list((track.open or {}).values()):
            if (track is not self.live or alarm.source != WORD) and time - track.seen(alarm) > STALE:
                _Move(self, track, received, found).end(alarm, track.seen(alarm), "stale")
        back = self.back
        if back is not None and track is self.live and received - back.received > STALE:
            for alarm in list((back.open or {}).values()):
                _Move(self, back, received, found).end(alarm, back.seen(alarm), "stale")

    def _plan(self) -> None:
        """When the next quiet live report is to be looked at, for something may be stale or a gap by then."""
        live, due = self.live, NEVER
        for alarm in (live.open or {}).values():
            if alarm.source != WORD:
                due = min(due, live.seen(alarm) + STALE + 1)
        if live.word or live.words:
            due = min(due, live.time + STALE + 1)
        if self.back is not None and self.back.open:
            due = min(due, int(self.back.received) + STALE + 1)
        live.due = due


# --- the transitions ------------------------------------------------------------------------------------


class _Move(NamedTuple):
    """What the actions of one report share."""

    watch: Watch
    track: Track
    received: float
    found: list[Transition]

    def begin(self, signal: Signal) -> Alarm:
        """Tells that the alarm of `signal` is there."""
        new = Alarm(
            id=alarm_id(self.watch.phone, signal.key),
            kind=signal.kind,
            family=signal.family,
            level=signal.level,
            state=State.MOMENTARY if signal.phase is Phase.MOMENT else State.OPEN,
            rev=1,
            occurred_at=signal.occurred_at,
            ended_at=None,
            end_reason=None,
            received_at=self.received,
            backfilled=self.track is self.watch.back,
            position=signal.position,
            source=signal.source,
            code=signal.code,
            pairing=signal.pairing,
            details=signal.details,
            raw=signal.raw,
            attachments=signal.attachments,
        )
        self.found.append(Transition(Change.RAISED, new))
        return new

    def over(self, alarm: Alarm, at: int, reason: str, attachments: int = 0) -> None:
        """Tells that `alarm` has ended."""
        end = max(at, alarm.occurred_at)
        ended = msgspec.structs.replace(
            alarm,
            state=State.ENDED,
            rev=alarm.rev + 1,
            ended_at=end,
            end_reason=reason,
            attachments=max(attachments, alarm.attachments),
        )
        self.watch._remember(past_of(ended, end))
        self.found.append(Transition(Change.ENDED, ended))

    def end(self, alarm: Alarm, at: int, reason: str, attachments: int = 0) -> None:
        """Ends an alarm that is open on this track."""
        self.track.close(alarm)
        self.over(alarm, at, reason, attachments)


def _ignore(move: _Move, signal: Signal, of: Track, alarm: Alarm | None) -> None:
    """Known already, or a bit that falls without an alarm."""


def _raise(move: _Move, signal: Signal, of: Track, alarm: Alarm | None) -> None:
    new = move.begin(signal)
    if signal.phase is not Phase.MOMENT:
        move.track.open = (move.track.open or {}) | {new.pairing: new}
        return
    stands = signal.source in LEVEL_SOURCES
    if stands:
        move.watch._fell(signal)
    move.watch._remember(past_of(new, NEVER if stands else new.occurred_at))


def _refresh(move: _Move, signal: Signal, of: Track, alarm: Alarm | None) -> None:
    """The alarm is sent again: told only where it says something else, and says it last."""
    assert alarm is not None  # noqa: S101 - Standing.SAME has one
    if of is not move.track or signal.occurred_at < of.seen(alarm):
        return
    of.affirm(alarm.pairing, signal.occurred_at)
    details = alarm.details | signal.details
    attachments = max(alarm.attachments, signal.attachments)
    steady = {**details, **{name: alarm.details[name] for name in _VOLATILE if name in alarm.details}}
    if (signal.level, attachments, steady) == (alarm.level, alarm.attachments, alarm.details):
        return
    new = msgspec.structs.replace(
        alarm, rev=alarm.rev + 1, level=signal.level, details=details, attachments=attachments
    )
    of.open = (of.open or {}) | {alarm.pairing: new}
    move.found.append(Transition(Change.UPDATED, new))


def _supersede(move: _Move, signal: Signal, of: Track, alarm: Alarm | None) -> None:
    """Another alarm of its kind begins: the end of the older one has been lost, or comes later."""
    assert alarm is not None  # noqa: S101 - Standing.OTHER has one
    if _order(signal) < _order(alarm):
        move.over(move.begin(signal), alarm.occurred_at, "superseded")
        return
    move.end(alarm, signal.occurred_at, "superseded")
    _raise(move, signal, of, None)


def _end(move: _Move, signal: Signal, of: Track, alarm: Alarm | None) -> None:
    assert alarm is not None  # noqa: S101 - Standing.SAME and OTHER have one
    reason = "cleared" if signal.source in LEVEL_SOURCES else "reported"
    move._replace(track=of).end(alarm, signal.occurred_at, reason, signal.attachments)


def _end_only(move: _Move, signal: Signal, of: Track, alarm: Alarm | None) -> None:
    """An end whose start never came: the alarm was, and is told as raised and ended at once."""
    details = signal.details | {"start": "unknown"}
    new = move.begin(msgspec.structs.replace(signal, details=details))
    move.over(new, signal.occurred_at, "reported")


Action = Callable[[_Move, Signal, Track, Alarm | None], None]

ACTIONS: dict[tuple[Standing, Phase], Action] = {
    (Standing.NONE, Phase.START): _raise,
    (Standing.SAME, Phase.START): _refresh,
    (Standing.OTHER, Phase.START): _supersede,
    (Standing.PAST, Phase.START): _ignore,
    (Standing.NONE, Phase.END): _end_only,
    (Standing.SAME, Phase.END): _end,
    (Standing.OTHER, Phase.END): _end,
    (Standing.PAST, Phase.END): _ignore,
    (Standing.NONE, Phase.MOMENT): _raise,
    (Standing.SAME, Phase.MOMENT): _ignore,
    (Standing.OTHER, Phase.MOMENT): _raise,  # beside the open one, which goes on
    (Standing.PAST, Phase.MOMENT): _ignore,
}


def diagram() -> str:
    """The table as text."""
    rows = [f"{'finds':8}{'signal':8}does"]
    for (standing, phase), action in ACTIONS.items():
        rows.append(f"{standing.name.lower():8}{phase:8}{action.__name__.strip('_').replace('_', ' ')}")
    return "\n".join(rows)
