"""Files come through whole, whatever happens to their packets on the way."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.header import Edition
from simulator.device import Order
from simulator.evidence import ATTEMPTS, Faults, Filed, Uploader, files_of
from simulator.identity import Config, Dialect
from simulator.scenarios.pathological.uploads import SMALL, UPLOADS
from simulator.signals import Announced
from simulator.tally import Tally
from tests.simulator.evidence_server import Door, Server

TIME = 1_750_000_000
SMALL_FILM = 60_000  # bytes


def alarm(config: Config, attachments: int = 5, item: int = 0x65, serial: int = 0) -> Announced:
    reserved = 1 if config.dialect is Dialect.SU else 2
    name = config.terminal_id.encode().ljust(7 if config.dialect is Dialect.SU else 30, b"\0")
    identifier = name + bytes.fromhex("250615230640") + bytes((serial, attachments)) + bytes(reserved)
    return Announced(identifier, attachments, item, 1, TIME, 23_000_000, 113_000_000, 5, 600, 90)


class Case:
    """An uploader, a server, and a line between them on which a step is a turn of both."""

    def __init__(
        self,
        faults: Faults = Faults(),  # noqa: B008 - a value
        *,
        edition: Edition = Edition.V2013,
        dialect: Dialect = Dialect.SU,
        seed: int = 1,
        **server: Any,
    ) -> None:
        self.config = Config("13800000001", edition, dialect, film=SMALL_FILM)
        self.tally = Tally()
        self.filed: list[Filed] = []
        self.server = Server(**server)
        self.uploader = Uploader(self.config, self.tally, random.Random(seed), faults, self.filed.append)
        self.files: dict[tuple[str, str], bytes] = {}
        self.connections = 0

    def order(self, number: str = "A" * 32, port: int = 7812, **options: Any) -> None:
        announced = alarm(self.config, **options)
        self.uploader.add(Order("10.0.0.1", port, announced, number))
        self.files |= {(number, f.name): f.data for f in files_of(announced, number, self.config)}

    def run(self) -> Case:
        while self.uploader.busy:
            self.connections += 1
            assert self.connections < 50
            self._connection()
        return self

    def _connection(self) -> None:
        door = Door(self.server, str(self.config.dialect))
        uploader = self.uploader
        uploader.connected()
        for _ in range(10_000):
            answers = b""
            while data := uploader.data_to_send():
                answers += door.feed(data)
            if uploader.hang_up:
                break
            assert answers, "both wait"
            uploader.receive(answers, 7.0)
        uploader.disconnected()


KINDS = [(Edition.V2013, Dialect.SU), (Edition.V2011, Dialect.SU), (Edition.V2019, Dialect.GUANGDONG)]


@pytest.mark.parametrize(("edition", "dialect"), KINDS)
@pytest.mark.parametrize("attachments", range(1, 6))
def test_files_arrive(edition: Edition, dialect: Dialect, attachments: int) -> None:
    case = Case(edition=edition, dialect=dialect)
    case.order(attachments=attachments)
    case.run()
    assert case.server.complete == case.files
    assert len(case.files) == attachments == case.tally.files_uploaded
    assert case.connections == 1 and case.tally.pieces_again == case.tally.files_failed == 0
    [announced] = case.server.announced
    assert announced["number"] == "A" * 32 and announced["terminal_id"] == "S000001"
    assert announced["identifier"]["attachments"] == attachments
    told = [(file["name"], file["size"]) for file in announced["files"]]
    assert told == [(name, len(data)) for (_, name), data in case.files.items()]
    found = {(one.phone, one.sha256, one.size, one.at) for one in case.filed}
    assert found == {("13800000001", hashlib.sha256(d).hexdigest(), len(d), 7.0) for d in case.files.values()}
    assert case.server.editions == {Edition.V2019 if edition is Edition.V2019 else Edition.V2013}


def test_names_are_as_the_standards_have_them() -> None:
    config = Config("13800000001", Edition.V2019, Dialect.GUANGDONG)
    names = [file.name for file in files_of(alarm(config), "N" * 32, config)]
    end = "N" * 32
    assert names == [
        f"04_65_6501_0_{end}.jpg",
        f"04_65_6501_1_{end}.jpg",
        f"04_65_6501_2_{end}.jpg",
        f"02_65_6501_3_{end}.mp4",
        f"03_0_6501_4_{end}.bin",
    ]
    su = Config("13800000001")
    names = [file.name for file in files_of(alarm(su, 4, 0x64), "N" * 32, su)]
    assert [name[:2] for name in names] == ["00", "02", "01", "03"]
    assert max(map(len, names)) <= 50


HOSTILE = {"upload-hostile-names", "upload-claims-4-gib", "upload-unknown-number", "upload-foreign-alarm"}
RECOVERABLE = [name for name in UPLOADS if name not in HOSTILE]


@pytest.mark.parametrize(("edition", "dialect"), KINDS)
@pytest.mark.parametrize("name", RECOVERABLE)
def test_faults_are_made_good(name: str, edition: Edition, dialect: Dialect) -> None:
    case = Case(UPLOADS[name][1], edition=edition, dialect=dialect, seed=3)
    case.order()
    case.order("B" * 32, serial=1)
    case.run()
    assert case.server.complete == case.files and len(case.files) == 10
    tally = case.tally
    assert tally.files_failed == 0 and tally.files_uploaded == 10
    happened = {
        "upload-loses": tally.pieces_again > 3,
        "upload-doubles": tally.bytes_sent > 1.1 * tally.bytes_uploaded,
        "upload-overlaps": tally.bytes_sent > 1.1 * tally.bytes_uploaded,
        "upload-early-done": tally.pieces_again == 10,
        "upload-cuts": case.connections > 2 and any(fields["kind"] == 1 for fields in case.server.announced),
        "upload-other-header": case.server.editions
        == {Edition.V2013 if edition is Edition.V2019 else Edition.V2019},
    }
    assert happened.get(name, True)


@settings(max_examples=40, deadline=None)
@given(
    st.builds(
        Faults,
        lost=st.floats(0, 0.5),
        doubled=st.floats(0, 1),
        reordered=st.floats(0, 1),
        overlapping=st.floats(0, 1),
        early_done=st.booleans(),
        cut=st.floats(0, 1),
        chunk=st.sampled_from([200, SMALL, 1 << 16]),
    ),
    st.integers(0, 1000),
    st.integers(1, 255),
)
def test_nothing_is_lost_for_good(faults: Faults, seed: int, most: int) -> None:
    case = Case(faults, seed=seed, most=most)
    case.order(attachments=2)
    case.order("B" * 32, attachments=3, serial=1)
    case.run()
    complete = case.server.complete
    assert all(complete[key] == data for key, data in case.files.items() if key in complete)
    assert len(complete) == case.tally.files_uploaded
    assert case.tally.files_uploaded + case.tally.files_failed == 5
    if most > 20:
        assert complete == case.files


def test_several_alarms_go_over_one_connection_and_others_elsewhere() -> None:
    case = Case()
    case.order("A" * 32)
    case.order("B" * 32, serial=1)
    case.order("C" * 32, port=7813, serial=2)
    assert case.uploader.address == ("10.0.0.1", 7812)
    case.run()
    assert case.connections == 2 and case.server.complete == case.files


def test_a_platform_that_refuses() -> None:
    case = Case(result=1)
    case.order()
    case.run()
    assert (case.connections, case.tally.uploads_refused, case.tally.files_failed) == (1, 1, 5)
    assert not case.filed


def test_a_platform_that_can_not_be_reached() -> None:
    case = Case()
    case.order()
    for _ in range(ATTEMPTS):
        assert case.uploader.busy
        case.uploader.disconnected()
    assert not case.uploader.busy and case.tally.files_failed == 5


def test_claims_of_4_gib_are_given_up() -> None:
    case = Case(UPLOADS["upload-claims-4-gib"][1])
    case.order(attachments=2)
    case.run()
    assert {f["size"] for f in case.server.announced[0]["files"]} == {0xFFFFFFFF}
    assert case.tally.files_failed == 2 and not case.filed


def test_wrong_doors() -> None:
    case = Case(UPLOADS["upload-unknown-number"][1])
    case.order(attachments=1)
    assert {number for number, _ in case.run().server.files} == {"F" * 32}
    case = Case(UPLOADS["upload-foreign-alarm"][1])
    case.order(attachments=1)
    case.run()
    assert case.server.phones == {"13800000002"}
    assert case.server.announced[0]["identifier"]["terminal_id"] == "FOREIGN"


def test_hostile_names() -> None:
    case = Case(UPLOADS["upload-hostile-names"][1])
    case.order()
    case.order("B" * 32, attachments=5, serial=1)
    case.run()
    assert "../../../../etc/passwd" in {name for _, name in case.server.complete}
    assert case.tally.files_uploaded == 10


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_nothing_that_a_platform_sends_raises(pieces: list[bytes]) -> None:
    case = Case()
    case.order()
    case.uploader.connected()
    for piece in pieces:
        case.uploader.receive(piece, 0.0)
        case.uploader.data_to_send()
