"""A vehicle whose driver gives cause for many alarms: the kinds are in `simulator/signals.py`."""

from __future__ import annotations

import msgspec

from simulator.behaviour import Behaviour
from simulator.identity import Config

EVERY = 5  # reports from one alarm to the next, where none is asked for


class Alarms(Behaviour):
    title = "raises and ends alarms of its dialect every few reports"

    @classmethod
    def configure(cls, config: Config) -> Config:
        return msgspec.structs.replace(config, alarm_every=config.alarm_every or EVERY)
