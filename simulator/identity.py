"""Who a simulated terminal is, and how it is set.

Values only. A terminal is made from its number in the fleet, so that a second run meets the same
terminals again. Plates and numbers are made up; the province is Guangdong (44), the city Foshan (0600).
"""

from __future__ import annotations

import enum

import msgspec

from protocol.header import Edition
from protocol.link import Repetition


class Dialect(enum.StrEnum):
    """How a terminal reports alarms."""

    PLAIN = "808"  # alarm bits only
    SU = "su"  # T/JSATL 12: items 0x64 to 0x67, identifier of 16 bytes
    GUANGDONG = "guangdong"  # T/GDRTA 002: identifier of 40 bytes


EDITIONS_OF: dict[Dialect, tuple[Edition, ...]] = {
    Dialect.PLAIN: (Edition.V2013, Edition.V2019, Edition.V2011),
    Dialect.SU: (Edition.V2013, Edition.V2011),
    Dialect.GUANGDONG: (Edition.V2019,),
}
"""The editions that a dialect stands on, the most common one first."""


ATTACHMENTS = (0, 0, 1, 2, 3)
FILM = 200_000


class Config(msgspec.Struct, frozen=True):
    """One terminal."""

    phone: str
    edition: Edition = Edition.V2013
    dialect: Dialect = Dialect.PLAIN
    seed: int = 0
    interval: float = 10.0  # s between reports; 0: as fast as the window allows
    window: int = 8  # messages with reports that may be unacknowledged
    heartbeat: float = 30.0  # s of silence after which one is sent
    alarm_every: int = 0  # reports from one alarm to the next; 0: none
    attachments: tuple[int, ...] = ATTACHMENTS  # how many files an alarm has: one of these, by chance
    film: int = FILM  # bytes of a video
    repetition: Repetition = Repetition()
    reconnect: float = 1.0  # s before the first attempt to come back; doubled by each failure
    reconnect_limit: float = 30.0  # s between attempts at the most

    @property
    def terminal_id(self) -> str:
        """As the maker numbered it: 7 characters, in the edition of 2019 up to 30."""
        return f"S{self.phone[-6:].upper():0>6}"

    @property
    def imei(self) -> str:
        return f"{self.phone:0>15}"[-15:]

    @property
    def plate(self) -> str:
        return f"粤E{self.phone[-5:].upper():0>5}"

    def registration(self) -> dict[str, object]:
        """The fields of its 0x0100, by the names of the catalogue's row."""
        return {
            "province": 44,
            "city": 600,
            "maker": "JTSIM",
            "model": "SIM-808",
            "terminal_id": self.terminal_id,
            "plate_colour": 2,
            "plate": self.plate,
        }
