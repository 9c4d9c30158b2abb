"""What the sources of the shared frames call a field of one message: their path and ours.

Where a name means one thing in one message and another elsewhere (`id`, `type`, `items[].name`), it stands
here by the id of the message, and goes before `vector_keys.KEYS`. `[]` is any place of a list; in our path it
is the same place. `#` before our path is the length of a list, `~` the bytes of a text, `@3` behind it a bit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

Paths = dict[str, str]


def named(ours: str, *theirs: str) -> Paths:
    return dict.fromkeys(theirs, ours)


def under(theirs: Iterable[str], ours: str, paths: Mapping[str, str]) -> Paths:
    """`paths` inside of what the sources call `theirs`, and we `ours`."""
    return {
        f"{name}.{key}": f"{_mark(path)}{ours}.{path.lstrip('#~')}"
        for name in theirs
        for key, path in paths.items()
    }


def _mark(path: str) -> str:
    return path[0] if path[0] in "#~" else ""


def find(message_id: int, key: str) -> tuple[str, list[int]] | None:
    """Our path for a key, and the places in its lists; None where this file has none."""
    key = re.sub(r"_partial\.(\d+)\b", r"[\1]", key)  # a source's list with some of its elements
    path = PATHS.get(message_id, {}).get(re.sub(r"\[\d+\]", "[]", key))
    return None if path is None else (path, [int(place) for place in re.findall(r"\[(\d+)\]", key)])


def value_at(body: Mapping[str, Any], path: str, places: list[int]) -> Any:
    """What a decoded body has at our path."""
    value: Any = body
    path, _, number = path.partition("@")
    rest = iter(places)
    for step in path.lstrip("#~").split("."):
        value = value[step.removesuffix("[]")]
        if step.endswith("[]"):
            value = value[next(rest)]
    if path[0] in "#~":
        return len(value if path[0] == "#" else value.encode("gbk"))
    return bool(value >> int(number) & 1) if number else value


# --- texts, events, questions, telephone ----------------------------------------------------------------

_TEXT = {
    **named("flags", "flag", "sign", "identifier", "text_flag"),
    **named("text", "text", "message", "content", "text_info"),
    **named("text_type", "text_type", "type"),
    **{
        f"p0x8300_text_flag_details.{name}": f"flags@{number}"
        for number, name in enumerate(
            ("urgent", "bit1_reserve", "display", "tts", "advertising_screen", "info_category")
        )
    },
    **{f"p0x8300_text_flag_details.bit{number}_reserve": f"flags@{number}" for number in (6, 7)},
}
_ANSWERS = {
    **named("id", "id", "answer_id"),
    **named("content", "content", "answer"),
    **named("~content", "content_length"),
}
_CONTACTS = {
    **named("flag", "flag", "sign", "telephone_book_contact_type"),
    **named("phone", "phone", "phone_number"),
    **named("name", "name", "contact", "contacts"),
}
_MENU_ITEMS = {
    **named("type", "type", "information_type"),
    **named("name", "name", "content", "information_name"),
    **named("~name", "information_length"),
}

# --- areas and routes -----------------------------------------------------------------------------------

_RANGE = {
    **named("id", "id", "area_id", "route_id"),
    **named("attributes", "attribute", "area_attr", "area_property", "route_property", "flag"),
    **named("start", "start_time"),
    **named("end", "end_time"),
    **named("max_speed", "max_speed", "top_speed", "highest_speed"),
    **named("overspeed_duration", "duration", "continuous_time", "duration_of_over_speed"),
    **named("overspeed_duration", "overspeed_duration"),
    **named("night_max_speed", "night_max_speed", "max_speed_at_night", "top_speed_at_night"),
    **named("night_max_speed", "night_maximum_speed"),
    **named("name", "name", "area_name", "route_name"),
}
_POSITION = {
    **named("latitude", "latitude_raw", "center_point_lat", "inflection_point_lat"),
    **named("longitude", "longitude_raw", "center_point_lng", "inflection_point_lng"),
}
_CORNERS = {
    **named("upper_left_latitude", "left_top_latitude", "left_top_lat", "lt_lat", "latitude_ul"),
    **named("upper_left_longitude", "left_top_longitude", "left_top_lng", "lt_lng", "longitude_ul"),
    **named("lower_right_latitude", "right_bottom_latitude", "right_bottom_lat", "rb_lat", "latitude_lr"),
    **named("lower_right_longitude", "right_bottom_longitude", "right_bottom_lng", "rb_lng", "longitude_lr"),
    **{
        f"{corner}_point_{short}": f"{ours}_{whole}"
        for corner, ours in (("up_left", "upper_left"), ("low_right", "lower_right"))
        for short, whole in (("lat", "latitude"), ("lng", "longitude"))
    },
}
_AREAS = {
    **named("type", "type", "action", "setting_area_property"),
    **named("#areas", "area_count", "total_area_count", "area_list_count", "length"),
    **under(
        ("area_items[]", "area_list[]", "areas[]", "items[]"),
        "areas[]",
        _RANGE | _POSITION | _CORNERS | named("radius", "radius"),
    ),
}
_POLYGON = _RANGE | {
    **named("#vertices", "point_count", "point_list_count", "vertices_count", "peak_items_count"),
    **under(("point_list[]", "points[]", "vertices[]", "peak_items[]"), "vertices[]", _POSITION),
}
_POINTS = _POSITION | {
    **named("id", "id", "point_id", "inflection_point_id"),
    **named("segment_id", "route_id", "section_id"),
    **named("width", "width", "section_width"),
    **named("attributes", "attribute", "flag", "section_property"),
    **named("max_drive_time", "upper_limit", "passed", "section_long_driving_threshold"),
    **named("min_drive_time", "lower_limit", "uncovered", "section_driving_under_threshold"),
    **named("max_speed", "max_speed", "section_highest_speed"),
    **named("overspeed_duration", "duration", "overspeed_duration", "section_overspeed_duration"),
    **named("night_max_speed", "night_maximum_speed.value"),
}
_ROUTE = _RANGE | {
    **named("#points", "length", "inflection_point_items_count"),
    **under(("items[]", "points[]", "inflection_point_items[]"), "points[]", _POINTS),
}
_IDS = {
    **named("ids", "id", "area_ids", "area_id_list", "id_list"),
    **named("#ids", "area_count", "area_id_list_count", "count"),
}
_STORED = {
    **named("type", "type", "query_type"),
    **named("#data", "count", "data_list_count"),
    **under(("data_list[]", "jt808_0x8600s[]", "jt808_0x8602s[]"), "data[]", _AREAS),
    **under(("jt808_0x8604s[]",), "data[]", _POLYGON),
    **under(("jt808_0x8606s[]",), "data[]", _ROUTE),
}

# --- video, evidence, peripherals -----------------------------------------------------------------------

_MEDIA_SERVER = {
    **named("server", "server_ip", "server_ip_addr", "ip"),
    **named("~server", "server_ip_len"),
    **named("tcp_port", "server_port_tcp", "tcp_port"),
    **named("udp_port", "server_port_udp", "udp_port"),
}
_RECORDING = {
    **named("channel", "channel_no", "channel_number", "logic_channel_no"),
    **named("start", "start_time", "begin_time"),
    **named("end", "end_time"),
    **named("alarm", "alarm_flags_u32"),
    **named("media", "media_type", "av_resource_type", "audio_video_resource_type"),
    **named("stream", "stream_type"),
    **named("storage", "storage_type", "memory_type"),
    **named("size", "size", "file_size", "file_size_byte"),
}
_AV_ATTRIBUTES = {
    **named("audio_codec", "audio_format", "enter_audio_encoding"),
    **named("audio_channels", "audio_channels", "enter_audio_channels_number"),
    **named("sample_rate", "audio_sampling_rate", "enter_audio_sample_rate"),
    **named("sample_bits", "audio_bit_depth", "enter_audio_sample_digits"),
    **named("audio_frame", "audio_frame_length"),
    **named("audio_output", "audio_support", "has_supported_audio_output"),
    **named("video_codec", "video_format", "video_encoding"),
    **named("max_audio", "max_audio_channels", "terminal_supported_max_number_of_audio_physical_channels"),
    **named("max_video", "max_video_channels", "terminal_supported_max_number_of_video_physical_channels"),
}
_FILE = {
    **named("name", "name", "file_name"),
    **named("~name", "file_name_length", "file_name_len"),
    **named("size", "size", "file_size"),
    **named("type", "type", "file_type"),
}
_IDENTIFIER = {
    **named("terminal_id", "terminal_id"),
    **named("time", "time"),
    **named("serial", "sequence", "serial_number"),
    **named("attachments", "attachment_count", "attach_number"),
}
_EVIDENCE = {
    **named("terminal_id", "terminal_id"),
    **under(("alarm_identification", "alarm_identifier", "p9208_alarm_sign"), "identifier", _IDENTIFIER),
    **named("number", "alarm_id", "alarm_no", "alarm_number", "platform_alarm_id"),
    **named("kind", "info_type"),
    **named("#files", "attach_count", "attachment_count"),
    **under(("attach_infos[]", "files[]", "t0x1210_alarm_item_list[]"), "files[]", _FILE),
    **named("server", "attachment_server_ip", "ip"),
    **named("~server", "attachment_server_ip_length"),
    **named("tcp_port", "attachment_server_ip_tcp_port", "attachment_server_port_tcp", "tcp_port"),
    **named("udp_port", "attachment_server_ip_udp_port", "attachment_server_port_udp", "udp_port"),
    **named("identifier.terminal_id", "device_id"),
    **named("identifier.time", "time"),
    **named("identifier.serial", "sequence_no"),
    **named("identifier.attachments", "file_total"),
}
_FILE_ANSWER = _FILE | {
    **named("result", "upload_result", "result"),
    **named("#missing", "data_package_count", "package_count_to_re_transmit"),
    **named("#missing", "retransmit_item_list_count", "total"),
    **under(
        ("data_packages[]", "retransmit_item_list[]"),
        "missing[]",
        {**named("offset", "offset", "data_offset"), **named("length", "length", "data_length")},
    ),
}
_MAKE = {
    **named("maker", "company_name"),
    **named("model", "product_model"),
    **named("hardware_version", "hardware_version"),
    **named("software_version", "firmware_version"),
    **named("device_id", "device_id"),
    **named("customer_code", "user_code"),
}

# --- recorder, driver, CAN -------------------------------------------------------------------------------

_RECORDS = {
    **named("start", "begin"),
    **named("reserved", "keep_fields"),
    **named("command", "command_id"),
    **named("block.year", "standard_year"),
    **named("block.amendment", "modify_number"),
    **named("block.licence", "driver_license_no"),
    **named("block.plate", "vehicle_no"),
    **named("block.plate_class", "vehicle_type"),
    **named("block.vin", "vin"),
    **named("block.time", "real_time"),
    **named("block.bytes", "signal_operate"),
    **named("block.pulses", "pulse_coefficient"),
}
_BLOCKS = {
    "0x08_speed_per_minutes[].": named("start", "start_time"),
    "0x08_speed_per_minutes[].jt808_car_dvr_up_0x08_speed_per_seconds[].": {
        "avg_speed_after_start_time": "seconds[].speed",
        "status_signal_after_start_time": "seconds[].signals",
    },
    "0x09_position_per_hours[].": named("start", "start_time"),
    "0x09_position_per_hours[].jt808_car_dvr_up_0x09_position_per_minutes[].": {
        "avg_speed_after_start_time": "minutes[].speed",
        "gps_lat": "minutes[].latitude",
        "gps_lng": "minutes[].longitude",
        "altitude_m": "minutes[].altitude",
    },
    "0x12_drive_logins[].": {"login_time": "time", "login_type": "event", "driver_license_no": "licence"},
    "0x14_parameter_modifys[].": {"event_time": "time", "event_type": "event"},
    "0x15_speed_status_logs[].": {
        "speed_status_start_time": "start",
        "speed_status_end_time": "end",
        "speed_status": "status",
    },
    "0x15_speed_status_logs[].jt808_car_dvr_up_0x15_speed_per_seconds[].": {
        "record_speed": "seconds[].recorded",
        "reference_speed": "seconds[].reference",
    },
}
_DRIVER = {
    **named("status", "ic_card_status", "status"),
    **named("time", "ic_card_plug_date_time", "time"),
    **named("result", "ic_card_read_result", "card_status"),
    **named("name", "driver_user_name", "driver_name", "name"),
    **named("qualification", "qualification_code", "professional_license_no", "license_no", "card_code"),
    **named("issuer", "license_issuing", "certificate_authority_name", "institution"),
    **named("expires", "certificate_expires_date", "license_valid_period"),
    **named("identity", "driver_identity_card", "driver_id_card_no", "id_card"),
}

# --- multimedia ------------------------------------------------------------------------------------------

_LOCATION = {
    "alarm_flags_u32": "alarm",
    "status_flags_u32": "status",
    "latitude_raw": "latitude",
    "longitude_raw": "longitude",
    "altitude_m": "altitude",
    "speed_0_1kmh": "speed",
    "direction_deg": "heading",
    "time": "time",
}
_MEDIA = {
    **named("media_id", "multimedia_id", "multimedia_data_id", "media_id", "id"),
    **named("type", "multimedia_type", "type"),
    **named("format", "multimedia_coding_format", "multimedia_format_code", "multimedia_format_encode"),
    **named("format", "format"),
    **named("event", "event_item_coding", "event_item_code", "event_item_encode", "event"),
    **named("channel", "channel_id", "channel"),
    **named("remove", "multimedia_deleted", "delete"),
    **named("start", "start_time"),
    **named("end", "end_time"),
    **{key: f"location.{ours}" for key, ours in _LOCATION.items()},
    **under(("location", "position"), "location", _LOCATION),
}
_SHOT = {
    **named("channel", "channel_id", "chanel_id", "channel"),
    **named("command", "shooting_command", "command"),
    **named("interval", "video_time", "time", "period"),
    **named("save", "save_flag", "save", "saving"),
    **named("resolution", "resolution"),
    **named("quality", "video_quality", "quality"),
    **named("brightness", "lighting", "brightness"),
    **named("contrast", "contrast", "contrast_rate"),
    **named("saturation", "saturability", "saturation"),
    **named("chroma", "chroma"),
}
_AUDIO = {
    **named("command", "record_cmd", "recording_command", "command"),
    **named("duration", "record_time", "recording_duration", "time"),
    **named("save", "record_save", "save_flag", "save", "saving"),
    **named("rate", "audio_sample_rate", "audio_sampling_rate", "rate"),
}
_MAKES = {
    "id": "id",
    "company_name": "content.maker",
    "product_model": "content.model",
    "hardware_version": "content.hardware_version",
    "firmware_version": "content.software_version",
    "device_id": "content.device_id",
    "user_code": "content.customer_code",
}

PATHS: dict[int, Paths] = {
    0x8300: _TEXT,
    0x8301: under(("events[]",), "events[]", {"id": "id", "content": "content"}),
    0x0301: named("event_id", "id", "event_id"),
    0x8302: {
        **named("flags", "flag", "identifier"),
        **named("question", "question", "issue"),
        **named("~question", "issue_content_length"),
        **named("#answers", "length", "candidate_answer_list_count"),
        **under(("answers[]", "candidate_answer_list[]"), "answers[]", _ANSWERS),
    },
    0x0302: {**named("reply_serial", "flow_id", "reply_s_no"), **named("answer_id", "answer_id")},
    0x8303: {
        **named("type", "setting_type"),
        **named("#items", "item_count", "item_list_count"),
        **under(("infos[]", "item_list[]", "information_items[]"), "items[]", _MENU_ITEMS),
    },
    0x0303: {**named("type", "id", "information_type"), **named("action", "action", "flag")},
    0x8304: {
        **named("type", "information_type"),
        **named("content", "content", "information_content"),
        **named("~content", "length", "information_length"),
    },
    0x8400: {**named("flag", "type", "flag"), **named("phone", "phone_number")},
    0x8401: {
        **named("type", "setting_telephone_book"),
        **named("#contacts", "count", "contact_count", "item_list_count"),
        **under(("contacts[]", "item_list[]", "jt808_contact_properties[]"), "contacts[]", _CONTACTS),
    },
    0x8500: {
        **named("flags", "flag", "control_flag"),
        **named("controls[].type", "type"),
        **named("controls[].value", "param"),
    },
    0x0500: named("reply_serial", "flow_id"),
    **dict.fromkeys((0x8600, 0x8602), _AREAS),
    **dict.fromkeys((0x8601, 0x8603, 0x8605, 0x8607, 0x8608), _IDS),
    0x8604: _POLYGON,
    0x8606: _ROUTE,
    0x0608: _STORED,
    0x0700: {
        **named("reply_serial", "reply_msg_num", "seq"),
        **named("command", "command", "command_id"),
        "data": "packet",
        **under(("jt808_car_dvr_up_package",), "packet", _RECORDS),
        **{
            f"jt808_car_dvr_up_package.jt808_car_dvr_up_{theirs}{key}": f"packet.block[].{ours}"
            for theirs, paths in _BLOCKS.items()
            for key, ours in paths.items()
        },
    },
    0x8701: {
        **named("command", "command_id"),
        **under(("jt808_car_dvr_down_package",), "packet", _RECORDS),
    },
    0x0701: named("waybill", "data"),
    0x0702: _DRIVER,
    0x0705: {
        **named("count", "can_item_count", "count", "total"),
        **named("time", "first_can_receive_time", "time"),
        **under(("can_items[]",), "items[]", {"can_id": "can_id", "can_data": "data"}),
        **under(("item_list[]", "items[]"), "items[]", {"id": "can_id", "data": "data", "can_data": "data"}),
    },
    0x0800: _MEDIA,
    0x0801: _MEDIA
    | named("data", "multimedia_data_package", "media_data", "packet", "multimedia_package", "data"),
    0x8800: {
        **named("media_id", "multimedia_id", "media_id"),
        **named("parts", "id", "again_package_list"),
        **named("#parts", "again_package_count"),
    },
    0x8801: _SHOT,
    0x0805: {**named("#media_ids", "length"), **named("media_ids", "ids")},
    0x8802: _MEDIA,
    0x0802: {
        **named("reply_serial", "msg_num", "seq", "response_serial_no"),
        **named("total", "multimedia_item_count"),
        **named("#items", "length"),
        **under(("multimedia_search_items[]", "items[]", "result[]"), "items[]", _MEDIA),
    },
    0x8803: _MEDIA,
    0x8804: _AUDIO,
    0x8805: _MEDIA,
    0x0900: {
        **named("type", "passthrough_type", "message.key", "type"),
        **named("content", "data"),
        **under(("message.value.items[]",), "content.peripherals[]", _MAKES),
    },
    0x0901: named("data", "body", "data"),
    **dict.fromkeys((0x0A00, 0x8A00), named("e", "e") | named("n", "n", "data")),
    0x1003: _AV_ATTRIBUTES,
    0x1005: {
        **named("start", "begin_time"),
        **named("end", "end_time"),
        **named("boarded", "getting_on_number"),
        **named("alighted", "getting_off_number"),
    },
    0x9101: _MEDIA_SERVER | _RECORDING | named("data", "data_type", "media_type"),
    0x9102: {
        **_RECORDING,
        **named("command", "control_cmd", "command"),
        **named("close", "close_av_data", "media_type_to_close"),
    },
    0x9105: _RECORDING | named("loss", "packet_loss_rate", "package_loss_rate"),
    0x9205: _RECORDING,
    0x1205: {
        **named("reply_serial", "msg_num", "response_serial_no"),
        **named("#resources", "av_resouce_total", "audio_video_resource_total"),
        **under(("av_resouces[]", "items[]", "audio_video_resource_list[]"), "resources[]", _RECORDING),
    },
    0x9201: {
        **_MEDIA_SERVER,
        **_RECORDING,
        **named("mode", "playback_mode", "playback_way"),
        **named("factor", "playback_speed", "play_speed"),
    },
    0x9202: {
        **_RECORDING,
        **named("command", "playback_mode", "play_control"),
        **named("factor", "playback_speed", "play_speed"),
        **named("position", "playback_time", "time"),
    },
    0x9206: {
        **_RECORDING,
        **named("server", "ip"),
        **named("port", "port"),
        **named("user", "username"),
        **named("password", "password"),
        **named("path", "path"),
        **named("condition", "condition"),
    },
    0x1206: named("reply_serial", "msg_num"),
    0x9207: {**named("reply_serial", "mgs_num"), **named("command", "upload_control", "command")},
    0x9301: {
        **_RECORDING,
        **named("direction", "direction_deg", "param1"),
        **named("speed", "speed", "param2"),
    },
    **dict.fromkeys((0x9302, 0x9303, 0x9306), _RECORDING | named("direction", "param")),
    **dict.fromkeys((0x9304, 0x9305), _RECORDING | named("switch", "param")),
    **dict.fromkeys((0x1210, 0x9208), _EVIDENCE),
    **dict.fromkeys((0x1211, 0x1212), _FILE),
    0x9212: _FILE_ANSWER,
}
