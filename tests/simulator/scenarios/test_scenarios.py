"""Every scenario runs against a tolerant platform, and does what its title says."""

from __future__ import annotations

from itertools import pairwise

import pytest

from protocol.codec import Profile
from protocol.frame import Reason
from protocol.header import Edition
from protocol.link import Message
from protocol.location import read
from protocol.messages.location import batch_bodies
from simulator.behaviour import Action
from simulator.identity import Config, Dialect
from simulator.scenarios import GROUPS, SCENARIOS, scenarios
from simulator.terminal import Acked, Terminal
from simulator.track import Track, routes
from tests.simulator.platform import Line

START = 1_750_000_000.0
TRACK = Track(routes()["foshan-guangzhou"], 2)

# Whose reports a platform that is as tolerant as can be still does not get, or not as such.
UNHEARD = {"endless-frame", "slowloris"}


def play(
    name: str, *, seconds: float = 60.0, dialect: Dialect = Dialect.PLAIN, interval: float = 1.0
) -> tuple[Line, list[Acked]]:
    acked: list[Acked] = []
    config = Config(phone="13800000001", seed=5, interval=interval, dialect=dialect)
    terminal = Terminal(config, TRACK, behaviour=SCENARIOS[name], acked=acked.append, start=START)
    wire = Line(terminal, now=START)
    wire.run(START + seconds)
    return wire, acked


def reports(wire: Line) -> list[Message]:
    return [message for message in wire.received if message.id == 0x0200]


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_minute_of_it(name: str, dialect: Dialect) -> None:
    wire, acked = play(name, dialect=dialect)
    assert SCENARIOS[name].title
    if name in UNHEARD:
        assert not acked
    elif SCENARIOS[name].certain:
        assert len(acked) > 20
        assert len({entry.report.number for entry in acked}) == len(acked)
    else:
        assert not acked
        assert wire.terminal.tally.acked > 20


def test_groups() -> None:
    assert set(scenarios("pathological")) | set(scenarios("mix")) == set(SCENARIOS.values())
    assert len(scenarios("all")) == len(SCENARIOS)
    assert scenarios("glued, ordinary") == [SCENARIOS["glued"], SCENARIOS["ordinary"]]
    with pytest.raises(ValueError, match=r"no scenario 'polite'; there are mix, pathological, all"):
        scenarios("ordinary,polite")
    assert {name for group in GROUPS.values() for name in group} <= set(SCENARIOS)


def test_names_are_unique_behaviours() -> None:
    assert len(set(SCENARIOS.values())) == len(SCENARIOS)
    assert len({behaviour.title for behaviour in SCENARIOS.values()}) == len(SCENARIOS)


@pytest.mark.parametrize(
    ("name", "oddity"),
    [
        ("wrong-version-bit", "version_bit"),
        ("declared-too-short", "body_length"),
        ("declared-too-long", "body_length"),
    ],
)
def test_headers_that_lie(name: str, oddity: str) -> None:
    wire, _ = play(name)
    assert wire.received
    assert all(oddity in message.oddities for message in wire.received if message.body)
    assert {message.phone for message in wire.received} == {"13800000001"}


@pytest.mark.parametrize("version", [0, 2])
def test_version_bytes(version: int) -> None:
    wire, _ = play(f"version-byte-{version}")
    assert {message.frame[4] for message in wire.received} == {version}
    assert {message.edition for message in wire.received} == {Edition.V2019}


def test_an_imei_as_phone() -> None:
    wire, _ = play("imei-phone")
    assert {message.phone for message in wire.received} == {"4eb6f0000001"}


def test_a_foreign_phone() -> None:
    wire, _ = play("foreign-phone")
    assert {message.phone for message in wire.received} == {"13800000001", "13800000000"}


def test_registrations() -> None:
    profile = Profile(Edition.V2013)
    empty = play("empty-plate")[0].received[0]
    assert len(empty.body) == 37
    vin = play("vin-of-2011")[0].received[0]
    assert len(vin.body) == 42
    padded = play("left-padded-model")[0].received[0]
    assert padded.body[9:11] == b"\0\0"
    for message in (empty, vin, padded):
        fields = profile.decode(0x0100, message.body).fields
        assert (fields["terminal_id"], fields["model"]) == ("S000001", "SIM-808")


def test_raw_checksums() -> None:
    wire, _ = play("raw-checksum")
    data = b"".join(data for _, data in wire.writes)
    assert data.count(b"\x7d\x7e") == len(wire.received)
    assert not wire.platform.faults


def test_delimiters() -> None:
    doubled = b"".join(data for _, data in play("doubled-delimiters")[0].writes)
    assert b"~~~~" in doubled
    wire, _ = play("shared-delimiters")
    shared = b"".join(data for _, data in wire.writes)
    assert b"~~" not in shared
    assert shared.count(b"~") == len(wire.received) + 1


def test_garbage_is_a_fault() -> None:
    wire, _ = play("garbage", seconds=120)
    assert wire.platform.faults
    assert {fault.reason for fault in wire.platform.faults} <= {Reason.CHECKSUM, Reason.TOO_SHORT}


def test_segments() -> None:
    assert {len(data) for _, data in play("one-byte-segments")[0].writes} == {1}
    assert max(data.count(b"~") for _, data in play("glued")[0].writes) == 100


def test_logins() -> None:
    assert play("no-registration")[0].received[0].id == 0x0102
    assert play("no-authentication")[0].received[0].id == 0x0200
    config = Config(phone="1", seed=5, interval=1.0)
    terminal = Terminal(config, TRACK, behaviour=SCENARIOS["wrong-code-loop"], start=START)
    wire = Line(terminal, now=START)
    wire.platform.auth_result = 1
    wire.run(START + 300)
    assert {message.id for message in wire.received} == {0x0102}
    assert len(wire.platforms) > 5


def test_serials() -> None:
    assert {message.serial for message in play("serial-zero")[0].received} == {0}
    counted = [message.serial for message in play("serial-duplicate")[0].received]
    assert counted == [n // 2 for n in range(len(counted))]
    wire, _ = play("serial-restart", seconds=20)
    wire.cut()
    wire.run(START + 60)
    assert [platform.received[0].serial for platform in wire.platforms] == [0, 0]
    assert wire.platforms[1].received[1].serial == 1


@pytest.mark.parametrize(
    ("name", "text", "query"),
    [
        ("ordinary", [0], [0x0104]),
        ("double-acks", [0, 0], [0x0104]),
        ("late-acks", [], [0x0104]),
        ("no-acks", [], [0x0104]),
        ("ack-for-answers", [0], [0x0001, 0x0104]),
        ("late-answers", [], []),
        ("no-answers", [], []),
        ("answer-serial-0", [0], [0x0104]),
        *((f"refuses-{n}", [n], [0x0001]) for n in (1, 2, 3, 4)),
    ],
)
def test_answers_to_commands(name: str, text: list[int], query: list[int]) -> None:
    """What is said within a second, and that what is late comes."""

    def said(message_id: int, body: bytes, seconds: float) -> list[Message]:
        before = len(wire.platform.received)
        wire.platform.link.serial = 77
        wire.platform.link.send(message_id, body, wire.now)
        wire.terminal.receive(wire.platform.link.data_to_send(), wire.now)
        wire.run(wire.now + seconds)
        return [m for m in wire.platform.received[before:] if m.id in (0x0001, 0x0104)]

    wire, _ = play(name)
    assert [message.body[4] for message in said(0x8300, b"\x01hello", 1)] == text
    found = said(0x8104, b"", 1)
    assert [message.id for message in found] == query
    assert {message.body[:2] for message in found} <= {bytes((0, 0 if name == "answer-serial-0" else 77))}
    late = [m.id for m in said(0x8104, b"", 40)]
    expected = {"late-acks": [0x0104, 0x0001], "late-answers": [0x0001, 0x0104, 0x0104]}
    assert sorted(late) == sorted(expected.get(name, query))


def test_parts_of_pictures_are_lost_until_they_are_asked_for() -> None:
    wire, _ = play("picture-loses-parts")
    shot = {
        "channel": 1, "command": 3, "interval": 1, "save": 0, "resolution": 2, "quality": 5, "brightness": 0,
        "contrast": 0, "saturation": 0, "chroma": 0,
    }  # fmt: skip
    wire.platform.link.send(0x8801, Profile(Edition.V2013).encode(0x8801, shot), wire.now)
    wire.terminal.receive(wire.platform.link.data_to_send(), wire.now)
    wire.run(wire.now + 10)
    assert wire.platform.ids().count(0x0800) == 3 > wire.platform.ids().count(0x0801)
    for media_id in (1, 2, 3):
        ask = {"media_id": media_id, "parts": list(range(1, 8))}
        wire.platform.link.send(0x8800, Profile(Edition.V2013).encode(0x8800, ask), wire.now)
    wire.terminal.receive(wire.platform.link.data_to_send(), wire.now)
    wire.run(wire.now + 10)
    assert wire.platform.ids().count(0x0801) >= 3


def test_clocks() -> None:
    times = {
        name: read(reports(play(name)[0])[0].body).time
        for name in ("clock-zero", "clock-not-bcd", "clock-2007", "clock-future", "clock-utc")
    }
    assert times["clock-zero"] == bytes(6)
    assert isinstance(times["clock-not-bcd"], bytes)
    assert 1_167_580_800 < int(str(times["clock-2007"])) < 1_170_259_200
    assert int(str(times["clock-future"])) > START + 700 * 86400
    assert int(str(times["clock-utc"])) < START - 28_000


def test_items() -> None:
    orders = {tuple(i for i, _ in read(m.body).items) for m in reports(play("unsorted-items")[0])}
    assert len(orders) > 5
    twice = read(reports(play("duplicate-items")[0])[0].body).items
    assert len({item_id for item_id, _ in twice}) < len(twice)
    assert read(reports(play("overrun-item")[0])[0].body).left[:2] == bytes((0x51, 42))
    assert any(not any(m.body[60:]) for m in reports(play("zero-tail")[0]))
    one = len(reports(play("ordinary")[0])[0].body)
    for name, more in (("items-2-1", 1), ("items-2-2", 2), ("items-1-4", 3)):
        assert len(reports(play(name)[0])[0].body) == one + 5 * more


@pytest.mark.parametrize("length", [1, 4, 47, 63, 69, 70, 71])
def test_safety_lengths(length: int) -> None:
    wire, _ = play(f"safety-length-{length}")
    lengths = {
        len(raw)
        for message in reports(wire)
        for item_id, raw in read(message.body).items
        if 0x64 <= item_id <= 0x67
    }
    assert lengths == {length}


@pytest.mark.parametrize(
    ("name", "flags"), [("flag-0", {0}), ("flag-1", {1}), ("flag-2", {2}), ("missing-end", {0, 1})]
)
def test_flags(name: str, flags: set[int]) -> None:
    wire, _ = play(name, seconds=200)
    seen = {raw[4] for m in reports(wire) for item_id, raw in read(m.body).items if 0x64 <= item_id <= 0x67}
    assert seen == flags


@pytest.mark.parametrize("name", ["outage", "batch-single-length", "batch-wrong-count"])
def test_batches(name: str) -> None:
    wire, acked = play(name, seconds=120)
    batches = [message for message in wire.received if message.id == 0x0704]
    found = [body for message in batches for body in batch_bodies(message.body)[1]]
    assert found == [entry.report.body for entry in acked if entry.message_id == 0x0704]
    assert len(found) > 10
    if name == "batch-single-length":
        assert any(len(m.body) == 5 + len(found[0]) * int.from_bytes(m.body[:2]) for m in batches)
    if name == "batch-wrong-count":
        counts = {int.from_bytes(m.body[:2]) - len(batch_bodies(m.body)[1]) for m in batches}
        assert counts == {3}


def test_sockets() -> None:
    assert Action.ABANDON in {action for _, action in play("half-open")[0].actions}
    assert len(play("reconnect-storm")[0].platforms) > 20
    endless, _ = play("endless-frame")
    assert Reason.TOO_LONG in {fault.reason for fault in endless.platform.faults}
    slow = [at for at, _ in play("slowloris")[0].writes]
    assert all(b - a >= 1.99 for a, b in pairwise(slow))
