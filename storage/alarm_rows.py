"""An alarm as a row of `alarms`, and a transition as an event of the log.

The shapes that Postgres and the readers of the stream see; no connection, no transaction.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from alarms.model import Alarm, Transition
from storage.events import NewEvent

COLUMNS = (
    "id", "terminal_id", "phone", "kind", "family", "level", "state", "rev", "occurred_at", "ended_at",
    "end_reason", "received_at", "backfilled", "latitude", "longitude", "altitude", "speed", "source",
    "code", "pairing", "details", "raw", "attachments",
)  # fmt: skip
CHANGING = ("level", "state", "rev", "ended_at", "end_reason", "details", "attachments")


def iso(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")


def row(alarm: Alarm, terminal_id: int, phone: str) -> dict[str, Any]:
    """`alarm` under the names of its columns, as json_populate_recordset reads them."""
    place = alarm.position
    return {
        "id": alarm.id,
        "terminal_id": terminal_id,
        "phone": phone,
        "kind": alarm.kind,
        "family": alarm.family,
        "level": alarm.level,
        "state": alarm.state,
        "rev": alarm.rev,
        "occurred_at": iso(alarm.occurred_at),
        "ended_at": None if alarm.ended_at is None else iso(alarm.ended_at),
        "end_reason": alarm.end_reason,
        "received_at": iso(alarm.received_at),
        "backfilled": alarm.backfilled,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "altitude": place.altitude,
        "speed": place.speed,
        "source": alarm.source,
        "code": alarm.code,
        "pairing": alarm.pairing,
        "details": alarm.details,
        "raw": "\\x" + alarm.raw.hex(),
        "attachments": alarm.attachments,
    }


def facts(alarm: Alarm, phone: str, evidence: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What everybody outside is told of an alarm, on every channel; without `evidence` none has come."""
    place = alarm.position
    data: dict[str, Any] = {
        "alarm_id": alarm.id,
        "rev": alarm.rev,
        "kind": alarm.kind,
        "family": alarm.family,
        "level": alarm.level,
        "state": alarm.state,
        "phone": phone,
        "occurred_at": iso(alarm.occurred_at),
        "received_at": iso(alarm.received_at),
        "backfilled": alarm.backfilled,
        "position": {"wgs84": [place.longitude / 1e6, place.latitude / 1e6], "altitude_m": place.altitude},
        "speed_kmh": place.speed / 10,
        "source": alarm.source,
        "code": alarm.code,
        "details": alarm.details,
        "raw": alarm.raw.hex(),
        "evidence": evidence or {"expected": alarm.attachments, "received": 0, "files": []},
    }
    if alarm.ended_at is not None:
        data["ended_at"] = iso(alarm.ended_at)
        data["end_reason"] = alarm.end_reason
        data["duration_s"] = max(0, alarm.ended_at - alarm.occurred_at)
    return data


def event(transition: Transition, phone: str, evidence: Mapping[str, Any] | None = None) -> NewEvent:
    """What the stream says of a transition; its id is the same on every redelivery."""
    alarm = transition.alarm
    return NewEvent(
        type=f"alarm.{transition.change}",
        phone=phone,
        kind=alarm.kind,
        family=alarm.family,
        level=alarm.level,
        id=f"{alarm.id}.{alarm.rev}",
        data=facts(alarm, phone, evidence),
    )
