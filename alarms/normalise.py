"""A location report as signals: what it says of alarms, in the one vocabulary.

Two sorts of sources. Safety items (0x64 to 0x67, 0x70) are telegrams: each tells one start, end or event.
Words of bits (the 808 alarm word, the video items, the fault words of Guangdong) are levels: what counts is
where they differ from the word before, which the caller keeps. Nothing here remembers anything; what becomes
of the signals is the matter of `lifecycle.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import msgspec
from construct import Renamed

from alarms.kinds import CUSTOM, UNDECODED, Kind, Span, kind_of
from alarms.model import Phase, Position, Signal
from protocol.fields import Named, decode_time
from protocol.items import Item, ItemValue, read_item
from protocol.location import Location
from protocol.messages import ITEMS
from protocol.messages.safety import identifier_of

WORD = "808:alarm"
VIDEO = "1078:0x14"

SAFETY = {0x64: 23, 0x65: 23, 0x66: 16, 0x67: 17, 0x70: 23}
"""Safety items, and where in each its time stands: before the identifier, so in every dialect alike."""

SAFETY_MIN = 41
"""No dialect's safety item is shorter; other makers' items of the same ids mostly are."""


class Level(NamedTuple):
    """An additional item that is a word of alarm bits, or a bit of another one's word."""

    source: str
    lengths: tuple[int, ...]
    bit: int | None = None  # the bit that is set where the item is not zero; None: the item is the word


LEVELS = {
    0x14: Level(VIDEO, (4,)),
    0x15: Level(VIDEO, (4,), 0),  # JT/T 1078-2016 table 13: channels without signal, of bit 0 of table 14
    0x16: Level(VIDEO, (4,), 1),
    0x17: Level(VIDEO, (2,), 2),
    0x18: Level("1078:0x18", (2, 3)),
    0xF1: Level("guangdong:0xf1", (4,), 0),
    0xF2: Level("guangdong:0xf2", (4,), 0),
}
_NONE = Level("", ())
LEVEL_SOURCES = frozenset(level.source for level in LEVELS.values()) | {WORD}
WATCHED = frozenset(SAFETY) | frozenset(LEVELS)
"""Items that can carry alarms."""

_ALL = 0xFFFFFFFF
_DETAIL_ITEMS = {  # items that say more about a bit of the alarm word, 808-2013 table 27; 0x05 by 808-2019
    1: (0x04, 0x11),
    16: (0x04, 0x05),
    20: (0x04, 0x12),
    21: (0x04, 0x12),
    22: (0x04, 0x13),
}
_MASKS = {0: 0x15, 1: 0x16, 2: 0x17}  # items that say more about a bit of the video word

_APPLIES = {  # fields of use for some types only, T/JSATL 12 tables 4-15 and 4-17; else shown if not 0
    "front_speed": (0x01, 0x02),
    "front_distance": (0x01, 0x02, 0x04),
    "deviation": (0x02,),
    "sign": (0x06, 0x10),
    "sign_value": (0x06, 0x10),
    "fatigue": (0x01,),
}
_NOT_DETAILS = {"flag", "type", "level", "speed", "altitude", "latitude", "longitude", "time"} | {
    "identifier",
    "reserved",
    "count",
    "tyres",
}
_PHASES = {1: Phase.START, 2: Phase.END}  # T/JSATL 12 table 4-15, flag state; other values: none

_CLOCK_SPREAD = 86_400  # an item's time further away from its report's is no time


def words(location: Location, before: Mapping[str, int]) -> dict[str, int]:
    """The words of bits after a report, by source. An item that is absent says nothing about its bits."""
    after = {**before, WORD: location.alarm}
    stated: dict[str, int] = {}
    for item_id, raw in location.items:
        level = LEVELS.get(item_id)
        if level is None or len(raw) not in level.lengths:
            continue
        if level.bit is None:
            mask, word = _ALL, int.from_bytes(raw[:2] if level.source != VIDEO else raw)
        else:
            mask = 1 << level.bit
            word = mask if any(raw) else 0
        known = stated.get(level.source, 0)
        after[level.source] = after.get(level.source, 0) & ~(mask & ~known) | word
        stated[level.source] = known | mask
    return after


def signals(
    location: Location, time: int, before: Mapping[str, int], after: Mapping[str, int], edition: int = 2013
) -> list[Signal]:
    """What a report says of alarms, in its order: bits first, then items.

    `time` is what the report is stored under; `before` and `after` are its words of bits. A bit of a lasting
    kind gives a start and an end, any other bit a moment when it rises and an end when it falls, which ends
    nothing but the moment's right to be sent again. Standing bits of the video word are told again where the
    report has its items, for what their masks say may have changed.
    """
    found: list[Signal] = []
    stated = {LEVELS[item_id].source for item_id, _ in location.items if item_id in LEVELS}
    for source, word in after.items():
        old = before.get(source, 0)
        looked_at = word ^ old | (word if source == VIDEO and source in stated else 0)
        for number in range(looked_at.bit_length()):
            if looked_at >> number & 1:
                kind = kind_of(source, number, edition)
                found.append(_bit(location, time, kind, bool(word >> number & 1)))
    for item_id, raw in location.items:
        if item_id in SAFETY and len(raw) >= SAFETY_MIN:
            found.extend(_item(location, time, item_id, raw))
    return found


# --- bits -----------------------------------------------------------------------------------------------


def _bit(location: Location, time: int, kind: Kind, is_set: bool) -> Signal:
    phase = Phase.END
    if is_set:
        phase = Phase.MOMENT if kind.span is Span.MOMENT else Phase.START
    pairing = f"{kind.source}/{kind.code}"
    details = _bit_details(location, kind.source, kind.code) if is_set else {}
    return Signal(
        kind=kind.kind,
        family=kind.family,
        level=kind.level,
        phase=phase,
        source=kind.source,
        code=kind.code,
        key=f"{pairing}@{time}",
        pairing=pairing,
        occurred_at=time,
        position=_position(location),
        details=_told(kind, details),
        raw=_bit_raw(location, kind.source),
    )


def _bit_details(location: Location, source: str, number: int) -> dict[str, Any]:
    wanted: tuple[int, ...]
    if source == WORD:
        wanted = _DETAIL_ITEMS.get(number, (0x04,))
    elif source == VIDEO:
        wanted = (_MASKS[number],) if number in _MASKS else (0x18,) if number == 5 else ()
    else:
        wanted = (int(source.partition(":")[2], 16),)
    details: dict[str, Any] = {}
    for item_id, raw in location.items:
        if item_id in wanted:
            value = read_item(ITEMS, item_id, raw, present=True)
            if value.item is not None:
                details |= _named(value.item, value.fields)
    return details


def _bit_raw(location: Location, source: str) -> bytes:
    if source == WORD:
        return location.alarm.to_bytes(4)
    return next((raw for item_id, raw in location.items if source == LEVELS.get(item_id, _NONE).source), b"")


def _position(location: Location) -> Position:
    latitude, longitude = location.signed
    return Position(latitude, longitude, location.altitude, location.speed)


# --- items ----------------------------------------------------------------------------------------------


def _item(location: Location, time: int, item_id: int, raw: bytes) -> Iterator[Signal]:
    value = read_item(ITEMS, item_id, raw, present=True)
    at = SAFETY[item_id]
    sent_at = decode_time(raw[at : at + 6])
    if value.item is None or not value.item.dialect:
        if isinstance(sent_at, int):  # else it is another maker's item that only shares the id
            yield _undecoded(location, _believed(sent_at, time), item_id, raw)
        return
    fields = value.fields
    source = f"{value.item.dialect}:{item_id:#04x}"
    identifier = identifier_of(value)
    phase = _PHASES.get(fields["flag"], Phase.MOMENT)
    identity = f"{fields['alarm_id']:x}.{_meant(value, identifier)}"
    if phase is Phase.MOMENT or identity.endswith("."):
        identity += raw[at : at + 6].hex()
    details = _details(value, identifier)
    for code, pairing, more in _alarms(value, source):
        kind = kind_of(source, code)
        yield Signal(
            kind=kind.kind,
            family=kind.family,
            level=fields.get("level") or kind.level,
            phase=phase,
            source=source,
            code=code,
            key=f"{pairing}/{identity}",
            pairing=pairing,
            occurred_at=_believed(sent_at, time),
            position=_item_position(location, fields),
            details=_told(kind, details | more),
            raw=raw,
            attachments=fields["identifier"]["attachments"],
        )


def _alarms(value: ItemValue, source: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Code, pairing and details of each alarm in an item: one, or one for each tyre and bit."""
    fields = value.fields
    if "tyres" not in fields:
        yield fields["type"], f"{source}/{fields['type']}", {}
        return
    told = False
    for tyre in fields["tyres"]:
        more = {name: tyre[name] for name in ("position", "pressure", "temperature", "battery")}
        for number in range(16):
            if tyre["type"] >> number & 1:
                told = True
                yield number, f"{source}/{number}/{tyre['position']}", more
    if not told:  # no tyre or no bit: it says no more than that the terminal reports
        yield 0, f"{source}/0", {"tyres": fields["tyres"]}


def _meant(value: ItemValue, identifier: bytes) -> str:
    """Terminal id, time and serial of an identifier that has been filled in; else nothing.

    That is what the standard makes an alarm's own. A start and its end share it; so do both when sent again.
    """
    if value.fields["identifier"]["time"].startswith("raw:"):
        return ""
    assert value.item is not None  # noqa: S101 - for mypy: an item without reading does not get here
    return identifier[: -1 - _reserved(value.item)].hex()


@cache
def _reserved(item: Item) -> int:
    """Bytes of the reserve at the end of the identifiers of `item`."""
    (identifier,) = (sub for sub in item.layout.subcons if sub.name == "identifier")
    size: int = identifier.subcon.subcons[-1].sizeof()
    return size


def _details(value: ItemValue, identifier: bytes) -> dict[str, Any]:
    assert value.item is not None  # noqa: S101 - as above
    fields = value.fields
    code = fields.get("type", 0)
    shown = {
        name: field
        for name, field in fields.items()
        if name not in _NOT_DETAILS and (field or code in _APPLIES.get(name, (code,)))
    }
    if fields["flag"] > 2:
        shown["flag"] = fields["flag"]
    return _named(value.item, shown) | {"identifier": identifier.hex()}


def _undecoded(location: Location, time: int, item_id: int, raw: bytes) -> Signal:
    source = f"{UNDECODED}:{item_id:#04x}"
    kind = kind_of(source, 0)
    return Signal(
        kind=kind.kind,
        family=kind.family,
        level=kind.level,
        phase=Phase.MOMENT,
        source=source,
        code=0,
        key=f"{source}/{raw.hex()}",
        pairing=source,
        occurred_at=time,
        position=_position(location),
        details={"item": item_id, "length": len(raw)},
        raw=raw,
    )


def _believed(sent_at: int | bytes, time: int) -> int:
    """When an item says it happened, if that can be; else when its report was."""
    return sent_at if isinstance(sent_at, int) and abs(sent_at - time) <= _CLOCK_SPREAD else time


def _item_position(location: Location, fields: Mapping[str, Any]) -> Position:
    """Where an item says it happened; its coordinates have no sign, the report's status bits give it."""
    latitude, longitude = fields["latitude"], fields["longitude"]
    if not latitude and not longitude:
        return _position(location)
    here = msgspec.structs.replace(location, latitude=latitude, longitude=longitude)
    altitude = fields["altitude"] - (fields["altitude"] >> 15 << 16)
    return Position(*here.signed, altitude, fields["speed"] * 10)


# --- details --------------------------------------------------------------------------------------------


@cache
def _names(item: Item) -> dict[str, Named]:
    """The fields of an item whose numbers have names."""
    found = {}
    for sub in item.layout.subcons:
        field = sub
        while isinstance(field, Renamed):
            field = field.subcon
        if isinstance(field, Named):
            found[sub.name] = field
    return found


def _named(item: Item, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as JSON carries them to a centre: names for codes and bits, and no NUL in any text."""
    names = _names(item)
    return {
        name: _clean(_name(names[name], value) if name in names else value) for name, value in fields.items()
    }


def _name(field: Named, value: int) -> Any:
    names = field.names(value)
    return value if names == "" else names


def _told(kind: Kind, details: dict[str, Any]) -> dict[str, Any]:
    """`details`, with the code where nothing else tells it."""
    return details | {"code": kind.code} if kind.kind == CUSTOM else details


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return str(value).replace("\0", "")  # jsonb takes no NUL
    if isinstance(value, list):
        return [_clean(element) for element in value]
    if isinstance(value, dict):
        return {name: _clean(element) for name, element in value.items()}
    return value
