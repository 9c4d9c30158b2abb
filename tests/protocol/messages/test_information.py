"""Texts, events, questions, telephone: what differs between the editions, and how mistakes are told."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.catalog import EncodeError
from protocol.codec import Profile
from protocol.header import Edition
from protocol.messages.information import CHANGES, EVENTS_2013, TEXT_2011, TEXT_2013, TEXT_2019

GONE = (0x8301, 0x0301, 0x8302, 0x0302, 0x8303, 0x0303, 0x8304)


def read(edition: Edition, message_id: int, body: str) -> tuple[int, dict[str, Any]]:
    reading = Profile(edition).decode(message_id, bytes.fromhex(body))
    assert reading.edition is not None
    return int(reading.edition), reading.fields


def flags(layout: Any, value: int) -> list[str]:
    found: list[str] = layout.flags.subcon.subcon.names(value)
    return found


def test_flags_of_a_text() -> None:
    """808-2011 table 27, 808-2013 table 38, 808-2019 table 38."""
    assert flags(TEXT_2011, 0x3D) == ["urgent", "display", "tts", "advertising_screen", "bit5"]
    assert flags(TEXT_2013, 0x3D) == ["urgent", "display", "tts", "advertising_screen", "can_fault"]
    assert flags(TEXT_2019, 0x3D) == ["kind=1", "display", "tts", "can_fault", "bit4"]
    assert flags(TEXT_2019, 0x02) == ["kind=2"]
    encoded = Profile(Edition.V2019).encode(
        0x8300, {"flags": ["kind=2", "tts"], "text_type": "service", "text": "a"}
    )
    assert encoded.hex() == "0a0261"


def test_a_text_is_as_long_as_its_edition_allows() -> None:
    for edition, most in ((Edition.V2011, 102), (Edition.V2013, 1024), (Edition.V2019, 1024)):
        fields = {"flags": 0, "text": "中" * (most // 2)}
        fields |= {"text_type": 1} if edition is Edition.V2019 else {}
        assert Profile(edition).encode(0x8300, fields).endswith("中".encode("gbk"))
        with pytest.raises(EncodeError, match=rf"send_text \(0x8300\): text: .* at most {most}"):
            Profile(edition).encode(0x8300, fields | {"text": "中" * (most // 2) + "a"})
    _, fields = read(Edition.V2011, 0x8300, "00" + "61" * 200)
    assert len(fields["text"]) == 200  # what comes may be longer


def test_a_telephone_number_may_be_padded() -> None:
    assert read(Edition.V2019, 0x8400, "00 313233 0000") == (2019, {"flag": 0, "phone": "123"})
    with pytest.raises(EncodeError, match=r"phone: .* at most 20"):
        Profile(Edition.V2019).encode(0x8400, {"flag": "monitor", "phone": "1" * 21})


@pytest.mark.parametrize("message_id", GONE)
def test_what_2019_took_out_is_read_and_written_by_the_table_of_2013(message_id: int) -> None:
    own, row = Profile(Edition.V2013).row(message_id), Profile(Edition.V2019).row(message_id)
    assert own is row is not None
    assert row.clause.startswith("808-2013 ")


def test_lists_are_read_by_what_comes_out_even() -> None:
    """The header of 2011 and of 2013 is one: both are claimed, the bytes decide."""
    whole, part = "02 01 05 0004 ccecc6f8", "02 03 01 05 0004 ccecc6f8"
    items = [{"type": 5, "name": "天气"}]
    for claimed in (Edition.V2011, Edition.V2013):
        assert read(claimed, 0x8303, whole) == (2013, {"type": 2, "items": items})
        assert read(claimed, 0x8303, part) == (2011, {"type": 2, "total": 3, "items": items})


def test_a_list_of_2011_counts_itself_unless_it_is_told() -> None:
    contacts = [{"flag": "both", "phone": "110", "name": "a"}]
    encoded = Profile(Edition.V2011).encode(0x8401, {"type": "append", "contacts": contacts})
    assert encoded.hex() == "02010103033131300161"
    told = Profile(Edition.V2011).encode(0x8401, {"type": "append", "total": 7, "contacts": contacts})
    assert told.hex() == "02070103033131300161"
    with_both = Profile(Edition.V2013).decode(0x8401, told)
    assert (with_both.edition, with_both.fields["total"]) == (Edition.V2011, 7)
    information = Profile(Edition.V2011).encode(0x8304, {"type": 1, "content": "天气"})
    assert information.hex() == "0100040004ccecc6f8"


def test_events() -> None:
    old, new = Profile(Edition.V2011), Profile(Edition.V2013)
    assert new.encode(0x8301, {"type": "delete_all"}) == old.encode(0x8301, {"type": "delete_all"}) == b"\0"
    assert new.encode(0x8301, {"type": "delete", "events": [{"id": 3}]}).hex() == "04010300"
    assert old.encode(0x8301, {"type": "delete", "events": [{"id": 3}]}).hex() == "0401010300"
    with pytest.raises(EncodeError, match="events: is given, it belongs here only where type is not"):
        new.encode(0x8301, {"type": "delete_all", "events": []})
    with pytest.raises(EncodeError, match="events: is missing, it belongs here where type is not"):
        new.encode(0x8301, {"type": "update"})
    with pytest.raises(EncodeError, match=r"events\[1\].id: 256 is no integer from 0 to 255"):
        new.encode(0x8301, {"type": 2, "events": [{"id": 1, "content": ""}, {"id": 256, "content": ""}]})
    assert EVENTS_2013.type.subcon.subcon.names(4) == "delete"
    assert 4 not in CHANGES


@pytest.mark.parametrize(
    ("message_id", "body", "fields", "path"),
    [
        (0x8302, "01 05 61", {"flags": 1}, "question"),
        (
            0x8302,
            "01 01 61 02 0003 62",
            {"flags": 1, "question": "a", "answers": [{"id": 2}]},
            "answers[0].content",
        ),
        (0x8303, "02 ff 01 0001 61", {"type": 2, "items": [{"type": 1, "name": "a"}, {}]}, "items[1].type"),
        (0x8401, "02 01 01 09 31", {"type": 2, "contacts": [{"flag": 1}]}, "contacts[0].phone"),
        (0x0302, "0001", {"reply_serial": 1}, "answer_id"),
        (0x8300, "", {}, "flags"),
    ],
)
def test_a_body_that_is_cut_gives_what_it_holds(
    message_id: int, body: str, fields: dict[str, Any], path: str
) -> None:
    reading = Profile(Edition.V2013).decode(message_id, bytes.fromhex(body))
    assert reading.fields == fields
    assert [found.path for found in reading.breaks] == [path]
