"""Registrations that length rules take for another edition, and padding at the wrong end."""

from __future__ import annotations

import msgspec

from protocol.header import Edition
from simulator import bodies
from simulator.behaviour import Behaviour
from simulator.identity import Config

MODEL = slice(9, 29)  # 808-2013 table 7


class EmptyPlate(Behaviour):
    title = "registers in the layout of 2013 without a plate: 37 bytes, as if it were of 2011"

    @classmethod
    def configure(cls, config: Config) -> Config:
        return msgspec.structs.replace(config, edition=Edition.V2013)

    def registration(self) -> bytes:
        return bodies.register(Edition.V2013, self.config.registration() | {"plate": "", "plate_colour": 0})


class VinOf2011(Behaviour):
    title = "registers in the layout of 2011 with a VIN: 42 bytes, as if it were of 2013"

    @classmethod
    def configure(cls, config: Config) -> Config:
        return msgspec.structs.replace(config, edition=Edition.V2011)

    def registration(self) -> bytes:
        vin = f"LSVAA49J{self.config.phone[-9:]:0>9}"
        return bodies.register(Edition.V2011, self.config.registration() | {"plate": vin, "plate_colour": 0})


class LeftPaddedModel(EmptyPlate):
    title = "pads its model with NUL in front, in the layout of 2013"

    def registration(self) -> bytes:
        body = bodies.register(Edition.V2013, self.config.registration())
        model = body[MODEL].rstrip(b"\0")
        return body[: MODEL.start] + model.rjust(MODEL.stop - MODEL.start, b"\0") + body[MODEL.stop :]
