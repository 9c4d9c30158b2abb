"""Parameters of active safety: 0xF364 to 0xF367 and 0xF370 (T/JSATL 12, T/GDRTA 002).

Guangdong took the tables of Su over and put further alarms in front of the reserve at their end; the
length of a value tells the two apart. In 0x8103 a field of all ones leaves the terminal what it has, so
encoding needs only the fields that change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from construct import Construct

from protocol.fields import U8, U16, U32, Bits, Codes, Raw, Text, bit
from protocol.parameters import Limits, Parameter, Part, part, structured

PHOTO_RESOLUTIONS = {
    1: "352x288",
    2: "704x288",
    3: "704x576",
    4: "640x480",
    5: "1280x720",
    6: "1920x1080",
}
VIDEO_RESOLUTIONS = {1: "cif", 2: "hd1", 3: "d1", 4: "wd1", 5: "vga", 6: "720p", 7: "1080p"}
_CAPTURES = {0: "off", 1: "by_time", 2: "by_distance"}


def setting(
    name: str,
    layout: Construct,
    docs: str,
    low: int | None = None,
    high: int | None = None,
    default: int | None = None,
) -> Part:
    """A field of an active-safety parameter: all ones leave the terminal what it has.

    The tables say 0xff of some WORDs, too, where 255 is within the range: taken as a slip.
    """
    unchanged = (1 << 8 * layout.sizeof()) - 1
    return Part(name / layout * docs, Limits(low, high, default, unchanged))


def level_speed(name: str, chinese: str) -> Part:
    docs = f"{chinese}报警分级速度阈值: faster, the alarm is of level 2 [km/h]"
    return setting(f"{name}_level_speed", U8, docs, 0, 220, 50)


def evidence(name: str, chinese: str, *, photos: int = 0, photo_interval: int = 10) -> tuple[Part, ...]:
    """Video and photos of an alarm; least number of photos, longest interval between them."""
    return (
        setting(
            f"{name}_video", U8, f"{chinese}报警前后视频录制时间: before and after; 0: none [s]", 0, 60, 5
        ),
        setting(f"{name}_photos", U8, f"{chinese}报警拍照张数: 0: none", photos, 10, 3),
        setting(
            f"{name}_photo_interval",
            U8,
            f"{chinese}报警拍照间隔: between photos [100 ms]",
            1,
            photo_interval,
            2,
        ),
    )


def levels(*names: str) -> tuple[Any, ...]:
    """Two bits for each alarm: of level 1 and of level 2."""
    return tuple(bit(2 * n + level - 1, f"{name}{level}") for n, name in enumerate(names) for level in (1, 2))


def captures(
    modes: Mapping[int, str], interval: tuple[int, int, int], photo: int, video: int
) -> tuple[Part, ...]:
    """The head of both tables; bounds and default of the interval, defaults of the resolutions."""
    return (
        setting("speed_threshold", U8, "报警判断速度阈值: slower, there are no alarms [km/h]", 0, 60, 30),
        setting("volume", U8, "报警提示音量: 0: mute", 0, 8, 6),
        setting("capture_mode", Codes(U8, modes), "主动拍照策略: photos without an alarm", default=0),
        setting("capture_interval", U16, "主动定时拍照时间间隔: where by time; 0: none [s]", *interval),
        setting(
            "capture_distance", U16, "主动定距拍照距离间隔: where by distance; 0: none [m]", 0, 60000, 200
        ),
        setting("capture_photos", U8, "单次主动拍照张数: photos at a time", 1, 10, 3),
        setting("capture_photo_interval", U8, "单次主动拍照时间间隔: between them [100 ms]", 1, 5, 2),
        setting(
            "photo_resolution", Codes(U8, PHOTO_RESOLUTIONS), "拍照分辨率: with alarms, too", default=photo
        ),
        setting(
            "video_resolution",
            Codes(U8, VIDEO_RESOLUTIONS),
            "视频录制分辨率: with alarms, too",
            default=video,
        ),
    )


def reserved(size: int, name: str = "reserved") -> Part:
    return Part(name / Raw(size) * "保留字段: reserved")


def adas(
    alarms: tuple[Any, ...], enabled: int, photo: int, video: int, sign: tuple[int, int | None], *more: Part
) -> tuple[Part, ...]:
    """T/JSATL 12 table 4-10; T/GDRTA 002 table 5-10 has `more`. `sign`: defaults of sign photos."""
    events = Bits(U32, bit(0, "road_sign_recognised"), bit(1, "active_capture"))
    return (
        *captures(_CAPTURES, (0, 3600, 60), photo, video),
        setting("alarms", Bits(U32, *alarms), "报警使能: alarms that are on, by level", default=enabled),
        setting("events", events, "事件使能: events that are on", default=3),
        reserved(1, "reserved1"),
        setting("obstacle_distance", U8, "障碍物报警距离阈值: distance in time [100 ms]", 10, 50, 30),
        level_speed("obstacle", "障碍物"),
        *evidence("obstacle", "障碍物"),
        setting("lane_change_period", U8, "频繁变道报警判断时间段: in which changes count [s]", 30, 120, 60),
        setting("lane_change_count", U8, "频繁变道报警判断次数: changes that are an alarm", 3, 10, 5),
        level_speed("lane_change", "频繁变道"),
        *evidence("lane_change", "频繁变道"),
        level_speed("lane_departure", "车道偏离"),
        *evidence("lane_departure", "车道偏离"),
        setting("collision_time", U8, "前向碰撞报警时间阈值: time to the collision [100 ms]", 10, 50, 27),
        level_speed("collision", "前向碰撞"),
        *evidence("collision", "前向碰撞"),
        setting("pedestrian_time", U8, "行人碰撞报警时间阈值: time to the collision [100 ms]", 10, 50, 30),
        setting("pedestrian_speed", U8, "行人碰撞报警使能速度阈值: faster, it is off [km/h]", 0, 220, 50),
        *evidence("pedestrian", "行人碰撞"),
        setting("headway_distance", U8, "车距监控报警距离阈值: distance in time [100 ms]", 10, 50, 10),
        level_speed("headway", "车距监控"),
        *evidence("headway", "车距过近"),
        setting("sign_photos", U8, "道路标志识别拍照张数: 0: none", 0, 10, sign[0]),
        setting("sign_photo_interval", U8, "道路标志识别拍照间隔: between photos [100 ms]", 1, 10, sign[1]),
        *more,
        reserved(4),
    )


def driver(
    alarms: tuple[Any, ...], enabled: int, photo: int, video: int, periods: tuple[int, int, int], *more: Part
) -> tuple[Part, ...]:
    """T/JSATL 12 table 4-11; T/GDRTA 002 table 5-11 has `more`. `periods`: longest, and the defaults of
    smoking and phone."""
    events = Bits(U32, bit(0, "driver_change"), bit(1, "active_capture"))
    longest, smoking, phone = periods
    return (
        *captures(_CAPTURES | {3: "by_card"}, (60, 60000, 3600), photo, video),
        setting("alarms", Bits(U32, *alarms), "报警使能: alarms that are on, by level", default=enabled),
        setting("events", events, "事件使能: events that are on", default=3),
        setting(
            "smoking_period", U16, "吸烟报警判断时间间隔: at most one alarm in it [s]", 0, longest, smoking
        ),
        setting(
            "phone_period", U16, "接打电话报警判断时间间隔: at most one alarm in it [s]", 0, longest, phone
        ),
        reserved(3, "reserved1"),
        level_speed("fatigue", "疲劳驾驶"),
        *evidence("fatigue", "疲劳驾驶", photo_interval=5),
        level_speed("phone", "接打电话"),
        *evidence("phone", "接打电话", photos=1, photo_interval=5),
        level_speed("smoking", "抽烟"),
        *evidence("smoking", "抽烟", photos=1, photo_interval=5),
        level_speed("distraction", "分神驾驶"),
        *evidence("distraction", "分神驾驶", photos=1, photo_interval=5),
        level_speed("abnormal", "驾驶行为异常"),
        *evidence("abnormal", "驾驶行为异常", photos=1, photo_interval=5),
        setting(
            "identification",
            Codes(U8, {0: "off", 1: "by_time", 2: "by_distance", 3: "by_card"}),
            "驾驶员身份识别触发: what makes it look who drives",
            default=1,
        ),
        *more,
        reserved(2),
    )


_SU, _GUANGDONG = "T/JSATL 12 table", "T/GDRTA 002 clause 5.3.1 table"
_ADAS_LEVELS = levels("obstacle", "lane_change", "lane_departure", "collision", "pedestrian", "headway")
_ADAS_ALARMS = (*_ADAS_LEVELS, bit(16, "road_sign_violation"))
_DRIVER_LEVELS = ("fatigue", "phone", "smoking", "distraction", "abnormal")
_ADAS, _DRIVER = "高级驾驶辅助系统参数: driver assistance", "驾驶员状态监测系统参数: driver monitoring"

_TYRES = (
    part("tyre" / Text(12) * "轮胎规格型号: type of tyre, ASCII", default="900R20"),
    setting(
        "pressure_unit", Codes(U16, {0: "kg/cm2", 1: "bar", 2: "kPa", 3: "psi"}), "胎压单位: unit", default=3
    ),
    setting("pressure", U16, "正常胎压值: normal pressure, in its unit", default=140),
    setting("imbalance", U16, "胎压不平衡门限: of the cold pressure [%]", 0, 100, 20),
    setting("slow_leak", U16, "慢漏气门限: of the cold pressure [%]", 0, 100, 5),
    setting("low_pressure", U16, "低压阈值: in the unit of the pressure", default=110),
    setting("high_pressure", U16, "高压阈值: in the unit of the pressure", default=189),
    setting("high_temperature", U16, "高温阈值: threshold [degree C]", default=80),
    setting("battery", U16, "电压阈值: threshold [%]", 0, 100, 10),
    setting("report_interval", U16, "定时上报时间间隔: 0: no reports [s]", 0, 3600, 60),
    reserved(6),
)
_BLIND_SPOT = (
    setting("rear_time", U8, "后方接近报警时间阈值: time to the encounter [s]", 1, 10),
    setting("side_time", U8, "侧后方接近报警时间阈值: time to the encounter [s]", 1, 10),
)

PARAMETERS_SAFETY = (
    structured(
        0xF364,
        "adas_settings",
        _ADAS,
        adas(_ADAS_ALARMS, 0x00010FFF, 1, 1, (3, 2)),
        {"": f"{_SU} 4-10"},
        dialect="su",
    ),
    structured(
        0xF364,
        "adas_settings",
        _ADAS,
        adas(
            (*_ADAS_ALARMS, bit(17, "solid_line1"), bit(18, "solid_line2"), bit(19, "aisle_pedestrian")),
            0x000F0FFF,
            5,
            3,
            (1, None),
            level_speed("solid_line", "实线变道"),
            *evidence("solid_line", "实线变道"),
            level_speed("aisle", "车厢过道行人检测"),
            *evidence("aisle", "车厢过道行人检测"),
        ),
        {"": f"{_GUANGDONG} 5-10"},
        dialect="guangdong",
    ),
    structured(
        0xF365,
        "driver_settings",
        _DRIVER,
        driver(levels(*_DRIVER_LEVELS), 0x000001FF, 1, 1, (3600, 180, 120)),
        {"": f"{_SU} 4-11"},
        dialect="su",
    ),
    structured(
        0xF365,
        "driver_settings",
        _DRIVER,
        driver(
            levels(*_DRIVER_LEVELS, "occlusion", "seat_belt", "ir_blocked", "hands_off", "smartphone"),
            0x000FFFFF,
            5,
            3,
            (300, 300, 300),
            level_speed("occlusion", "摄像机遮挡"),
            level_speed("seat_belt", "不系安全带"),
            *evidence("seat_belt", "不系安全带", photos=1, photo_interval=5),
            level_speed("ir_blocked", "红外墨镜阻断失效"),
            *evidence("ir_blocked", "红外墨镜阻断失效", photos=1, photo_interval=5),
            level_speed("hands_off", "双脱把"),
            *evidence("hands_off", "双脱把", photos=1, photo_interval=5),
            level_speed("smartphone", "玩手机"),
            *evidence("smartphone", "玩手机", photos=1, photo_interval=5),
        ),
        {"": f"{_GUANGDONG} 5-11"},
        dialect="guangdong",
    ),
    structured(
        0xF366,
        "tyre_settings",
        "胎压监测系统参数: tyre pressure monitoring",
        _TYRES,
        {"": f"{_SU} 4-12; {_GUANGDONG} 5-12"},
    ),
    structured(
        0xF367,
        "blind_spot_settings",
        "盲区监测系统参数: blind spot monitoring",
        _BLIND_SPOT,
        {"": f"{_SU} 4-13; {_GUANGDONG} 5-13"},
    ),
    Parameter(
        0xF370,
        "video_protocol_version" / U8 * "智能视频协议版本信息: counts revisions from 1; can't be set",
        {"": f"{_GUANGDONG} 5-9"},
        lambda raw: len(raw) == 1,
        dialect="guangdong",
        settable=False,
    ),
)
