"""Both ends of a connection, without a network."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.frame import MAX_FRAME, Fault, Reason
from protocol.header import Edition
from protocol.link import Link, Message, Part, Repetition, Role, Unanswered
from protocol.subpackage import QUIET


def terminal(edition: Edition = Edition.V2013, **kwargs) -> Link:
    return Link(Role.TERMINAL, phone="13800000001", edition=edition, **kwargs)


def platform() -> Link:
    return Link(Role.PLATFORM)


def whole(items: list) -> list[Message]:
    return [item for item in items if isinstance(item, Message)]


BODIES = st.lists(
    st.tuples(st.sampled_from([0x0200, 0x0801, 0x0002]), st.binary(max_size=3000)), min_size=1, max_size=5
)


@given(BODIES, st.sampled_from([Edition.V2013, Edition.V2019]), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_any_split_of_the_stream_gives_the_same_messages(bodies, edition, rng):
    sender = terminal(edition)
    for message_id, body in bodies:
        sender.send(message_id, body, 0.0)
    wire = sender.data_to_send()
    wholesale = whole(platform().receive(wire, 0.0))
    assert [(m.id, m.body) for m in wholesale] == bodies
    assert all(m.phone == "13800000001" and m.edition is edition for m in wholesale)

    single, chopped = platform(), platform()
    by_byte = [m for n in range(len(wire)) for m in single.receive(wire[n : n + 1], 0.0)]
    at, by_chance = 0, []
    while at < len(wire):
        size = rng.randint(1, 700)
        by_chance += chopped.receive(wire[at : at + size], 0.0)
        at += size
    assert whole(by_byte) == whole(by_chance) == wholesale


@given(st.binary(max_size=5000))
def test_feeding_anything_never_raises_and_holds_little(data):
    link = platform()
    for item in link.receive(data, 0.0):
        assert isinstance(item, Message | Part | Fault)
    assert link._splitter.buffered <= MAX_FRAME


def test_lost_parts_come_again_on_request():
    """Every third packet is lost; 0x8003 brings the rest, in both editions' widths."""
    for edition in (Edition.V2013, Edition.V2019):
        sender, receiver = terminal(edition), platform()
        body = bytes(range(256)) * 40
        sender.send(0x0801, body, 0.0)
        packets = [b"~" + p + b"~" for p in sender.data_to_send().split(b"~") if p]
        got = receiver.receive(b"".join(p for n, p in enumerate(packets) if n % 3), 0.0)
        assert all(isinstance(item, Part) for item in got)
        receiver.tick(QUIET)
        sender.receive(receiver.data_to_send(), QUIET)
        [message] = whole(receiver.receive(sender.data_to_send(), QUIET))
        assert message.body == body and len(message.parts) == len(packets)


def test_repetition_waits_longer_each_time_then_gives_up():
    link = terminal(repetition=Repetition(timeout=10.0, count=3))
    serial = link.send(0x0200, b"x", 0.0, repeat=True)
    first = link.data_to_send()
    times, now = [], 0.0
    gone: list = []
    while not gone:
        now += 1.0
        gone = link.tick(now)
        if data := link.data_to_send():
            assert data == first
            times.append(now)
    assert times == [10.0, 30.0, 90.0]  # T(n+1) = T(n) * (n+1): 10, 20, 60
    assert gone == [Unanswered(0x0200, serial)] and now == 330.0
    assert link.unanswered == 0


def test_an_acknowledgement_ends_repetition():
    sender, receiver = terminal(repetition=Repetition(5.0, 3)), platform()
    sender.send(0x0200, b"x", 0.0, repeat=True)
    [message] = receiver.receive(sender.data_to_send(), 0.0)
    receiver.acknowledge(message.id, message.serial)
    assert sender.unanswered == 1
    [answer] = sender.receive(receiver.data_to_send(), 0.1)
    assert answer.id == 0x8001 and answer.body == bytes.fromhex("0000020000")
    assert sender.unanswered == 0
    sender.tick(1000.0)
    assert sender.data_to_send() == b""


def test_a_sub_packaged_message_is_answered_by_its_last_serial():
    sender, receiver = terminal(repetition=Repetition(5.0, 3)), platform()
    named = sender.send(0x0704, bytes(2500), 0.0, repeat=True)
    [message] = whole(receiver.receive(sender.data_to_send(), 0.0))
    assert (message.serial, message.parts) == (named, (0, 1, 2)) and named == 2


@pytest.mark.parametrize("edition", [Edition.V2013, Edition.V2019])
def test_answers_echo_the_phone_and_the_header_of_the_terminal(edition):
    sender, receiver = terminal(edition), platform()
    sender.send(0x0002, b"", 0.0)
    receiver.receive(sender.data_to_send(), 0.0)
    receiver.acknowledge(0x0002, 0)
    receiver.acknowledge(0x0002, 1)
    one, two = sender.receive(receiver.data_to_send(), 0.0)
    assert (one.edition, one.phone, one.serial, two.serial) == (edition, "13800000001", 0, 1)


def test_a_pinned_link_keeps_its_phone():
    mine, theirs, receiver = terminal(), terminal(), platform()
    theirs = Link(Role.TERMINAL, phone="13900000002", edition=Edition.V2013)
    mine.send(0x0002, b"", 0.0)
    receiver.receive(mine.data_to_send(), 0.0)
    receiver.pinned = True
    theirs.send(0x0200, b"x", 0.0)
    [foreign] = receiver.receive(theirs.data_to_send(), 0.0)
    assert foreign.phone == "13900000002" and receiver.phone == "13800000001"
    receiver.acknowledge(0x0002, 7)
    [answer] = mine.receive(receiver.data_to_send(), 0.0)
    assert answer.phone == "13800000001"


def test_nothing_can_be_sent_to_nobody():
    with pytest.raises(ValueError, match="neither phone"):
        platform().send(0x8104, b"", 0.0)


def test_serials_wrap():
    link = terminal(serial=0xFFFF)
    assert link.send(0x0002, b"", 0.0) == 0xFFFF
    assert link.send(0x0002, b"", 0.0) == 0


def test_checksum_of_7d_sent_raw_is_understood():
    """A device that does not escape its checksum of 7D."""
    link = platform()
    head = bytearray.fromhex("000200000138000000010000")
    x = 0
    for byte in head:
        x ^= byte
    head[-1] ^= x ^ 0x7D
    [message] = link.receive(b"~" + bytes(head) + b"\x7d~", 0.0)
    assert isinstance(message, Message) and message.id == 0x0002


def test_noise_between_good_frames_costs_only_itself():
    rng = random.Random(7)
    sender, receiver = terminal(), platform()
    wire, noise = b"", 0
    for _ in range(50):
        sender.send(0x0200, rng.randbytes(40), 0.0)
        junk = bytes(b for b in rng.randbytes(30) if b != 0x7E)
        wire += sender.data_to_send() + junk
        noise += 1
    got = receiver.receive(wire + b"~", 0.0)
    assert len(whole(got)) == 50
    assert sum(isinstance(item, Fault) and item.reason is Reason.CHECKSUM for item in got) == noise


def test_closing_gives_the_budget_back():
    receiver = platform()
    sender = terminal()
    sender.send(0x0801, bytes(5000), 0.0)
    receiver.receive(sender.data_to_send()[:2000], 0.0)
    joiner = receiver._joiner
    assert joiner is not None and joiner.size > 0
    receiver.close()
    assert joiner.size == 0
