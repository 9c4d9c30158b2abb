"""Every command has its answer, in every edition and dialect that has the command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import Profile
from protocol.header import Edition
from protocol.link import Message
from protocol.location import Location
from protocol.messages import EDITIONS
from simulator import bodies
from simulator.answers import ANSWERS, PART, answer
from simulator.bodies import Say
from simulator.device import DOORS_LOCKED, Device
from simulator.identity import EDITIONS_OF, Config, Dialect
from simulator.signals import Announced

NOW = 1_750_000_000.0
REPORT = bodies.report(Location(0, 3, 23_020_000, 113_120_000, 35, 600, 90, int(NOW), []))
KINDS = [(dialect, edition) for dialect, editions in EDITIONS_OF.items() for edition in editions]


class Case:
    """A device that is spoken to in fields and answers in fields."""

    def __init__(self, edition: Edition = Edition.V2013, dialect: Dialect = Dialect.SU) -> None:
        self.announced: dict[bytes, Announced] = {}
        config = Config(phone="13800000001", edition=edition, dialect=dialect)
        self.device = Device(config, self.announced)
        self.platform = Profile(edition, None if dialect is Dialect.PLAIN else str(dialect))
        self.serial = 6

    def raw(self, message_id: int, body: bytes) -> list[Say]:
        self.serial += 1
        edition = self.device.config.edition
        message = Message(message_id, "13800000001", self.serial, body, edition, b"")
        return answer(self.device, message, NOW, lambda: REPORT)

    def ask(self, message_id: int, **fields: Any) -> list[tuple[int, Any]]:
        """Ids and fields of what is said; of a general acknowledgement only its result."""
        return self.read(self.raw(message_id, self.platform.encode(message_id, fields)))

    def read(self, said: Sequence[Say]) -> list[tuple[int, Any]]:
        found = []
        for say in said:
            reading = self.platform.decode(say.message_id, say.body)
            assert not reading.breaks and not reading.rest, (hex(say.message_id), reading)
            if say.message_id == 0x0001:
                assert reading.fields["reply_serial"] == self.serial
            found.append(
                (say.message_id, reading.fields["result"] if say.message_id == 1 else reading.fields)
            )
        return found


@pytest.mark.parametrize(("dialect", "edition"), KINDS)
def test_parameters_are_kept(dialect: Dialect, edition: Edition) -> None:
    case = Case(edition, dialect)
    [(answered, fields)] = case.ask(0x8104)
    assert (answered, fields["reply_serial"]) == (0x0104, 7)
    names = {entry["name"]: entry["value"] for entry in fields["parameters"]}
    assert len(names) > 50 and names["plate"] == "粤E00001" and names["report_interval"] == 10
    long = dialect is not Dialect.PLAIN and edition is not Edition.V2011
    assert len(case.raw(0x8104, b"")[0].body) > (1023 if long else 500)  # goes in parts
    changed = [{"id": 0x0055, "value": 80}, {"id": 0x0040, "value": "10086"}]
    assert case.ask(0x8103, parameters=changed) == [(1, 0)]
    if edition is not Edition.V2011:
        [(_, some)] = case.ask(0x8106, ids=[0x0055, 0x0040, 0x7777])
        assert [(e["id"], e["value"]) for e in some["parameters"]] == [(0x0055, 80), (0x0040, "10086")]


@pytest.mark.parametrize(
    ("dialect", "edition"), [(Dialect.SU, Edition.V2013), (Dialect.GUANGDONG, Edition.V2019)]
)
def test_fields_that_say_as_it_is_stay(dialect: Dialect, edition: Edition) -> None:
    case = Case(edition, dialect)
    before = case.device.parameters[0xF364]["value"]
    change = {"id": 0xF364, "value": {"speed_threshold": 44}, "dialect": str(dialect)}
    assert case.ask(0x8103, parameters=[change]) == [(1, 0)]
    [(_, fields)] = case.ask(0x8106, ids=[0xF364])
    [entry] = fields["parameters"]
    after = dict(entry["value"])
    assert entry["dialect"] == dialect and after["volume"] == 6
    assert {name for name in after if after[name] != before[name]} == {"speed_threshold"}


@pytest.mark.parametrize(("dialect", "edition"), KINDS)
def test_who_and_where(dialect: Dialect, edition: Edition) -> None:
    case = Case(edition, dialect)
    answers = case.ask(0x8107) if edition is not Edition.V2011 else case.read(case.raw(0x8107, b""))
    if edition is Edition.V2011:
        assert answers == [(1, 3)]
    else:
        assert answers[0][1]["terminal_id"] == "S000001" and answers[0][1]["maker"] == "JTSIM"
    [say] = case.raw(0x8201, b"")
    assert (say.message_id, say.body[2:]) == (0x0201, REPORT)
    assert case.ask(0x8202, interval=2, validity=60) == [(1, 0)]
    assert case.device.track == (2, NOW + 60)
    assert case.ask(0x8202, interval=0) == [(1, 0)]
    assert case.device.track is None


@pytest.mark.parametrize("edition", Edition)
def test_vehicle_and_driver(edition: Edition) -> None:
    case = Case(edition, Dialect.PLAIN)
    lock = {"controls": [{"type": 1, "value": "lock"}]} if edition is Edition.V2019 else {"flags": 1}
    (_, result), (_, fields) = case.ask(0x8500, **lock)
    assert result == 0 and fields["status"] & DOORS_LOCKED and case.device.status == DOORS_LOCKED
    lock = {"controls": [{"type": 1, "value": "unlock"}]} if edition is Edition.V2019 else {"flags": 0}
    assert not case.ask(0x8500, **lock)[1][1]["status"] & DOORS_LOCKED
    kind = {"text_type": 1} if edition is Edition.V2019 else {}
    assert case.ask(0x8300, flags=["tts"], text="请休息", **kind) == [(1, 0)]
    assert list(case.device.texts) == ["请休息"]
    if edition is not Edition.V2019:
        answers = [{"id": 5, "content": "yes"}, {"id": 6, "content": "no"}]
        said = case.ask(0x8302, flags=0, question="tired?", answers=answers)
        assert said == [(1, 0), (0x0302, {"reply_serial": case.serial, "answer_id": 5})]
    if edition is not Edition.V2011:
        assert case.ask(0x8203, alarm_serial=0, types=1) == [(1, 0)]
    assert case.ask(0x8105, command=4, parameters="") == [(1, 0)]
    assert case.ask(0x8105, command=0x55, parameters="") == [(1, 3)]
    assert case.ask(0x8105, command="fuel_cut", parameters="") == [(1, 0)] and case.device.status & 1 << 10


def test_upgrades() -> None:
    case = Case(Edition.V2019, Dialect.GUANGDONG)
    said = case.ask(0x8105, command=1, parameters={"url": "ftp://x/y"})
    assert [i for i, _ in said] == [1, 0x1FC4, 0x1FC4, 0x1FC4, 0x1FC4, 0x0108]
    said = case.ask(0x8108, type=0x64, maker="JTSIM", version="2", data=b"abc")
    assert said[-1] == (0x0108, {"type": 0x64, "result": 0})
    assert [i for i, _ in Case().ask(0x8108, type=0, maker="", version="2", data=b"abc")] == [1, 0x0108]


def test_areas_are_kept() -> None:
    case = Case(Edition.V2019, Dialect.GUANGDONG)
    circle = {"id": 3, "attributes": [], "latitude": 1, "longitude": 2, "radius": 3, "name": "depot"}
    assert case.ask(0x8600, type="append", areas=[circle, circle | {"id": 4}]) == [(1, 0)]
    assert case.ask(0x8600, type="append", areas=[circle | {"id": 5}]) == [(1, 0)]
    vertices = [{"latitude": n, "longitude": n} for n in range(3)]
    assert case.ask(0x8604, id=9, attributes=[], vertices=vertices, name="yard") == [(1, 0)]
    [(answered, fields)] = case.ask(0x8608, type="circles", ids=[])
    assert answered == 0x0608
    assert [entry["areas"][0]["id"] for entry in fields["data"]] == [3, 4, 5]
    [(_, fields)] = case.ask(0x8608, type="polygons", ids=[9, 10])
    assert [(one["id"], one["name"]) for one in fields["data"]] == [(9, "yard")]
    assert case.ask(0x8601, ids=[4]) == [(1, 0)]
    assert set(case.device.areas[1]) == {3, 5}
    assert case.ask(0x8600, type="update", areas=[circle]) == [(1, 0)]
    assert set(case.device.areas[1]) == {3}
    assert case.ask(0x8601, ids=[]) == [(1, 0)] and not case.device.areas[1]
    old = Case()  # 808-2013 has no such query
    assert old.read(old.raw(0x8608, bytes(5))) == [(1, 3)]


SHOT = {
    "channel": 1, "command": 2, "interval": 3, "save": 0, "resolution": 2, "quality": 5, "brightness": 0,
    "contrast": 0, "saturation": 0, "chroma": 0,
}  # fmt: skip


@pytest.mark.parametrize("edition", [Edition.V2013, Edition.V2019])
def test_pictures(edition: Edition) -> None:
    case = Case(edition, Dialect.PLAIN)
    said = case.ask(0x8801, **SHOT)
    assert [i for i, _ in said] == [1, 0x0805, 0x0800, 0x0801, 0x0800, 0x0801]
    assert (said[1][1]["result"], said[1][1]["media_ids"]) == (0, [1, 2])
    picture = said[3][1]
    assert picture["media_id"] == 1 and picture["location"]["latitude"] == 23_020_000
    assert picture["data"][:3] == b"\xff\xd8\xff" and picture["data"][-2:] == b"\xff\xd9"
    assert case.ask(0x8801, **SHOT | {"channel": 9})[1][1]["result"] == 2
    assert case.ask(0x8801, **SHOT | {"command": 0xFFFF})[1][1]["result"] == 1
    [say] = case.raw(0x8800, case.platform.encode(0x8800, {"media_id": 2, "parts": [2, 3]}))
    assert (say.media, say.parts) == (2, (2, 3))
    assert case.raw(0x8800, case.platform.encode(0x8800, {"media_id": 2})) == []


def test_pictures_of_2011_come_in_messages() -> None:
    case = Case(Edition.V2011, Dialect.PLAIN)
    said = case.ask(0x8801, **SHOT | {"command": 1})
    parts = [fields for i, fields in said if i == 0x0801]
    assert [i for i, _ in said[:2]] == [1, 0x0800]
    assert [one["index"] for one in parts] == list(range(1, parts[0]["total"] + 1))
    assert b"".join(one["data"] for one in parts) == case.device.recordings[1].data
    assert all(len(one["data"]) == PART for one in parts[:-1])
    [(_, again)] = case.ask(0x8800, reply_serial=1, media_id=1, parts=[2])
    assert again == parts[1]


@pytest.mark.parametrize("edition", Edition)
def test_recordings_are_searched_and_sent(edition: Edition) -> None:
    case = Case(edition, Dialect.PLAIN)
    case.ask(0x8801, **SHOT | {"command": 3, "save": 1})
    case.ask(0x8801, **SHOT | {"command": 1, "save": 1, "channel": 2})
    any_time = {"start": bytes(6), "end": bytes(6)}
    search = {"type": 0, "channel": 0, "event": 0}
    [(_, fields)] = case.ask(0x8802, **search, **any_time)
    assert fields["total"] == len(fields["items"]) == 4
    assert fields["items"][0]["location"]["speed"] == 600
    [(_, fields)] = case.ask(0x8802, **search, start=int(NOW), end=int(NOW) + 5)
    assert fields["total"] == 3
    said = case.ask(0x8803, **search | {"channel": 2}, **any_time, remove=1)
    assert said[0] == (1, 0) and {i for i, _ in said[1:]} == {0x0801} and len(case.device.recordings) == 3
    if edition is not Edition.V2011:
        assert [i for i, _ in case.ask(0x8805, media_id=1, remove=0)] == [1, 0x0801]
        assert case.ask(0x8805, media_id=99, remove=0) == [(1, 1)]
    said = case.ask(0x8804, command=1, duration=5, save=0, rate=0)
    sound = b"".join(fields["data"] for i, fields in said if i == 0x0801)
    assert sound[:4] == b"RIFF"


@pytest.mark.parametrize(("dialect", "edition"), KINDS)
def test_peripherals_and_video(dialect: Dialect, edition: Edition) -> None:
    case = Case(edition, dialect)
    query = {"type": 0xF7, "content": {"peripherals": [0x64, 0x65]}}
    if edition is Edition.V2011:
        query["total"] = 3
    said = case.ask(0x8900, **query)
    if dialect is Dialect.PLAIN:
        assert said == [(1, 3)]
    else:
        assert [one["content"]["state"] for one in said[1][1]["content"]["peripherals"]] == [1, 1]
        fields = case.ask(0x8900, **query | {"type": 0xF8})[1][1]
        assert fields["content"]["peripherals"][0]["content"]["software_version"] == "S1.4.2"
    if 0x9003 in EDITIONS[edition]:
        [(_, fields)] = case.ask(0x9003)
        assert fields["video_codec"] == 98
        query = {"channel": 0, "start": None, "end": None, "alarm": 0, "media": 0, "stream": 0, "storage": 0}
        [say] = case.raw(0x9205, case.platform.encode(0x9205, query))
        assert len(say.body) > 2000
        [(_, fields)] = case.read([say])
        assert len(fields["resources"]) == 96


@pytest.mark.parametrize(("dialect", "edition"), KINDS)
def test_orders_for_evidence(dialect: Dialect, edition: Edition) -> None:
    case = Case(edition, dialect)
    size = 40 if dialect is Dialect.GUANGDONG else 16
    identifier = b"S000001".ljust(size - 9, b"\0") + bytes.fromhex("250615230640") + b"\0\2\0"
    identifier = identifier[:size]
    alarm = Announced(identifier, 2, 0x65, 1, int(NOW), 1, 2, 3, 4, 5)
    case.announced[identifier] = alarm
    order = {
        "server": "10.0.0.1", "tcp_port": 7812, "udp_port": 0, "identifier": identifier, "number": "A" * 32,
        "reserved": b"",
    }  # fmt: skip
    if dialect is Dialect.PLAIN:
        assert case.ask(0x9208, **order) == [(1, 3)]
        return
    assert case.ask(0x9208, **order) == [(1, 0)]
    assert case.device.orders == [("10.0.0.1", 7812, alarm, "A" * 32)]
    assert case.ask(0x9208, **order | {"identifier": b"X" + identifier[1:]}) == [(1, 1)]


def test_what_is_no_command_is_not_answered() -> None:
    case = Case()
    for message_id in (0x8003, 0x8004, 0x9212):
        assert case.raw(message_id, bytes(8)) == []
    assert case.read(case.raw(0x8FFF, b"")) == [(1, 3)]
    assert case.read(case.raw(0x8300, b"")) != [(1, 0)]


@given(st.sampled_from(sorted(ANSWERS)), st.binary(max_size=80), st.sampled_from(KINDS))
def test_no_command_raises(message_id: int, body: bytes, kind: tuple[Dialect, Edition]) -> None:
    Case(kind[1], kind[0]).raw(message_id, body)
