"""What a terminal keeps beside its reports: parameters, areas, texts, recordings.

Values that commands change and read (`simulator/answers.py`); knows no message and no connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from construct import ConstructError

from protocol.codec import Profile
from protocol.header import Edition
from protocol.messages.parameters import PARAMETERS
from protocol.parameters import Parameter
from simulator import media
from simulator.identity import Config, Dialect
from simulator.signals import Announced

MAX_RECORDINGS, MAX_TEXTS = 60, 20
DOORS_LOCKED, FUEL_CUT = 1 << 12, 1 << 10  # bits of the status word, 808-2013 table 25

IMAGE, AUDIO, VIDEO = 0, 1, 2  # kinds of recordings, 808-2013 table 80
JPEG, WAV = 0, 3  # formats, same table
CHANNELS = frozenset((1, 2, 3, 4, 0x40, 0x41, 0x64, 0x65))
"""Cameras: of JT/T 1076, then those of ADAS and driver monitoring by either number."""


class Recording(NamedTuple):
    """A picture or a sound; its bytes are made again whenever they are asked for."""

    id: int
    kind: int
    format: int
    event: int
    channel: int
    place: bytes  # the fixed part of a report: where and when
    time: int
    seed: int

    @property
    def data(self) -> bytes:
        return media.wav(self.seed) if self.kind == AUDIO else media.jpeg(self.time, self.seed)


class Order(NamedTuple):
    """What a 0x9208 asks for."""

    server: str
    port: int
    alarm: Announced
    number: str  # that the platform gave the alarm


class Device:
    """One terminal's memory."""

    def __init__(self, config: Config, announced: Mapping[bytes, Announced]) -> None:
        self.config = config
        self.announced = announced  # alarms with evidence, by their identifier
        self.profile = Profile(
            config.edition, None if config.dialect is Dialect.PLAIN else str(config.dialect)
        )
        self.parameters: dict[int, dict[str, Any]] = dict(defaults(config.edition, config.dialect))
        for number, value in _own(config).items():
            if number in self.parameters:
                self.parameters[number] = self.parameters[number] | {"value": value}
        if config.edition is not Edition.V2011:
            self.parameters |= {number: entry.copy() for number, entry in _VIDEO.items()}
        self.texts: deque[str] = deque(maxlen=MAX_TEXTS)
        self.heard = 0  # texts in all
        self.areas: dict[int, dict[int, dict[str, Any]]] = {kind: {} for kind in (1, 2, 3, 4)}
        self.recordings: dict[int, Recording] = {}
        self.orders: list[Order] = []  # evidence that is to be sent
        self.status = 0  # bits of the status word that commands have set
        self.track: tuple[float, float] | None = None  # s between reports, and until when
        self._recorded = 0

    def record(self, kind: int, event: int, channel: int, place: bytes, time: float) -> Recording:
        """A new recording; the oldest one goes where there are too many."""
        self._recorded += 1
        seed = self.config.seed * 1009 + self._recorded
        made = (self._recorded, kind, WAV if kind == AUDIO else JPEG, event, channel, place, int(time), seed)
        self.recordings[self._recorded] = recording = Recording(*made)
        if len(self.recordings) > MAX_RECORDINGS:
            del self.recordings[next(iter(self.recordings))]
        return recording

    def set_parameter(self, entry: Mapping[str, Any]) -> None:
        """Takes a parameter over; fields that say "as it is" stay as they are (T/JSATL 12 table 4-10)."""
        number, value = entry["id"], entry["value"]
        before = self.parameters.get(number, {})
        reading = next(
            (
                r
                for r in PARAMETERS.get(number, ())
                if r.dialect == entry.get("dialect", "") and entry["name"]
            ),
            None,
        )
        if reading is not None and reading.structure is not None and isinstance(before.get("value"), dict):
            unchanged = {
                n: limits.unchanged for n, limits in reading.limits.items() if limits.unchanged is not None
            }
            kept = {n: before["value"].get(n, v) for n, v in value.items() if unchanged.get(n) == v}
            value = dict(value) | kept
        self.parameters[number] = {**entry, "value": value}

    def change_areas(self, kind: int, change: int, areas: list[dict[str, Any]]) -> None:
        """`change`: 0 replaces all there are, 1 and 2 add to them (808-2013 table 56)."""
        if change == 0:
            self.areas[kind].clear()
        self.areas[kind].update((area["id"], area) for area in areas)

    def delete_areas(self, kind: int, ids: list[int]) -> None:
        """Without ids: all of the kind."""
        for number in ids or list(self.areas[kind]):
            self.areas[kind].pop(number, None)


def _own(config: Config) -> dict[int, Any]:
    """Parameters that say who and how the terminal is."""
    return {
        0x0001: int(config.heartbeat),
        0x0002: int(config.repetition.timeout),
        0x0003: config.repetition.count,
        **dict.fromkeys((0x0010, 0x0014), "cmnet"),
        **dict.fromkeys((0x0013, 0x0017, 0x001A, 0x001D), "127.0.0.1"),
        **dict.fromkeys(range(0x0040, 0x0045), config.phone),
        **dict.fromkeys((0x0048, 0x0049), config.phone),
        0x0029: max(1, int(config.interval)),
        0x0055: 100,
        0x0056: 10,
        0x0057: 4 * 3600,
        0x0059: 20 * 60,
        0x0070: 5,
        0x0081: 44,
        0x0082: 600,
        0x0083: config.plate,
        0x0084: 2,
    }


def _stream(name: str) -> dict[str, int]:
    values = {"encoding": 1, "resolution": 5, "key_interval": 50, "frame_rate": 25, "bit_rate": 1024}
    return {f"{name}_{field}": value for field, value in values.items()}


_CHANNELS = range(1, 7)
_VIDEO: dict[int, dict[str, Any]] = {  # lists of JT/T 1078-2016 tables 3 to 6: no preset can know the cameras
    0x0076: {
        "id": 0x0076,
        "name": "av_channels",
        "value": {
            "av_count": len(_CHANNELS),
            "audio_count": 0,
            "video_count": 0,
            "channels": [{"physical": n, "logical": n, "type": 0, "ptz": 0} for n in _CHANNELS],
        },
    },
    0x0077: {
        "id": 0x0077,
        "name": "channel_video_settings",
        "value": {
            "channels": [
                {"logical": n, **_stream("live"), **_stream("stored"), "osd": 0x2F} for n in _CHANNELS
            ]
        },
    },
}


@cache
def defaults(edition: Edition, dialect: Dialect) -> dict[int, dict[str, Any]]:
    """Every parameter that such a terminal has, with what the standard presets, else nothing or zero."""
    standard = f"808-{edition:d}"
    found = {}
    for number, readings in PARAMETERS.items():
        for reading in readings:
            if number >= 0xF000:
                fits = dialect is not Dialect.PLAIN and reading.dialect in ("", dialect)
            else:  # 808, and JT/T 1078, which builds on the edition of 2013
                fits = standard in reading.clauses or ("" in reading.clauses and edition is not Edition.V2011)
            entry = _preset(reading) if fits and not reading.last else None
            if entry is not None:
                found[number] = entry
                break
    return found


def _preset(reading: Parameter) -> dict[str, Any] | None:
    """None for lists, which a terminal has only once they are set."""
    try:
        value = reading.layout.parse(bytes(reading.layout.sizeof()))
    except ConstructError:
        if reading.structure is not None:
            return None
        value = ""
    presets = {n: limits.default for n, limits in reading.limits.items() if limits.default is not None}
    value = dict(value) | presets if reading.structure is not None else presets.get("", value)
    if isinstance(value, dict):
        value.pop("_io", None)
    named = {"dialect": reading.dialect} if reading.dialect else {}
    return {"id": reading.id, "name": reading.name, "value": value, **named}
