"""Video alarms as additional items 0x14 to 0x18 of a location report (JT/T 1078-2016 clause 5.4.1).

Terminals without video send them too, all zero; other makers use the ids for their own items, of other
lengths, which stay raw.
"""

from __future__ import annotations

from construct import Struct

from protocol.fields import U8, U16, U32, Bits, bit, span
from protocol.items import Item, exactly

VIDEO_ALARM = Bits(  # table 14
    U32,
    bit(0, "video_loss"),
    bit(1, "camera_occluded"),
    bit(2, "storage_fault"),
    bit(3, "video_device_fault"),
    bit(4, "overcrowded"),
    bit(5, "abnormal_driving"),
    bit(6, "recording_threshold"),
)
CHANNELS = Bits(U32, *(bit(n, f"channel{n + 1}") for n in range(32)))  # table 13, 0x15 and 0x16
STORAGE = Bits(  # table 13, 0x17
    U16,
    *(bit(n, f"main{n + 1}") for n in range(12)),
    *(bit(n, f"backup{n - 11}") for n in range(12, 16)),
)
BEHAVIOUR = Bits(  # table 15
    U16,
    bit(0, "fatigue"),
    bit(1, "phone_use"),
    bit(2, "smoking"),
    span(11, 15, "custom"),
)

_behaviour = "behaviour" / BEHAVIOUR * "abnormal driving"
_CLAUSE = "JT/T 1078-2016 clause 5.4.1 table 13"

VIDEO_ITEMS = (
    Item(
        0x14,
        "video_alarm",
        "视频相关报警",
        Struct("alarm" / VIDEO_ALARM * "video alarm flags"),
        f"{_CLAUSE}, table 14",
        exactly(4),
        "1078",
    ),
    Item(
        0x15,
        "video_loss",
        "视频信号丢失报警状态",
        Struct("channels" / CHANNELS * "channels without signal"),
        _CLAUSE,
        exactly(4),
        "1078",
    ),
    Item(
        0x16,
        "video_occlusion",
        "视频信号遮挡报警状态",
        Struct("channels" / CHANNELS * "channels that are covered"),
        _CLAUSE,
        exactly(4),
        "1078",
    ),
    Item(
        0x17,
        "storage_fault",
        "存储器故障报警状态",
        Struct("units" / STORAGE * "storage units that are faulty"),
        _CLAUSE,
        exactly(2),
        "1078",
    ),
    # Table 13 says two bytes, table 15 lays out three.
    Item(
        0x18,
        "abnormal_driving",
        "异常驾驶行为报警详细描述",
        Struct(_behaviour, "fatigue" / U8 * "degree of fatigue, 0 to 100"),
        f"{_CLAUSE}, table 15",
        exactly(3),
        "1078",
    ),
    Item(
        0x18,
        "abnormal_driving_short",
        "异常驾驶行为报警详细描述",
        Struct(_behaviour),
        f"{_CLAUSE}, table 15",
        exactly(2),
        "1078",
    ),
)
