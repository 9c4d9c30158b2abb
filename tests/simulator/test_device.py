"""What a terminal keeps."""

from __future__ import annotations

import pytest

from protocol.header import Edition
from simulator.device import AUDIO, IMAGE, MAX_RECORDINGS, MAX_TEXTS, Device, defaults
from simulator.identity import EDITIONS_OF, Config, Dialect


@pytest.mark.parametrize(("dialect", "edition"), [(d, e) for d, all_ in EDITIONS_OF.items() for e in all_])
def test_every_edition_and_dialect_has_its_parameters(dialect: Dialect, edition: Edition) -> None:
    found = defaults(edition, dialect)
    assert 0x0001 in found and 0x0083 in found
    assert (0x0090 in found) == (edition is not Edition.V2011)
    assert (0x0018 in found) == (edition is not Edition.V2019)
    assert (0x0075 in found) == (edition is not Edition.V2011)
    assert (0xF364 in found) == (dialect is not Dialect.PLAIN)
    if 0xF364 in found:
        assert found[0xF364]["dialect"] == dialect
        assert found[0xF364]["value"]["volume"] == 6


def test_terminals_do_not_share_what_they_keep() -> None:
    one, other = (Device(Config(f"1380000000{n}", dialect=Dialect.SU), {}) for n in (1, 2))
    one.set_parameter({"id": 0x0055, "name": "max_speed", "value": 30})
    one.set_parameter({"id": 0xF364, "name": "adas_settings", "value": {"volume": 1}, "dialect": "su"})
    assert other.parameters[0x0055]["value"] == 100
    assert other.parameters[0xF364]["value"]["volume"] == 6
    assert (one.parameters[0x0083]["value"], other.parameters[0x0083]["value"]) == ("粤E00001", "粤E00002")


def test_unknown_parameters_are_kept_as_they_come() -> None:
    device = Device(Config("1"), {})
    device.set_parameter({"id": 0x7777, "name": "", "value": b"abc"})
    assert device.parameters[0x7777] == {"id": 0x7777, "name": "", "value": b"abc"}


def test_recordings_are_bounded_and_the_same_each_time() -> None:
    device = Device(Config("1", seed=4), {})
    made = [device.record(IMAGE, 0, 1, bytes(28), 1_750_000_000 + n) for n in range(MAX_RECORDINGS + 5)]
    assert len(device.recordings) == MAX_RECORDINGS and made[0].id not in device.recordings
    assert made[-1].data == made[-1].data != made[-2].data
    assert device.record(AUDIO, 0, 1, bytes(28), 0).data[:4] == b"RIFF"


def test_texts_are_bounded() -> None:
    device = Device(Config("1"), {})
    device.texts.extend(str(n) for n in range(50))
    assert len(device.texts) == MAX_TEXTS
