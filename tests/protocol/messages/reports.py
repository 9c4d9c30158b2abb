"""Alarm items made by hand from the tables of the standards, as terminals put them into 0x0200."""

from __future__ import annotations

import time

from protocol.fields import encode_time


def su_driver_item(
    *, kind: int, flag: int = 0, level: int = 1, number: int = 1, attachments: int = 0, at: int | None = None
) -> bytes:
    """0x65 of T/JSATL 12 table 4-17, with its identifier of table 4-16."""
    moment = encode_time(int(time.time()) - 3 if at is None else at)
    value = (
        number.to_bytes(4)
        + bytes([flag, kind, level, 5])
        + bytes(4)
        + bytes([60])
        + (35).to_bytes(2)
        + (23_020_000).to_bytes(4)
        + (113_120_000).to_bytes(4)
        + moment
        + (1).to_bytes(2)
        + b"T000001"
        + encode_time(1_790_000_000)
        + bytes([number & 0xFF, attachments, 0])
    )
    assert len(value) == 47
    return bytes([0x65, len(value)]) + value


def guangdong_driver_item(*, kind: int, flag: int = 0, number: int = 1) -> bytes:
    """0x65 of T/GDRTA 002 table 5-17, with its identifier of table 5-16."""
    su = su_driver_item(kind=kind, flag=flag, number=number)[2:]
    value = (
        su[:31] + b"T000001".ljust(30, b"\0") + encode_time(1_790_000_000) + bytes([number & 0xFF, 0, 0, 0])
    )
    assert len(value) == 71
    return bytes([0x65, len(value)]) + value
