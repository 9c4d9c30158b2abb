"""A session without sockets and database: what it takes, keeps, refuses and closes for."""

from __future__ import annotations

import pytest

from alarms.lifecycle import Watch
from gateway.handlers import HANDLERS, encrypted, unknown
from gateway.metrics import Counters
from gateway.rsa import Plain
from gateway.session import MAX_WAITING, Receipt, Rules, Services, Session, State
from protocol.header import Edition
from protocol.link import Link, Message, Role
from storage.rows import Clock
from storage.writer import Entry
from tests.gateway.rig import location


class Line:
    """A transport that remembers."""

    kind = "tcp"
    address = "192.0.2.1"

    def __init__(self) -> None:
        self.written = b""
        self.closed = False
        self.paused = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


class Queue:
    """A writer that never commits."""

    under_pressure = False

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def put(self, entry: Entry) -> None:
        self.entries.append(entry)


class Door:
    """An admission that never decides."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def register(self, session: Session, message: Message) -> None:
        self.asked.append("register")

    def authenticate(self, session: Session, message: Message) -> None:
        self.asked.append("authenticate")

    def take_in(self, session: Session) -> None:
        self.asked.append("take_in")


class Talk:
    """A session and the terminal at its other end."""

    def __init__(self, **rules) -> None:
        self.queue, self.line, self.door, self.clock = Queue(), Line(), Door(), 1000.0
        self.services = Services(
            writer=self.queue,
            rules=Rules(Clock(), **rules),
            counters=Counters(),
            handlers=HANDLERS,
            unknown=unknown,
            encrypted=encrypted,
            secrecy=Plain(),
            monotonic=lambda: self.clock,
            wall=lambda: self.clock + 1.79e9,
        )
        self.services.admission = self.door
        self.session = Session(self.line, self.services, 1)
        self.terminal = Link(Role.TERMINAL, phone="13800000001", edition=Edition.V2013)

    def say(self, message_id: int, body: bytes = b"") -> None:
        self.terminal.send(message_id, body, self.clock)
        self.session.receive(self.terminal.data_to_send())

    def heard(self) -> list[Message]:
        data, self.line.written = self.line.written, b""
        return [m for m in self.terminal.receive(data, self.clock) if isinstance(m, Message)]

    def admit(self) -> Talk:
        self.say(0x0102, b"code")
        self.session.admitted(7, Watch("13800000001"))
        return self


def test_a_report_is_put_with_its_receipt_and_not_answered():
    talk = Talk().admit()
    talk.say(0x0200, location())
    [entry] = talk.queue.entries
    assert isinstance(entry.receipt, Receipt)
    assert (entry.receipt.message_id, entry.receipt.serial, entry.receipt.result) == (0x0200, 1, 0)
    assert entry.terminal_id == 7 and len(entry.rows) == 1
    assert talk.heard() == []


def test_what_is_stored_is_acknowledged_nowhere_but_after_the_commit():
    """Every handler of a message that is stored leaves the line silent."""
    talk = Talk().admit()
    for message_id, body in ((0x0200, location()), (0x0200, b"bad"), (0x0704, b"\0\0\0"), (0x0F00, b"?")):
        talk.say(message_id, body)
    assert talk.heard() == []
    assert sum(entry.receipt is not None for entry in talk.queue.entries) == 4


def test_messages_wait_while_the_terminal_is_looked_up_and_keep_their_order():
    talk = Talk()
    talk.say(0x0102, b"code")
    assert talk.door.asked == ["authenticate"] and talk.session.state is State.ADMITTING
    for second in range(3):
        talk.say(0x0200, location(second))
    assert talk.queue.entries == []
    talk.session.admitted(7, Watch("13800000001"))
    assert [entry.receipt.serial for entry in talk.queue.entries] == [1, 2, 3]


def test_too_many_waiting_messages_stop_the_reading():
    talk = Talk()
    talk.say(0x0102, b"code")
    for second in range(MAX_WAITING):
        talk.say(0x0200, location(second))
    assert talk.line.paused
    talk.session.admitted(7, Watch("13800000001"))
    assert not talk.line.paused and len(talk.queue.entries) == MAX_WAITING


def test_a_second_admission_among_the_waiting_keeps_the_rest_waiting():
    talk = Talk()
    talk.say(0x0100, bytes(40))
    talk.say(0x0102, b"code")
    talk.say(0x0200, location())
    talk.session.refused(State.REGISTERED)
    assert talk.door.asked == ["register", "authenticate"] and talk.queue.entries == []
    talk.session.admitted(7, Watch("13800000001"))
    assert len(talk.queue.entries) == 1


@pytest.mark.parametrize(("accept", "asked"), [(False, []), (True, ["take_in"])])
def test_data_before_authentication(accept, asked):
    talk = Talk(accept_unauthenticated=accept)
    talk.say(0x0200, location())
    assert talk.door.asked == asked and talk.heard() == []
    assert talk.services.counters.faults == ({} if accept else {"unauthenticated": 1})


def test_faults_close_only_above_their_rate():
    talk = Talk(fault_rate=5).admit()
    for _ in range(5):
        talk.session.receive(b"~" + bytes(20) + b"\x01~")
    assert not talk.line.closed
    talk.clock += 61
    for _ in range(5):
        talk.session.receive(b"~" + bytes(20) + b"\x01~")
    assert not talk.line.closed
    talk.session.receive(b"~" + bytes(20) + b"\x01~")
    assert talk.line.closed and talk.session.state is State.CLOSED


def test_a_closed_session_takes_and_says_nothing():
    talk = Talk().admit()
    talk.session.close("test")
    talk.say(0x0200, location())
    talk.say(0x0002)
    talk.session.close("again")
    talk.session.admitted(7, Watch("13800000001"))
    assert talk.queue.entries == [] and talk.heard() == [] and talk.session.state is State.CLOSED


def test_parts_are_acknowledged_as_they_come_but_the_last_one():
    talk = Talk().admit()
    bodies = [location(n) for n in range(100)]
    talk.say(0x0704, b"\0\x64\1" + b"".join(len(b).to_bytes(2) + b for b in bodies))
    serials = [int.from_bytes(m.body[:2]) for m in talk.heard()]
    [entry] = talk.queue.entries
    assert len(entry.rows) == 100 and entry.receipt.serial == serials[-1] + 1


def test_a_body_that_is_encrypted_is_kept_as_it_came():
    talk = Talk().admit()
    talk.terminal.send(0x0200, location(), talk.clock, encryption=0x0800)
    talk.session.receive(talk.terminal.data_to_send())
    [entry] = talk.queue.entries
    assert entry.rows == () and entry.parked[0].reason == "encrypted" and entry.receipt.result == 0


def test_header_oddities_are_counted():
    talk = Talk().admit()
    wire = bytearray.fromhex("000240000138000000010005")  # claims the header of 2019
    x = 0
    for byte in wire:
        x ^= byte
    talk.session.receive(b"~" + bytes(wire) + bytes([x]) + b"~")
    assert talk.services.counters.faults == {"header_version_bit": 1}
    assert [m.id for m in talk.heard()] == [0x8001]
