"""Video, JT/T 1078-2016: its alarms as items of a location report (clause 5.4.1), and its messages.

Terminals without video send the items too, all zero; other makers use the ids for their own items, of other
lengths, which stay raw. The messages stand beside those of 808 and are the same in every edition of it. The
media packets themselves are no 808 messages and not here.
"""

from __future__ import annotations

from construct import Bytes, Construct, Struct

from protocol.catalog import Catalog, Row, catalog
from protocol.composite import Counted, TextCounted
from protocol.fields import (
    U8,
    U16,
    U32,
    U64,
    BcdTime,
    Bits,
    Codes,
    Mapped,
    Span,
    bit,
    decode_time,
    encode_time,
    present_time,
    span,
)
from protocol.header import Edition
from protocol.items import Item, exactly
from protocol.location import ALARM

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

_behaviour = "behaviour" / BEHAVIOUR * "异常驾驶行为类型: abnormal driving"
_CLAUSE = "JT/T 1078-2016 clause 5.4.1 table 13"

VIDEO_ITEMS = (
    Item(
        0x14,
        "video_alarm",
        "视频相关报警",
        Struct("alarm" / VIDEO_ALARM * "视频相关报警: video alarm flags"),
        f"{_CLAUSE}, table 14",
        exactly(4),
        "1078",
    ),
    Item(
        0x15,
        "video_loss",
        "视频信号丢失报警状态",
        Struct("channels" / CHANNELS * "视频信号丢失报警状态: channels without signal"),
        _CLAUSE,
        exactly(4),
        "1078",
    ),
    Item(
        0x16,
        "video_occlusion",
        "视频信号遮挡报警状态",
        Struct("channels" / CHANNELS * "视频信号遮挡报警状态: channels that are covered"),
        _CLAUSE,
        exactly(4),
        "1078",
    ),
    Item(
        0x17,
        "storage_fault",
        "存储器故障报警状态",
        Struct("units" / STORAGE * "存储器故障报警状态: storage units that are faulty"),
        _CLAUSE,
        exactly(2),
        "1078",
    ),
    # Table 13 says two bytes, table 15 lays out three.
    Item(
        0x18,
        "abnormal_driving",
        "异常驾驶行为报警详细描述",
        Struct(_behaviour, "fatigue" / U8 * "疲劳程度: degree of fatigue, 0 to 100"),
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

# --- messages -----------------------------------------------------------------------------------------

CODECS = {  # table 12; 29 to 90, 92 to 97 and 102 to 110 are reserved, 111 to 127 the maker's own
    1: "g721",
    2: "g722",
    3: "g723",
    4: "g728",
    5: "g729",
    6: "g711a",
    7: "g711u",
    8: "g726",
    9: "g729a",
    10: "dvi4_3",
    11: "dvi4_4",
    12: "dvi4_8k",
    13: "dvi4_16k",
    14: "lpc",
    15: "s16be_stereo",
    16: "s16be_mono",
    17: "mpegaudio",
    18: "lpcm",
    19: "aac",
    20: "wma9std",
    21: "heaac",
    22: "pcm_voice",
    23: "pcm_audio",
    24: "aaclc",
    25: "mp3",
    26: "adpcma",
    27: "mp4audio",
    28: "amr",
    91: "passthrough",
    98: "h264",
    99: "h265",
    100: "avs",
    101: "svac",
}
MEDIA = {0: "audio_and_video", 1: "audio", 2: "video"}  # tables 21, 23, 24 and 26
ANY_MEDIA = MEDIA | {3: "audio_or_video"}
STREAMS = {0: "main", 1: "sub"}  # tables 17 and 18: live
STORED_STREAMS = {0: "any", 1: "main", 2: "sub"}  # tables 21, 23, 24 and 26: recorded
STORES = {0: "any", 1: "main", 2: "backup"}
FACTORS = {0: "none", 1: "x1", 2: "x2", 3: "x4", 4: "x8", 5: "x16"}  # tables 24 and 25
ADJUST = {0: "up", 1: "down"}  # tables 30, 31 and 34
SWITCH = {0: "off", 1: "on"}  # tables 32 and 33

ALARMS = Bits(  # tables 21, 23 and 26: the words of 808 and of table 14 (whose numbers they cite wrongly)
    U64,
    *ALARM.spans,
    *(Span(s.low + 32, s.high + 32, s.name) for s in VIDEO_ALARM.spans),
)

_NEVER = bytes(6)

TIME_OR_NONE = Mapped(
    Bytes(6),
    lambda raw: None if raw == _NEVER else decode_time(raw),
    lambda value: _NEVER if value is None else encode_time(value),
    lambda value: None if value is None else present_time(value),
    {"type": ["string", "null"], "x-wire": "BCD[6]", "examples": [None]},
)
"""A time whose bytes are all zero where there is none."""

_channel = "channel" / U8 * "逻辑通道号: logical channel, JT/T 1076-2016 table 2"
_server = (
    "server" / TextCounted() * "服务器IP地址: address of the media server",
    "tcp_port" / U16 * "服务器视频通道监听端口号(TCP): its TCP port; 0 without TCP",
    "udp_port" / U16 * "服务器视频通道监听端口号(UDP): its UDP port; 0 without UDP",
)
_recordings = (  # which recordings are meant, tables 21 and 26
    "start" / TIME_OR_NONE * "开始时间: from, GMT+8; none: from the beginning",
    "end" / TIME_OR_NONE * "结束时间: until, GMT+8; none: until the end",
    "alarm" / ALARMS * "报警标志: with these alarms; 0: with or without",
    "media" / Codes(U8, ANY_MEDIA) * "音视频资源类型: kind of media",
    "stream" / Codes(U8, STORED_STREAMS) * "码流类型: kind of stream",
    "storage" / Codes(U8, STORES) * "存储器类型: where it is stored",
)

AV_ATTRIBUTES = Struct(  # table 11, which sends for the video codec to table 19: it is in table 12
    "audio_codec" / Codes(U8, CODECS) * "输入音频编码方式: coding of the audio",
    "audio_channels" / U8 * "输入音频声道数: channels of the audio",
    "sample_rate"
    / Codes(U8, {0: "8_khz", 1: "22.05_khz", 2: "44.1_khz", 3: "48_khz"})
    * "输入音频采样率: sample rate of the audio",
    "sample_bits"
    / Codes(U8, {0: "8_bits", 1: "16_bits", 2: "32_bits"})
    * "输入音频采样位数: size of a sample of the audio",
    "audio_frame" / U16 * "音频帧长度: length of an audio frame",
    "audio_output" / Codes(U8, {0: "no", 1: "yes"}) * "是否支持音频输出: whether the terminal can play audio",
    "video_codec" / Codes(U8, CODECS) * "视频编码方式: coding of the video",
    "max_audio" / U8 * "终端支持的最大音频物理通道数量: most physical audio channels",
    "max_video" / U8 * "终端支持的最大视频物理通道数量: most physical video channels",
)
PASSENGERS = Struct(
    "start" / BcdTime * "起始时间: from, GMT+8",
    "end" / BcdTime * "结束时间: until, GMT+8",
    "boarded" / U16 * "上车人数: people who got on between the two",
    "alighted" / U16 * "下车人数: people who got off between the two",
)
LIVE = Struct(
    *_server,
    _channel,
    "data"
    / Codes(
        U8,
        {0: "audio_and_video", 1: "video", 2: "talk", 3: "listen", 4: "broadcast", 5: "passthrough"},
    )
    * "数据类型: what is asked for",
    "stream" / Codes(U8, STREAMS) * "码流类型: kind of stream",
)
LIVE_CONTROL = Struct(
    _channel,
    "command"
    / Codes(U8, {0: "stop", 1: "switch_stream", 2: "pause", 3: "resume", 4: "stop_talk"})
    * "控制指令: what to do",
    "close"
    / Codes(U8, {0: "audio_and_video", 1: "audio", 2: "video"})
    * "关闭音视频类型: what to close, command 0 only",
    "stream" / Codes(U8, STREAMS) * "切换码流类型: stream to switch to, command 1 only",
)
LIVE_STATUS = Struct(_channel, "loss" / U8 * "丢包率: packets lost on this channel [%]")
QUERY_RESOURCES = Struct(
    "channel" / U8 * "逻辑通道号: logical channel, JT/T 1076-2016 table 2; 0: all", *_recordings
)
RESOURCE = Struct(
    _channel,
    "start" / BcdTime * "开始时间: from, GMT+8",
    "end" / BcdTime * "结束时间: until, GMT+8",
    "alarm" / ALARMS * "报警标志: alarms of that time",
    "media" / Codes(U8, MEDIA) * "音视频资源类型: kind of media",
    "stream" / Codes(U8, STORED_STREAMS) * "码流类型: kind of stream",
    "storage" / Codes(U8, STORES) * "存储器类型: where it is stored",
    "size" / U32 * "文件大小: size of the file [byte]",
)
RESOURCES = Struct(
    "reply_serial" / U16 * "流水号: serial of the query",
    "resources" / Counted(U32, RESOURCE) * "音视频资源列表: recordings; none: an empty list",
)
PLAYBACK = Struct(
    *_server,
    _channel,
    "media" / Codes(U8, ANY_MEDIA) * "音视频类型: kind of media",
    "stream" / Codes(U8, STORED_STREAMS) * "码流类型: kind of stream; 0 for a channel of audio only",
    "storage" / Codes(U8, STORES) * "存储器类型: where it is stored",
    "mode"
    / Codes(U8, {0: "normal", 1: "fast_forward", 2: "rewind", 3: "key_frames", 4: "single_frame"})
    * "回放方式: way of playback",
    "factor" / Codes(U8, FACTORS) * "快进或快退倍数: how fast, modes 1 and 2 only, else 0",
    "start" / BcdTime * "开始时间: from, GMT+8; mode 4: time of the frame",
    "end" / TIME_OR_NONE * "结束时间: until, GMT+8; none: for ever; void in mode 4",
)
PLAYBACK_CONTROL = Struct(
    "channel" / U8 * "音视频通道号: channel, JT/T 1076-2016 table 2",
    "command"
    / Codes(
        U8,
        {0: "start", 1: "pause", 2: "stop", 3: "fast_forward", 4: "rewind", 5: "seek", 6: "key_frames"},
    )
    * "回放控制: what to do",
    "factor" / Codes(U8, FACTORS) * "快进或快退倍数: how fast, commands 3 and 4 only, else 0",
    "position" / TIME_OR_NONE * "拖动回放位置: where to go on, GMT+8, command 5 only",
)
FILE_UPLOAD = Struct(
    "server" / TextCounted() * "服务器地址: address of the FTP server",
    "port" / U16 * "端口: its port",
    "user" / TextCounted() * "用户名: user of the FTP server",
    "password" / TextCounted() * "密码: password of the user",
    "path" / TextCounted() * "文件上传路径: folder to put the files into",
    _channel,
    *_recordings,
    "condition"
    / Bits(U8, bit(0, "wifi"), bit(1, "lan"), bit(2, "mobile"))
    * "任务执行条件: networks over which files may be sent",
)
FILE_UPLOAD_DONE = Struct(
    "reply_serial" / U16 * "应答流水号: serial of the upload command",
    "result" / Codes(U8, {0: "ok", 1: "failed"}) * "结果: what became of it",
)
FILE_UPLOAD_CONTROL = Struct(
    "reply_serial" / U16 * "应答流水号: serial of the upload command",
    "command" / Codes(U8, {0: "pause", 1: "resume", 2: "cancel"}) * "上传控制: what to do",
)
PTZ_ROTATE = Struct(
    _channel,
    "direction" / Codes(U8, {0: "stop", 1: "up", 2: "down", 3: "left", 4: "right"}) * "方向: way to turn",
    "speed" / U8 * "速度: speed, 0 to 255",
)


def _ptz(name: str, code: Construct, doc: str) -> Struct:
    return Struct(_channel, name / code * doc)


_5 = "JT/T 1078-2016 clause 5"

# By clause 4.1 a terminal's answers are acknowledged too, as are (clause 5.6.2) the parts of a 0x1205.
ROWS: Catalog = catalog(
    Row(
        0x9003, "query_av_attributes", "查询终端音视频属性", Struct(), f"{_5}.3.2", 0x1003, acknowledged=False
    ),
    Row(0x1003, "av_attributes", "终端上传音视频属性", AV_ATTRIBUTES, f"{_5}.3.3 table 11"),
    Row(0x1005, "passenger_flow", "终端上传乘客流量", PASSENGERS, f"{_5}.4.2 table 16"),
    Row(0x9101, "live_request", "实时音视频传输请求", LIVE, f"{_5}.5.1 table 17"),
    Row(0x9102, "live_control", "音视频实时传输控制", LIVE_CONTROL, f"{_5}.5.2 table 18"),
    Row(0x9105, "live_status", "实时音视频传输状态通知", LIVE_STATUS, f"{_5}.5.4 table 20"),
    Row(
        0x9205,
        "query_resources",
        "查询资源列表",
        QUERY_RESOURCES,
        f"{_5}.6.1 table 21",
        0x1205,
        acknowledged=False,
    ),
    Row(0x1205, "resources", "终端上传音视频资源列表", RESOURCES, f"{_5}.6.2 tables 22 and 23"),
    Row(
        0x9201,
        "playback_request",
        "平台下发远程录像回放请求",
        PLAYBACK,
        f"{_5}.6.3 table 24",
        0x1205,
        acknowledged=False,
    ),
    Row(0x9202, "playback_control", "平台下发远程录像回放控制", PLAYBACK_CONTROL, f"{_5}.6.4 table 25"),
    Row(0x9206, "file_upload", "文件上传指令", FILE_UPLOAD, f"{_5}.6.5 table 26"),
    Row(0x1206, "file_upload_done", "文件上传完成通知", FILE_UPLOAD_DONE, f"{_5}.6.6 table 27"),
    Row(0x9207, "file_upload_control", "文件上传控制", FILE_UPLOAD_CONTROL, f"{_5}.6.7 table 28"),
    Row(0x9301, "ptz_rotate", "云台旋转", PTZ_ROTATE, f"{_5}.7.1 table 29"),
    Row(
        0x9302,
        "ptz_focus",
        "云台调整焦距控制",
        _ptz("direction", Codes(U8, ADJUST), "焦距调整方向: longer or shorter"),
        f"{_5}.7.2 table 30",
    ),
    Row(
        0x9303,
        "ptz_iris",
        "云台调整光圈控制",
        _ptz("direction", Codes(U8, ADJUST), "光圈调整方式: wider or narrower"),
        f"{_5}.7.3 table 31",
    ),
    Row(
        0x9304,
        "ptz_wiper",
        "云台雨刷控制",
        _ptz("switch", Codes(U8, SWITCH), "启停标识: on or off"),
        f"{_5}.7.4 table 32",
    ),
    Row(
        0x9305,
        "infrared_light",
        "红外补光控制",
        _ptz("switch", Codes(U8, SWITCH), "启停标识: on or off"),
        f"{_5}.7.5 table 33",
    ),
    Row(
        0x9306,
        "ptz_zoom",
        "云台变倍控制",
        _ptz("direction", Codes(U8, ADJUST), "变倍控制: in or out"),
        f"{_5}.7.6 table 34",
    ),
)

EDITIONS: dict[Edition, Catalog] = dict.fromkeys(Edition, ROWS)
