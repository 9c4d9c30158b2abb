"""Parameters of a terminal: 0x8103, 0x8104, 0x8106, 0x0104, and the table of every parameter.

Tables; how a list of parameters is read stands in `protocol/parameters.py`. Of an id that editions or
dialects lay out differently there are several readings, told apart by their length; a value of any other
length stays bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from construct import Construct, Rebuild, Struct, len_, this

from protocol.catalog import Catalog, Row, catalog, overlay
from protocol.composite import Counted, Repeated
from protocol.fields import U8, U16, U32, Bcd, Bits, Codes, TextEnd, bit, span
from protocol.header import Edition
from protocol.location import ALARM
from protocol.messages.general import EMPTY, PLATE_COLOURS
from protocol.messages.safety_parameters import PARAMETERS_SAFETY
from protocol.messages.video import VIDEO_ALARM
from protocol.parameters import (
    Limits,
    Parameter,
    Parameters,
    Part,
    fitting,
    parameter_table,
    part,
    structured,
)

# --- rows -------------------------------------------------------------------------------------------------

TABLES = {
    2011: ("808-2011", "808-2011 8.8 table 11"),
    2013: ("808-2013", "808-2013 8.9 table 12"),
    2019: ("808-2019", "808-2019 8.12 table 13"),
}
ALL, SINCE_2013, ONLY_2019 = (2011, 2013, 2019), (2013, 2019), (2019,)


def row(
    number: int,
    layout: Construct,
    *,
    editions: Iterable[int] = ALL,
    more: Mapping[int, str] | None = None,
    dialect: str = "",
    last: int = 0,
    fits: Callable[[bytes], bool] | None = None,
    low: int | None = None,
    high: int | None = None,
    default: int | str | None = None,
) -> Parameter:
    """A parameter of 808 itself; `more` is what editions say of it in tables of its own."""
    clauses = {TABLES[year][0]: TABLES[year][1] + (more or {}).get(year, "") for year in editions}
    limits = {"": Limits(low, high, default)} if (low, high, default) != (None, None, None) else {}
    return Parameter(number, layout, clauses, fits or fitting(layout), limits, dialect, last=last)


# --- 808 ----------------------------------------------------------------------------------------------------


def photo_control(unit: str) -> Bits:
    """808-2013 tables 13 and 14, 808-2019 tables 14 and 15."""
    return Bits(
        U32,
        *(bit(n, f"channel{n + 1}", "the camera takes pictures") for n in range(5)),
        *(bit(n + 8, f"upload{n + 1}", "0: its pictures are stored") for n in range(5)),
        bit(16, unit),
        span(17, 31, "interval"),
    )


CAN_COLLECTION = (
    part("interval" / U32 * "采集时间间隔: between two readings; 0: none are taken [ms]"),
    part(
        "frame"
        / Bits(
            U32,
            span(0, 28, "can_id"),
            bit(29, "computed", "0: as it was on the bus; 1: computed over the interval"),
            bit(30, "extended"),
            bit(31, "channel2"),
        )
        * "CAN总线ID: channel, kind of frame and id on the bus"
    ),
)
_CAN_CLAUSES = dict(TABLES[year] for year in SINCE_2013)


def no_control(raw: bytes) -> bool:
    """Text, not the DWORD that the ids 0x0023 to 0x0026 were reserved for before 2019."""
    return all(byte >= 0x20 for byte in raw)


PARAMETERS_808 = (
    row(0x0001, "heartbeat_interval" / U32 * "终端心跳发送间隔: between heartbeats [s]"),
    row(0x0002, "tcp_timeout" / U32 * "TCP消息应答超时时间: until an answer by TCP is overdue [s]"),
    row(0x0003, "tcp_retries" / U32 * "TCP消息重传次数: how often a message is sent again by TCP"),
    row(0x0004, "udp_timeout" / U32 * "UDP消息应答超时时间: until an answer by UDP is overdue [s]"),
    row(0x0005, "udp_retries" / U32 * "UDP消息重传次数: how often a message is sent again by UDP"),
    row(0x0006, "sms_timeout" / U32 * "SMS消息应答超时时间: until an answer by SMS is overdue [s]"),
    row(0x0007, "sms_retries" / U32 * "SMS消息重传次数: how often a message is sent again by SMS"),
    row(0x0010, "main_apn" / TextEnd * "主服务器APN: access point; CDMA: the PPP dial number"),
    row(0x0011, "main_user" / TextEnd * "主服务器无线通信拨号用户名: user name for dialling in"),
    row(0x0012, "main_password" / TextEnd * "主服务器无线通信拨号密码: password for dialling in"),
    row(0x0013, "main_address" / TextEnd * "主服务器地址: IP or name; 2019: host:port, several with ;"),
    row(0x0014, "backup_apn" / TextEnd * "备份服务器APN: access point"),
    row(0x0015, "backup_user" / TextEnd * "备份服务器无线通信拨号用户名: user name for dialling in"),
    row(0x0016, "backup_password" / TextEnd * "备份服务器无线通信拨号密码: password for dialling in"),
    row(0x0017, "backup_address" / TextEnd * "备份服务器地址: IP or name; 2019: host:port, several with ;"),
    row(0x0018, "tcp_port" / U32 * "服务器TCP端口: port of the server", editions=(2011, 2013)),
    row(0x0019, "udp_port" / U32 * "服务器UDP端口: port of the server", editions=(2011, 2013)),
    row(
        0x001A,
        "card_address" / TextEnd * "道路运输证IC卡认证主服务器地址: IP or name of the card server",
        editions=SINCE_2013,
    ),
    row(
        0x001B,
        "card_tcp_port" / U32 * "道路运输证IC卡认证主服务器TCP端口: port of the card server",
        editions=SINCE_2013,
    ),
    row(
        0x001C,
        "card_udp_port" / U32 * "道路运输证IC卡认证主服务器UDP端口: port of the card server",
        editions=SINCE_2013,
    ),
    row(
        0x001D,
        "card_backup_address" / TextEnd * "道路运输证IC卡认证备份服务器地址: IP or name, ports as the main",
        editions=SINCE_2013,
    ),
    row(
        0x0020,
        "report_strategy"
        / Codes(U32, {0: "by_time", 1: "by_distance", 2: "by_both"})
        * "位置汇报策略: what makes a report due",
    ),
    row(
        0x0021,
        "report_scheme"
        / Codes(U32, {0: "by_acc", 1: "by_login_and_acc"})
        * "位置汇报方案: what the intervals follow",
    ),
    row(
        0x0022,
        "report_interval_logged_out" / U32 * "驾驶员未登录汇报时间间隔: without a driver logged in [s]",
        low=1,
    ),
    *(
        row(number, name / TextEnd * docs, editions=ONLY_2019, fits=no_control)
        for number, name, docs in (
            (0x0023, "secondary_apn", "从服务器APN: empty: as the main server's"),
            (0x0024, "secondary_user", "从服务器无线通信拨号用户名: empty: as the main server's"),
            (0x0025, "secondary_password", "从服务器无线通信拨号密码: empty: as the main server's"),
            (0x0026, "secondary_address", "从服务器备份地址: host:port, several with ;"),
        )
    ),
    row(0x0027, "report_interval_asleep" / U32 * "休眠时汇报时间间隔: while asleep [s]", low=1),
    row(0x0028, "report_interval_emergency" / U32 * "紧急报警时汇报时间间隔: in an emergency [s]", low=1),
    row(
        0x0029,
        "report_interval" / U32 * "缺省时间汇报间隔: between reports, where no other applies [s]",
        low=1,
    ),
    row(0x002C, "report_distance" / U32 * "缺省距离汇报间隔: between reports [m]", low=1),
    row(
        0x002D,
        "report_distance_logged_out" / U32 * "驾驶员未登录汇报距离间隔: without a driver logged in [m]",
        low=1,
    ),
    row(0x002E, "report_distance_asleep" / U32 * "休眠时汇报距离间隔: while asleep [m]", low=1),
    row(0x002F, "report_distance_emergency" / U32 * "紧急报警时汇报距离间隔: in an emergency [m]", low=1),
    row(
        0x0030,
        "turn_angle" / U32 * "拐点补传角度: turn that makes a further report due [degree]",
        high=179,
    ),
    row(
        0x0031,
        "fence_radius" / U16 * "电子围栏半径: distance from which moving a parked vehicle is illegal [m]",
        editions=SINCE_2013,
    ),
    structured(
        0x0032,
        "forbidden_hours",
        "违规行驶时段范围: when driving is illegal; into the next day if the end comes first",
        (
            part("start_hour" / U8 * "违规行驶开始时间的小时部分: binary, not BCD [h]", 0, 23),
            part("start_minute" / U8 * "违规行驶开始时间的分钟部分: binary, not BCD [min]", 0, 59),
            part("end_hour" / U8 * "违规行驶结束时间的小时部分: binary, not BCD [h]", 0, 23),
            part("end_minute" / U8 * "违规行驶结束时间的分钟部分: binary, not BCD [min]", 0, 59),
        ),
        dict((TABLES[2019],)),
    ),
    row(0x0040, "platform_phone" / TextEnd * "监控平台电话号码: may be there several times"),
    row(0x0041, "reset_phone" / TextEnd * "复位电话号码: a call from it resets the terminal"),
    row(
        0x0042,
        "factory_reset_phone" / TextEnd * "恢复出厂设置电话号码: a call from it restores factory settings",
    ),
    row(0x0043, "platform_sms_phone" / TextEnd * "监控平台SMS电话号码: of the platform, for SMS"),
    row(0x0044, "alarm_sms_phone" / TextEnd * "接收终端SMS文本报警号码: gets alarms by SMS"),
    row(
        0x0045,
        "answering"
        / Codes(U32, {0: "automatic", 1: "automatic_with_acc_on"})
        * "终端电话接听策略: how calls are answered",
    ),
    row(
        0x0046,
        "call_time" / U32 * "每次最长通话时间: longest call; 0: none allowed, 0xffffffff: no limit [s]",
    ),
    row(
        0x0047,
        "call_time_month"
        / U32
        * "当月最长通话时间: of all calls in a month; 0: none allowed, 0xffffffff: no limit [s]",
    ),
    row(0x0048, "listen_phone" / TextEnd * "监听电话号码: may listen in"),
    row(0x0049, "privileged_sms_phone" / TextEnd * "监管平台特权短信号码: whose SMS have privileges"),
    row(0x0050, "alarm_mask" / ALARM * "报警屏蔽字: alarms that are suppressed"),
    row(0x0051, "alarm_sms" / ALARM * "报警发送文本SMS开关: alarms that are told by SMS"),
    row(0x0052, "alarm_photo" / ALARM * "报警拍摄开关: alarms with which pictures are taken"),
    row(
        0x0053,
        "alarm_photo_store" / ALARM * "报警拍摄存储标志: alarms whose pictures are stored, others are sent",
    ),
    row(0x0054, "alarm_key" / ALARM * "关键标志: alarms that are grave"),
    row(0x0055, "max_speed" / U32 * "最高速度: speed limit [km/h]"),
    row(0x0056, "overspeed_duration" / U32 * "超速持续时间: above the limit until it is an alarm [s]"),
    row(0x0057, "driving_time" / U32 * "连续驾驶时间门限: longest driving without a rest [s]"),
    row(0x0058, "driving_time_day" / U32 * "当天累计驾驶时间门限: longest driving in a day [s]"),
    row(0x0059, "rest_time" / U32 * "最小休息时间: shortest rest [s]"),
    row(0x005A, "parking_time" / U32 * "最长停车时间: longest parking [s]"),
    row(
        0x005B,
        "overspeed_margin" / U16 * "超速报警预警差值: below the limit, where warnings begin [0.1 km/h]",
        editions=SINCE_2013,
    ),
    row(
        0x005C,
        "fatigue_margin" / U16 * "疲劳驾驶预警差值: before the driving time is up, where warnings begin [s]",
        editions=SINCE_2013,
        low=1,
    ),
    structured(
        0x005D,
        "collision",
        "碰撞报警参数设置: what is a collision",
        (
            part("acceleration" / U8 * "碰撞加速度: bits 8 to 15 of the word [0.1 g]", 0, 79, 10),
            part("time" / U8 * "碰撞时间: bits 0 to 7 of the word; 2019: in ms [4 ms]"),
        ),
        _CAN_CLAUSES,
    ),
    row(
        0x005E,
        "rollover_angle" / U16 * "侧翻报警参数设置: from which it is a rollover [degree]",
        editions=SINCE_2013,
        default=30,
    ),
    row(
        0x0064,
        "timed_photos" / photo_control("minutes") * "定时拍照控制: interval in s, at least 5, or in minutes",
        editions=SINCE_2013,
        more={2013: ", table 13", 2019: ", table 14"},
    ),
    row(
        0x0065,
        "distance_photos"
        / photo_control("kilometres")
        * "定距拍照控制: interval in m, at least 100, or in km",
        editions=SINCE_2013,
        more={2013: ", table 14", 2019: ", table 15"},
    ),
    row(0x0070, "image_quality" / U32 * "图像/视频质量: 1 is best", low=1, high=10),
    row(0x0071, "brightness" / U32 * "亮度: of pictures", low=0, high=255),
    row(0x0072, "contrast" / U32 * "对比度: of pictures", low=0, high=127),
    row(0x0073, "saturation" / U32 * "饱和度: of pictures", low=0, high=127),
    row(0x0074, "hue" / U32 * "色度: of pictures", low=0, high=255),
    row(0x0080, "odometer" / U32 * "车辆里程表读数: mileage [0.1 km]"),
    row(
        0x0081,
        "province" / U16 * "车辆所在的省域ID: province of the vehicle",
        editions=SINCE_2013,
        dialect="2013",
    ),
    row(
        0x0081,
        "province" / U32 * "车辆所在的省域ID: province of the vehicle",
        editions=(2011,),
        dialect="2011",
    ),
    row(0x0082, "city" / U16 * "车辆所在的市域ID: city of the vehicle", editions=SINCE_2013, dialect="2013"),
    row(0x0082, "city" / U32 * "车辆所在的市域ID: city of the vehicle", editions=(2011,), dialect="2011"),
    # The table of 2011 says DWORD, which can't hold a plate.
    row(0x0083, "plate" / TextEnd * "机动车号牌: licence plate"),
    row(
        0x0084,
        "plate_colour" / Codes(U8, PLATE_COLOURS) * "车牌颜色: colour of the licence plate",
        editions=SINCE_2013,
        dialect="2013",
    ),
    row(
        0x0084,
        "plate_colour" / Codes(U32, PLATE_COLOURS) * "车牌颜色: colour of the licence plate",
        editions=(2011,),
        dialect="2011",
    ),
    row(
        0x0090,
        "gnss_mode"
        / Bits(U8, bit(0, "gps"), bit(1, "beidou"), bit(2, "glonass"), bit(3, "galileo"))
        * "GNSS定位模式: systems that are used",
        editions=SINCE_2013,
    ),
    row(
        0x0091,
        "gnss_baud_rate"
        / Codes(U8, {n: f"{rate}" for n, rate in enumerate((4800, 9600, 19200, 38400, 57600, 115200))})
        * "GNSS波特率: of the positioning module",
        editions=SINCE_2013,
    ),
    row(
        0x0092,
        "gnss_output_rate"
        / Codes(U8, {0: "500ms", 1: "1000ms", 2: "2000ms", 3: "3000ms", 4: "4000ms"})
        * "GNSS模块详细定位数据输出频率: between positions of the module",
        editions=SINCE_2013,
        default=1,
    ),
    row(
        0x0093,
        "gnss_collection_interval" / U32 * "GNSS模块详细定位数据采集频率: between detailed positions [s]",
        editions=SINCE_2013,
        default=1,
    ),
    row(
        0x0094,
        "gnss_upload_mode"
        / Codes(
            U8,
            {
                0x00: "store",
                0x01: "by_time",
                0x02: "by_distance",
                0x0B: "after_time",
                0x0C: "after_distance",
                0x0D: "after_count",
            },
        )
        * "GNSS模块详细定位数据上传方式: when detailed positions are sent; after…: and no more then",
        editions=SINCE_2013,
        default=0,
    ),
    row(
        0x0095,
        "gnss_upload_setting"
        / U32
        * "GNSS模块详细定位数据上传设置: in the unit of the mode: s, m, or positions",
        editions=SINCE_2013,
    ),
    row(
        0x0100,
        "can1_interval" / U32 * "CAN总线通道1采集时间间隔: 0: nothing is collected [ms]",
        editions=SINCE_2013,
    ),
    row(
        0x0101,
        "can1_upload_interval" / U16 * "CAN总线通道1上传时间间隔: 0: nothing is sent [s]",
        editions=SINCE_2013,
    ),
    row(
        0x0102,
        "can2_interval" / U32 * "CAN总线通道2采集时间间隔: 0: nothing is collected [ms]",
        editions=SINCE_2013,
    ),
    row(
        0x0103,
        "can2_upload_interval" / U16 * "CAN总线通道2上传时间间隔: 0: nothing is sent [s]",
        editions=SINCE_2013,
    ),
    structured(
        0x0110,
        "can_collection",
        "CAN总线ID单独采集设置: how one id is collected",
        CAN_COLLECTION,
        _CAN_CLAUSES,
    ),
    row(
        0x0111,
        "can_collection_further"
        / Struct(*(one.field for one in CAN_COLLECTION))
        * "其他CAN总线ID单独采集设置: how a further id is collected",
        editions=SINCE_2013,
        last=0x01FF,
    ),
)

# --- JT/T 1078 ----------------------------------------------------------------------------------------------

_RATES = {0: "cbr", 1: "vbr", 2: "abr"}
_RESOLUTIONS = {0: "qcif", 1: "cif", 2: "wcif", 3: "d1", 4: "wd1", 5: "720p", 6: "1080p"}


def _stream(name: str, chinese: str, english: str) -> tuple[Part, ...]:
    return (
        part(f"{name}_encoding" / Codes(U8, _RATES) * f"{chinese}编码模式: {english}; 100 to 127: custom"),
        part(
            f"{name}_resolution" / Codes(U8, _RESOLUTIONS) * f"{chinese}分辨率: {english}; 100 to 127: custom"
        ),
        part(f"{name}_key_interval" / U16 * f"{chinese}关键帧间隔: {english} [frame]", 1, 1000),
        part(f"{name}_frame_rate" / U8 * f"{chinese}目标帧率: {english} [frame/s]", 1, 120),
        part(f"{name}_bit_rate" / U32 * f"{chinese}目标码率: {english} [kbit/s]"),
    )


_OSD = Bits(
    U16,
    bit(0, "time"),
    bit(1, "plate"),
    bit(2, "channel"),
    bit(3, "position"),
    bit(4, "recorder_speed"),
    bit(5, "gnss_speed"),
    bit(6, "driving_time"),
)
_VIDEO = (
    *_stream("live", "实时流", "live stream"),
    *_stream("stored", "存储流", "stored stream"),
    part("osd" / _OSD * "OSD字幕叠加设置: what is written into the picture"),
)
_DAY_TIMES = tuple(
    part(field)
    for n in range(1, 5)
    for field in (
        f"wake{n}" / Bcd(2) * f"时间段{n}唤醒时间: HHMM",
        f"sleep{n}" / Bcd(2) * f"时间段{n}关闭时间: HHMM",
    )
)


def _1078(tables: str) -> dict[str, str]:
    return {"": f"JT/T 1078-2016 clause 5.3.1 {tables}"}


PARAMETERS_1078 = (
    structured(
        0x0075,
        "av_settings",
        "音视频参数设置: of all channels",
        (*_VIDEO, part("audio" / U8 * "是否启用音频输出: 1: there is audio", 0, 1)),
        _1078("table 2"),
    ),
    structured(
        0x0076,
        "av_channels",
        "音视频通道列表设置: which channels there are",
        (
            part("av_count" / U8 * "音视频通道总数: channels with picture and sound"),
            part("audio_count" / U8 * "音频通道总数: channels with sound"),
            part("video_count" / U8 * "视频通道总数: channels with picture"),
            part(
                "channels"
                / Repeated(
                    Struct(
                        "physical" / U8 * "物理通道号: from 1",
                        "logical" / U8 * "逻辑通道号: JT/T 1076-2016 table 2",
                        "type" / Codes(U8, {0: "av", 1: "audio", 2: "video"}) * "通道类型: kind of channel",
                        "ptz" / U8 * "是否连接云台: 1: has a pan-tilt head; not for sound",
                    )
                )
                * "音视频通道对照表: the channels of all three kinds"
            ),
        ),
        _1078("tables 3 and 4"),
        fits=lambda raw: len(raw) >= 3 and (len(raw) - 3) % 4 == 0,
    ),
    structured(
        0x0077,
        "channel_video_settings",
        "单独视频通道参数设置: of single channels",
        (
            part(
                "channels"
                / Counted(
                    U8 * "需单独设置视频参数的通道数量: channels that follow",
                    Struct(
                        "logical" / U8 * "逻辑通道号: JT/T 1076-2016 table 2",
                        *(one.field for one in _VIDEO),
                    ),
                )
                * "单独通道视频参数设置列表: settings by channel"
            ),
        ),
        _1078("tables 5 and 6"),
        fits=lambda raw: len(raw) > 0 and len(raw) == 1 + 21 * raw[0],
    ),
    structured(
        0x0079,
        "special_recording",
        "特殊报警录像参数设置: recordings of special alarms",
        (
            part("threshold" / U8 * "特殊报警录像存储阈值: share of the main storage [%]", 1, 99, 20),
            part("duration" / U8 * "特殊报警录像持续时间: longest [min]", default=5),
            part("lead" / U8 * "特殊报警标识起始时间: marked before the alarm [min]", default=1),
        ),
        _1078("table 7"),
    ),
    Parameter(
        0x007A,
        "video_alarm_mask" / VIDEO_ALARM * "视频相关报警屏蔽字: video alarms that are suppressed",
        _1078("table 1"),
        lambda raw: len(raw) == 4,
    ),
    structured(
        0x007B,
        "video_analysis",
        "图像分析报警参数设置: alarms by analysis of the picture",
        (
            part("seats" / U8 * "车辆核载人数: more are an alarm"),
            part("fatigue" / U8 * "疲劳程度阈值: degree from which it is an alarm"),
        ),
        _1078("table 8"),
    ),
    structured(
        0x007C,
        "wake_up",
        "终端休眠唤醒模式设置: what wakes the terminal",
        (
            part(
                "mode"
                / Bits(U8, bit(0, "by_condition"), bit(1, "by_time"), bit(2, "by_hand"))
                * "休眠唤醒模式: what may wake it"
            ),
            part(
                "conditions"
                / Bits(U8, bit(0, "emergency"), bit(1, "collision_or_rollover"), bit(2, "door_opening"))
                * "唤醒条件类型: where conditions may"
            ),
            part(
                "days"
                / Bits(
                    U8,
                    *(
                        bit(n, name)
                        for n, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
                    ),
                )
                * "定时唤醒日设置: days of the week"
            ),
            part(
                "periods"
                / Bits(U8, *(bit(n, f"period{n + 1}") for n in range(4)))
                * "定时唤醒启用标志: periods in use"
            ),
            *_DAY_TIMES,
        ),
        _1078("tables 9 and 10"),
    ),
)

# --- the table ---------------------------------------------------------------------------------------------

PARAMETERS = parameter_table(PARAMETERS_808, PARAMETERS_1078, PARAMETERS_SAFETY)
"""Every reading of every parameter, by id."""

NAMES = {number: readings[0].name for number, readings in PARAMETERS.items() if not readings[0].last}

# --- the messages -------------------------------------------------------------------------------------------


def _count(title: str, meaning: str) -> Construct:
    return Rebuild(U8, len_(this.parameters)) * f"{title}: {meaning}"


_SERIAL = "reply_serial" / U16 * "应答流水号: serial of the query"
_LIST_2011 = (
    "total" / _count("参数总数", "parameters in all"),
    "count" / _count("包参数个数", "parameters in this message"),
    "parameters" / Parameters(PARAMETERS, "2011") * "参数项列表: in the order sent; ids may repeat",
)
_LIST = (
    "count" / _count("参数总数", "parameters in this message"),
    "parameters" / Parameters(PARAMETERS, "2013") * "参数项列表: in the order sent; ids may repeat",
)
ANSWER_2011, SET_2011 = Struct(_SERIAL, *_LIST_2011), Struct(*_LIST_2011)
ANSWER, SET = Struct(_SERIAL, *_LIST), Struct(*_LIST)
QUERY_SOME = Struct(
    "ids" / Counted(U8 * "参数总数: ids that follow", Codes(U32, NAMES)) * "参数ID列表: parameters asked for"
)


def plausible(fields: Mapping[str, Any]) -> int:
    """How much a list of parameters looks like one: the numbers in front are right, ids are of WORDs.

    2011 has one byte more before the list. Read in the wrong place, an id is a large number, and the two
    numbers of 2011 differ; that weighs about as much as a list that is cut.
    """
    found = fields.get("parameters", ())
    counts = {fields[name] for name in ("total", "count") if name in fields}
    strange = any(entry["id"] > 0xFFFF for entry in found)
    return 2 * (counts == {len(found)}) - 6 * strange - 18 * (len(counts) > 1)


V2011 = catalog(
    Row(0x8103, "set_parameters", "设置终端参数", SET_2011, "808-2011 8.8 tables 9 and 10", sense=plausible),
    Row(0x8104, "query_parameters", "查询终端参数", EMPTY, "808-2011 8.9", 0x0104, acknowledged=False),
    Row(
        0x0104,
        "parameters_answer",
        "查询终端参数应答",
        ANSWER_2011,
        "808-2011 8.10 table 12",
        acknowledged=False,
        sense=plausible,
    ),
)
V2013 = overlay(
    V2011,
    clauses={0x8104: "808-2013 8.10"},
    add=(
        Row(0x8103, "set_parameters", "设置终端参数", SET, "808-2013 8.9 tables 10 and 11", sense=plausible),
        Row(
            0x8106,
            "query_some_parameters",
            "查询指定终端参数",
            QUERY_SOME,
            "808-2013 8.11 table 15",
            0x0104,
            acknowledged=False,
        ),
        Row(
            0x0104,
            "parameters_answer",
            "查询终端参数应答",
            ANSWER,
            "808-2013 8.12 table 16",
            acknowledged=False,
            sense=plausible,
        ),
    ),
)
V2019 = overlay(
    V2013,
    clauses={
        0x8103: "808-2019 8.12 tables 11 and 12",
        0x8104: "808-2019 8.13",
        0x8106: "808-2019 8.14 table 16",
        0x0104: "808-2019 8.15 table 17",
    },
)

EDITIONS: dict[Edition, Catalog] = {Edition.V2011: V2011, Edition.V2013: V2013, Edition.V2019: V2019}
