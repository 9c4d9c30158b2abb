"""What each uplink message does: a table from message id to function.

A handler reads a body, puts what is to be stored and queues what can be answered at once. It knows the
session and the catalogue; it knows neither sockets nor the database. A message that is stored is
acknowledged by `Worker.committed`, never here.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from alarms.model import Transition
from gateway.session import Handler, Receipt, Session
from protocol.codec import Profile
from protocol.frame import Reason
from protocol.header import Edition
from protocol.items import reread
from protocol.link import Message, Result
from protocol.location import read
from protocol.messages import EDITIONS
from protocol.messages.location import batch_bodies
from storage.rows import ANSWER, BACKFILLED, EDITION_2019, Row, pack_row
from storage.writer import Entry

MAX_BODY = 8192
"""Bytes of one location report. 255 items of 257 bytes would be legal; a row of Postgres has a page."""

PROFILES = {edition: Profile(edition) for edition in Edition}

UNREADABLE = (struct.error, ValueError)
"""What a body raises that holds no report."""


def location(session: Session, message: Message) -> None:
    """0x0200 (hot): one report, one row, perhaps alarms."""
    try:
        row, transitions = _report(session, message.body, 0)
    except UNREADABLE as error:
        session.park(message, Reason.BODY, str(error), message.frame, Result.MALFORMED)
        return
    _put(session, message, session.receipt(message), (row.data,), not row.believed, transitions)


def location_answer(session: Session, message: Message) -> None:
    """0x0201: the serial of the query (not in 2011), then a report. Stored; an answer gets no answer."""
    fields = PROFILES[session.edition].decode(message.id, message.body).fields
    body = message.body[2:] if "reply_serial" in fields else message.body
    try:
        row, transitions = _report(session, body, ANSWER)
    except UNREADABLE as error:
        session.park(None, Reason.BODY, str(error), message.frame, message_id=message.id)
        return
    _put(session, message, None, (row.data,), not row.believed, transitions)
    session.services.commands.answered(session, message)


def location_batch(session: Session, message: Message) -> None:
    """0x0704: many reports under one acknowledgement. What can't be read is parked, the rest is stored."""
    try:
        kind, bodies, left = batch_bodies(message.body)
    except UNREADABLE as error:
        session.park(message, Reason.BODY, str(error), message.frame, Result.MALFORMED)
        return
    flags = BACKFILLED if kind == 1 else 0
    rows: list[bytes] = []
    transitions: list[Transition] = []
    misdated = False
    parked = [(left, "after the last whole report")] if left else []
    for body in bodies:
        try:
            row, changes = _report(session, body, flags)
        except UNREADABLE as error:
            parked.append((body, str(error)))
            continue
        rows.append(row.data)
        transitions += changes
        misdated |= not row.believed
    for raw, detail in parked:
        session.park(None, Reason.BODY, detail, raw, message_id=message.id)
    if rows:
        _put(session, message, session.receipt(message), rows, misdated, transitions)
    else:
        session.park(message, Reason.BODY, "no report in it", message.frame, Result.MALFORMED)


def _report(session: Session, body: bytes, flags: int) -> tuple[Row, list[Transition]]:
    """The row of one report, and what it did to alarms. Raises UNREADABLE where it is none."""
    if len(body) > MAX_BODY:
        raise ValueError(f"a report of {len(body)} bytes; the most is {MAX_BODY}")
    report = read(body)
    if report.left:
        report = reread(report, body)
    if session.edition == 2019:
        flags |= EDITION_2019
    row = pack_row(session.terminal_id, report, body, session.received, flags, session.services.rules.clock)
    watch = session.watch
    assert watch is not None  # noqa: S101 - an authenticated session has one
    return row, watch.observe(report, int(row.time), session.received, bool(flags & BACKFILLED))


def _put(
    session: Session,
    message: Message,
    receipt: Receipt | None,
    rows: Sequence[bytes],
    misdated: bool,
    transitions: list[Transition],
) -> None:
    session.services.writer.put(
        Entry(
            receipt,
            session.phone,
            session.terminal_id,
            message.id,
            message.body,
            rows,
            misdated,
            transitions,
        )
    )


def heartbeat(session: Session, message: Message) -> None:
    """0x0002, and 0x0003: nothing is stored, the answer goes at once."""
    session.link.acknowledge(message.id, message.serial)


def server_time(session: Session, message: Message) -> None:
    """0x0004 -> 0x8004 (808-2019 clauses 8.4 and 8.5)."""
    body = PROFILES[session.edition].encode(0x8004, {"time": int(session.received)})
    session.link.send(0x8004, body, session.now)


def register(session: Session, message: Message) -> None:
    session.admitting()
    session.services.admission.register(session, message)


def authenticate(session: Session, message: Message) -> None:
    session.admitting()
    session.services.admission.authenticate(session, message)


def noted(session: Session, message: Message) -> None:
    """0x0005: the link has served it; nothing to do, nothing to say."""


def acknowledged(session: Session, message: Message) -> None:
    """0x0001: what the terminal says to a command."""
    session.services.commands.acknowledged(session, message)


def answer(session: Session, message: Message) -> None:
    """The answer that a command's row names. One that nobody waits for is kept raw."""
    taken = session.services.commands.answered(session, message)
    row = PROFILES[session.edition].row(message.id)
    speak = row is not None and row.acknowledged
    if not taken:
        session.park(message if speak else None, "unasked", "", message.frame, message_id=message.id)
    elif speak:
        session.services.writer.put(Entry(session.receipt(message), session.phone, session.terminal_id))


def terminal_key(session: Session, message: Message) -> None:
    """0x0A00: an answer to 0x8A00, or told unasked."""
    session.services.secrecy.learn(session, message)
    session.services.commands.answered(session, message)


def unknown(session: Session, message: Message) -> None:
    """A message that no handler takes: kept raw, then answered as the settings say.

    Some terminals repeat a message for ever when the answer is "unsupported", so success is the default.
    """
    session.park(message, "unknown", "", message.frame, session.services.rules.unknown_result)


def encrypted(session: Session, message: Message) -> None:
    """A body that can't be read here (properties, bits 10 to 12): kept raw, and acknowledged as stored."""
    session.park(message, "encrypted", f"encryption {message.encryption >> 10}", message.frame)


ANSWERS = frozenset(
    row.answer for rows in EDITIONS.values() for row in rows.values() if row.answer and not row.uplink
)
"""Uplink messages that answer a command."""

HANDLERS: dict[int, Handler] = {
    **dict.fromkeys(ANSWERS, answer),
    0x0001: acknowledged,
    0x0002: heartbeat,
    0x0003: heartbeat,
    0x0004: server_time,
    0x0005: noted,
    0x0100: register,
    0x0102: authenticate,
    0x0200: location,
    0x0201: location_answer,
    0x0704: location_batch,
    0x0A00: terminal_key,
}
