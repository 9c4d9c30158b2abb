"""Files told by their first bytes."""

from __future__ import annotations

import pytest

from protocol.content import BLOCKS, H264, H265, HEAD, JPEG, KINDS, MP4, OTHER, PNG, WAV, recognise
from protocol.messages.evidence import write_states

BLOCK = {
    "alarm": 0, "status": 3, "latitude": 1, "longitude": 2, "altitude": 3, "speed": 4, "heading": 5,
    "time": 1_700_000_000, "acceleration_x": 0, "acceleration_y": 0, "acceleration_z": 0, "rotation_x": 0,
    "rotation_y": 0, "rotation_z": 0, "pulse_speed": 0, "obd_speed": 0, "gear": 0, "accelerator": 0,
    "brake_pedal": 0, "braking": 0, "engine_speed": 0, "steering": 0, "indicator": 0,
}  # fmt: skip
STATES = write_states([BLOCK, BLOCK])


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xd8\xff\xe0" + bytes(60), JPEG),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), PNG),
        (b"\0\0\0\x18ftypisom" + bytes(60), MP4),
        (b"RIFF\0\0\0\0WAVEfmt " + bytes(60), WAV),
        (b"\0\0\0\x01\x67\x42" + bytes(60), H264),
        (b"\0\0\x01\x67\x42" + bytes(60), H264),
        (b"\0\0\0\x01\x40\x01" + bytes(60), H265),
        (STATES, BLOCKS),
        (STATES[:63], OTHER),
        (bytes(128), OTHER),
        (b"<html><script>" + bytes(50), OTHER),
        (b"", OTHER),
    ],
)
def test_recognise(data, kind):
    assert recognise(data[:HEAD], len(data)) is kind
    assert KINDS[kind.media_type].media_type == kind.media_type
