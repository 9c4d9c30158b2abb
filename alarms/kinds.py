"""The vocabulary: what the codes and bits of every source are called.

One table, from the source of a signal and its type code or bit number to a kind. A kind names the same thing
wherever it comes from: fatigue is `fatigue`, be it bit 2 of the 808 alarm word or type 1 of a Su item. Codes
that no table has are not dropped: they are `custom`, with the code in the details; an item that looks like a
safety alarm and fits no layout is `undecoded`, so that a dialect which is missing here can be seen.

Names and figures only: nothing is decoded here.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec


class Span(enum.Enum):
    """What says how long an alarm lasts."""

    FLAG = "flag"  # the item's flag: start, end, or none for an alarm without duration
    LEVEL = "level"  # the bit stands until the condition is over
    MOMENT = "moment"  # the bit stands until the platform has acknowledged it: no duration


class Kind(msgspec.Struct, frozen=True):
    source: str
    code: int  # type code or bit number
    kind: str
    family: str
    level: int  # where the source has none; 0 is a status, 1 mild, 3 the gravest
    title: str
    span: Span
    clause: str


Rows = Iterable[tuple[int, str, str, int, str]]


def _rows(source: str, clause: str, span: Span, rows: Rows) -> tuple[Kind, ...]:
    return tuple(
        Kind(source, code, kind, family, level, title, span, clause)
        for code, kind, family, level, title in rows
    )


_ADAS = (
    (0x01, "forward_collision", "adas", 2, "前向碰撞报警"),
    (0x02, "lane_departure", "adas", 1, "车道偏离报警"),
    (0x03, "headway", "adas", 1, "车距过近报警"),
    (0x04, "pedestrian", "adas", 2, "行人碰撞报警"),
    (0x05, "frequent_lane_change", "adas", 1, "频繁变道报警"),
    (0x06, "road_sign_violation", "adas", 1, "道路标识超限报警"),
    (0x07, "obstacle", "adas", 1, "障碍物报警"),
    (0x10, "road_sign_recognised", "adas", 0, "道路标志识别事件"),
    (0x11, "active_capture", "adas", 0, "主动抓拍事件"),
)
_DRIVER = (
    (0x01, "fatigue", "driver", 2, "疲劳驾驶报警"),
    (0x02, "phone_use", "driver", 1, "接打电话报警"),
    (0x03, "smoking", "driver", 1, "抽烟报警"),
    (0x04, "distraction", "driver", 1, "分神驾驶报警"),
    (0x05, "driver_abnormal", "driver", 1, "驾驶员异常报警"),
    (0x10, "auto_capture", "driver", 0, "自动抓拍事件"),
    (0x11, "driver_change", "driver", 0, "驾驶员变更事件"),
)
_TYRE = (
    (0, "tyre_report", "tyre", 0, "胎压定时上报"),
    (1, "tyre_pressure_high", "tyre", 1, "胎压过高报警"),
    (2, "tyre_pressure_low", "tyre", 1, "胎压过低报警"),
    (3, "tyre_temperature_high", "tyre", 1, "胎温过高报警"),
    (4, "tyre_sensor_fault", "tyre", 1, "传感器异常报警"),
    (5, "tyre_pressure_imbalance", "tyre", 1, "胎压不平衡报警"),
    (6, "tyre_slow_leak", "tyre", 1, "慢漏气报警"),
    (7, "tyre_battery_low", "tyre", 1, "电池电量低报警"),
)
_BLIND_SPOT = (
    (0x01, "blind_spot_rear", "blind_spot", 1, "后方接近报警"),
    (0x02, "blind_spot_left", "blind_spot", 1, "左侧后方接近报警"),
    (0x03, "blind_spot_right", "blind_spot", 1, "右侧后方接近报警"),
)
_GUANGDONG_ADAS = (
    (0x12, "solid_line_change", "adas", 1, "实线变道报警"),
    (0x13, "aisle_pedestrian", "adas", 1, "车厢过道行人检测报警"),
)
_GUANGDONG_DRIVER = (
    (0x06, "camera_occluded", "driver", 1, "探头遮挡报警"),
    (0x08, "driving_overtime", "driver", 1, "超时驾驶报警"),
    (0x0A, "seat_belt", "driver", 1, "未系安全带报警"),
    (0x0B, "ir_blocked", "driver", 1, "红外阻断型墨镜失效报警"),
    (0x0C, "hands_off_wheel", "driver", 2, "双脱把报警"),
    (0x0D, "smartphone_use", "driver", 1, "玩手机报警"),
)

# 808-2013 table 24 and its column on processing. Bits 15 to 17 have their meaning by 808-2019 table 25;
# 808-2011 table 18 reserves 12 to 17 and 29 to 31.
_WORD = "808:alarm"
_LASTING_BITS = (
    (1, "overspeed", "vehicle", 2, "超速报警"),
    (2, "fatigue", "driver", 2, "疲劳驾驶"),
    (4, "gnss_fault", "device", 1, "GNSS模块发生故障"),
    (5, "gnss_antenna_open", "device", 1, "GNSS天线未接或被剪断"),
    (6, "gnss_antenna_short", "device", 1, "GNSS天线短路"),
    (7, "undervoltage", "device", 1, "终端主电源欠压"),
    (8, "power_off", "device", 1, "终端主电源掉电"),
    (9, "display_fault", "device", 1, "终端LCD或显示器故障"),
    (10, "tts_fault", "device", 1, "TTS模块故障"),
    (11, "camera_fault", "device", 1, "摄像头故障"),
    (12, "ic_card_fault", "device", 1, "道路运输证IC卡模块故障"),
    (13, "overspeed_warning", "vehicle", 1, "超速预警"),
    (14, "fatigue_warning", "driver", 1, "疲劳驾驶预警"),
    (15, "illegal_driving", "vehicle", 1, "违规行驶报警"),
    (16, "tyre_pressure_warning", "tyre", 1, "胎压预警"),
    (17, "right_turn_blind_spot_fault", "blind_spot", 1, "右转盲区异常报警"),
    (18, "driving_overtime", "driver", 1, "当天累计驾驶超时"),
    (19, "parking_overtime", "vehicle", 1, "超时停车"),
    (23, "route_deviation", "area", 1, "路线偏离报警"),
    (24, "vss_fault", "device", 1, "车辆VSS故障"),
    (25, "fuel_fault", "vehicle", 1, "车辆油量异常"),
    (26, "stolen", "vehicle", 3, "车辆被盗"),
    (29, "collision", "vehicle", 3, "碰撞预警"),
    (30, "rollover", "vehicle", 3, "侧翻预警"),
)
_MOMENTARY_BITS = (
    (0, "emergency", "vehicle", 3, "紧急报警"),
    (3, "danger_warning", "driver", 1, "危险预警"),
    (20, "area_crossing", "area", 1, "进出区域"),
    (21, "route_crossing", "area", 1, "进出路线"),
    (22, "segment_time", "area", 1, "路段行驶时间不足/过长"),
    (27, "illegal_ignition", "vehicle", 2, "车辆非法点火"),
    (28, "illegal_displacement", "vehicle", 2, "车辆非法位移"),
    (31, "illegal_door_opening", "vehicle", 2, "非法开门报警"),
)
_VIDEO = (
    (0, "video_loss", "video", 1, "视频信号丢失报警"),
    (1, "camera_occluded", "video", 1, "视频信号遮挡报警"),
    (2, "storage_fault", "video", 1, "存储单元故障报警"),
    (3, "video_device_fault", "video", 1, "其他视频设备故障报警"),
    (4, "overcrowded", "vehicle", 1, "客车超员报警"),
    (5, "abnormal_driving", "driver", 1, "异常驾驶行为报警"),
)
_BEHAVIOUR = (
    (0, "fatigue", "driver", 2, "疲劳"),
    (1, "phone_use", "driver", 1, "打电话"),
    (2, "smoking", "driver", 1, "抽烟"),
)

_HUNAN_ADAS = ((0x12, "device_fault", "device", 1, "设备失效提醒"),)
_HUNAN_DRIVER = ((0x09, "phone_use", "driver", 1, "接打电话报警"),)

_SU, _GD = "T/JSATL 12 table", "T/GDRTA 002 table"


def _province(dialect: str, adas: Rows = (), driver: Rows = ()) -> tuple[Kind, ...]:
    """A province without a standard's text here: the codes of Su, and those seen beside them."""
    return (
        *_rows(f"{dialect}:0x64", f"{_SU} 4-15", Span.FLAG, _ADAS),
        *_rows(f"{dialect}:0x65", f"{_SU} 4-17", Span.FLAG, _DRIVER),
        *_rows(f"{dialect}:0x66", f"{_SU} 4-19", Span.FLAG, _TYRE),
        *_rows(f"{dialect}:0x67", f"{_SU} 4-20", Span.FLAG, _BLIND_SPOT),
        *_rows(f"{dialect}:0x64", "seen on devices", Span.FLAG, adas),
        *_rows(f"{dialect}:0x65", "seen on devices", Span.FLAG, driver),
    )


TABLE: tuple[Kind, ...] = (
    *_rows("su:0x64", f"{_SU} 4-15", Span.FLAG, _ADAS),
    *_rows("su:0x65", f"{_SU} 4-17", Span.FLAG, _DRIVER),
    *_rows("su:0x66", f"{_SU} 4-19", Span.FLAG, _TYRE),
    *_rows("su:0x67", f"{_SU} 4-20", Span.FLAG, _BLIND_SPOT),
    *_rows("guangdong:0x64", f"{_GD} 5-15", Span.FLAG, (*_ADAS, *_GUANGDONG_ADAS)),
    *_rows("guangdong:0x65", f"{_GD} 5-17", Span.FLAG, (*_DRIVER, *_GUANGDONG_DRIVER)),
    *_rows("guangdong:0x66", f"{_GD} 5-19", Span.FLAG, _TYRE),
    *_rows("guangdong:0x67", f"{_GD} 5-20", Span.FLAG, _BLIND_SPOT),
    *_province("sichuan"),
    *_province("heilongjiang"),
    *_province("hunan", _HUNAN_ADAS, _HUNAN_DRIVER),
    *_province("chongqing"),
    *_rows(
        "guangdong:0xf1", f"{_GD} 5-14", Span.LEVEL, [(0, "installation_fault", "device", 1, "安装异常信息")]
    ),
    *_rows(
        "guangdong:0xf2", f"{_GD} 5-14", Span.LEVEL, [(0, "algorithm_fault", "device", 1, "算法异常信息")]
    ),
    *_rows(_WORD, "808-2013 table 24", Span.LEVEL, _LASTING_BITS),
    *_rows(_WORD, "808-2013 table 24", Span.MOMENT, _MOMENTARY_BITS),
    *_rows("1078:0x14", "JT/T 1078-2016 table 14", Span.LEVEL, _VIDEO),
    *_rows(
        "1078:0x14",
        "JT/T 1078-2016 table 14",
        Span.MOMENT,
        [(6, "recording_threshold", "video", 0, "特殊报警录像达到存储阈值报警")],
    ),
    *_rows("1078:0x18", "JT/T 1078-2016 table 15", Span.LEVEL, _BEHAVIOUR),
)
TABLE_2019 = _rows(  # what 808-2019 table 25 says otherwise
    _WORD,
    "808-2019 table 25",
    Span.LEVEL,
    [
        (3, "dangerous_driving", "driver", 1, "危险驾驶行为报警"),
        (29, "collision", "vehicle", 3, "碰撞侧翻报警"),
    ],
)

FAMILIES = {  # of codes without a row, by the source's item
    "0x64": "adas",
    "0x65": "driver",
    "0x66": "tyre",
    "0x67": "blind_spot",
    "0x70": "driver",
    "0x14": "video",
    "0x18": "driver",
}
CUSTOM = "custom"
UNDECODED = "undecoded"

BY_CODE = {(row.source, row.code): row for row in TABLE}
BY_CODE_2019 = BY_CODE | {(row.source, row.code): row for row in TABLE_2019}

TITLES = {row.kind: row.title for row in reversed((*TABLE, *TABLE_2019))} | {
    CUSTOM: "用户自定义报警",
    UNDECODED: "未能解析的报警",
}
"""Every kind, with the Chinese title under which it is known first."""


def kind_of(source: str, code: int, edition: int = 2013) -> Kind:
    """The row of a code; a `custom` one where no table has it."""
    row = (BY_CODE_2019 if edition == 2019 else BY_CODE).get((source, code))
    if row is not None:
        return row
    dialect, _, item = source.partition(":")
    span = Span.FLAG if item in ("0x64", "0x65", "0x66", "0x67", "0x70") else Span.LEVEL
    kind = UNDECODED if dialect == UNDECODED else CUSTOM
    return Kind(source, code, kind, FAMILIES.get(item, "vehicle"), 1, TITLES[kind], span, "")
