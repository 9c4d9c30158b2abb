"""Reports alone, as an answer and in batches; and batches whose lengths are wrong."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import catalog
from protocol.codec import Profile
from protocol.header import Edition
from protocol.location import SIZE
from protocol.messages.location import BATCH, REPORT, batch_bodies, plausible, spans
from tests.protocol.strategies import values

FIXED = bytes.fromhex("0000000200040003015881c906ca8e05fff6025900b4230727150914")
LONG = FIXED + bytes.fromhex("010400000064310105")


def sized(*reports: bytes) -> bytes:
    return b"".join(len(report).to_bytes(2) + report for report in reports)


def batch(*reports: bytes, count: int | None = None, kind: int = 1) -> bytes:
    return struct.pack(">HB", len(reports) if count is None else count, kind) + sized(*reports)


@given(values(BATCH))
def test_the_fast_way_through_a_batch_is_that_of_the_layout(value: dict[str, Any]) -> None:
    body = catalog.encode(BATCH, value)
    kind, bodies, left = batch_bodies(body)
    assert (kind, left) == (value["type"], b"")
    assert [catalog.decode(REPORT, report).fields for report in bodies] == value["reports"]


@given(st.binary(min_size=3, max_size=300))
def test_a_batch_of_any_bytes(body: bytes) -> None:
    kind, bodies, left = batch_bodies(body)
    assert kind == body[2]
    assert body.endswith(left)
    found = catalog.decode(BATCH, body, explain=True)
    assert len(found.fields["reports"]) == len(bodies)
    assert found.rest == left
    assert b"".join(part.raw for part in found.parts) + found.rest == body


@given(st.data())
def test_a_batch_with_bytes_changed_lost_or_added(data: st.DataObject) -> None:
    body = bytearray(batch(*data.draw(st.lists(st.sampled_from([FIXED, LONG]), min_size=1, max_size=4))))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(3, len(body)))
        body[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    found = catalog.decode(BATCH, bytes(body), explain=True)
    assert b"".join(part.raw for part in found.parts) + found.rest == bytes(body)
    end = 0
    for start, stop in spans(bytes(body[3:])):
        assert end <= start <= stop <= len(body) - 3
        end = stop


def test_the_number_in_front_is_not_believed() -> None:
    for count in (0, 1, 2, 65535):
        assert batch_bodies(batch(FIXED, LONG, count=count)) == (1, [FIXED, LONG], b"")


def test_one_length_for_all() -> None:
    body = struct.pack(">HBH", 3, 0, len(LONG)) + LONG * 3
    assert batch_bodies(body) == (0, [LONG] * 3, b"")
    found = catalog.decode(BATCH, body, explain=True)
    assert [report["heading"] for report in found.fields["reports"]] == [180] * 3
    assert (found.rest, found.breaks) == (b"", [])


@pytest.mark.parametrize("wrong", [0, 1, 27, 30, 200, 65535])
def test_a_report_whose_length_is_wrong_does_not_cost_the_others(wrong: int) -> None:
    body = batch(FIXED) + wrong.to_bytes(2) + LONG + sized(FIXED, LONG)
    _, bodies, left = batch_bodies(body)
    assert (bodies, left) == ([FIXED, LONG, FIXED, LONG], b"")


def test_nothing_of_a_batch_gets_lost() -> None:
    """The first report has no time, the second a wrong length: no byte is dropped on the way."""
    undated = FIXED[:22] + bytes(6)
    body = batch(undated) + b"\xff\xff" + LONG + sized(FIXED)
    _, bodies, left = batch_bodies(body)
    assert (bodies[-1], left) == (FIXED, b"")
    assert LONG in b"".join(bodies)
    assert undated in b"".join(bodies)


def test_a_batch_that_is_cut() -> None:
    _, bodies, left = batch_bodies(batch(FIXED, LONG)[:-3])
    assert (bodies, left) == ([FIXED], (len(LONG).to_bytes(2) + LONG)[:-3])
    assert batch_bodies(b"\0\0\1") == (1, [], b"")
    with pytest.raises(struct.error):
        batch_bodies(b"\0\0")


def test_a_report_shorter_than_its_fixed_part() -> None:
    found = catalog.decode(BATCH, batch(FIXED[:20], FIXED))
    assert batch_bodies(batch(FIXED[:20], FIXED))[1] == [FIXED[:20], FIXED]
    assert [len(report) for report in found.fields["reports"]] == [6, 9]
    assert found.breaks[0].path == "reports[0].heading"


def test_an_answer_with_and_without_the_serial() -> None:
    for claimed in Edition:
        with_serial = Profile(claimed).decode(0x0201, b"\x01\x02" + LONG)
        assert (with_serial.fields["reply_serial"], with_serial.fields["heading"]) == (258, 180)
        without = Profile(claimed).decode(0x0201, LONG)
        assert ("reply_serial" in without.fields, without.fields["heading"]) == (False, 180)


def test_a_report_says_how_plausible_it_is() -> None:
    fields = catalog.decode(REPORT, FIXED).fields
    assert plausible(fields) == 3
    assert plausible(fields | {"heading": 9999, "latitude": 2**31}) == 0
    assert plausible(fields | {"time": bytes(6)}) < 0
    assert plausible({}) < 0


def test_a_report_without_its_end() -> None:
    reading = Profile(Edition.V2013).decode(0x0200, LONG[: SIZE - 3])
    assert reading.fields["heading"] == 180
    assert reading.breaks[0].path == "time"
