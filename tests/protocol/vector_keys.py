"""What the sources of the shared frames call a field, and where we have it.

`KEYS` maps a source's key (lists and items flattened: `positions[0].0x01.mileage_0_1km`) to a function of a
`Seen` frame. `NOT_OURS` names the keys that say nothing about a field of the standards, with the reason.
Both are patterns that must match a key whole; a key in neither fails the test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from protocol import codec, frame, header
from protocol.header import Edition
from protocol.items import places, read_item
from protocol.location import SIZE
from protocol.messages import ITEMS
from protocol.messages.location import batch_bodies
from protocol.messages.safety import identifier_of
from tests.protocol import vector_control, vector_paths


class Seen(NamedTuple):
    """One frame, or one body without a frame, as we read it."""

    message_id: int
    told: dict[str, Any]  # what codec.decode says
    opened: codec.Opened

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = self.told["body"]
        return found

    @property
    def head(self) -> header.Header:
        assert self.opened.head is not None
        return self.opened.head

    def report(self, number: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = self.body["reports"][number] if "reports" in self.body else self.body
        return found

    def item(self, item_id: int, number: int = 0) -> Any:
        """The value of the first item of that id."""
        for entry in self.report(number)["items"]:
            if int(entry["id"], 16) == item_id:
                return entry["value"]
        raise KeyError(f"item {item_id:#04x}")

    def item_bytes(self, item_id: int) -> bytes:
        data = self.opened.body[SIZE:]
        place = next(place for place in places(data) if place.id == item_id)
        return data[place.value : place.stop]


def see(vector: Mapping[str, Any]) -> Seen:
    """The frame of a vector; a bare body gets a header, of the edition that the source names."""
    wire = vector.get("wire_hex") or vector.get("hex")
    if wire is None:
        edition = Edition(int(vector.get("version") or 2013))
        body = bytes.fromhex(vector["body_hex"])
        phone = header.phone_bytes("0", edition)
        message_id = int(vector["msg_id"], 16)
        wire = frame.escape(header.build(message_id, phone, 0, len(body)) + body).hex()
    told = codec.decode(wire)
    return Seen(int(told.get("message_id", "0"), 16), told, codec.unwrap(wire))


def flat(expected: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The expectations of a source as key and value; a list of plain values is one value."""
    for key, value in expected.items():
        where = f"{path}.{key}" if path else key
        if isinstance(value, Mapping) and value:
            yield from flat(value, where)
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for number, element in enumerate(value):
                yield from flat(element, f"{where}[{number}]")
        elif where == "version" and isinstance(value, str):
            yield "layout", value  # who says the version by a name means the edition
        elif key == "phone":
            yield where, value.lstrip("0")
        else:
            yield where, value


SPELT = {
    "true": True,
    "false": False,
    "RESULT_ALARM_MSG_ACK": 4,
    "GeneralResponse::Succeeded": 0,
    "TerminalRegistrationResponse::Succeeded": 0,
    "TerminalAuthenticationMsgId": 0x0102,
    "Yellow": 2,
    "circular_region": 1,
    "direction_out": 1,
    "overlength": 1,
    "AppendArea": 1,
    "JT808Protocol2011": 2011,
    "JT808Protocol2013": 2013,
    "Jt808ProtocolVersion.VERSION_2019": 2019,
    "ImageType": 0,
    "JPEGFormat": 0,
    "PlaformCommand": 0,
    "LocalStorage": 1,
    "RealTimeUpload": 0,
    "ImmediateCameraCaptureCommandResponse::Succeeded": 0,
    "ImmediateCameraCaptureCommand::Resolution1024x768": 4,
    "AudioRecordingStartCommand::StartCommand": 1,
    "AudioRecordingStartCommand::AudioSamplingRate8K": 0,
    "ic_card_into": 1,
    "ic_card_reading_succeeded": 0,
    **vector_control.SPELT,
}
"""Names that sources have for numbers."""


DAY = re.compile(r"20\d\d-\d\d-\d\d(T|$)")
CLOCK = re.compile(r"\d\d:\d\d:\d\d\.\d{3}")


def same(expected: Any, ours: Any) -> bool:
    """Whether two notations mean one value."""
    if isinstance(expected, str) and not isinstance(ours, str):
        expected = SPELT.get(expected, expected)
    if isinstance(expected, str) and isinstance(ours, str) and DAY.match(ours):
        expected, ours = re.sub(r"\D", "", expected), re.sub(r"\D", "", ours[:19])  # no zone there
        return ours[:8] == expected if len(expected) == 8 else ours[-12:] == expected[-12:]
    if isinstance(expected, str) and isinstance(ours, str) and CLOCK.fullmatch(ours):
        expected, ours = re.sub(r"\D", "", expected), re.sub(r"\D", "", ours)
        return len(expected) >= 6 and ours.startswith(expected)  # some leave the milliseconds off
    if isinstance(expected, list) and isinstance(ours, str):
        return expected == list(bytes.fromhex(ours))
    if isinstance(expected, float):
        return abs(expected - ours) < 1e-6
    return bool(expected == ours)


Getter = Callable[[Seen, re.Match[str]], Any]


def field(*names: str) -> Getter:
    """The first of these fields that the body has."""
    return lambda seen, _: next(seen.body[name] for name in names if name in seen.body)


def of_report(name: str) -> Getter:
    """A field of the report that the key's number names."""
    return lambda seen, found: seen.report(int(found["n"] or 0))[name]


def of_item(item_id: int, name: str) -> Getter:
    return lambda seen, found: seen.item(item_id, int(found.groupdict().get("n") or 0))[name]


def bit_of(item_id: int, name: str, number: int) -> Getter:
    return lambda seen, _: bool(seen.item(item_id)[name] >> number & 1)


def padded(name: str, width: int) -> Getter:
    """Text in the bytes of its field."""
    return lambda seen, _: seen.body[name].encode("gbk").ljust(width, b"\0").hex()


def alarm(*path: str) -> Getter:
    """A field inside an active-safety item; the key names the item."""

    def get(seen: Seen, found: re.Match[str]) -> Any:
        value = seen.item(int(found["id"], 16))
        for step in path:
            value = value[step]
        return value

    return get


def as_list(get: Getter) -> Getter:
    return lambda seen, found: list(bytes.fromhex(get(seen, found)))


def as_number(get: Getter) -> Getter:
    return lambda seen, found: int(get(seen, found), 16)


def tyre(name: str) -> Getter:
    return lambda seen, found: seen.item(0x66)["tyres"][int(found["tyre"])][name]


def vehicle(number: int) -> Getter:
    return lambda seen, found: bool(alarm("vehicle_status")(seen, found) >> number & 1)


def identifier(seen: Seen, found: re.Match[str]) -> bytes:
    item_id = int(found["id"], 16)
    return identifier_of(read_item(ITEMS, item_id, seen.item_bytes(item_id)))


SIGN = r"(?:alarm_identification|alarm_identifier|p9208_alarm_sign)\."


def sign_reserve(seen: Seen) -> bytes:
    return bytes.fromhex(seen.body["identifier"]["reserved"])


def block(seen: Seen, number: int) -> str:
    """The value of a block of item 0xEB."""
    return str(next(b["value"] for b in seen.item(0xEB)["blocks"] if b["id"] == number))


ABSENT = object()
"""For what sources make of items that nobody reads here."""


def told_by(*ways: Callable[[Seen], Any]) -> Getter:
    """What the first of these items says that the report has; other makers' have it in items raw with us."""

    def get(seen: Seen, _: Any) -> Any:
        for way in ways:
            try:
                return way(seen)
            except (KeyError, TypeError, StopIteration):
                continue
        return ABSENT

    return get


def text_of(*path: str) -> Getter:
    """Bytes that the source reads as text."""

    def get(seen: Seen, _: re.Match[str]) -> str:
        value: Any = seen.body
        for step in path:
            value = value[step]
        return bytes.fromhex(value).decode("gbk")

    return get


RECORDER_SIGNALS = ("d0", "d1", "d2", "near_light", "far_light", "right_turn", "left_turn", "brake")


def recorder_signal(number: int) -> Getter:
    return lambda seen, _: seen.body["packet"]["block"]["names"][number]


def parts_of(seen: Seen) -> list[int]:
    found: list[int] = seen.body["parts"] or []
    return found


SIGNALS = {
    "近光灯信号": 0,
    "远光灯信号": 1,
    "右转向灯信号": 2,
    "左转向灯信号": 3,
    "制动信号": 4,
    "倒挡信号": 5,
    "雾灯信号": 6,
    "示廓灯": 7,
    "喇叭信号": 8,
    "空调状态": 9,
    "空挡信号": 10,
    "缓速器工作": 11,
    "ABS工作": 12,
    "加热器工作": 13,
    "离合器状态": 14,
}
STATES = {"acc": 0, "left_turn": 1, "right_turn": 2, "wipers": 3, "brake": 4, "card": 5, "location": 10}

REPORT = (
    r"(?:(?:position|location\.basic|(?:positions|item_list|items)\[(?P<n>\d+)\]"
    r"|item_list_partial\.0|items_each)\.)?(?:location_(?:data|info)\.)?"
)
ANY = r"(?P<id>0x[0-9a-f]{2})\."
SAFETY = r"(?P<id>0x6[4-7])\."
MARK = SAFETY + r"(?:alarm_identification\.)?"
TYRE = r"0x66\.alarm_or_events\[(?P<tyre>\d+)\]\."
AREA = r"0x(?P<area>1[12])\."

KEYS: dict[str, Getter] = {
    # the header
    "msg_id_u16": lambda seen, _: seen.message_id,
    "msg_id_hex": lambda seen, _: f"{seen.message_id:04x}",
    "serial|msg_num|flow_id": lambda seen, _: seen.head.serial,
    "phone": lambda seen, _: seen.told["phone"],
    "body_attr_u16|message_body_props.value": lambda seen, _: seen.head.properties,
    "protocol_version|version": lambda seen, _: seen.head.version,
    "layout": lambda seen, _: int(seen.told["clause"].split(" ")[0].split("-")[1]),
    "message_body_property.version_flag": lambda seen, _: bool(seen.head.properties & header.VERSIONED),
    "message_body_props.message_body_length|body_len": lambda seen, _: len(seen.opened.body),
    "message_body_props.has_sub_package": lambda seen, _: seen.head.total > 0,
    "message_body_props.encryption_type|encrypt": lambda seen, _: seen.told.get("encryption", 0),
    "checksum_verified": lambda seen, _: seen.told["checksum_ok"],
    "checksum_u8": lambda seen, _: seen.opened.trailer[0],
    "body_hex": lambda seen, _: seen.opened.body.hex(),
    # acknowledgements, parts to send again
    "reply_msg_num|ack_msg_num|seq|serial_number|field1_u16|client_flow_id|terminal_flow_id"
    "|response_serial_no|respond_serial_number|reply_serial": field("reply_serial", "first_serial"),
    "reply_msg_id|ack_msg_id|field2_u16|response_message_id|respond_id|reply_msg_id_u16": field("reply_id"),
    "terminal_result|jt808_platform_result|jt808_terminal_register_result|result|result_code": field(
        "result"
    ),
    "result_is_failure": lambda seen, _: seen.body["result"] != 0,
    "original_message_flow_id|original_serial_number": field("first_serial"),
    "package_count|package_id_list_count|again_package_count": lambda seen, _: len(seen.body["parts"]),
    "package_id_list|again_package_list": field("parts"),
    "id": field("parts", "reply_id", "terminal_id"),
    # parts of long messages
    r"message_body_property\.is_package": lambda seen, _: seen.head.total > 0,
    "subpackage_no": lambda seen, _: seen.head.index,
    "subpackage_total": lambda seen, _: seen.head.total,
    # recorder, waybill, passthrough, multimedia: what is no path (`vector_paths`)
    **{
        rf"jt808_car_dvr_up_package\.{name}": recorder_signal(number)
        for number, name in enumerate(RECORDER_SIGNALS)
    },
    r"jt808_car_dvr_up_package\.error_flag": lambda seen, _: seen.body["packet"]["command"] == 0xFA,
    "text_result": text_of("waybill"),
    "length": lambda seen, _: len(bytes.fromhex(seen.body["waybill"])),
    r"jt808_0x0900_body_base\.passthrough_content": text_of("content"),
    "retransmit_package_ids": lambda seen, _: (
        None if seen.body["parts"] is None else [byte for part in parts_of(seen) for byte in part.to_bytes(2)]
    ),
    "retransmit_package_count": lambda seen, _: len(parts_of(seen)),
    # registration, authentication, time
    "area_id|province_id|province": field("province"),
    "city_or_county_id|city_id|city": field("city"),
    "maker_id|manufacturer_id|manufacturer": field("maker"),
    "terminal_model|device_model|model": field("model"),
    "terminal_id": lambda seen, _: seen.body.get("terminal_id", seen.head.phone.hex()),
    "device_id": field("terminal_id"),
    "plate_color|color": field("plate_colour"),
    "plate_no|license_plate_number|license_number|plate": field("plate"),
    "manufacturer_id_hex": padded("maker", 5),
    "terminal_model_hex": padded("model", 20),
    "terminal_id_hex": padded("terminal_id", 7),
    "plate_hex": padded("plate", 0),
    "code|auth_code|authentication_code|token": field("code"),
    "auth_code_hex": padded("code", 0),
    "code_length": lambda seen, _: len(seen.body["code"].encode("gbk")),
    "imei": field("imei"),
    "software_version|formated_software_version": field("software_version"),
    "server_side_date_time": field("time"),
    # locations
    REPORT + "alarm_flags_u32": of_report("alarm"),
    REPORT + "status_flags_u32": of_report("status"),
    REPORT + "latitude_raw": of_report("latitude"),
    REPORT + "longitude_raw": of_report("longitude"),
    REPORT + "altitude_m": of_report("altitude"),
    REPORT + "(?:speed_0_1kmh|speed)": of_report("speed"),
    REPORT + "direction_deg": of_report("heading"),
    REPORT + "time": of_report("time"),
    "latitude_deg": lambda seen, _: seen.report()["latitude"] / 1e6,
    "longitude_deg": lambda seen, _: seen.report()["longitude"] / 1e6,
    "acc_on": lambda seen, _: bool(seen.report()["status"] & 1),
    "count|bodies_count|item_list_count|num|item_count": field("count"),
    "location_type|type|batch_type": field("type"),
    r"items\[(?P<n>\d+)\].len": lambda seen, found: len(batch_bodies(seen.opened.body)[1][int(found["n"])]),
    "item_ids_in_order": lambda seen, _: [entry["id"] for entry in seen.report()["items"]],
    "no_active_safety_item": lambda seen, _: (
        not ({entry["id"] for entry in seen.report()["items"]} & {"0x64", "0x65", "0x66", "0x67"})
    ),
    # items
    ANY + "(?:length|item_length|attach_info_length)": lambda seen, found: len(
        seen.item_bytes(int(found["id"], 16))
    ),
    ANY + "(?:item_id|attach_info_id)": lambda seen, found: (
        seen.item(int(found["id"], 16)) and int(found["id"], 16)
    ),
    REPORT + r"0x01(?:\.mileage_0_1km)?": of_item(0x01, "mileage"),
    REPORT + r"0x02(?:\.fuel_0_1L)?": of_item(0x02, "fuel"),
    r"0x03(?:\.speed|\.recorder_speed_0_1kmh)?": of_item(0x03, "speed"),
    r"0x04(?:\.event_id|\.manual_confirm_alarm_id)?": of_item(0x04, "event"),
    "0x05": of_item(0x05, "pressures"),
    r"0x05\.轮胎(?P<wheel>\d+)胎压": lambda seen, found: seen.item(0x05)["pressures"][int(found["wheel"])],
    r"0x06(?:\.compartment_temp_c)?": of_item(0x06, "temperature"),
    AREA + "(?:area_type|jt808_position_type)": lambda seen, found: seen.item(int(found["area"], 16))[
        "area_type"
    ],
    AREA + "(?:area_id|area_or_road_id)": lambda seen, found: seen.item(int(found["area"], 16))["area_id"],
    r"0x12\.(?:direction|direction_deg)": of_item(0x12, "direction"),
    r"0x13\.(?:driven_route_id|area_id|road_id)": of_item(0x13, "segment_id"),
    r"0x13\.(?:time|drive_time|drive_time_s)": of_item(0x13, "duration"),
    r"0x13\.(?:result|driven_route)": of_item(0x13, "result"),
    r"0x25(?:\.car_signal_status|\.ext_signal_u32)?": of_item(0x25, "signals"),
    **{rf"0x25\.{name}": bit_of(0x25, "signals", number) for name, number in SIGNALS.items()},
    r"0x25\.保留": lambda seen, _: f"{seen.item(0x25)['signals'] >> 15:016b}",
    r"0x2a(?:\.io_status|\.io_status_u16)?": of_item(0x2A, "io"),
    r"0x2a\.深度休眠状态": bit_of(0x2A, "io", 0),
    r"0x2a\.休眠状态": bit_of(0x2A, "io", 1),
    r"0x2a\.保留": lambda seen, _: f"{seen.item(0x2A)['io'] >> 2:014b}",
    r"0x2b(?:\.analog_u32)?": lambda seen, _: seen.item(0x2B)["ad1"] << 16 | seen.item(0x2B)["ad0"],
    r"0x2b\.analogs": lambda seen, _: [seen.item(0x2B)["ad1"], seen.item(0x2B)["ad0"]],
    r"0x30(?:\.rssi|\.wi_fi_signal_strength)?": of_item(0x30, "strength"),
    r"0x31(?:\.gnss_satellites|\.gnss_count)?": of_item(0x31, "satellites"),
    # video
    r"0x14\.video_relate_alarm": of_item(0x14, "alarm"),
    r"0x15\.video_signal_lose_alarm_status": of_item(0x15, "channels"),
    r"0x16\.video_signal_occlusion_alarm_status": of_item(0x16, "channels"),
    r"0x17\.storage_fault_alarm_status": of_item(0x17, "units"),
    r"0x17\.storage_fault\.index_2\.fault": bit_of(0x17, "units", 1),  # numbered from 1
    r"0x18\.abnormal_driving_behavior_alarm_type": of_item(0x18, "behaviour"),
    r"0x18\.fatigue_level": of_item(0x18, "fatigue"),
    # active safety
    SAFETY + "alarm_id_u32": alarm("alarm_id"),
    SAFETY + "flag_status": alarm("flag"),
    SAFETY + "alarm_type": alarm("type"),
    SAFETY + "alarm_level": alarm("level"),
    SAFETY + "front_vehicle_speed_kmh": alarm("front_speed"),
    SAFETY + "front_distance_100ms": alarm("front_distance"),
    SAFETY + "deviation_type": alarm("deviation"),
    SAFETY + "road_sign_type": alarm("sign"),
    SAFETY + "road_sign_value": alarm("sign_value"),
    SAFETY + "fatigue_level": alarm("fatigue"),
    SAFETY + "retain": as_list(alarm("reserved")),
    SAFETY + "reserves": as_number(alarm("reserved")),
    SAFETY + "vehicle_speed_kmh": alarm("speed"),
    SAFETY + "altitude_m": alarm("altitude"),
    SAFETY + "latitude_raw": alarm("latitude"),
    SAFETY + "longitude_raw": alarm("longitude"),
    SAFETY + "time": alarm("time"),
    SAFETY + r"(?:status_bit|vehicle_status_u16(?:\.original_value)?)": alarm("vehicle_status"),
    **{SAFETY + rf"vehicle_status_u16\.{name}": vehicle(number) for name, number in STATES.items()},
    SAFETY + r"alarm_identification\.time": alarm("identifier", "time"),
    MARK + "(?:terminal_id|device_id)": alarm("identifier", "terminal_id"),
    MARK + "(?:sequence|sequence_no)": alarm("identifier", "serial"),
    MARK + "attachment_count": alarm("identifier", "attachments"),
    MARK + "retain1": lambda seen, found: as_list(alarm("identifier", "reserved"))(seen, found)[0],
    MARK + "retain2": lambda seen, found: as_list(alarm("identifier", "reserved"))(seen, found)[1],
    MARK + "reserved": as_number(alarm("identifier", "reserved")),
    MARK + "alarm_reserve": as_list(alarm("identifier", "reserved")),
    MARK + "terminal_id_hex": lambda seen, found: identifier(seen, found)[:7].hex(),
    r"0x66\.alarm_or_event_count": of_item(0x66, "count"),
    TYRE + "tire_pressure_alarm_position": tyre("position"),
    TYRE + "alarm_type": tyre("type"),
    TYRE + "tire_pressure": tyre("pressure"),
    TYRE + "tire_temperature": tyre("temperature"),
    TYRE + "battery_level": tyre("battery"),
    # evidence
    SIGN + "retain1?": lambda seen, _: sign_reserve(seen)[0],
    SIGN + "retain2": lambda seen, _: sign_reserve(seen)[1],
    SIGN + "alarm_reserve": lambda seen, _: list(sign_reserve(seen)),
    f"(?:{SIGN})?reserved": lambda seen, _: int.from_bytes(sign_reserve(seen)),
    SIGN + "terminal_id_hex": lambda seen, _: seen.opened.body[7:14].hex(),
    "reserves": lambda seen, _: list(bytes.fromhex(seen.body["reserved"])),
    "warn_bit1": lambda seen, _: seen.body["alarm"] & 0xFFFFFFFF,
    "warn_bit2": lambda seen, _: seen.body["alarm"] >> 32,
    "items": lambda seen, _: [number for piece in seen.body["missing"] for number in piece.values()],
    r"(?:files\[(?P<n>\d+)\]\.)?file_name_hex": lambda seen, found: (
        (seen.body["files"][int(found["n"])] if found["n"] else seen.body)["name"].encode("gbk").hex()
    ),
    r"0x0(?P<n>[01])\.file_(?P<what>name|size)": lambda seen, found: seen.body["files"][int(found["n"])][
        found["what"]
    ],
    r"0x0(?P<n>[01])\.file_name_length": lambda seen, found: len(seen.body["files"][int(found["n"])]["name"]),
    # trackers
    r"0x07\.bei_dou_count": lambda seen, _: len(seen.item(0x07)["beidou"]),
    r"0x07\.(?P<system>gps|glonass)_count": lambda seen, found: len(seen.item(0x07)[found["system"]]),
    r"0x07\.(?P<system>bei_dou|gps|glonass|galileo)\[(?P<n>\d+)\]\.(?P<what>no|elevation|azimuth_angle)": (
        lambda seen, found: seen.item(0x07)[found["system"].replace("_", "")][int(found["n"])][
            {"no": "number", "elevation": "elevation", "azimuth_angle": "azimuth"}[found["what"]]
        ]
    ),
    r"0x58\.humiditys": of_item(0x58, "humidities"),
    r"0x61\.volage": of_item(0x61, "voltage"),
    r"0xe2\.version": of_item(0xE2, "version"),
    r"0xf1\.iccid": of_item(0xF1, "iccid"),
    r"0xf6\.imei": of_item(0xF6, "imei"),
    r"0xfa\.alarm": of_item(0xFA, "alarm"),
    r"0xfb\.power_percent": of_item(0xFB, "battery"),
    r"0xfb\.power": of_item(0xFB, "voltage"),
    r"0xfb\.status": of_item(0xFB, "state"),
    "battery_level_percent": told_by(
        lambda seen: seen.item(0xE1)["battery"],
        lambda seen: seen.item(0xE4)["battery"],
        lambda seen: int(block(seen, 0xA8), 16),
        lambda seen: int(block(seen, 0xE1), 16),
    ),
    "external_power_volts": told_by(
        lambda seen: int(block(seen, 0x2D), 16) / 1000,
        lambda seen: seen.item(0xE1)["voltage"] / 10,
        lambda seen: seen.item(0x82)["voltage"] / 10,
    ),
    "temperature_1_celsius": told_by(lambda seen: seen.item(0x51)["temperatures"][0] / 10),
    "iccid": told_by(
        lambda seen: block(seen, 0xB2).rstrip("f"),
        lambda seen: seen.item(0xF8)["iccid"],
    ),
}

NOT_OURS: dict[str, str] = {
    **vector_control.NOT_OURS,
    "platform_reply_hex": "what the source's server answers: not a field of this frame",
    "bodies": "the source has an object for an empty body",
    "kind|yields_position|yields_attributes": "the source's class for it",
    "timezone|time_utc_as_asserted": "the source reads times in a zone that it is told",
    "base_handle": "the source's class",
    "longitude_deg_asserted": "the source divides by ten million",
    r"custom_location_attach_data\d": "a maker's own item, raw with us",
    "(?:basic|unknown)_location_attach_data_count": "how many items the source has classes for",
    "battery_volts|driver_unique_id|fuel_used_liters|tag1_mac|device_temp_celsius"
    "|lock[12]_battery|lock[12]_locked|driver|fuel1|charging|steps|phone_imei": "of a maker's own items",
    "fuel_used_liters|tag1_mac|device_temp_celsius": "of a maker's own passthrough",
    r"(?:.+\.)?location\.(?:msg_id_u16|body_attr_u16|protocol_version|serial|checksum_verified)": (
        "the source keeps a report as a message, with a header that it makes up"
    ),
    "(?:alarm|status)_sign_details": "flags by the source's names",
    r"result\[\d+\]\.location": "the name of a variable of the source",
    "motion|traccar_alarm": "made by the source from several fields",
}

COMPILED = [(re.compile(pattern), get) for pattern, get in KEYS.items()]
COMPILED_NOT = [re.compile(pattern) for pattern in NOT_OURS]


REPORT_WITHIN = {0x0500: re.compile(r"(?:location|jt808_0x0200)\.(?!basic)")}
"""Messages with a report in them, and what sources put before its keys."""


def lookup(key: str, message_id: int) -> tuple[Getter, Any] | None:
    """Where we have what a source calls `key`; None where it is not ours; KeyError where nobody knows."""
    if message_id in REPORT_WITHIN:
        key = REPORT_WITHIN[message_id].sub("", key, count=1)
    if place := vector_paths.find(message_id, key):
        return lambda seen, _: vector_paths.value_at(seen.body, *place), None
    if told := vector_control.find(message_id, key):
        return told
    for pattern, get in COMPILED:
        if found := pattern.fullmatch(key):
            return get, found
    if any(pattern.fullmatch(key) for pattern in COMPILED_NOT):
        return None
    raise KeyError(key)
