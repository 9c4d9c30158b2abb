"""Evidence messages in every dialect, and the files of vehicle states. Vectors are in `evidence.jsonl`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import catalog, codec
from protocol.catalog import EncodeError, Row
from protocol.header import Edition
from protocol.messages import DIALECTS, EDITIONS
from protocol.messages.evidence import STATE, checksum, read_states, write_states
from protocol.messages.safety import GUANGDONG_IDENTIFIER, SU_IDENTIFIER
from protocol.schema import example, shape
from tests.protocol.own import chapters, vectors
from tests.protocol.strategies import values

OWN = vectors("evidence")
FORMS = [(dialect, row) for dialect, rows in DIALECTS.items() for row in rows.values()]
UNPINNED = codec.Profile(Edition.V2013)

SU = "544d3130303031 260909123045 02 01 00"
LONG = "5445524d494e414c30303031" + "00" * 18 + "260909123045 02 01"
IDENTIFIERS = {"su": SU, "hunan": SU[:-2] + "00" * 17, "heilongjiang": LONG, "sichuan": LONG + "07"}
IDENTIFIERS["guangdong"] = LONG + "0506"

every_form = pytest.mark.parametrize(("dialect", "row"), FORMS, ids=[f"{r.id:#06x}-{d}" for d, r in FORMS])


# --- dialects ---


def test_every_form_has_a_vector_of_its_own() -> None:
    own = [vector for chapter in chapters() for vector in vectors(chapter)]
    covered = {(vector.get("dialect"), int(vector["message"], 16)) for vector in own}
    assert {(dialect, row.id) for dialect, row in FORMS} <= covered


@every_form
def test_a_form_is_complete(dialect: str, row: Row) -> None:
    assert row.dialect == dialect
    base = EDITIONS[Edition.V2019].get(row.id)
    if base is not None:
        assert (row.name, row.answer, row.acknowledged) == (base.name, base.answer, base.acknowledged)
    for name, field in shape(row.layout)["properties"].items():
        assert field["title"], name
        assert field["description"], name
    catalog.encode(row.layout, example(row.layout))


@every_form
@given(data=st.data())
def test_what_is_written_is_read_again(dialect: str, row: Row, data: st.DataObject) -> None:
    value = data.draw(values(row.layout))
    body = catalog.encode(row.layout, value)
    found = catalog.decode(row.layout, body)
    assert ({name: found.fields[name] for name in value}, found.rest, found.breaks) == (value, b"", [])


@pytest.mark.parametrize(
    "vector", [vector for vector in OWN if vector.get("dialect") not in (None, "chongqing")]
)
def test_a_dialect_is_known_by_the_bytes(vector: dict[str, Any]) -> None:
    if "identifier" not in vector["fields"]:
        return  # kinds of files have the same bytes in Su and Guangdong
    reading = UNPINNED.decode(int(vector["message"], 16), bytes.fromhex(vector["body"]), present=True)
    assert reading.row is not None
    assert (reading.row.dialect, reading.fields) == (vector["dialect"], vector["fields"])


def test_a_pin_decides_where_the_bytes_do_not() -> None:
    body = bytes.fromhex("03 612e62 04 00000001")
    for dialect, kind in ((None, "other"), ("su", "other"), ("guangdong", "face"), ("sichuan", "other")):
        (part,) = (p for p in codec.Profile(Edition.V2019, dialect).explain(0x1211, body) if p.path == "type")
        assert part.names == kind


def test_a_pin_is_no_law() -> None:
    """A terminal that is pinned to Guangdong and sends the Su form."""
    vector = OWN[0]
    reading = codec.Profile(Edition.V2019, "guangdong").decode(0x1210, bytes.fromhex(vector["body"]))
    assert reading.row is not None
    assert (reading.row.dialect, reading.breaks, reading.rest) == ("su", [], b"")


def test_the_choice_is_explained() -> None:
    (vector,) = (v for v in OWN if (v["message"], v.get("dialect")) == ("0x9208", "guangdong"))
    wire = codec.encode(0x9208, vector["fields"], "13800000000", 1, 2019)
    told = codec.decode(wire)
    assert told["dialect"] == "guangdong"
    (taken,) = (reading for reading in told["readings"] if reading["taken"])
    assert (taken["clause"], taken["outcome"]) == (told["clause"], "comes out even")
    outcomes = {reading["dialect"]: reading["outcome"] for reading in told["readings"]}
    assert outcomes == {"su": "leaves 24 bytes", "guangdong": "comes out even"}


def test_evidence_with_an_unset_clock_is_still_read() -> None:
    body = bytearray.fromhex(OWN[0]["body"])
    body[14:20] = bytes(6)
    reading = UNPINNED.decode(0x1210, bytes(body))
    assert reading.row is not None
    assert (reading.row.dialect, reading.breaks, reading.rest) == ("su", [], b"")
    assert reading.fields["identifier"]["time"] == bytes(6)


def test_a_list_of_files_that_is_cut() -> None:
    body = bytes.fromhex(OWN[0]["body"])
    reading = UNPINNED.decode(0x1210, body[:-2])
    assert reading.fields["files"] == [{"name": "00_64_6401_0_7.jpg"}]
    assert (reading.breaks[0].path, reading.rest) == ("files[0].size", b"\0\0")


# --- identifiers byte for byte ---


@pytest.mark.parametrize("dialect", IDENTIFIERS)
def test_a_command_repeats_an_identifier(dialect: str) -> None:
    """Padding that a device made its own way, here spaces, must come back (T/JSATL 12 clause 4.5)."""
    raw = bytes.fromhex(IDENTIFIERS[dialect]).replace(b"\0\0\0\0", b"    ")
    fields = {"server": "203.0.113.29", "tcp_port": 1, "udp_port": 0, "number": "n", "reserved": b""}
    for identifier in (raw, raw.hex()):
        body = UNPINNED.encode(0x9208, fields | {"identifier": identifier})
        assert body[17 : 17 + len(raw)] == raw
        assert len(body) == 17 + len(raw) + 48


def test_an_identifier_of_no_dialect() -> None:
    fields = {"server": "", "tcp_port": 1, "udp_port": 0, "number": "n", "reserved": b""}
    with pytest.raises(EncodeError, match=r"evidence_upload.*17 bytes, the identifier has 16"):
        UNPINNED.encode(0x9208, fields | {"identifier": bytes(17)})
    with pytest.raises(EncodeError, match="16 bytes, the identifier has 40"):
        codec.Profile(Edition.V2019, "guangdong").encode(0x9208, fields | {"identifier": bytes(16)})
    assert (SU_IDENTIFIER.sizeof(), GUANGDONG_IDENTIFIER.sizeof()) == (16, 40)


# --- vehicle states ---

BLOCK = (
    "00000002 00000000 00000002 00000003 015809b8 06ccd03b 0064 0258 005a 260909123045"
    "0005 fffb 0064 0000 0000 ff9c 0258 0256 04 28 00 00 0708 ffa6 01 0000"
)


def block(text: str = BLOCK) -> bytes:
    raw = bytes.fromhex(text)
    return raw + bytes([sum(raw) & 0xFF])


def test_a_block() -> None:
    """By hand from T/JSATL 12 table 4-22."""
    raw = block()
    assert len(raw) == 64 == STATE.sizeof()
    found = read_states(raw + block(BLOCK.replace("00000002 00000000", "00000002 00000001")), present=True)
    assert (found.rest, found.breaks) == (b"", [])
    assert [told["number"] for told in found.blocks] == [0, 1]
    assert found.blocks[0] == {
        "total": 2,
        "number": 0,
        "alarm": 2,
        "status": 3,
        "latitude": 22546872,
        "longitude": 114085947,
        "altitude": 100,
        "speed": 600,
        "heading": 90,
        "time": "2026-09-09T12:30:45+08:00",
        "acceleration_x": 5,
        "acceleration_y": -5,
        "acceleration_z": 100,
        "rotation_x": 0,
        "rotation_y": 0,
        "rotation_z": -100,
        "pulse_speed": 600,
        "obd_speed": 598,
        "gear": 4,
        "accelerator": 40,
        "brake_pedal": 0,
        "braking": 0,
        "engine_speed": 1800,
        "steering": -90,
        "indicator": 1,
        "reserved": "0000",
        "checksum": raw[-1],
    }


def test_blocks_are_written_with_what_they_need() -> None:
    told = read_states(block()).blocks[0]
    for made in ("total", "number", "checksum", "reserved"):
        del told[made]
    data = write_states([told, told])
    found = read_states(data)
    assert found.breaks == []
    assert [(b["total"], b["number"]) for b in found.blocks] == [(2, 0), (2, 1)]
    assert write_states(found.blocks) == data
    with pytest.raises(EncodeError, match=r"vehicle state 0.*gear"):
        write_states([told | {"gear": 256}])
    with pytest.raises(EncodeError, match=r"vehicle state 1.*checksum"):
        write_states([told, told | {"checksum": 256}])


def test_what_is_wrong_with_a_file() -> None:
    raw = bytearray(block())
    raw[63] ^= 0xFF
    found = read_states(bytes(raw) + b"\1\2")
    assert [b.path for b in found.breaks] == ["blocks[0].checksum", "blocks[0].total", "rest"]
    assert found.breaks[0].offset == 63
    assert f"{checksum(bytes(raw)):#04x}" in found.breaks[0].detail
    assert (len(found.blocks), found.rest) == (1, b"\1\2")
    assert write_states(found.blocks) == bytes(raw)  # as it was, with its wrong sum


@given(st.binary(max_size=200))
def test_any_file(data: bytes) -> None:
    found = read_states(data, present=True)
    json.dumps(found.blocks)
    assert len(found.blocks) == len(data) // 64
    assert write_states(read_states(data).blocks) + found.rest == data
