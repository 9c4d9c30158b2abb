"""What the sources of the shared frames call parameters and commands, and where we have them.

By message, as their names (`type`, `id`, `parameters`) mean other things elsewhere; goes before
`vector_keys.KEYS`. Keys are patterns that match whole, `(?P<n>…)` is the place of a parameter in its list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from protocol import parameters

if TYPE_CHECKING:
    from tests.protocol.vector_keys import Seen

Getter = Callable[["Seen", re.Match[str]], Any]


def find(message_id: int, key: str) -> tuple[Getter, re.Match[str]] | None:
    """Where we have what a source calls `key` in this message; None where this file does not know."""
    for pattern, get in _COMPILED.get(message_id, ()):
        if found := pattern.fullmatch(key):
            return get, found
    return None


class AnyOrder(list[Any]):
    """A list that equals one with the same elements."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and sorted(map(str, self)) == sorted(map(str, other))

    __hash__ = None


# --- parameters -----------------------------------------------------------------------------------------


def entry(seen: Seen, found: re.Match[str]) -> dict[str, Any]:
    """The parameter that the key names: by its place, or by its id, the last of several."""
    entries: list[dict[str, Any]] = seen.body["parameters"]
    groups = found.groupdict()
    if groups.get("n") is not None:
        return entries[int(groups["n"])]
    number = int(groups["hex"], 16) if groups.get("hex") else int(groups["decimal"])
    return [entry for entry in entries if int(entry["id"], 16) == number][-1]


def raw(seen: Seen, found: re.Match[str]) -> bytes:
    """The bytes of its value."""
    start = 3 if seen.message_id == 0x0104 else 1
    data = seen.opened.body[start:]
    place = parameters.places(data, 0)[0][int(found["n"])]
    return data[place.value : place.stop]


def value(seen: Seen, found: re.Match[str]) -> Any:
    """As the sources have it: a structure that they leave alone is the list of its bytes."""
    got = entry(seen, found)["value"]
    if not isinstance(got, Mapping):
        return got
    structure = [part.to_bytes(size) for part, size in zip(got.values(), _sizes(got), strict=True)]
    return list(b"".join(structure))


def _sizes(got: Mapping[str, Any]) -> list[int]:
    return [4, 4] if "frame" in got else [1] * len(got)


def number_of_bytes(seen: Seen, found: re.Match[str]) -> list[int]:
    got = value(seen, found)
    return got if isinstance(got, list) else list(int(got).to_bytes(4))


def inside(*path: str) -> Getter:
    """A field of a structured value; `[]` in the path is the place `m` in a list."""

    def get(seen: Seen, found: re.Match[str]) -> Any:
        got = entry(seen, found)["value"]
        for step in path:
            got = got[step]
            if isinstance(got, list) and found.groupdict().get("m"):
                got = got[int(found["m"])]
        return got

    return get


def unsigned(name: str, bits: int = 8) -> Getter:
    """A field whose all ones the source reads as -1."""
    return lambda seen, found: _signed(inside(name)(seen, found), bits)


def _signed(number: int, bits: int) -> int:
    return -1 if number == (1 << bits) - 1 else number


def listed(name: str) -> Getter:
    return lambda seen, found: list(bytes.fromhex(inside(name)(seen, found)))


def unpadded(name: str) -> Getter:
    return lambda seen, found: inside(name)(seen, found).lstrip("0")


def clock(name: str) -> Getter:
    def get(seen: Seen, found: re.Match[str]) -> str:
        digits = inside(name)(seen, found)
        return f"{digits[:2]}:{digits[2:]}:00"

    return get


def frame(shift: int, mask: int) -> Getter:
    return lambda seen, found: inside("frame")(seen, found) >> shift & mask


_VIDEO = {
    "rts_encode_mode": "live_encoding",
    "rts_resolution": "live_resolution",
    "rts_kf_interval": "live_key_interval",
    "rts_target_fps": "live_frame_rate",
    "rts_target_code_rate": "live_bit_rate",
    "stream_store_encode_mode": "stored_encoding",
    "stream_store_resolution": "stored_resolution",
    "stream_store_kf_interval": "stored_key_interval",
    "stream_store_target_fps": "stored_frame_rate",
    "stream_store_target_code_rate": "stored_bit_rate",
    "osd": "osd",
    "logic_channel_no": "logical",
}
_FIELDS = {
    **_VIDEO,
    "audio_output_enabled": "audio",
    "av_channel_total": "av_count",
    "audio_channel_total": "audio_count",
    "vudio_channel_total": "video_count",
    "begin_minute": "lead",
    "duration": "duration",
    "storage_thresholds": "threshold",
    "nuclear_load_number": "seats",
    "fatigue_threshold": "fatigue",
    "sleep_wake_mode": "mode",
    "wake_condition_type": "conditions",
    "timer_wake_day_set": "days",
    r"timer_wake_day_paramter\.timer_wake_enable_flag": "periods",
    "collect_time_interval": "interval",
    # active safety
    "active_distance_photography_distance_interval": "capture_distance",
    "actively_time_photo_interval": "capture_interval",
    "active_photography_strategy": "capture_mode",
    "alarm_enable": "alarms",
    "alarm_judge_speed_threshold": "speed_threshold",
    "alarm_photo_vehicle_close_distance": "headway_photos",
    "alarm_photo_vehicle_close_distance_interval": "headway_photo_interval",
    "barrier_alarm_photographs": "obstacle_photos",
    "distance_threshold_obstacle_alarm": "obstacle_distance",
    "event_enable": "events",
    "forward_collision_alarm_interval": "collision_photo_interval",
    "forward_collision_alarm_photographs": "collision_photos",
    "forward_collision_warning_time_threshold": "collision_time",
    "frequent_alarm_judgment_number_channel_change": "lane_change_count",
    "frequent_channel_change_alarm_judgment_time_period": "lane_change_period",
    "frequent_channel_change_alarm_photos": "lane_change_photos",
    "frequent_lane_change_alarm_interval": "lane_change_photo_interval",
    "graded_speed_threshold_lane_deviation_alarm": "lane_departure_level_speed",
    "hierarchical_speed_threshold_forward_collision_warning": "collision_level_speed",
    "hierarchical_speed_threshold_frequent_channel_change_alarm": "lane_change_level_speed",
    "hierarchical_speed_threshold_obstacle_alarm": "obstacle_level_speed",
    "lane_departure_alarm_photo": "lane_departure_photos",
    "lane_departure_alarm_photo_interval": "lane_departure_photo_interval",
    "obstacle_alarm_interval": "obstacle_photo_interval",
    "pedestrian_collision_alarm_enabling_speed_threshold": "pedestrian_speed",
    "pedestrian_collision_alarm_interval": "pedestrian_photo_interval",
    "pedestrian_collision_alarm_photos": "pedestrian_photos",
    "pedestrian_collision_alarm_time_threshold": "pedestrian_time",
    "photo_resolution": "photo_resolution",
    "road_sign_recognition_photographs": "sign_photos",
    "road_sign_recognition_photographs_interval": "sign_photo_interval",
    "single_initiative_photos": "capture_photos",
    "single_initiative_photos_interval": "capture_photo_interval",
    "vehicle_distance_monitoring_alarm_distance_threshold": "headway_distance",
    "vehicle_distance_monitoring_and_alarm_classification_speed_threshold": "headway_level_speed",
    "video_recording_resolution": "video_resolution",
    "video_recording_time_before_and_after_alarm_vehicle_proximity": "headway_video",
    "video_recording_time_before_and_after_forward_collision_alarm": "collision_video",
    "video_recording_time_before_and_after_frequent_lane_change_alarm": "lane_change_video",
    "video_recording_time_before_and_after_lane_departure_alarm": "lane_departure_video",
    "video_recording_time_before_and_after_obstacle_alarm": "obstacle_video",
    "video_recording_time_before_and_after_pedestrian_collision_alarm": "pedestrian_video",
    "warning_volume": "volume",
    "call_alarm_determine_time_interval": "phone_period",
    "call_alarm_take_pictures_driver_facial_features": "phone_photos",
    "call_alarm_take_pictures_driver_facial_features_interval": "phone_photo_interval",
    "classified_speed_threshold_call_alarm": "phone_level_speed",
    "classified_speed_threshold_distracted_driving_alarm": "distraction_level_speed",
    "classified_speed_threshold_smoking_alarm": "smoking_level_speed",
    "distracted_driving_alarm_photography": "distraction_photos",
    "distracted_driving_alarm_photography_interval": "distraction_photo_interval",
    "driver_identification_trigger": "identification",
    "fatigue_driving_alarm_photograph": "fatigue_photos",
    "fatigue_driving_alarm_photograph_interval": "fatigue_photo_interval",
    "graded_speed_threshold_fatigue_driving_alarm": "fatigue_level_speed",
    "photographs_abnormal_driving_behavior": "abnormal_photos",
    "picture_interval_abnormal_driving_behavior": "abnormal_photo_interval",
    "smoking_alarm_photographs_driver_face_characteristics": "smoking_photos",
    "smoking_alarm_photographs_driver_face_characteristics_interval": "smoking_photo_interval",
    "time_interval_smoking_alarm_judgment": "smoking_period",
    "video_recording_time_abnormal_driving_behavior": "abnormal_video",
    "video_recording_time_before_and_after_call_alarm": "phone_video",
    "video_recording_time_before_and_after_fatigue_driving_alarm": "fatigue_video",
    "video_recording_time_before_and_after_smoking_alarm": "smoking_video",
    "rear_approach_alarm_time_threshold": "rear_time",
    "lateral_rear_approach_alarm_time_threshold": "side_time",
}
_CHANNEL = {
    "channel_type": "type",
    "is_connect_cloud_plat": "ptz",
    "logic_channel_no": "logical",
    "physical_channel_no": "physical",
}
_BY_ID = {  # one source has its parameters by their decimal ids
    **{
        f"{theirs}_{detail}": f"{ours}_{name}"
        for theirs, ours in (("realtime", "live"), ("storage", "stored"))
        for detail, name in (
            ("encode", "encoding"),
            ("resolution", "resolution"),
            ("frame_interval", "key_interval"),
            ("frame_rate", "frame_rate"),
            ("bit_rate", "bit_rate"),
        )
    },
    "ods_config": "osd",
    "audio_enabled": "audio",
    "storage_threshold": "threshold",
    "duration": "duration",
    "start_time": "lead",
    "overload_threshold": "seats",
    "fatigue_threshold": "fatigue",
    "mode": "mode",
    "condition_type": "conditions",
    "day_of_week": "days",
    "time_flag": "periods",
}

_LIST = r"(?:(?:custom_)?param_list|parameter_items|parameter_item_list|param_item_list|params)"
_PLACE = _LIST + r"\[(?P<n>\d+)\]\."
_DECIMAL = r"parameters\.(?P<decimal>\d+)\."

PARAMETERS: dict[str, Getter] = {
    "answer_params_count|parameter_count|param_count|param_total|parameter_item_list_count|length": (
        lambda seen, _: seen.body.get("count")
    ),
    "param_list": lambda seen, _: [] if seen.body["parameters"] else None,  # the source's own ones apart
    "extra_items_count": lambda seen, _: len({entry["id"] for entry in seen.body["parameters"]}),
    "flow_id|response_serial_no": lambda seen, _: seen.body["reply_serial"],
    _PLACE + "(?:param_id|parameter_id|msg_id_u16|id)": lambda seen, found: int(entry(seen, found)["id"], 16),
    _PLACE + "(?:param_length|parameter_length)": lambda seen, found: len(raw(seen, found)),
    _PLACE + "(?:param_value|parameter_value|msg_content|value)": value,
    **{_PLACE + theirs: inside(ours) for theirs, ours in _FIELDS.items()},
    **{
        _PLACE + rf"av_channel_ref_tables\[(?P<m>\d+)\]\.{theirs}": inside("channels", ours)
        for theirs, ours in _CHANNEL.items()
    },
    **{
        _PLACE + rf"signal_channels\[(?P<m>\d+)\]\.{theirs}": inside("channels", ours)
        for theirs, ours in _VIDEO.items()
    },
    _PLACE + "need_set_channel_total": lambda seen, found: len(inside("channels")(seen, found)),
    _PLACE + "alarm_shielding": value,
    **{
        _PLACE + rf"timer_wake_day_paramter\.time_period{n}_{theirs}_time": unpadded(f"{ours}{n}")
        for n in range(1, 5)
        for theirs, ours in (("wake", "wake"), ("close", "sleep"))
    },
    _PLACE + "channel_no": frame(31, 1),
    _PLACE + "frame_type": frame(30, 1),
    _PLACE + "collect_way": frame(29, 1),
    _PLACE + "bus_id": frame(0, (1 << 29) - 1),
    _PLACE + "placeholder1": lambda seen, found: listed("reserved1")(seen, found)[0],
    _PLACE + "(?:placeholder2|retain)": listed("reserved"),
    _PLACE + "reserve": listed("reserved1"),
    **{_DECIMAL + theirs: inside(ours) for theirs, ours in _BY_ID.items()},
    **{
        _DECIMAL + f"{theirs}_time{n}": clock(f"{theirs}{n}")
        for theirs in ("wake", "sleep")
        for n in range(1, 5)
    },
    _DECIMAL + "rear_approach_alarm_time_threshold": unsigned("rear_time"),
    _DECIMAL + "rear_side_approach_alarm_time_threshold": unsigned("side_time"),
    _DECIMAL + r"p\d\d": value,
    r"params\.(?P<hex>0x00(?:18|19|21))": number_of_bytes,
    r"(?:params\.|param_)?(?P<hex>0x[0-9a-f]+)": value,
}

# --- control ------------------------------------------------------------------------------------------------


def command_text(seen: Seen, _: re.Match[str]) -> str:
    got = seen.body["parameters"]
    return got if isinstance(got, str) else ";".join(map(str, got.values()))


def command_values(seen: Seen, _: re.Match[str]) -> AnyOrder | None:
    got = seen.body["parameters"]
    return AnyOrder(value for name, value in got.items() if name != "more") if got else None


def command_value(seen: Seen, found: re.Match[str]) -> Any:
    return list(seen.body["parameters"].values())[int(found["n"])] or None


def given(seen: Seen, found: re.Match[str]) -> tuple[int, Any]:
    """Place and value of the n-th field that has one."""
    values = seen.body["parameters"].values()
    return [(place, value) for place, value in enumerate(values) if value != ""][int(found["n"])]


def named(name: str) -> Getter:
    return lambda seen, _: seen.body[name]


def data_bytes(seen: Seen, _: re.Match[str]) -> list[int]:
    return list(bytes.fromhex(seen.body["data"]))


CONTROL: dict[str, Getter] = {
    "command_word|command": named("command"),
    "parameter|param": command_text,
    "command_parameters|command_value": command_values,
    "command_value_count": lambda seen, _: len(seen.body["parameters"].keys() - {"more"}),
    r"command_value_partial\.(?P<n>\d+)": command_value,
    r"command_value\[(?P<n>\d+)\]\.offset": lambda seen, found: given(seen, found)[0],
    r"command_value\[(?P<n>\d+)\]\.value": lambda seen, found: given(seen, found)[1],
}
PROPERTIES: dict[str, Getter] = {
    # One source calls the type of terminal so, another its model.
    "terminal_type": lambda seen, _: seen.body["model" if seen.head.size == 17 else "type"],
    "device_type": named("type"),
    "iccid|terminal_sim_iccid": named("iccid"),
    "terminal_hardware_version_num|hardware_version": named("hardware_version"),
    "terminal_firmware_version_num|firmware_version": named("firmware_version"),
    "gnss_module|gnss_attribute|gnss_model_property": named("gnss"),
    "communication_module|network_attribute|communication_model_property": named("modem"),
}
UPGRADE: dict[str, Getter] = {
    "upgrade_type|type": named("type"),
    "upgrade_result|result": named("result"),
    "version_num|layout": named("version"),
    "upgrade_package|data|firmware": data_bytes,
    "fw_length": lambda seen, found: len(data_bytes(seen, found)),
}
TRACK: dict[str, Getter] = {
    "interval|time_duration_in_seconds|time_interval": named("interval"),
    "location_tracking_validity|trace_validity_duration_in_seconds|validity_period|track_validity": (
        lambda seen, _: seen.body["validity"] or 0
    ),
}
CONFIRM: dict[str, Getter] = {
    "response_serial_no|seq": named("alarm_serial"),
    "type": named("types"),
}

KEYS: dict[int, dict[str, Getter]] = {
    0x8103: PARAMETERS,
    0x0104: PARAMETERS,
    0x8104: {"length|ids": named("ids")},
    0x8106: {
        "parameter_count": lambda seen, _: len(seen.body["ids"]),
        "parameters|id": named("ids"),
    },
    0x8105: CONTROL,
    0x0107: PROPERTIES,
    0x8108: UPGRADE,
    0x0108: UPGRADE,
    0x8202: TRACK,
    0x8203: CONFIRM,
}
_COMPILED = {
    message_id: [(re.compile(pattern), get) for pattern, get in keys.items()]
    for message_id, keys in KEYS.items()
}

SPELT = {
    "HeartBeatInterval": 0x0001,
    "TCPMsgResponseTimeout": 0x0002,
    "TCPMsgRetransmissTime": 0x0003,
    "UDPMsgResponseTimeout": 0x0004,
    "UDPMsgRetransmissTime": 0x0005,
    "MainServerAddress": 0x0013,
    "MainServerUserName": 0x0011,
    "MainServerPassword": 0x0012,
    "LocationReportStrategy": 0x0020,
    "GNSSBaudrate": 0x0091,
    "RegularReportStrategy": 0,
    "GNSSBRT115200": 5,
    "Terminal": 0,
    "TerminalControl::WirelessUpgrade": 1,
    "TerminalUpgradePackageResult::Succeeded": 0,
    "terminal reset 0x04": 4,
}

SOURCE_IS_WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "jt808-jt808-0x8103-0xf365-test-deserialize": (
        ("param_list[0].*",),
        "47 bytes, without two of the fields of T/JSATL 12 table 4-11, which has 49: stays raw",
    ),
    **{
        f"yezhihao-unit-0104-{version}": (
            ("parameters.62308.*", "parameters.62309.*"),
            "57 and 65 bytes; T/JSATL 12 tables 4-10 and 4-11 have 56 and 49: stay raw",
        )
        for version in ("v13", "v19")
    },
    "bienxanh-terminalparametersetting": (
        ("params[7].value", "params[8].value", "params[9].value"),
        "names of the source's constants; the bytes (808-2013 table 11) hold other text",
    ),
    "bienxanh-terminalparameterquery": (
        ("length", "ids"),
        "0x8104 with a list of ids; 808-2013 clause 8.10 has no body, the list is that of 0x8106",
    ),
}

NOT_OURS = {"phone_expected_by_reporter": "what the reporter wished for: the frame holds another"}

REWRITTEN = {
    "jt808-jt808-0x0107test-test2": "terminal id padded in front; 808-2013 table 20 pads behind",
}


def broken_list(body: bytes, start: int) -> bool:
    """Whether a list of parameters ends inside of one."""
    at = start
    while at + 5 <= len(body) and at + 5 + body[at + 4] <= len(body):
        at += 5 + body[at + 4]
    return at != len(body)


BODY_FAULTS: dict[int, Callable[[bytes], bool]] = {
    0x8104: lambda body: body != b"",
    0x8103: lambda body: broken_list(body, 1),
    0x0104: lambda body: broken_list(body, 3),
    0x8106: lambda body: len(body) != 1 + 4 * body[0],
}
