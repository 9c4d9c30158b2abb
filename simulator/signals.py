"""Alarms that a simulated vehicle raises: which, for how long, and how its dialect says so.

Bits of 808 stay set while their alarm lasts; items of the Su and Guangdong standards come once at its
start and once at its end, under one alarm id and one identifier. Knows reports, not connections.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import msgspec

from protocol.location import STATUS_FIXED, Location
from protocol.messages import ITEMS
from simulator.bodies import fill
from simulator.identity import Config, Dialect

NONE, START, END = 0, 1, 2  # flag states, T/JSATL 12 table 4-15

ITEM_BY_NAME = {item.name: item for group in ITEMS.values() for item in group}


class Bit(NamedTuple):
    """An alarm by a bit of the alarm word, 808-2013 table 24."""

    number: int
    lasts: int  # reports


class Event(NamedTuple):
    """An alarm by a safety item."""

    item: str  # name of the item behind that of the dialect
    code: int
    lasts: int  # reports until its end; 0: without duration, flag 0
    fields: dict[str, object]


BITS = (  # 808-2013 table 24
    Bit(0, 2),  # emergency
    Bit(1, 4),  # overspeed
    Bit(2, 5),  # fatigue
    Bit(13, 2),  # overspeed warning
    Bit(14, 3),  # fatigue warning
    Bit(19, 6),  # parking overtime
    Bit(29, 1),  # collision
)
SU_EVENTS = (  # T/JSATL 12 tables 4-15, 4-17, 4-18 and 4-20
    Event("driver", 0x01, 3, {"fatigue": 6}),
    Event("driver", 0x02, 2, {}),  # phone
    Event("driver", 0x03, 2, {}),  # smoking
    Event("driver", 0x04, 1, {}),  # distraction
    Event("driver", 0x05, 0, {}),  # abnormal
    Event("adas", 0x01, 0, {"front_speed": 34, "front_distance": 12}),
    Event("adas", 0x02, 0, {"deviation": 1}),
    Event("adas", 0x02, 0, {"deviation": 2}),
    Event("adas", 0x03, 1, {"front_speed": 48, "front_distance": 8}),
    Event("adas", 0x04, 0, {"front_distance": 15}),
    Event("adas", 0x06, 0, {"sign": 1, "sign_value": 60}),
    Event("blind_spot", 0x02, 1, {}),
    Event("blind_spot", 0x03, 1, {}),
    Event("tyres", 0, 2, {"tyre_type": 0x04, "pressure": 412}),  # low pressure
)
GUANGDONG_EVENTS = (  # T/GDRTA 002 tables 5-15, 5-17, 5-18 and 5-20
    *SU_EVENTS,
    Event("driver", 0x06, 2, {}),  # camera occluded
    Event("driver", 0x08, 4, {}),  # driving overtime
    Event("driver", 0x0A, 3, {}),  # seat belt
    Event("driver", 0x0C, 1, {}),  # hands off the wheel
    Event("driver", 0x0D, 2, {}),  # smartphone
    Event("adas", 0x12, 0, {}),  # lane change over a solid line
)
EVENTS: dict[Dialect, tuple[Event, ...]] = {Dialect.SU: SU_EVENTS, Dialect.GUANGDONG: GUANGDONG_EVENTS}

_UNUSED = {
    "front_speed": 0,
    "front_distance": 0,
    "deviation": 0,
    "sign": 0,
    "sign_value": 0,
    "fatigue": 0,
    "reserved": b"",
}


MAX_ANNOUNCED = 200
"""Alarms whose evidence a terminal keeps; beyond that it drops the oldest."""


class Announced(NamedTuple):
    """An alarm of which there is evidence."""

    identifier: bytes
    attachments: int
    item: int  # 0x64 to 0x67
    code: int  # type of the alarm
    time: int
    latitude: int  # 1e-6 degree
    longitude: int
    altitude: int  # m
    speed: int  # 0.1 km/h
    heading: int  # degree


class _Running(msgspec.Struct):
    until: int  # number of the report in which it ends
    what: Bit | Event
    fields: dict[str, object]


class Signals:
    """The alarms of one vehicle."""

    __slots__ = ("_begun", "_config", "_latest", "_rng", "_running", "_same", "announced")

    def __init__(self, config: Config, rng: random.Random) -> None:
        self._config = config
        self._rng = rng
        self._running: list[_Running] = []
        self._begun = 0
        self._latest: int | bytes = 0  # time of the latest alarm
        self._same = 0  # alarms at that time before it
        self.announced: dict[bytes, Announced] = {}  # by identifier

    def add(self, draft: Location, number: int) -> int:
        """Puts into the `number`-th report what it says of alarms; gives how many began with it."""
        every = self._config.alarm_every
        if not every:
            return 0
        for running in list(self._running):
            self._go_on(running, draft, number)
        # Terminals of a fleet are made one after the other: their alarms should not fall together.
        if (number + self._config.seed) % every:
            return 0
        self._begin(draft, number)
        return 1

    def _begin(self, draft: Location, number: int) -> None:
        events = EVENTS.get(self._config.dialect)
        if events is None:
            bit = self._rng.choice(BITS)
            draft.alarm |= 1 << bit.number
            self._running.append(_Running(number + bit.lasts, bit, {}))
            return
        event = self._rng.choice(events)
        self._same = self._same + 1 & 0xFF if draft.time == self._latest else 0
        self._latest = draft.time
        identifier = {
            "terminal_id": self._config.terminal_id,
            "time": draft.time,
            "serial": self._same,
            "attachments": self._rng.choice(self._config.attachments),
            "reserved": b"",
        }
        fields = {
            **_UNUSED,
            **event.fields,
            "alarm_id": self._begun & 0xFFFFFFFF,
            "type": event.code,
            "level": self._rng.choice((1, 1, 2)),
            "identifier": identifier,
        }
        if event.item == "tyres":
            tyre = {"position": 2, "type": fields["tyre_type"], "pressure": fields["pressure"]}
            fields |= {"count": 1, "tyres": [tyre | {"temperature": 41, "battery": 88}]}
        self._begun += 1
        if identifier["attachments"]:
            self._announce(event, identifier, draft)
        self._put(event, fields, START if event.lasts else NONE, draft)
        if event.lasts:
            self._running.append(_Running(number + event.lasts, event, fields))

    def _announce(self, event: Event, identifier: dict[str, Any], draft: Location) -> None:
        item = ITEM_BY_NAME[f"{self._config.dialect}_{event.item}"]
        raw: bytes = item.layout.identifier.build(identifier)
        time = draft.time if isinstance(draft.time, int) else 0
        where = (draft.latitude, draft.longitude, draft.altitude, draft.speed, draft.heading)
        self.announced[raw] = Announced(raw, identifier["attachments"], item.id, event.code, time, *where)
        if len(self.announced) > MAX_ANNOUNCED:
            del self.announced[next(iter(self.announced))]

    def _go_on(self, running: _Running, draft: Location, number: int) -> None:
        over = number >= running.until
        if over:
            self._running.remove(running)
        if isinstance(running.what, Event):
            if over:
                self._put(running.what, running.fields, END, draft)
        elif not over:
            draft.alarm |= 1 << running.what.number

    def _put(self, event: Event, fields: dict[str, object], flag: int, draft: Location) -> None:
        """Adds the item of `event`: where and when as in the report that carries it."""
        item = ITEM_BY_NAME[f"{self._config.dialect}_{event.item}"]
        here = {
            "flag": flag,
            "speed": min(draft.speed // 10, 250),
            "altitude": max(draft.altitude, 0),
            "latitude": draft.latitude,
            "longitude": draft.longitude,
            "time": draft.time,
            "vehicle_status": draft.status & 1 | (1 << 10 if draft.status & STATUS_FIXED else 0),
        }
        draft.items.append((item.id, fill(item.layout, {**fields, **here}, name=item.name)))
