"""What a terminal does and says when the platform commands: a table from message id to function.

Pure: a function takes what the terminal keeps (`simulator/device.py`) and the decoded command, changes the
one and yields messages. The general acknowledgement comes from the catalogue's row, or from `Refused`.
Knows no connection; when a message is sent is the terminal's matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from protocol import catalog
from protocol.codec import EncodeError
from protocol.header import Edition
from protocol.link import Message, Result
from protocol.location import LOCATION, SIZE
from protocol.messages import DIALECTS, EDITIONS, areas, peripherals
from simulator.bodies import Say
from simulator.device import (
    AUDIO,
    CHANNELS,
    DOORS_LOCKED,
    FUEL_CUT,
    IMAGE,
    Device,
    Order,
    Recording,
)
from simulator.identity import Dialect

ACK, MEDIA = 0x0001, 0x0801
PART = 900  # bytes of a recording in one 0x0801 of 2011, which numbers them itself (808-2011 table 66)
MAX_SHOTS = 10
DAY, HOUR = 86400, 3600


class Refused(Exception):  # noqa: N818 - an answer of the protocol, no error of the program
    """The command is acknowledged with this result, and nothing is done."""

    def __init__(self, result: Result = Result.FAILURE) -> None:
        self.result = result


class Asked(msgspec.Struct):
    """A command as its function sees it."""

    id: int
    serial: int
    body: bytes
    fields: Mapping[str, Any]
    now: float
    report: bytes  # body of a 0x0200 of this moment


Answer = Callable[[Device, Asked], Iterator[Say]]


def answer(device: Device, command: Message, now: float, report: Callable[[], bytes]) -> list[Say]:
    """All that the terminal has to say to `command`. `report` makes a report of this moment."""
    config, row = device.config, EDITIONS[Edition.V2019].get(command.id)
    known = command.id in EDITIONS[config.edition] or command.id in DIALECTS.get(config.dialect, ())
    function = ANSWERS.get(command.id)
    if function is None and row is not None and not row.acknowledged and not row.answer:
        return []  # no command: an answer, or what the link has seen to
    if function is None or not known:
        return [acknowledgement(command, Result.UNSUPPORTED)]
    reading = device.profile.decode(command.id, command.body)
    if reading.breaks or reading.row is None:
        return [acknowledgement(command, Result.MALFORMED)]
    body = report() if command.id in REPORTING else b""
    try:
        said = list(
            function(device, Asked(command.id, command.serial, command.body, reading.fields, now, body))
        )
    except Refused as refused:
        return [acknowledgement(command, refused.result)]
    return [acknowledgement(command, Result.OK), *said] if reading.row.acknowledged else said


def acknowledgement(command: Message, result: int) -> Say:
    """0x0001 (808-2013 table 4)."""
    return Say(ACK, command.serial.to_bytes(2) + command.id.to_bytes(2) + bytes((result,)))


def _say(device: Device, message_id: int, fields: Mapping[str, Any], after: float = 0.0) -> Say:
    return Say(message_id, device.profile.encode(message_id, fields), after)


def done(device: Device, asked: Asked) -> Iterator[Say]:
    """The acknowledgement says it all."""
    yield from ()


# --- parameters, properties ---------------------------------------------------------------------------


def set_parameters(device: Device, asked: Asked) -> Iterator[Say]:
    for entry in asked.fields["parameters"]:
        device.set_parameter(entry)
    yield from ()


def query_parameters(device: Device, asked: Asked) -> Iterator[Say]:
    ids = asked.fields.get("ids")
    wanted = device.parameters if ids is None else ids
    found = [device.parameters[number] for number in wanted if number in device.parameters]
    yield _say(device, 0x0104, {"reply_serial": asked.serial, "parameters": found})


def query_properties(device: Device, asked: Asked) -> Iterator[Say]:
    fields = {
        "type": 0x0005 if device.config.edition is Edition.V2013 else 0x0004,
        "maker": "JTSIM",
        "model": "SIM-808",
        "terminal_id": device.config.terminal_id,
        "iccid": f"8986{device.config.phone[-16:].lower():0>16}",
        "hardware_version": "H1.0",
        "firmware_version": "F2.3.1",
        "gnss": 0x03,
        "modem": 0x20,
    }
    yield _say(device, 0x0107, fields)


def control(device: Device, asked: Asked) -> Iterator[Say]:
    command = asked.fields["command"]
    if command in (0x64, 0xF0):
        device.status |= FUEL_CUT
    elif command in (0x65, 0xF1):
        device.status &= ~FUEL_CUT
    elif command == 1:
        yield from _upgraded(device, asked, 0)
    elif command not in (2, 3, 4, 5, 6, 7, 0x74):
        raise Refused(Result.UNSUPPORTED)


def upgrade_package(device: Device, asked: Asked) -> Iterator[Say]:
    yield from _upgraded(device, asked, asked.fields["type"])


def _upgraded(device: Device, asked: Asked, kind: int) -> Iterator[Say]:
    """An upgrade that succeeds; Guangdong wants to hear how it gets on."""
    if device.config.dialect is Dialect.GUANGDONG:
        for after, (state, progress) in enumerate(((1, 40), (2, 100), (4, 60), (5, 100)), 1):
            told = {"type": kind, "state": state, "progress": progress, "error": 0}
            yield _say(device, 0x1FC4, {"reply_serial": asked.serial, **told}, after * 0.5)
    yield _say(device, 0x0108, {"type": kind, "result": 0}, 2.5)


# --- position, vehicle, texts ---------------------------------------------------------------------------


def query_location(device: Device, asked: Asked) -> Iterator[Say]:
    yield Say(0x0201, asked.serial.to_bytes(2) + asked.report)


def track(device: Device, asked: Asked) -> Iterator[Say]:
    interval = asked.fields["interval"]
    device.track = (interval, asked.now + asked.fields["validity"]) if interval else None
    yield from ()


def send_text(device: Device, asked: Asked) -> Iterator[Say]:
    device.texts.append(asked.fields["text"])
    device.heard += 1
    yield from ()


def ask_question(device: Device, asked: Asked) -> Iterator[Say]:
    answers = asked.fields["answers"]
    if answers:
        fields = {"reply_serial": asked.serial, "answer_id": answers[0]["id"]}
        yield _say(device, 0x0302, fields, after=1.0)


def control_vehicle(device: Device, asked: Asked) -> Iterator[Say]:
    controls = asked.fields.get("controls")
    if controls is None:
        lock = bool(asked.fields["flags"] & 1)
    elif all(thing["type"] == 1 for thing in controls):
        lock = any(thing["value"] == 0 for thing in controls)
    else:
        raise Refused(Result.UNSUPPORTED)
    device.status = device.status | DOORS_LOCKED if lock else device.status & ~DOORS_LOCKED
    status = int.from_bytes(asked.report[4:8]) & ~DOORS_LOCKED | device.status
    report = asked.report[:4] + status.to_bytes(4) + asked.report[8:]
    yield Say(0x0500, asked.serial.to_bytes(2) + report, 0.2)


# --- areas ----------------------------------------------------------------------------------------------


def set_areas(device: Device, asked: Asked) -> Iterator[Say]:
    kind = (asked.id - 0x8600) // 2 + 1
    if kind in (1, 2):
        device.change_areas(kind, asked.fields["type"], asked.fields["areas"])
    else:
        device.change_areas(kind, 2, [dict(asked.fields)])
    yield from ()


def delete_areas(device: Device, asked: Asked) -> Iterator[Say]:
    device.delete_areas((asked.id - 0x8600) // 2 + 1, asked.fields["ids"])
    yield from ()


def query_areas(device: Device, asked: Asked) -> Iterator[Say]:
    kind, ids = asked.fields["type"], asked.fields["ids"]
    kept = device.areas.get(kind)
    if kept is None:
        raise Refused(Result.MALFORMED)
    found = [kept[number] for number in ids or kept if number in kept]
    data = [{"type": 0, "areas": [area]} for area in found] if kind in (1, 2) else found
    try:
        body = catalog.encode(areas.STORED, {"type": kind, "data": data}, name="areas")
    except EncodeError:  # set in the form of an earlier edition, which lacks fields
        raise Refused from None
    yield Say(0x0608, body)


# --- recordings -----------------------------------------------------------------------------------------


def take_picture(device: Device, asked: Asked) -> Iterator[Say]:
    """Pictures one after the other; 0x0805 names them once the last is taken (808-2013 8.55)."""
    fields = asked.fields
    answered = device.config.edition is not Edition.V2011
    result, found = 0, []
    if fields["command"] == 0xFFFF:
        result = 1  # video goes by JT/T 1078
    elif fields["channel"] not in CHANNELS:
        result = 2
    else:
        for number in range(min(fields["command"], MAX_SHOTS)):
            time = asked.now + number * fields["interval"]
            found.append(device.record(IMAGE, 0, fields["channel"], asked.report[:SIZE], time))
    last = (len(found) - 1) * fields["interval"] if found else 0.0
    if answered:
        ids = {"media_ids": [one.id for one in found]} if result == 0 else {}
        yield _say(device, 0x0805, {"reply_serial": asked.serial, "result": result, **ids}, 0.1 + last)
    if fields["save"] == 0:
        for number, recording in enumerate(found):
            yield from _upload(device, recording, 0.2 + number * fields["interval"], tell=True)


def record_audio(device: Device, asked: Asked) -> Iterator[Say]:
    if asked.fields["command"] == 1:
        recording = device.record(AUDIO, 0, 1, asked.report[:SIZE], asked.now)
        if asked.fields["save"] == 0:
            yield from _upload(device, recording, float(min(asked.fields["duration"], 60)), tell=True)


def _matching(device: Device, fields: Mapping[str, Any]) -> list[Recording]:
    """Recordings of a kind, channel (0: any), event and time (zeros, which are no time: any)."""
    start, end = (fields[name] if isinstance(fields[name], int) else None for name in ("start", "end"))
    return [
        one
        for one in device.recordings.values()
        if one.kind == fields["type"]
        and fields["channel"] in (0, one.channel)
        and one.event == fields["event"]
        and (start is None or one.time >= start)
        and (end is None or one.time <= end)
    ]


def search_media(device: Device, asked: Asked) -> Iterator[Say]:
    found = _matching(device, asked.fields)
    with_id = device.config.edition is not Edition.V2011
    items = [
        {"type": one.kind, "channel": one.channel, "event": one.event, "location": _location(one)}
        | ({"media_id": one.id} if with_id else {})
        for one in found
    ]
    yield _say(device, 0x0802, {"reply_serial": asked.serial, "total": len(items), "items": items})


def upload_media(device: Device, asked: Asked) -> Iterator[Say]:
    for number, recording in enumerate(_matching(device, asked.fields)):
        yield from _upload(device, recording, 0.2 * number)
        if asked.fields["remove"]:
            del device.recordings[recording.id]


def upload_one_media(device: Device, asked: Asked) -> Iterator[Say]:
    recording = device.recordings.get(asked.fields["media_id"])
    if recording is None:
        raise Refused
    yield from _upload(device, recording, 0.0)
    if asked.fields["remove"]:
        del device.recordings[recording.id]


def media_answer(device: Device, asked: Asked) -> Iterator[Say]:
    """0x8800: parts that are listed are sent again."""
    parts = asked.fields.get("parts") or ()
    recording = device.recordings.get(asked.fields["media_id"])
    if recording is None or not parts:
        return
    again = list(_upload(device, recording, 0.0))
    if device.config.edition is Edition.V2011:
        yield from (again[part - 1] for part in parts if 1 <= part <= len(again))
    else:
        yield Say(MEDIA, again[0].body, media=recording.id, parts=tuple(parts))


def _location(recording: Recording) -> dict[str, Any]:
    return catalog.decode(LOCATION, recording.place).fields


def _upload(device: Device, one: Recording, after: float, *, tell: bool = False) -> Iterator[Say]:
    """`tell`: 0x0800 goes before it, as after an event (808-2013 8.51)."""
    facts: dict[str, Any] = {
        "media_id": one.id, "type": one.kind, "format": one.format, "event": one.event, "channel": one.channel
    }  # fmt: skip
    if tell:
        yield _say(device, 0x0800, facts, after)
    data = one.data
    if device.config.edition is not Edition.V2011:
        body = device.profile.encode(MEDIA, facts | {"location": _location(one), "data": data})
        yield Say(MEDIA, body, after, media=one.id)
        return
    parts = [data[at : at + PART] for at in range(0, len(data), PART)]
    for index, part in enumerate(parts, 1):
        yield _say(device, MEDIA, facts | {"total": len(parts), "index": index, "data": part}, after)


# --- peripherals, video, evidence -----------------------------------------------------------------------

_STATE = {"state": 1, "alarm": 0}
_MAKE = {
    "maker": "JTSIM",
    "model": "SIM-ASS",
    "hardware_version": "H1.0",
    "software_version": "S1.4.2",
    "device_id": "SIM0001",
    "customer_code": "DEMO",
}


def passthrough(device: Device, asked: Asked) -> Iterator[Say]:
    """0xF7 and 0xF8 ask peripherals for their state and make; other content is nobody's here."""
    kind, content = asked.fields["type"], asked.fields["content"]
    layout = peripherals.PERIPHERALS.get(kind)
    if layout is None or not isinstance(content, Mapping) or device.config.dialect is Dialect.PLAIN:
        raise Refused(Result.UNSUPPORTED)
    told = _STATE if kind == peripherals.STATE_TYPE else _MAKE
    found = {"peripherals": [{"id": number, "content": told} for number in content["peripherals"]]}
    total = {"total": len(layout.build(found))} if device.config.edition is Edition.V2011 else {}
    yield _say(device, 0x0900, {"type": kind, **total, "content": found}, 0.1)


def av_attributes(device: Device, asked: Asked) -> Iterator[Say]:
    fields = {
        "audio_codec": 6,
        "audio_channels": 1,
        "sample_rate": 0,
        "sample_bits": 1,
        "audio_frame": 320,
        "audio_output": 1,
        "video_codec": 98,
        "max_audio": 2,
        "max_video": 4,
    }
    yield _say(device, 0x1003, fields)


def query_resources(device: Device, asked: Asked) -> Iterator[Say]:
    """An hour each of all channels, of a day at the most: too long a list for one packet."""
    fields = asked.fields
    end = fields["end"] if isinstance(fields["end"], int) else int(asked.now)
    start = fields["start"] if isinstance(fields["start"], int) else end - DAY
    start = max(start, end - DAY)
    found = [
        {
            "channel": channel,
            "start": time,
            "end": min(time + HOUR, end),
            "alarm": 0,
            "media": 0,
            "stream": 1,
            "storage": 1,
            "size": 180_000_000,
        }
        for channel in ((1, 2, 3, 4) if fields["channel"] == 0 else (fields["channel"],))
        for time in range(start, end, HOUR)
    ]
    yield _say(device, 0x1205, {"reply_serial": asked.serial, "resources": found})


def evidence_upload(device: Device, asked: Asked) -> Iterator[Say]:
    if device.config.dialect is Dialect.PLAIN:
        raise Refused(Result.UNSUPPORTED)
    fields = asked.fields
    at = 1 + asked.body[0] + 4
    alarm = device.announced.get(asked.body[at : len(asked.body) - 48])  # number and reserve are behind it
    if alarm is None:
        raise Refused
    device.orders.append(Order(fields["server"], fields["tcp_port"], alarm, fields["number"]))
    yield from ()


ANSWERS: dict[int, Answer] = {
    **dict.fromkeys((0x8203, 0x8204, 0x8301, 0x8303, 0x8304, 0x8400, 0x8401), done),
    0x8103: set_parameters,
    0x8104: query_parameters,
    0x8105: control,
    0x8106: query_parameters,
    0x8107: query_properties,
    0x8108: upgrade_package,
    0x8201: query_location,
    0x8202: track,
    0x8300: send_text,
    0x8302: ask_question,
    0x8500: control_vehicle,
    **dict.fromkeys((0x8600, 0x8602, 0x8604, 0x8606), set_areas),
    **dict.fromkeys((0x8601, 0x8603, 0x8605, 0x8607), delete_areas),
    0x8608: query_areas,
    0x8800: media_answer,
    0x8801: take_picture,
    0x8802: search_media,
    0x8803: upload_media,
    0x8804: record_audio,
    0x8805: upload_one_media,
    0x8900: passthrough,
    0x9003: av_attributes,
    0x9205: query_resources,
    0x9208: evidence_upload,
}
REPORTING = frozenset((0x8201, 0x8500, 0x8801, 0x8804))
"""Commands for which a report is made: it moves the terminal's counters."""
