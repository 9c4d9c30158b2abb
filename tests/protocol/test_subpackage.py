"""Joining and cutting of sub-packaged messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocol.frame import Fault, Reason
from protocol.header import Edition, Header
from protocol.subpackage import (
    ATTEMPTS,
    MAX_ASKED,
    MAX_JOINED,
    MAX_OPEN,
    QUIET,
    Budget,
    Joined,
    Joiner,
    Missing,
    Sent,
    cut,
    read_resend_request,
    resend_request,
)

PHONE = bytes.fromhex("013800000001")


def part(index: int, total: int, first: int = 0xFFFE, message_id: int = 0x0801) -> Header:
    serial = first + index - 1 & 0xFFFF
    return Header(message_id, 0x2000, PHONE, serial, 16, Edition.V2013, 0, total, index)


def add(joiner: Joiner, header: Header, body: bytes, now: float = 0.0) -> Joined | Fault | None:
    return joiner.add(header, body, bytes(16) + body, now)


@given(st.binary(min_size=1, max_size=6000), st.randoms(), st.integers(0, 0xFFFF))
def test_any_order_and_doubles_join_to_what_was_cut(body, random, first):
    joiner = Joiner(Budget())
    pieces = cut(body)
    order = [*range(1, len(pieces) + 1)]
    random.shuffle(order)
    last = order.pop()
    for index in [*order, *order]:
        assert add(joiner, part(index, len(pieces), first), pieces[index - 1]) is None
    joined = add(joiner, part(last, len(pieces), first), pieces[last - 1])
    assert isinstance(joined, Joined)
    assert joined.body == body
    assert joined.serials == tuple(first + n & 0xFFFF for n in range(len(pieces)))
    assert joined.last == first + last - 1 & 0xFFFF
    assert joiner.size == 0


def test_two_messages_of_one_id_do_not_mix():
    joiner = Joiner(Budget())
    add(joiner, part(1, 2, first=10), b"a")
    add(joiner, part(1, 2, first=20), b"c")
    second = add(joiner, part(2, 2, first=20), b"d")
    first = add(joiner, part(2, 2, first=10), b"b")
    assert isinstance(first, Joined) and isinstance(second, Joined)
    assert (first.body, second.body) == (b"ab", b"cd")


def test_impossible_numbers_are_faults():
    joiner = Joiner(Budget())
    for index, total in ((0, 3), (4, 3)):
        fault = add(joiner, part(index, total), b"x")
        assert isinstance(fault, Fault) and fault.reason is Reason.SUBPACKAGE
    assert joiner.size == 0


def test_bytes_are_bounded_by_link_and_by_process():
    joiner = Joiner(Budget())
    faults = [add(joiner, part(n, 60000), bytes(1023)) for n in range(1, 1200)]
    assert any(isinstance(f, Fault) and f.reason is Reason.OVERFLOW for f in faults)
    assert joiner.size <= MAX_JOINED

    budget = Budget(2000)
    one, two = Joiner(budget), Joiner(budget)
    add(one, part(1, 3), bytes(1000))
    add(one, part(2, 3), bytes(1000))
    fault = add(two, part(1, 3), bytes(1000))
    assert isinstance(fault, Fault) and fault.reason is Reason.OVERFLOW
    one.clear()
    two.clear()
    assert budget.left == budget.total


def test_the_number_of_unfinished_messages_is_bounded():
    budget = Budget()
    joiner = Joiner(budget)
    for n in range(50):
        add(joiner, part(1, 2, first=n * 7), b"x")
    assert joiner.size <= MAX_OPEN
    joiner.clear()
    assert budget.left == budget.total


def test_missing_parts_are_asked_for_with_growing_patience_then_given_up():
    joiner = Joiner(Budget())
    add(joiner, part(1, 3, first=100), b"a")
    assert joiner.due(QUIET - 0.1) == ([], [])
    now, asked = 0.0, 0
    while True:
        now += QUIET
        ask, faults = joiner.due(now)
        if faults:
            break
        for missing in ask:
            asked += 1
            assert missing == Missing(100, (2, 3))
    assert asked == ATTEMPTS
    assert faults[0].reason is Reason.INCOMPLETE and faults[0].raw == b"a"
    assert now >= QUIET * (1 + 2 + 3)
    assert joiner.size == 0


def test_a_part_sent_again_under_a_new_serial_finds_its_message():
    joiner = Joiner(Budget())
    add(joiner, part(1, 2, first=100), b"a")
    joiner.due(QUIET)
    again = part(2, 2, first=100)
    again.serial = 500
    joined = add(joiner, again, b"b", QUIET + 1)
    assert isinstance(joined, Joined) and joined.body == b"ab"


def test_a_request_for_parts_is_bounded():
    joiner = Joiner(Budget())
    add(joiner, part(1, 1000, first=0), b"a")
    [missing], _ = joiner.due(QUIET)
    assert len(missing.indexes) == MAX_ASKED


@given(st.integers(0, 0xFFFF), st.lists(st.integers(1, 0xFFFF), max_size=MAX_ASKED))
def test_a_request_reads_back_in_both_widths(first, indexes):
    missing = Missing(first, tuple(indexes))
    for edition in (Edition.V2013, Edition.V2019):
        assert read_resend_request(resend_request(missing, edition)) == missing


@given(st.binary(max_size=40))
def test_any_request_body_reads_or_is_none(body):
    missing = read_resend_request(body)
    assert missing is None or isinstance(missing, Missing)


def test_kept_parts_are_few_and_young():
    sent = Sent()
    for n in range(10):
        sent.keep(n, [b"1", b"2"], float(n))
    assert sent.again(Missing(0, (1,))) == []
    assert sent.again(Missing(9, (2, 3, 1))) == [b"2", b"1"]
    sent.forget(1000.0)
    assert sent.again(Missing(9, (1,))) == []
