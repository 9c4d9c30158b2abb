"""A vehicle whose alarms have pictures, films and more, which it uploads when it is asked to."""

from __future__ import annotations

import msgspec

from simulator.behaviour import Behaviour
from simulator.identity import ATTACHMENTS, Config
from simulator.scenarios.alarms import EVERY


class Evidence(Behaviour):
    title = "raises alarms of its dialect with two to five files each, and uploads them"

    @classmethod
    def configure(cls, config: Config) -> Config:
        every = config.alarm_every or EVERY
        asked_for = config.attachments != ATTACHMENTS
        files = config.attachments if asked_for else (2, 3, 4, 5)
        return msgspec.structs.replace(config, alarm_every=every, attachments=files)
