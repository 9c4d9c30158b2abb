"""Pictures, sound and video that a terminal stores: events, upload, search, camera, recording.

Tables. Video terminals keep 0x0800 to 0x0803 for pictures only, and 0x8804 not at all (JT/T 1078-2016 5.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from construct import Struct

from protocol.catalog import Catalog, Row, catalog, overlay
from protocol.composite import Counted, Repeated
from protocol.fields import U8, U16, U32, BcdTime, Codes, RawRest
from protocol.fitting import IfLeft
from protocol.header import Edition
from protocol.location import LOCATION
from protocol.messages.location import plausible

TYPE = Codes(U8, {0: "image", 1: "audio", 2: "video"})
FORMAT = Codes(U8, {0: "jpeg", 1: "tif", 2: "mp3", 3: "wav", 4: "wmv"})
EVENT = Codes(  # 808-2013 tables 80 and 81, 808-2019 tables 71 and 72; 808-2011 has 0 to 3
    U8,
    {
        0: "platform_command",
        1: "timer",
        2: "robbery",
        3: "collision_or_rollover",
        4: "door_opened",
        5: "door_closed",
        6: "door_closed_and_moving",  # from under 20 km/h to over
        7: "distance",
    },
)
REMOVE = Codes(U8, {0: "keep", 1: "delete"})
SAVE = Codes(U8, {0: "upload", 1: "save"})

_id = "media_id" / U32 * "多媒体数据ID: number of the recording, from 1"
_type = "type" / TYPE * "多媒体类型: kind of recording"
_format = "format" / FORMAT * "多媒体格式编码: format of the file"
_event = "event" / EVENT * "事件项编码: what caused it"
_channel = "channel" / U8 * "通道ID: camera or microphone"
_location = "location" / LOCATION * "位置信息汇报: where and when it began"
_data = "data" / RawRest * "多媒体数据包: the file, or a part of it"
_start = "start" / BcdTime * "起始时间: GMT+8; both zero: any time"
_end = "end" / BcdTime * "结束时间: GMT+8"
_serial = "reply_serial" / U16 * "应答流水号: serial of the command"
_remove = "remove" / REMOVE * "删除标志: whether the terminal deletes it once it is sent"
_any_channel = "channel" / U8 * "通道ID: camera or microphone; 0: all of the type"

MEDIA_EVENT = Struct(_id, _type, _format, _event, _channel)
MEDIA_2011 = Struct(
    _id,
    _type,
    _format,
    _event,
    _channel,
    "total" / U32 * "数据总包数: parts of the recording",
    "index" / U32 * "包ID: number of this part, from 1",
    _data,
)
MEDIA = Struct(_id, _type, _format, _event, _channel, _location, _data)


def a_part(fields: Mapping[str, Any]) -> int:
    """How much a reading of 0x0801 of 2011 looks like one: a part that is one of so many."""
    return 3 if 1 <= fields.get("index", 0) <= fields["total"] <= 0xFFFF else -6


def a_recording(fields: Mapping[str, Any]) -> int:
    """How much a reading of 0x0801 since 2013 looks like one: its location makes sense. A clock that is not
    set says less against it than a time says for it."""
    points = plausible(fields.get("location", {}))
    return 2 * points if points > 0 else points


_parts = "parts" / IfLeft(Counted(U8 * "重传包总数: parts to send again, at most 125", U16))
_PARTS = "重传包ID列表: numbers of the parts to send again; left off when all have come"

MEDIA_ANSWER_2011 = Struct(
    "reply_serial" / U16 * "应答流水号: serial of the upload",
    _id,
    _parts * _PARTS,
)
MEDIA_ANSWER = Struct(_id, _parts * _PARTS)

RESOLUTIONS = {
    1: "320x240",
    2: "640x480",
    3: "800x600",
    4: "1024x768",
    5: "176x144",
    6: "352x288",
    7: "704x288",
    8: "704x576",
}
RESOLUTIONS_2019 = RESOLUTIONS | {0: "lowest", 0xFF: "highest"}
GUANGDONG_RESOLUTIONS = {
    1: "352x288",
    2: "704x288",
    3: "704x576",
    4: "640x480",
    5: "1280x720",
    6: "1920x1080",
}


def _shot(resolutions: Mapping[int, str]) -> Struct:
    return Struct(
        "channel" / U8 * "通道ID: camera; active safety has 0x64 and 0x65 for those of ADAS and DSM",
        "command"
        / Codes(U16, {0: "stop", 0xFFFF: "record"})
        * "拍摄命令: number of pictures, 0 to stop, 0xffff for video",
        "interval"
        / U16
        * "拍照间隔/录像时间: between pictures, or of the video; 0: shortest, or endless [s]",
        "save" / SAVE * "保存标志: whether it is kept or sent at once",
        "resolution" / Codes(U8, resolutions) * "分辨率: the nearest one is taken",
        "quality" / U8 * "图像/视频质量: 1 best to 10 smallest",
        "brightness" / U8 * "亮度: 0 to 255",
        "contrast" / U8 * "对比度: 0 to 127",
        "saturation" / U8 * "饱和度: 0 to 127",
        "chroma" / U8 * "色度: 0 to 255",
    )


SHOT = _shot(RESOLUTIONS)
SHOT_2019 = _shot(RESOLUTIONS_2019)
GUANGDONG_SHOT = _shot(GUANGDONG_RESOLUTIONS)

SHOT_ANSWER = Struct(
    _serial,
    "result" / Codes(U8, {0: "ok", 1: "failed", 2: "no_such_channel"}) * "结果: what became of the command",
    "media_ids"
    / IfLeft(Counted(U16 * "多媒体ID个数: recordings that were made", U32))
    * "多媒体ID列表: numbers of the recordings, where the result is 0",
)

SEARCH = Struct(_type, _any_channel, _event, _start, _end)
# 808-2011 and 808-2019 leave the size of the location open; 808-2013 says 28 bytes, as in 0x0801.
FOUND_2011 = Struct(_type, _channel, _event, _location)
FOUND = Struct(_id, _type, _channel, _event, _location)
_total = "total" / U16 * "多媒体数据总项数: recordings that match"
SEARCH_ANSWER_2011 = Struct(
    _serial,
    _total,
    "items" / Counted(U16 * "包项数: recordings in this message", FOUND_2011) * "检索项: recordings",
)
SEARCH_ANSWER = Struct(_serial, _total, "items" / Repeated(FOUND) * "检索项: recordings")


def a_list(fields: Mapping[str, Any]) -> int:
    """How much a reading of 0x0802 looks like one: what matches is there, and has been somewhere."""
    items = fields.get("items")
    if not items:
        return -12 if fields.get("total") else 0
    return plausible(items[0].get("location", {}))


UPLOAD = Struct(_type, _channel, _event, _start, _end, _remove)
RECORD_AUDIO = Struct(
    "command" / Codes(U8, {0: "stop", 1: "start"}) * "录音命令: whether to record",
    "duration" / U16 * "录音时间: 0: until it is stopped [s]",
    "save" / SAVE * "保存标志: whether it is kept or sent at once",
    "rate" / Codes(U8, {0: "8k", 1: "11k", 2: "23k", 3: "32k"}) * "音频采样率: samples a second",
)
UPLOAD_ONE = Struct(_id, _remove)

# --- the tables ---------------------------------------------------------------------------------------

V2011 = catalog(
    Row(0x0800, "media_event", "多媒体事件信息上传", MEDIA_EVENT, "808-2011 8.41 table 65"),
    Row(
        0x0801,
        "media",
        "多媒体数据上传",
        MEDIA_2011,
        "808-2011 8.42 table 66",
        0x8800,
        acknowledged=False,
        sense=a_part,
    ),
    # What it asks for comes as 0x0801 again, part for part as before (808-2013 8.53, note).
    Row(
        0x8800,
        "media_answer",
        "多媒体数据上传应答",
        MEDIA_ANSWER_2011,
        "808-2011 8.43 table 67",
        acknowledged=False,
    ),
    Row(0x8801, "take_picture", "摄像头立即拍摄命令", SHOT, "808-2011 8.44 table 68"),
    Row(
        0x8802,
        "search_media",
        "存储多媒体数据检索",
        SEARCH,
        "808-2011 8.45 table 69",
        0x0802,
        acknowledged=False,
    ),
    Row(
        0x0802,
        "media_found",
        "存储多媒体数据检索应答",
        SEARCH_ANSWER_2011,
        "808-2011 8.46 tables 70 and 71",
        sense=a_list,
    ),
    Row(0x8803, "upload_media", "存储多媒体数据上传命令", UPLOAD, "808-2011 8.47 table 72"),
    Row(0x8804, "record_audio", "录音开始命令", RECORD_AUDIO, "808-2011 8.48 table 73"),
)
V2013 = overlay(
    V2011,
    clauses={
        0x0800: "808-2013 8.51 table 80",
        0x8802: "808-2013 8.56 table 85",
        0x8803: "808-2013 8.58 table 88",
        0x8804: "808-2013 8.59 table 89",
    },
    add=(
        Row(
            0x0801,
            "media",
            "多媒体数据上传",
            MEDIA,
            "808-2013 8.52 table 81",
            0x8800,
            acknowledged=False,
            sense=a_recording,
        ),
        Row(
            0x8800,
            "media_answer",
            "多媒体数据上传应答",
            MEDIA_ANSWER,
            "808-2013 8.53 table 82",
            acknowledged=False,
        ),
        # Acknowledged as received (7.9.3), answered once the pictures are taken (8.55).
        Row(0x8801, "take_picture", "摄像头立即拍摄命令", SHOT, "808-2013 8.54 table 83", 0x0805),
        Row(0x0805, "picture_taken", "摄像头立即拍摄命令应答", SHOT_ANSWER, "808-2013 8.55 table 84"),
        Row(
            0x0802,
            "media_found",
            "存储多媒体数据检索应答",
            SEARCH_ANSWER,
            "808-2013 8.57 tables 86 and 87",
            sense=a_list,
        ),
        Row(
            0x8805, "upload_one_media", "单条存储多媒体数据检索上传命令", UPLOAD_ONE, "808-2013 8.60 table 90"
        ),
    ),
)
V2019 = overlay(
    V2013,
    clauses={
        0x0800: "808-2019 8.50 table 71",
        0x0801: "808-2019 8.51 table 72",
        0x8800: "808-2019 8.52 table 73",
        0x0805: "808-2019 8.54 table 75",
        0x8802: "808-2019 8.55 table 76",
        0x0802: "808-2019 8.56 tables 77 and 78",
        0x8803: "808-2019 8.57 table 79",
        0x8804: "808-2019 8.58 table 80",
        0x8805: "808-2019 8.59 table 81",
    },
    add=(Row(0x8801, "take_picture", "摄像头立即拍摄命令", SHOT_2019, "808-2019 8.53 table 74", 0x0805),),
)

EDITIONS: dict[Edition, Catalog] = {Edition.V2011: V2011, Edition.V2013: V2013, Edition.V2019: V2019}

DIALECTS: dict[str, Catalog] = {
    # T/JSATL 12 clause 4.8 table 4-31 has the codes of 808 itself.
    "guangdong": catalog(
        Row(
            0x8801,
            "take_picture",
            "外设立即拍照指令",
            GUANGDONG_SHOT,
            "T/GDRTA 002 clause 5.8 table 5-34",
            0x0805,
            dialect="guangdong",
        )
    ),
}
"""Rows that a dialect lays over those of the terminal's edition."""
