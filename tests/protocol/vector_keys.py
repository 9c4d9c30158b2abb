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


def see(vector: Mapping[str, Any]) -> Seen:
    """The frame of a vector; a bare body gets a header, of the edition that the source names."""
    wire = vector.get("wire_hex") or vector.get("hex")
    if wire is None:
        edition = Edition(int(vector.get("version") or 2013))
        body = bytes.fromhex(vector["body_hex"])
        phone = header.phone_bytes("0", edition)
        message_id = int(vector["msg_id"], 16)
        wire = frame.escape(header.build(message_id, phone, 0, len(body)) + body).hex()
    opened = codec.unwrap(wire)
    told = codec.decode(wire)
    return Seen(int(told.get("message_id", "0"), 16), told, opened)


def flat(expected: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The expectations of a source as key and value; a list of plain values is one value."""
    for key, value in expected.items():
        where = f"{path}.{key}" if path else key
        if isinstance(value, Mapping) and value:
            yield from flat(value, where)
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for number, element in enumerate(value):
                yield from flat(element, f"{where}[{number}]")
        else:
            yield where, value


def same(expected: Any, ours: Any) -> bool:
    """Whether two notations mean one value."""
    if isinstance(ours, str) and isinstance(expected, str):
        if re.match(r"20\d\d-\d\d-\d\dT", ours):  # a time without its zone
            return re.sub(r"\D", "", expected)[-12:] == re.sub(r"\D", "", ours[:19])[-12:]
        return expected == ours
    if isinstance(ours, bool):
        return expected in ({True, "true", 1} if ours else {False, "false", 0})
    if isinstance(expected, float):
        return abs(expected - ours) < 1e-6
    return bool(expected == ours)


Getter = Callable[[Seen, re.Match[str]], Any]


def field(name: str) -> Getter:
    return lambda seen, _: seen.body[name]


def named(name: str, names: Mapping[str, int]) -> Getter:
    """A code that a source writes by its own name for it."""

    def get(seen: Seen, found: re.Match[str]) -> Any:
        value = seen.body[name]
        return next((spelt for spelt, number in names.items() if number == value), value)

    return get


def of_report(name: str) -> Getter:
    """A field of the report that the key's first number names."""
    return lambda seen, found: seen.report(int(found["n"] or 0))[name]


def of_item(item_id: int, name: str) -> Getter:
    return lambda seen, found: seen.item(item_id, int(found["n"] or 0))[name]


def bit_of(item_id: int, name: str, number: int) -> Getter:
    return lambda seen, _: bool(seen.item(item_id)[name] >> number & 1)


def text(get: Getter) -> Getter:
    return lambda seen, found: str(get(seen, found))


def phone(seen: Seen, _: re.Match[str]) -> str:
    return seen.head.phone.hex()


def padded(name: str, width: int) -> Getter:
    """Text in the bytes of its field."""
    return lambda seen, _: seen.body[name].encode("gbk").ljust(width, b"\0").hex()


def item_length(seen: Seen, found: re.Match[str]) -> int:
    wanted = int(found["id"], 16)
    places = [p for p in codec.explain(seen.opened.data + seen.opened.trailer) if p.value == f"{wanted:#04x}"]
    return places[0].raw[1]


SIGNALS = (
    "近光灯信号 远光灯信号 右转向灯信号 左转向灯信号 制动信号 倒挡信号 雾灯信号 示廓灯 喇叭信号 空调状态 "
    "空挡信号 缓速器工作 ABS工作 加热器工作 离合器状态"
).split()
RESULTS = {"RESULT_ALARM_MSG_ACK": 4}

REPORT = r"(?:(?:position|location\.basic|(?:positions|item_list|items)\[(?P<n>\d+)\]|item_list_partial\.(?P<m>\d+)|items_each)\.)?(?:location_(?:data|info)\.)?"
REPORT = REPORT.replace(r"item_list_partial\.(?P<m>\d+)", r"item_list_partial\.0")

KEYS: dict[str, Getter] = {
    # the header
    "msg_id_u16": lambda seen, _: seen.message_id,
    "msg_id_hex": lambda seen, _: f"{seen.message_id:04x}",
    "serial|msg_num|flow_id": lambda seen, _: seen.head.serial,
    "phone": phone,
    "body_attr_u16|message_body_props.value": lambda seen, _: seen.head.properties,
    "protocol_version|version": lambda seen, _: seen.head.version,
    "message_body_property.version_flag": lambda seen, _: bool(seen.head.properties & header.VERSIONED),
    "message_body_props.message_body_length|body_len": lambda seen, _: len(seen.opened.body),
    "message_body_props.has_sub_package": lambda seen, _: seen.head.total > 0,
    "message_body_props.encryption_type|encrypt": lambda seen, _: seen.told.get("encryption", 0),
    "checksum_verified": lambda seen, _: seen.told["checksum_ok"],
    "checksum_u8": lambda seen, _: seen.opened.trailer[0],
    "body_hex": lambda seen, _: seen.opened.body.hex(),
    # acknowledgements
    "reply_msg_num|ack_msg_num|seq|serial_number|field1_u16|client_flow_id|terminal_flow_id|response_serial_no"
    "|respond_serial_number|reply_serial": lambda seen, _: seen.body[
        "first_serial" if "first_serial" in seen.body else "reply_serial"
    ],
    "reply_msg_id|ack_msg_id|field2_u16|response_message_id|respond_id|reply_msg_id_u16": field("reply_id"),
    "terminal_result|jt808_platform_result|jt808_terminal_register_result|result|result_code": named(
        "result", RESULTS
    ),
    "result_is_failure": lambda seen, _: seen.body["result"] != 0,
    # parts to send again
    "original_message_flow_id|original_serial_number": field("first_serial"),
    "package_count|package_id_list_count|again_package_count": lambda seen, _: len(seen.body["parts"]),
    "package_id_list|again_package_list": field("parts"),
    "id": lambda seen, _: next(seen.body[n] for n in ("parts", "reply_id", "terminal_id") if n in seen.body),
    # registration and authentication
    "area_id|province_id|province": field("province"),
    "city_or_county_id|city_id|city": field("city"),
    "maker_id|manufacturer_id|manufacturer": field("maker"),
    "terminal_model|device_model|model": field("model"),
    "device_id": field("terminal_id"),
    "terminal_id": lambda seen, _: (
        seen.body["terminal_id"] if "terminal_id" in seen.body else header.phone_text(seen.head.phone)
    ),
    "plate_color": field("plate_colour"),
    "color": named("plate_colour", {"Yellow": 2}),
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
    REPORT + "speed_0_1kmh": of_report("speed"),
    "speed": of_report("speed"),
    REPORT + "direction_deg": of_report("heading"),
    REPORT + "time": of_report("time"),
    "latitude_deg": lambda seen, _: seen.report()["latitude"] / 1e6,
    "longitude_deg": lambda seen, _: seen.report()["longitude"] / 1e6,
    "acc_on": lambda seen, _: bool(seen.report()["status"] & 1),
    "count|bodies_count|item_list_count|num|item_count": field("count"),
    "location_type|type|batch_type": field("type"),
    r"items\[(?P<n>\d+)\].len": lambda seen, found: 28 + 0 * len(seen.report(int(found["n"]))["items"]),
    "item_ids_in_order": lambda seen, _: [entry["id"] for entry in seen.report()["items"]],
    "no_active_safety_item": lambda seen, _: (
        not ({entry["id"] for entry in seen.report()["items"]} & {"0x64", "0x65", "0x66", "0x67"})
    ),
    # items
    r"(?P<id>0x[0-9a-f]{2})\.(?:length|item_length|attach_info_length)": item_length,
    r"(?P<id>0x[0-9a-f]{2})\.(?:item_id|attach_info_id)": lambda seen, found: int(found["id"], 16),
    REPORT + r"0x01(?:\.mileage_0_1km)?": of_item(0x01, "mileage"),
    REPORT + r"0x02(?:\.fuel_0_1L)?": of_item(0x02, "fuel"),
    r"(?P<n>)0x03(?:\.speed|\.recorder_speed_0_1kmh)?": of_item(0x03, "speed"),
    r"(?P<n>)0x04(?:\.event_id|\.manual_confirm_alarm_id)?": of_item(0x04, "event"),
    "0x05": lambda seen, _: seen.item(0x05)["pressures"],
    r"0x05\.轮胎(?P<wheel>\d+)胎压": lambda seen, found: seen.item(0x05)["pressures"][int(found["wheel"])],
    r"(?P<n>)0x06(?:\.compartment_temp_c)?": of_item(0x06, "temperature"),
    r"(?P<n>)0x1(?P<i>[12])\.(?:area_type)": lambda seen, found: seen.item(0x10 + int(found["i"]))[
        "area_type"
    ],
    r"0x1(?P<i>[12])\.jt808_position_type": lambda seen, found: {1: "circular_region"}[
        seen.item(0x10 + int(found["i"]))["area_type"]
    ],
    r"0x1(?P<i>[12])\.(?:area_id|area_or_road_id)": lambda seen, found: seen.item(0x10 + int(found["i"]))[
        "area_id"
    ],
    r"(?P<n>)0x12\.direction": of_item(0x12, "direction"),
    r"0x12\.direction_deg": lambda seen, _: {1: "direction_out"}.get(
        seen.item(0x12)["direction"], seen.item(0x12)["direction"]
    ),
    r"(?P<n>)0x13\.(?:driven_route_id|area_id|road_id)": of_item(0x13, "segment_id"),
    r"(?P<n>)0x13\.(?:time|drive_time|drive_time_s)": of_item(0x13, "duration"),
    r"(?P<n>)0x13\.result": of_item(0x13, "result"),
    r"0x13\.driven_route": lambda seen, _: {1: "overlength"}[seen.item(0x13)["result"]],
    r"(?P<n>)0x25(?:\.car_signal_status|\.ext_signal_u32)?": of_item(0x25, "signals"),
    **{rf"0x25\.{name}": bit_of(0x25, "signals", number) for number, name in enumerate(SIGNALS)},
    r"0x25\.保留": lambda seen, _: f"{seen.item(0x25)['signals'] >> 15:016b}",
    r"(?P<n>)0x2a(?:\.io_status|\.io_status_u16)?": of_item(0x2A, "io"),
    r"0x2a\.深度休眠状态": bit_of(0x2A, "io", 0),
    r"0x2a\.休眠状态": bit_of(0x2A, "io", 1),
    r"0x2a\.保留": lambda seen, _: f"{seen.item(0x2A)['io'] >> 2:014b}",
    r"0x2b(?:\.analog_u32)?": lambda seen, _: seen.item(0x2B)["ad1"] << 16 | seen.item(0x2B)["ad0"],
    r"0x2b\.analogs": lambda seen, _: [seen.item(0x2B)["ad1"], seen.item(0x2B)["ad0"]],
    r"(?P<n>)0x30(?:\.rssi|\.wi_fi_signal_strength)?": of_item(0x30, "strength"),
    r"(?P<n>)0x31(?:\.gnss_satellites|\.gnss_count)?": of_item(0x31, "satellites"),
}

NOT_OURS: dict[str, str] = {
    "platform_reply_hex": "what the source's server answers: not a field of this frame",
    "bodies": "the source has an object for an empty body",
    "kind|yields_position|yields_attributes": "the source's class for it",
    "timezone": "a setting of the source",
}

COMPILED = [(re.compile(pattern), get) for pattern, get in KEYS.items()]
COMPILED_NOT = [re.compile(pattern) for pattern in NOT_OURS]


def lookup(key: str) -> tuple[Getter, re.Match[str]] | None:
    """Where we have what a source calls `key`; None where it is not ours; KeyError where nobody knows."""
    for pattern, get in COMPILED:
        if found := pattern.fullmatch(key):
            return get, found
    if any(pattern.fullmatch(key) for pattern in COMPILED_NOT):
        return None
    raise KeyError(key)
