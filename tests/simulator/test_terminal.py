"""A terminal against a platform, with a clock of the test's own and no network."""

from __future__ import annotations

from itertools import pairwise
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.codec import Profile
from protocol.header import Edition
from protocol.link import Message, Repetition, Result
from protocol.location import read
from protocol.messages.location import batch_bodies
from simulator.behaviour import Action, Behaviour
from simulator.identity import Config, Dialect
from simulator.terminal import MAX_SAVED, Acked, Stage, Terminal
from simulator.track import Track, routes
from tests.simulator.platform import Line

START = 1_750_000_000.0
TRACK = Track(routes()["city-deliveries"], 1)


def line(behaviour: type[Behaviour] = Behaviour, **settings: Any) -> tuple[Line, list[Acked]]:
    """A terminal that begins at START, and what it knows to be stored."""
    acked: list[Acked] = []
    config = Config(**({"phone": "13800000001", "seed": 3} | settings))
    terminal = Terminal(config, TRACK, behaviour=behaviour, acked=acked.append, start=START)
    return Line(terminal, now=START), acked


@pytest.mark.parametrize("edition", Edition)
def test_from_registration_to_acknowledged_reports(edition: Edition) -> None:
    wire, acked = line(edition=edition, interval=5.0)
    wire.run(START + 60)
    register, authenticate, *reports = wire.received
    profile = Profile(edition)
    fields = profile.decode(0x0100, register.body).fields
    assert fields["plate"] == "粤E00001"
    assert fields["terminal_id"] == "S000001"
    assert (fields["province"], fields["city"]) == (44, 600)
    assert profile.decode(0x0102, authenticate.body).fields["code"] == "secret"
    assert {message.id for message in reports} == {0x0200}
    assert {message.phone for message in wire.received} == {"13800000001"}
    assert [message.serial for message in wire.received] == list(range(len(wire.received)))
    assert len(reports) == 12
    assert [entry.report.body for entry in acked] == [message.body for message in reports]
    assert [entry.serial for entry in acked] == [message.serial for message in reports]
    times = [entry.report.time for entry in acked]
    assert times == sorted(times)
    assert all(isinstance(time, int) and START <= time <= START + 60 for time in times)
    assert wire.terminal.tally.latency.percentile(0.99) == pytest.approx(0.05, rel=0.1)
    assert not wire.platform.faults
    assert wire.terminal.unacknowledged == 0


def test_a_report_says_where_the_vehicle_is() -> None:
    wire, acked = line(interval=1.0, edition=Edition.V2019)
    wire.run(START + 30)
    for entry in acked:
        location = read(entry.report.body)
        fix = TRACK.at(0)
        assert abs(location.latitude - fix.latitude) < 200_000
        assert [item_id for item_id, _ in location.items] == [0x01, 0x03, 0x2B, 0x30, 0x31]
        assert location.left == b""
        reading = Profile(Edition.V2019).decode(0x0200, entry.report.body)
        assert not reading.breaks
        assert reading.rest == b""


def test_no_two_reports_are_the_same() -> None:
    wire, acked = line(interval=0, window=50)
    wire.run(START + 5)
    bodies = [entry.report.body for entry in acked]
    assert len(bodies) > 4000
    assert len(set(bodies)) == len(bodies)


def test_the_window_bounds_what_is_unacknowledged() -> None:
    wire, _ = line(interval=0, window=5)
    wire.platform.mute = True
    wire.run(START + 0.5)
    wire.terminal.code = "secret"
    wire.cut()
    wire.platform.mute = False
    wire.run(START + 3)
    wire.platform.mute = True
    before = len(wire.platforms[-1].received)
    wire.run(START + 4)
    assert len(wire.platforms[-1].received) - before <= 5
    assert wire.terminal.unacknowledged == 5


def test_repetitions_come_when_the_standard_says() -> None:
    """T(n+1) = T(n) * (n+1): after 10 s, then 20, then 60; then 240 without an answer are the end."""
    wire, acked = line(interval=1000.0, heartbeat=inf, repetition=Repetition(10.0, 3), seed=1)
    wire.run(START + 1)
    wire.platform.mute = True
    wire.run(START + 1000)
    tally = wire.terminal.tally
    first = next(at for at, data in wire.writes if data[1:3] == b"\x02\x00")
    again = [at - first for at, data in wire.writes if data[1:3] == b"\x02\x00"]
    wire.run(first + 329)
    again = [at - first for at, data in wire.writes if data[1:3] == b"\x02\x00"]
    assert again == pytest.approx([0, 10, 30, 90])
    assert tally.exhausted == 0
    wire.run(first + 330.5)
    assert tally.exhausted == 1
    assert (tally.repeated, tally.acked, acked) == (3, 0, [])
    at = next(at for at, action in wire.actions if action is Action.CLOSE)
    assert at - first == pytest.approx(330)


def test_repeated_frames_are_the_same_bytes() -> None:
    wire, _ = line(interval=50.0, heartbeat=inf, repetition=Repetition(2.0, 2))
    wire.run(START + 1)
    wire.platform.mute = True
    wire.run(START + 60)
    reports = [data for _, data in wire.writes if data[1:3] == b"\x02\x00"]
    assert len(reports) >= 3
    assert reports[0] == reports[1] == reports[2]


def test_what_was_missed_is_sent_first_and_as_back_fill() -> None:
    wire, acked = line(interval=2.0)
    wire.run(START + 20)
    wire.cut(up=False)
    wire.run(START + 80)
    stored = len(acked)
    wire.up = True
    wire.run(START + 140)
    second = wire.platforms[1].received
    assert second[0].id == 0x0102  # the code survives: no second registration
    assert second[1].id == 0x0704
    kind, bodies, rest = batch_bodies(second[1].body)
    assert (kind, rest) == (1, b"")
    ids = [message.id for message in second[1:]]
    assert ids == sorted(ids, reverse=True)  # batches before later reports
    back = [entry for entry in acked[stored:] if entry.message_id == 0x0704]
    assert [entry.report.body for entry in back][: len(bodies)] == bodies
    assert len(back) == wire.terminal.tally.backfilled >= 30
    numbers = [entry.report.number for entry in acked]
    assert numbers == list(range(len(numbers)))
    assert wire.terminal.tally.recorded - len(numbers) == wire.terminal.unacknowledged <= 1
    assert wire.terminal.tally.reconnects == 1


def test_the_edition_of_2011_has_no_batch() -> None:
    wire, acked = line(interval=2.0, edition=Edition.V2011)
    wire.run(START + 10)
    wire.cut(up=False)
    wire.run(START + 60)
    wire.up = True
    wire.run(START + 120)
    assert 0x0704 not in {message.id for message in wire.received}
    assert sorted(entry.report.number for entry in acked) == list(range(len(acked)))
    assert len(acked) >= 58


def test_reports_in_flight_are_saved() -> None:
    wire, acked = line(interval=2.0)
    wire.run(START + 10.1)
    wire.platform.mute = True
    wire.run(START + 15)
    waiting = wire.terminal.unacknowledged
    assert waiting >= 2
    wire.cut()
    wire.platform.mute = False
    wire.run(START + 40)
    assert sorted(entry.report.number for entry in acked) == list(range(len(acked)))
    assert len(acked) >= 18


def test_saved_alarms_go_first_and_alone() -> None:
    wire, _ = line(interval=1.0, dialect=Dialect.SU, alarm_every=5)
    wire.run(START + 5)
    wire.cut(up=False)
    wire.run(START + 40)
    wire.up = True
    wire.run(START + 80)
    ids = [message.id for message in wire.platforms[-1].received]
    backfill = ids.index(0x0704)
    assert set(ids[1:backfill]) == {0x0200}
    for message in wire.platforms[-1].received[1:backfill]:
        assert any(0x64 <= item_id <= 0x67 for item_id, _ in read(message.body).items)


def test_a_long_batch_goes_in_parts() -> None:
    class Long(Behaviour):
        batch_bytes = 3000

    wire, acked = line(Long, interval=1.0)
    wire.run(START + 5)
    wire.cut(up=False)
    wire.run(START + 90)
    wire.up = True
    wire.run(START + 120)
    assert any(len(message.parts) == 3 for message in wire.platforms[-1].received)
    assert [entry.report.number for entry in acked] == list(range(len(acked)))


def test_the_store_is_bounded() -> None:
    wire, _ = line(interval=0.01)
    wire.run(START + 1)
    wire.cut(up=False)
    wire.run(START + 1 + (MAX_SAVED + 500) / 100)
    wire.run(wire.now + 31)
    assert wire.terminal.unacknowledged <= MAX_SAVED + 1
    assert wire.terminal.tally.discarded > 0


def test_a_refused_code_is_registered_anew_once() -> None:
    wire, _ = line(interval=5.0)
    wire.platform.auth_result = 1
    wire.run(START + 0.5)
    ids = wire.platforms[0].ids()
    assert ids == [0x0100, 0x0102, 0x0100, 0x0102]
    assert wire.actions[-1][1] is Action.CLOSE
    assert wire.terminal.stage is Stage.OFFLINE
    wire.platform.auth_result = 0
    wire.run(START + 20)
    assert wire.terminal.stage is Stage.ONLINE


def test_attempts_back_off() -> None:
    wire, _ = line(interval=0, reconnect=1.0, reconnect_limit=8.0)
    wire.up = False
    wire.run(START + 100)
    at = [at for at, action in wire.actions if action is Action.CONNECT]
    gaps = [b - a for a, b in pairwise(at)]
    assert all(
        low <= gap <= high for gap, low, high in zip(gaps, (0.5, 1, 2, 4, 4), (1, 2, 4, 8, 8), strict=False)
    )
    assert 12 < len(at) < 30
    assert wire.terminal.tally.failed_connects == len(at)


def test_heartbeats_when_silent() -> None:
    wire, _ = line(interval=1000.0, heartbeat=10.0, seed=1)
    wire.run(START + 100)
    assert wire.platform.ids().count(0x0002) in (9, 10)


def test_commands_are_acknowledged() -> None:
    wire, _ = line(interval=1000.0, seed=1)
    wire.run(START + 1)
    for message_id, body in ((0x9301, bytes(3)), (0x8300, b"\x01hello"), (0x8201, b"")):
        wire.platform.link.send(message_id, body, wire.now)
    wire.terminal.receive(wire.platform.link.data_to_send(), wire.now)
    wire.platform.receive(wire.terminal.data_to_send(wire.now), wire.now)
    acks = [message.body for message in wire.platform.received if message.id == 0x0001]
    assert [(int.from_bytes(body[2:4]), body[4]) for body in acks] == [(0x9301, 3), (0x8300, 0)]
    answer = next(message for message in wire.platform.received if message.id == 0x0201)
    assert Profile(Edition.V2013).decode(0x0201, answer.body).fields["reply_serial"] > 0


@pytest.mark.parametrize(("result", "stored"), [(0, True), (4, True), (1, False), (2, False), (3, False)])
def test_only_success_is_storage(result: int, stored: bool) -> None:
    wire, acked = line(interval=2.0)
    wire.platform.result = result
    wire.run(START + 20)
    assert bool(acked) is stored
    assert wire.terminal.tally.refused == (0 if stored else 10)
    assert wire.terminal.tally.acked == (10 if stored else 0)


def test_answers_to_nothing_are_ignored() -> None:
    wire, acked = line(interval=5.0)
    wire.run(START + 30)
    count = len(acked)
    for serial in (0, 1, 2, 3, 999):
        wire.platform.link.acknowledge(0x0200, serial, Result.OK)
    wire.terminal.receive(wire.platform.link.data_to_send(), wire.now)
    assert len(acked) == count
    assert wire.terminal.stage is Stage.ONLINE


def test_stop_sends_what_is_left() -> None:
    wire, acked = line(interval=0, window=4)
    wire.run(START + 2)
    wire.terminal.stop(wire.now)
    wire.run(START + 3)
    assert wire.terminal.unacknowledged == 0
    assert len(acked) == wire.terminal.tally.recorded


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_nothing_is_lost_whatever_the_line_does(data: st.DataObject) -> None:
    """Every report is acknowledged once, or still there, after any run of cuts and silences."""
    dialect = data.draw(st.sampled_from(Dialect))
    wire, acked = line(
        interval=data.draw(st.sampled_from([0.5, 2.0, 7.0])),
        window=data.draw(st.integers(1, 9)),
        dialect=dialect,
        alarm_every=data.draw(st.sampled_from([0, 3])),
        repetition=Repetition(2.0, 2),
        seed=data.draw(st.integers(0, 99)),
    )
    for _ in range(data.draw(st.integers(1, 6))):
        wire.run(wire.now + data.draw(st.floats(0.1, 30)))
        match data.draw(st.sampled_from(["cut", "down", "mute", "speak"])):
            case "cut":
                wire.cut()
            case "down":
                wire.cut(up=False)
            case "mute":
                wire.platform.mute = True
            case "speak":
                wire.platform.mute = False
                wire.up = True
        numbers = [entry.report.number for entry in acked]
        assert len(set(numbers)) == len(numbers)
        assert len(numbers) + wire.terminal.unacknowledged == wire.terminal.tally.recorded
    wire.up, wire.platform.mute = True, False
    wire.run(wire.now + 60)
    wire.terminal.stop(wire.now)
    wire.run(wire.now + 120)
    assert sorted(entry.report.number for entry in acked) == list(range(wire.terminal.tally.recorded))


@settings(max_examples=60, deadline=None)
@given(garbage=st.binary(max_size=300))
def test_nothing_that_arrives_raises(garbage: bytes) -> None:
    wire, _ = line(interval=5.0)
    wire.run(START + 1)
    wire.terminal.receive(b"~" + garbage + b"~", wire.now)
    wire.run(START + 20)
    assert wire.terminal.stage is Stage.ONLINE


def command(wire: Line, message_id: int, fields: dict[str, Any], seconds: float = 1.0) -> list[Message]:
    """What the terminal says within that time."""
    before = len(wire.platform.received)
    body = Profile(wire.terminal.config.edition).encode(message_id, fields)
    wire.platform.link.send(message_id, body, wire.now)
    wire.terminal.receive(wire.platform.link.data_to_send(), wire.now)
    while data := wire.terminal.data_to_send(wire.now):
        wire.writes.append((wire.now, data))
        wire.platform.receive(data, wire.now)
    wire.run(wire.now + seconds)
    return wire.platform.received[before:]


def test_a_tracked_terminal_reports_at_the_interval_for_a_while() -> None:
    wire, _ = line(interval=50.0, seed=1)
    wire.run(START + 1)
    command(wire, 0x8202, {"interval": 2, "validity": 20})
    reports = [message for message in command(wire, 0x8204, {}, 18) if message.id == 0x0200]
    assert 8 <= len(reports) <= 10
    reports = [message for message in command(wire, 0x8204, {}, 120) if message.id == 0x0200]
    assert 2 <= len(reports) <= 3
    command(wire, 0x8202, {"interval": 2, "validity": 1000})
    command(wire, 0x8202, {"interval": 0})
    reports = [message for message in command(wire, 0x8204, {}, 120) if message.id == 0x0200]
    assert 2 <= len(reports) <= 3


@pytest.mark.parametrize("edition", [Edition.V2013, Edition.V2019])
def test_parts_of_a_picture_are_sent_again(edition: Edition) -> None:
    wire, _ = line(interval=1000.0, edition=edition, seed=1)
    wire.run(START + 1)
    shot = {
        "channel": 1, "command": 1, "interval": 0, "save": 0, "resolution": 2, "quality": 5, "brightness": 0,
        "contrast": 0, "saturation": 0, "chroma": 0,
    }  # fmt: skip
    said = command(wire, 0x8801, shot)
    assert [message.id for message in said] == [0x0001, 0x0805, 0x0800, 0x0801]
    assert len(said[3].parts) > 3
    whole, before = b"".join(data for _, data in wire.writes), len(wire.writes)
    command(wire, 0x8800, {"media_id": 1, "parts": [2, 4]})
    again = b"".join(data for _, data in wire.writes[before:])
    frames = [frame for frame in again.split(b"\x7e") if frame]
    assert len(frames) == 2 and all(frame in whole for frame in frames)
    # A link keeps the packets for a while only; then the picture is sent anew.
    command(wire, 0x8204, {}, 300)
    said = command(wire, 0x8800, {"media_id": 1, "parts": [2]})
    assert [message.id for message in said] == [0x0801]


def test_commands_are_counted() -> None:
    wire, _ = line(interval=1000.0, seed=1)
    wire.run(START + 1)
    command(wire, 0x8300, {"flags": 1, "text": "one"})
    command(wire, 0x8300, {"flags": 1, "text": "two"})
    command(wire, 0x8104, {})
    tally = wire.terminal.tally
    assert (tally.commands, tally.answers, tally.texts) == (3, 3, 2)
