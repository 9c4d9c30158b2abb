"""A terminal's names fit their fields, whatever its phone number is."""

from __future__ import annotations

import pytest

from simulator.identity import EDITIONS_OF, Config, Dialect


@pytest.mark.parametrize("phone", ["1", "13800000001", "4eb6f0000001", "99999999999999999999"])
def test_names(phone: str) -> None:
    config = Config(phone=phone)
    assert len(config.terminal_id) == 7
    assert len(config.imei) == 15
    assert len(config.plate) == 7
    assert config.terminal_id.isalnum()
    assert config.terminal_id.isupper()


def test_every_dialect_has_an_edition() -> None:
    assert set(EDITIONS_OF) == set(Dialect)
