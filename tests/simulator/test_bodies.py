"""What a terminal builds, the catalogue reads back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.catalog import EncodeError, decode
from protocol.codec import Profile
from protocol.header import Edition
from protocol.location import Location, read
from protocol.messages.items import ITEMS_808
from protocol.messages.location import BATCH, batch_bodies
from simulator import bodies
from simulator.identity import Config

U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)


@pytest.mark.parametrize("edition", Edition)
def test_logging_in(edition: Edition) -> None:
    config = Config(phone="13800000001", edition=edition)
    profile = Profile(edition)
    registration = profile.decode(0x0100, bodies.register(edition, config.registration()))
    assert registration.fields == config.registration()
    assert registration.edition == edition
    code = profile.decode(0x0102, bodies.authenticate(edition, "a code", config.imei))
    assert code.fields["code"] == "a code"
    if edition is Edition.V2019:
        assert code.fields["imei"] == "000013800000001"


@given(U32, U32, U32, st.integers(-0x8000, 0x7FFF), U16, st.binary(max_size=3))
def test_reports(alarm: int, status: int, place: int, altitude: int, speed: int, left: bytes) -> None:
    items = [bodies.item("mileage", place), bodies.item("analog", 1, 2), (0xEE, b"xyz")]
    draft = Location(alarm, status, place, place, altitude, speed, 90, 1_750_000_000, items, b"")
    assert read(bodies.report(draft)) == draft
    draft.left = left
    assert bodies.report(draft).endswith(left)


def test_every_fast_item_is_as_its_layout() -> None:
    for item in ITEMS_808:
        if item.name in bodies._FAST:
            item_id, raw = bodies.item(item.name, *range(1, len(item.layout.subcons) + 1))
            assert item_id == item.id
            assert item.layout.build(decode(item.layout, raw).fields) == raw


@given(st.lists(st.binary(min_size=28, max_size=90), min_size=1, max_size=9))
def test_batches(reports: list[bytes]) -> None:
    body = bodies.batch(reports)
    assert batch_bodies(body) == (1, reports, b"")
    found = decode(BATCH, body)
    assert (found.fields["count"], found.fields["type"]) == (len(reports), 1)
    assert found.rest == b""


def test_acknowledgements() -> None:
    assert bodies.read_ack(bytes.fromhex("0007020000")) == (7, 0x0200, 0)
    assert bodies.read_ack(b"\0\7\2") is None
    assert bodies.read_registered(b"\0\7\0code") == (7, 0, "code")
    assert bodies.read_registered(b"\0\7\2") == (7, 2, "")
    assert bodies.read_registered(b"\0\7") is None


def test_an_answer_names_its_query() -> None:
    draft = Location(0, 3, 1, 2, 3, 4, 5, 1_750_000_000, [])
    body = bodies.answer(77, bodies.report(draft))
    assert Profile(Edition.V2019).decode(0x0201, body).fields["reply_serial"] == 77


def test_what_a_layout_lacks_is_left_out_and_what_it_needs_is_missed() -> None:
    layout = ITEMS_808[0].layout
    assert bodies.fill(layout, {"mileage": 1, "other": 2}, name="mileage") == b"\0\0\0\1"
    with pytest.raises(EncodeError, match="the field 'mileage' is missing"):
        bodies.fill(layout, {"other": 2}, name="mileage")
