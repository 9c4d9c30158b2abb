"""The values of alarms: names that are stored and sent, and values that nobody can alter."""

from __future__ import annotations

import msgspec
import pytest

from alarms.model import Alarm, Change, Phase, Signal, State, Transition


def test_names_that_storage_and_the_stream_rely_on() -> None:
    assert [str(state) for state in State] == ["open", "ended", "momentary"]
    assert [f"alarm.{change}" for change in Change] == ["alarm.raised", "alarm.updated", "alarm.ended"]
    assert [str(phase) for phase in Phase] == ["start", "end", "moment"]


@pytest.mark.parametrize("value", [Alarm, Signal, Transition])
def test_values_do_not_change(value: type[msgspec.Struct]) -> None:
    assert value.__struct_config__.frozen
