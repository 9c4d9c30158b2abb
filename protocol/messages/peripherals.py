"""Peripherals asked for their state and their make: the bodies of 0x8900 and 0x0900 of types 0xF7 and 0xF8.

T/JSATL 12 (Su) clause 4.2, T/GDRTA 002 (Guangdong) clause 5.2, which agree byte for byte. Layouts of what
stands behind the type of a passthrough message; `passthrough.py` has the messages.
"""

from __future__ import annotations

from construct import Construct, Struct

from protocol.composite import Counted, Sized, TextCounted
from protocol.fields import U8, U32, Bits, Codes, bit

STATE_TYPE, MAKE_TYPE = 0xF7, 0xF8

CLAUSE = "T/JSATL 12 clause 4.2 tables 4-1 to 4-7, T/GDRTA 002 clause 5.2 tables 5-1 to 5-7"

DEVICES = {0x64: "adas", 0x65: "driver", 0x66: "tyres", 0x67: "blind_spot"}  # Su table 4-5, Guangdong 5-5

_id = "id" / Codes(U8, DEVICES) * "外设ID: which peripheral"
_count = U8 * "消息列表总数: peripherals that follow"

STATE = Struct(  # Su table 4-6, Guangdong table 5-6
    "state"
    / Codes(U8, {1: "working", 2: "standby", 3: "upgrading", 4: "fault", 0x10: "disconnected"})
    * "工作状态: state of the peripheral",
    "alarm"
    / Bits(
        U32,
        bit(0, "camera_fault"),
        bit(1, "main_storage_fault"),
        bit(2, "backup_storage_fault"),
        bit(3, "infrared_light_fault"),
        bit(4, "speaker_fault"),
        bit(5, "battery_fault"),
        bit(10, "network_fault"),
        bit(11, "gnss_fault"),
    )
    * "报警状态: faults of the peripheral",
)
MAKE = Struct(  # Su table 4-7, Guangdong table 5-7; each text has at most 32 bytes
    "maker" / TextCounted() * "公司名称: maker of the peripheral",
    "model" / TextCounted() * "产品型号: model of the product",
    "hardware_version" / TextCounted() * "硬件版本号: version of the hardware",
    "software_version" / TextCounted() * "软件版本号: version of the software",
    "device_id" / TextCounted() * "设备ID: number of the device",
    "customer_code" / TextCounted() * "客户代码: the maker's own code of the customer",
)


def _each(content: Construct, docs: str) -> Struct:
    told = Struct(_id, "content" / Sized(U8 * "消息长度: bytes of the content [byte]", content) * docs)
    return Struct("peripherals" / Counted(_count, told) * "外设消息结构: what each of them tells")


QUERY = Struct(
    "peripherals"
    / Counted(U8 * "外设ID列表总数: peripherals that follow", Codes(U8, DEVICES))
    * "外设ID: peripherals that are asked"
)

PERIPHERALS: dict[int, Construct] = {  # uplink, 0x0900
    STATE_TYPE: _each(STATE, "外设状态信息: its state"),
    MAKE_TYPE: _each(MAKE, "外设系统信息: its make"),
}
PERIPHERAL_QUERIES: dict[int, Construct] = {STATE_TYPE: QUERY, MAKE_TYPE: QUERY}  # downlink, 0x8900
