"""Alarms as rows and as events."""

from __future__ import annotations

from alarms.model import Change, Transition
from storage import alarm_rows
from tests.storage.test_writer import alarm, ended


def test_a_row_has_the_columns_and_no_other():
    assert tuple(alarm_rows.row(alarm(1), 7, "138")) == alarm_rows.COLUMNS
    assert set(alarm_rows.CHANGING) <= set(alarm_rows.COLUMNS)


def test_an_event_of_a_raised_alarm():
    event = alarm_rows.event(Transition(Change.RAISED, alarm(1)), "138")
    assert (event.type, event.phone, event.kind, event.level) == ("alarm.raised", "138", "fatigue", 1)
    assert event.id == f"{alarm(1).id}.1"
    assert event.data["position"]["wgs84"] == [113.0, 23.0]
    assert event.data["speed_kmh"] == 60.0
    assert event.data["evidence"]["expected"] == 2
    assert event.data["raw"] == "0001"
    assert "ended_at" not in event.data


def test_an_ended_alarm_tells_its_duration():
    event = alarm_rows.event(Transition(Change.ENDED, ended(1)), "138")
    assert event.type == "alarm.ended" and event.id.endswith(".2")
    assert event.data["duration_s"] == 60 and event.data["end_reason"] == "reported"
