"""Reports to signals: each source, each dialect, and what devices send besides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarms.kinds import TABLE
from alarms.model import Phase, Position, Signal
from alarms.normalise import VIDEO, WORD, signals, words
from protocol.location import Location, read
from protocol.messages.video import VIDEO_ITEMS
from tests.alarms.reports import BY_NAME, T, item, report

VECTORS = Path(__file__).parents[3] / "shared/vectors/frames.jsonl"
TYRE = {"position": 2, "type": 0b110, "pressure": 300, "temperature": 25, "battery": 80}


def told(location: Location, before: dict[str, int] | None = None, edition: int = 2013) -> list[Signal]:
    known = before or {}
    return signals(location, T, known, words(location, known), edition)


def only(location: Location, **options: Any) -> Signal:
    (signal,) = told(location, **options)
    return signal


# --- items ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["su", "guangdong"])
@pytest.mark.parametrize("flag", [0, 1, 2])
def test_a_driver_alarm(dialect: str, flag: int) -> None:
    it = item(f"{dialect}_driver", flag=flag, type=1, level=2, fatigue=7, alarm_id=42, serial=5)
    signal = only(report(0, it))
    assert (signal.kind, signal.family, signal.level) == ("fatigue", "driver", 2)
    assert signal.phase == (Phase.MOMENT, Phase.START, Phase.END)[flag]
    assert (signal.source, signal.code, signal.pairing) == (f"{dialect}:0x65", 1, f"{dialect}:0x65/1")
    assert signal.position == Position(22_546_872, 114_085_947, 100, 600)
    assert (signal.occurred_at, signal.attachments, signal.raw) == (T, 2, it[1])
    identifier = {"su": it[1][31:47], "guangdong": it[1][31:71]}[dialect]
    assert signal.details == {
        "alarm_id": 42,
        "fatigue": 7,
        "vehicle_status": ["acc_on"],
        "identifier": identifier.hex(),
    }


def test_details_have_names_and_only_what_applies() -> None:
    lane = only(report(0, item("su_adas", type=2, deviation=2, front_speed=0, front_distance=9)))
    assert lane.details["deviation"] == "right"
    assert lane.details["front_speed"] == 0
    assert "sign" not in lane.details
    sign = only(report(0, item("guangdong_adas", type=6, sign=4, sign_value=60)))
    assert (sign.details["sign"], sign.details["sign_value"]) == ("no_entry", 60)
    assert "front_speed" not in sign.details


@pytest.mark.parametrize("name", ["su_tyres", "su_tyres_wide", "guangdong_tyres", "guangdong_tyres_wide"])
def test_one_signal_a_tyre_and_bit(name: str) -> None:
    tyres = [TYRE, {**TYRE, "position": 0, "type": 0x8001}]
    found = told(report(0, item(name, flag=1, tyres=tyres)))
    assert [(s.kind, s.code, s.details["position"]) for s in found] == [
        ("tyre_pressure_high", 1, 2),
        ("tyre_pressure_low", 2, 2),
        ("tyre_report", 0, 0),
        ("custom", 15, 0),
    ]
    assert len({s.key for s in found}) == len({s.pairing for s in found}) == 4
    assert found[0].details["pressure"] == 300
    assert [s.level for s in found] == [1, 1, 0, 1]


def test_a_tyre_item_without_alarms_is_a_report() -> None:
    assert only(report(0, item("su_tyres"))).kind == "tyre_report"


@pytest.mark.parametrize(
    ("name", "code"), [("su_adas", 0x08), ("su_driver", 0x06), ("guangdong_driver", 0x12)]
)
def test_a_maker_s_own_code_is_custom(name: str, code: int) -> None:
    signal = only(report(0, item(name, type=code)))
    assert (signal.kind, signal.code, signal.details["code"]) == ("custom", code, code)


def test_a_flag_that_is_none_is_a_moment() -> None:
    signal = only(report(0, item("su_adas", flag=12)))
    assert (signal.phase, signal.details["flag"]) == (Phase.MOMENT, 12)


def test_a_level_that_is_missing_comes_from_the_table() -> None:
    assert only(report(0, item("su_adas", type=1, level=0))).level == 2
    assert only(report(0, item("su_blind_spot", type=1))).level == 1
    assert only(report(0, item("su_driver", type=0x11, level=0))).level == 0


def test_several_items_and_one_id_twice() -> None:
    found = told(
        report(
            0,
            item("su_adas", type=1, alarm_id=1),
            item("su_driver", type=2, alarm_id=2, serial=1),
            item("su_adas", type=3, alarm_id=3, serial=2),
            item("su_blind_spot", type=3, alarm_id=4, serial=3),
        )
    )
    assert [s.kind for s in found] == ["forward_collision", "phone_use", "headway", "blind_spot_right"]
    assert len({s.key for s in found}) == 4


def test_the_identifier_makes_an_alarm_itself() -> None:
    start = only(report(0, item("su_driver", flag=1, named=T)))
    again = only(report(0, item("su_driver", T + 9, flag=1, named=T, level=2, attachments=5)))
    end = only(report(0, item("su_driver", T + 20, flag=2, named=T)))
    other = only(report(0, item("su_driver", T + 20, flag=1, named=T, serial=1)))
    assert start.key == again.key == end.key != other.key


def test_without_an_identifier_the_time_makes_it() -> None:
    empty = b"\0" * 6
    start = only(report(0, item("su_driver", flag=1, named=empty)))
    assert start.key == only(report(0, item("su_driver", flag=1, named=empty, level=2))).key
    assert start.key != only(report(0, item("su_driver", T + 9, flag=1, named=empty))).key


def test_moments_of_a_device_that_never_changes_its_identifier_differ() -> None:
    first = only(report(0, item("su_driver", named=T)))
    assert first.key != only(report(0, item("su_driver", T + 5, named=T))).key


def test_time_of_the_report_where_the_item_has_none() -> None:
    raw = bytearray(item("su_driver")[1])
    raw[23:29] = b"\xff" * 6
    assert only(report(0, (0x65, bytes(raw)))).occurred_at == T
    assert only(report(0, item("su_driver", T - 5))).occurred_at == T - 5
    assert only(report(0, item("su_driver", T - 90_000))).occurred_at == T


def test_signs_of_the_item_s_position() -> None:
    signal = only(report(0, item("su_driver", altitude=0xFFF6), status=0b1111))
    assert signal.position == Position(-22_546_872, -114_085_947, -10, 600)
    nowhere = only(report(0, item("su_driver", latitude=0, longitude=0), status=0b0111))
    assert nowhere.position == Position(-22_500_000, 114_000_000, 20, 550)


def test_text_without_nul() -> None:
    tyre = item("guangdong_tyres", tyres=[TYRE])
    for it in (tyre, item("su_driver"), (0x65, item("su_driver")[1][:31] + b"\0" * 16)):
        for signal in told(report(0xFFFFFFFF, it, (0x18, b"\0\7\5"))):
            assert "\\u0000" not in json.dumps(signal.details)
            assert msgspec.json.decode(msgspec.json.encode(signal.details)) == signal.details


@pytest.mark.parametrize(("item_id", "length"), [(0x64, 1), (0x65, 4), (0x66, 29), (0x67, 8), (0x64, 60)])
def test_other_makers_items_tell_nothing(item_id: int, length: int) -> None:
    assert told(report(0, (item_id, b"\xff" * length))) == []


def test_a_dialect_that_is_missing_shows() -> None:
    raw = item("su_adas")[1][:31] + bytes(39)  # a province with an identifier of 39 bytes
    signal = only(report(0, (0x64, raw)))
    assert (signal.kind, signal.family, signal.source) == ("undecoded", "adas", "undecoded:0x64")
    assert (signal.phase, signal.raw, signal.details) == (Phase.MOMENT, raw, {"item": 0x64, "length": 70})
    assert told(report(0, (0x66, item("su_tyres", tyres=[TYRE])[1] + b"\0\0")))[0].kind == "undecoded"


@pytest.mark.parametrize(
    ("name", "fields", "kind", "family"),
    [
        ("heilongjiang_adas", {"type": 1}, "forward_collision", "adas"),
        ("heilongjiang_driver", {"type": 2}, "phone_use", "driver"),
        (
            "sichuan_harsh_driving",
            {"type": 3, "duration": 1, "threshold": 2, "threshold2": 3},
            "custom",
            "driver",
        ),
    ],
)
def test_items_of_provinces(name: str, fields: dict[str, Any], kind: str, family: str) -> None:
    row = BY_NAME[name]
    signal = only(report(0, item(name, **fields, flag=1)))
    assert (signal.kind, signal.family, signal.code) == (kind, family, fields["type"])
    assert signal.source == f"{row.dialect}:{row.id:#04x}"
    assert (signal.phase, signal.attachments, signal.occurred_at) == (Phase.START, 2, T)


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not there")
def test_frames_of_real_devices() -> None:
    wanted = {
        "union-dc600-0200-2": [("lane_departure", Phase.MOMENT, 4)],
        "union-dc600-0200-3": [("headway", Phase.MOMENT, 4)],
        "union-dc600-0200-4": [("distraction", Phase.MOMENT, 4)],
        "hikvision-su-sample": [("phone_use", Phase.START, 2)],
        "go-jt808-su-0x67": [("blind_spot_left", Phase.MOMENT, 5)],
    }
    found = {}
    for line in VECTORS.read_text(encoding="utf-8").splitlines():
        vector = json.loads(line)
        if vector["id"] in wanted:
            plain = (
                bytes.fromhex(vector["hex"])[1:-1].replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")
            )
            location = read(plain[17 if plain[2] & 0x40 else 12 : -1])
            assert isinstance(location.time, int)
            known = words(location, {})
            heard = signals(location, location.time, known, known)
            found[vector["id"]] = [(s.kind, s.phase, s.attachments) for s in heard if s.attachments]
    assert found == wanted


# --- bits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [row for row in TABLE if row.source == WORD], ids=lambda row: row.kind)
def test_every_bit_of_the_alarm_word(row: Any) -> None:
    rises = only(report(1 << row.code))
    assert (rises.kind, rises.level, rises.code) == (row.kind, row.level, row.code)
    assert rises.phase == (Phase.START if row.span.name == "LEVEL" else Phase.MOMENT)
    assert rises.raw == (1 << row.code).to_bytes(4)
    falls = only(report(0), before={WORD: 1 << row.code})
    assert (falls.kind, falls.phase, falls.pairing) == (row.kind, Phase.END, rises.pairing)
    assert told(report(1 << row.code), {WORD: 1 << row.code}) == []


def test_the_edition_says_what_a_bit_is() -> None:
    assert only(report(8)).phase is Phase.MOMENT
    later = only(report(8), edition=2019)
    assert (later.kind, later.phase) == ("dangerous_driving", Phase.START)


def test_what_items_say_of_a_bit() -> None:
    overspeed = only(report(2, (0x11, bytes.fromhex("0100000007")), (0x04, b"\0\5")))
    assert overspeed.details["area_id"] == 7
    assert overspeed.details["event"] == 5
    crossing = only(report(1 << 20, (0x12, bytes.fromhex("040000000901"))))
    assert (crossing.details["area_type"], crossing.details["direction"]) == ("route", "out")


def test_video_bits_and_their_masks() -> None:
    loss, covered = told(
        report(0, (0x14, b"\0\0\0\3"), (0x15, b"\x80\0\0\1"), (0x16, b"\0\0\0\2"), (0x17, b"\0\0"))
    )
    assert (loss.kind, loss.source, loss.raw) == ("video_loss", VIDEO, b"\0\0\0\3")
    assert loss.details == {"channels": ["channel1", "channel32"]}
    assert (covered.kind, covered.details) == ("camera_occluded", {"channels": ["channel2"]})


def test_a_mask_alone_is_an_alarm_too() -> None:
    fault = only(report(0, (0x17, b"\x10\1")))
    assert (fault.kind, fault.code, fault.details) == ("storage_fault", 2, {"units": ["main1", "backup1"]})
    assert words(report(0, (0x17, b"\0\0")), {VIDEO: 0b110}) == {VIDEO: 0b010, WORD: 0}
    assert words(report(0), {VIDEO: 0b110}) == {VIDEO: 0b110, WORD: 0}
    assert words(report(0, (0x14, b"\0\0\0\1"), (0x16, b"\0\0\0\1")), {VIDEO: 0b100})[VIDEO] == 0b011


def test_abnormal_driving() -> None:
    found = told(report(0, (0x18, b"\x08\5\x64")))
    assert [(s.kind, s.phase) for s in found] == [
        ("fatigue", Phase.START),
        ("smoking", Phase.START),
        ("custom", Phase.START),
    ]
    assert found[0].details == {"behaviour": ["fatigue", "smoking", "custom=1"], "fatigue": 100}
    assert [s.kind for s in told(report(0, (0x18, b"\0\2")))] == ["phone_use"]


def test_guangdong_faults() -> None:
    found = told(report(0, (0xF1, b"\0\0\0\7"), (0xF2, b"\0\0\0\0")))
    assert [(s.kind, s.details) for s in found] == [("installation_fault", {"fault": 7})]
    ends = only(report(0, (0xF1, b"\0\0\0\0")), before={"guangdong:0xf1": 1})
    assert ends.phase is Phase.END


@pytest.mark.parametrize("length", [0, 1, 8])
def test_video_items_of_other_lengths_tell_nothing(length: int) -> None:
    assert told(report(0, *((row.id, b"\xff" * length) for row in VIDEO_ITEMS))) == []


@given(
    st.integers(0, 0xFFFFFFFF),
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(sorted({row.id for row in BY_NAME.values()})), st.binary(max_size=90)),
            st.sampled_from([0x64, 0x65]).flatmap(
                lambda n: st.tuples(st.just(n), st.binary(min_size=47, max_size=47))
            ),
        ),
        max_size=4,
    ),
)
def test_anything_gives_signals_that_json_carries(alarm: int, items: list[tuple[int, bytes]]) -> None:
    for signal in told(report(alarm, *items)):
        text = msgspec.json.encode(signal.details).decode()
        assert "\\u0000" not in text
        assert "\0" not in signal.key + signal.pairing
        assert 0 <= signal.level <= 255
