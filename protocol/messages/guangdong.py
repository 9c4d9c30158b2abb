"""Active-safety alarms as additional items of T/GDRTA 002, the Guangdong standard.

The layouts are those of `safety.py` with an alarm identifier of 40 bytes and more types of alarm; 0xF1
and 0xF2 carry faults in words that each maker defines. Which standard a terminal follows is seen from
the length of its items, not from its header.
"""

from __future__ import annotations

from construct import Struct

from protocol.fields import U32
from protocol.items import Item, exactly
from protocol.messages.safety import ADAS_CODES, DRIVER_CODES, GUANGDONG_IDENTIFIER, SIGNS, safety_items

GUANGDONG_ADAS_CODES = ADAS_CODES | {  # table 5-15, type
    0x12: "solid_line_change",
    0x13: "aisle_pedestrian",
}
GUANGDONG_DRIVER_CODES = DRIVER_CODES | {  # table 5-17, type
    0x06: "camera_occluded",
    0x08: "driving_overtime",
    0x0A: "seat_belt",
    0x0B: "ir_blocked",
    0x0C: "hands_off_wheel",
    0x0D: "smartphone_use",
}
GUANGDONG_SIGNS = SIGNS | {4: "no_entry", 5: "no_stopping"}  # table 5-15, kind of road sign

_FAULT_CLAUSE = "T/GDRTA 002 clause 5.4.1 table 5-14"

GUANGDONG_ITEMS = (
    *safety_items(
        GUANGDONG_IDENTIFIER,
        "guangdong",
        clauses=(
            "T/GDRTA 002 clause 5.4.2 table 5-15",
            "T/GDRTA 002 clause 5.4.3 table 5-17",
            "T/GDRTA 002 clause 5.4.4 tables 5-18 and 5-19",
            "T/GDRTA 002 clause 5.4.5 table 5-20",
        ),
        adas=GUANGDONG_ADAS_CODES,
        driver=GUANGDONG_DRIVER_CODES,
        signs=GUANGDONG_SIGNS,
    ),
    Item(
        0xF1,
        "guangdong_installation_fault",
        "安装异常信息",
        Struct("fault" / U32 * "安装异常信息: fault of installation, the maker's own code"),
        _FAULT_CLAUSE,
        exactly(4),
        "guangdong",
    ),
    Item(
        0xF2,
        "guangdong_algorithm_fault",
        "算法异常信息",
        Struct("fault" / U32 * "算法异常信息: fault of the algorithm, the maker's own code"),
        _FAULT_CLAUSE,
        exactly(4),
        "guangdong",
    ),
)
