"""Alarms begin, last and end as their dialect has it."""

from __future__ import annotations

import random

import pytest

from protocol.items import read_item
from protocol.location import Location
from protocol.messages import ITEMS
from protocol.messages.safety import identifier_of
from simulator.identity import Config, Dialect
from simulator.signals import BITS, END, EVENTS, MAX_ANNOUNCED, NONE, START, Signals

LENGTHS = {Dialect.SU: {47, 49, 41}, Dialect.GUANGDONG: {71, 73, 65}}


def drive(dialect: Dialect, reports: int, every: int = 3) -> list[Location]:
    config = Config(phone="13800000001", dialect=dialect, alarm_every=every, seed=1)
    signals = Signals(config, random.Random(1))
    drafts = []
    for number in range(reports):
        draft = Location(0, 3, 23_000_000, 113_000_000, 12, 456, 90, 1_750_000_000 + number, [])
        signals.add(draft, number)
        drafts.append(draft)
    return drafts


@pytest.mark.parametrize("dialect", [Dialect.SU, Dialect.GUANGDONG])
def test_items(dialect: Dialect) -> None:
    drafts = drive(dialect, 2000)
    kinds, open_ = set(), {}
    identifiers = set()
    for draft in drafts:
        assert draft.alarm == 0
        for item_id, raw in draft.items:
            value = read_item(ITEMS, item_id, raw, dialect=dialect)
            assert value.item is not None
            assert value.item.dialect == dialect
            assert not value.rest
            fields = value.fields
            assert (fields["speed"], fields["altitude"], fields["time"]) == (45, 12, draft.time)
            identifier = fields["identifier"]
            assert identifier["terminal_id"] == "S000001"
            if fields["flag"] == END:
                assert open_.pop(fields["alarm_id"]) == (item_id, identifier)
                continue
            assert fields["alarm_id"] not in open_
            identifiers.add((identifier["time"], identifier["serial"]))
            if fields["flag"] == START:
                open_[fields["alarm_id"]] = (item_id, identifier)
            else:
                assert fields["flag"] == NONE
            kinds.add((value.item.name, fields.get("type")))
    assert len(kinds) >= len(EVENTS[dialect]) - 1
    assert len(identifiers) == 2000 // 3
    assert len(open_) <= 2


def test_bits_stay_while_the_alarm_lasts() -> None:
    drafts = drive(Dialect.PLAIN, 600, every=20)
    assert all(not draft.items for draft in drafts)
    seen = 0
    for number, draft in enumerate(drafts):
        if draft.alarm and (number == 0 or not drafts[number - 1].alarm):
            (bit,) = [bit for bit in BITS if draft.alarm == 1 << bit.number]
            run = drafts[number : number + bit.lasts]
            assert all(d.alarm == draft.alarm for d in run)
            if number + bit.lasts < len(drafts):
                assert drafts[number + bit.lasts].alarm == 0
            seen |= draft.alarm
    assert seen.bit_count() >= 5


def test_none_unless_asked_for() -> None:
    assert all(not draft.items for draft in drive(Dialect.SU, 50, every=0))


def test_alarms_of_one_second_are_numbered() -> None:
    config = Config(phone="1", dialect=Dialect.SU, alarm_every=1)
    signals = Signals(config, random.Random(1))
    serials = set()
    for number in range(30):
        draft = Location(0, 3, 0, 0, 0, 0, 0, 1_750_000_000, [])
        signals.add(draft, number)
        for item_id, raw in draft.items:
            fields = read_item(ITEMS, item_id, raw).fields
            if fields["flag"] != END:
                serials.add(fields["identifier"]["serial"])
    assert serials == set(range(30))


@pytest.mark.parametrize("dialect", [Dialect.SU, Dialect.GUANGDONG])
def test_alarms_with_files_are_remembered_by_their_identifier(dialect: Dialect) -> None:
    config = Config(phone="13800000001", dialect=dialect, alarm_every=1, attachments=(0, 3))
    signals = Signals(config, random.Random(2))
    seen = {}
    for number in range(300):
        draft = Location(0, 3, 23_000_000, 113_000_000, 12, 456, 90, 1_750_000_000 + number, [])
        signals.add(draft, number)
        for item_id, raw in draft.items:
            value = read_item(ITEMS, item_id, raw, dialect=dialect)
            if value.fields["identifier"]["attachments"]:
                seen[identifier_of(value)] = (item_id, draft.time)
    assert len(signals.announced) == min(len(seen), MAX_ANNOUNCED) > 100
    for identifier, announced in signals.announced.items():
        assert announced.identifier == identifier and announced.attachments == 3
        assert announced.item == seen[identifier][0]
        assert (announced.latitude, announced.speed) == (23_000_000, 456)
