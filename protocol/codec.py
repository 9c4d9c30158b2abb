"""Frames to meaning and back, for whoever is not a gateway: the command line, the interface, other programs.

    decode("7e0002000001234567890100008a7e")      a dict that JSON can carry
    explain("7e…7e")                              each field with its place, unit, meaning and clause
    encode(0x8001, {...}, "13800000000", 7, 2013) the bytes for the wire

This file knows frames and tables, neither connections nor terminals. Nothing that a peer may have sent makes
`decode` or `explain` raise: a faulty frame gives what it holds, and its faults by name. Encoding is the
caller's matter: what does not fit is an `EncodeError` that names message, field and reason.

Text that is no GB18030 is shown with its bytes as \\xNN and encoded back from that to the same bytes (see
`protocol.text.decode_text`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from construct import Struct

from protocol import catalog, frame, header
from protocol.catalog import Break, Decoded, EncodeError, Field, Row
from protocol.fields import doc
from protocol.frame import Fault, Reason
from protocol.header import Edition, Header
from protocol.messages import DIALECTS, EDITIONS
from protocol.walk import UNREAD

__all__ = ["Edition", "EncodeError", "Field", "Profile", "Reading", "decode", "encode", "explain"]


# --- bodies -------------------------------------------------------------------------------------------


class Reading(msgspec.Struct):
    """What a body holds, and the row that read it."""

    fields: dict[str, Any]
    row: Row | None = None  # None: no edition has the message, all of the body is `rest`
    edition: Edition | None = None  # whose row it is
    rest: bytes = b""
    breaks: list[Break] = msgspec.field(default_factory=list)
    parts: list[Field] = msgspec.field(default_factory=list)
    trials: list[Trial] = msgspec.field(default_factory=list)  # where several rows could read it: each


class Trial(msgspec.Struct, frozen=True):
    """A row that was tried on a body, and what came of it."""

    edition: Edition
    row: Row
    found: Decoded
    points: int  # the most win, the first of equals

    @property
    def outcome(self) -> str:
        if self.found.breaks:
            return f"breaks at {self.found.breaks[0].offset}"
        return f"leaves {len(self.found.rest)} bytes" if self.found.rest else "comes out even"


BROKEN, SURPLUS, FOREIGN = 20, 10, 3
"""What a reading of a body loses for a break, for bytes it leaves over, and for not being of the edition
that the header says. `sense` is weighed against these."""


class Profile(msgspec.Struct, frozen=True):
    """How one terminal speaks: its edition, and the dialect of its active-safety items if it is known.

    Both are habits, not laws: where the layout of another edition or dialect reads a body better, it is
    taken.
    """

    edition: Edition
    dialect: str | None = None

    def row(self, message_id: int) -> Row | None:
        """The message in this edition, else in the nearest that has it."""
        return next((row for _, row in self._rows(message_id)), None)

    def decode(
        self, message_id: int, body: bytes, *, present: bool = False, explain: bool = False
    ) -> Reading:
        """The fields of a body. Never raises for what a peer may send."""
        rows = list(self._rows(message_id))
        if not rows:
            return Reading({}, rest=body)
        edition, row = rows[0]
        trials: list[Trial] = []
        if len(rows) > 1:
            for edition, row in rows:  # further dialects only while nothing makes sense
                if not row.dialect or not any(trial.points > 0 for trial in trials):
                    trials.append(_try(edition, row, body, len(trials)))
            best = max(trials, key=lambda trial: trial.points)
            edition, row = best.edition, best.row
        if trials and not (present or explain or self.dialect):
            found = best.found
        else:
            found = catalog.decode(
                row.layout, body, present=present, explain=explain, dialect=self.dialect, clause=row.clause
            )
        return Reading(found.fields, row, edition, found.rest, found.breaks, found.parts, trials)

    def encode(self, message_id: int, fields: Mapping[str, Any]) -> bytes:
        """A body; takes what `decode` gives, presented or not."""
        rows = [row for _, row in self._rows(message_id)]
        if not rows:
            raise EncodeError(f"no edition has a message {message_id:#06x}")
        forms = rows[:1] if self.dialect else [rows[0], *(row for row in rows[1:] if row.dialect)]
        refused: EncodeError | None = None
        for row in forms:  # a longer identifier is of another dialect: the first form that it fits
            try:
                return catalog.encode(row.layout, fields, name=f"{row.name} ({message_id:#06x})")
            except EncodeError as error:
                refused = refused or error
        assert refused is not None  # noqa: S101 - for mypy: there is a form
        raise refused

    def explain(self, message_id: int, body: bytes) -> list[Field]:
        """Each field of a body, and the bytes that are none."""
        reading = self.decode(message_id, body, present=True, explain=True)
        at = len(body) - len(reading.rest)
        return [*reading.parts, *_unread(at, reading.rest, reading)]

    def _rows(self, message_id: int) -> Iterator[tuple[Edition, Row]]:
        """The rows of a message whose layouts differ: of the terminal's dialect, of the nearest edition, of
        the rest."""
        own = DIALECTS.get(self.dialect or "", {}).get(message_id)
        if own is not None:
            yield self.edition, own
        seen: list[Any] = []
        for edition in NEAREST[self.edition]:
            row = EDITIONS[edition].get(message_id)
            if row is not None and not any(row.layout is layout for layout in seen):
                seen.append(row.layout)
                yield edition, row
        for rows in DIALECTS.values():
            row = rows.get(message_id)
            if row is not None and row is not own:
                yield self.edition, row


def _try(edition: Edition, row: Row, body: bytes, place: int) -> Trial:
    """What `row` makes of `body`; `place` is where it stands among those that are tried."""
    found = catalog.decode(row.layout, body)
    points = row.sense(found.fields) if row.sense else 0
    points -= BROKEN if found.breaks else SURPLUS if found.rest else 0
    return Trial(edition, row, found, points - (FOREIGN if place else 0))


NEAREST = {own: sorted(Edition, key=lambda edition: abs(edition - own)) for own in Edition}
"""The editions to look into, in their order, by that of the terminal."""


MESSAGE_IDS = ("message_id", "reply_id")
"""Fields whose number is shown with the name of the message that it stands for."""

CHECKSUM = "校验码: XOR of header and body"

# --- frames -------------------------------------------------------------------------------------------


class Opened(msgspec.Struct):
    """A frame without its wrapping."""

    data: bytes  # header and body
    head: Header | None
    trailer: bytes  # the checksum; empty where the frame came without one
    checksum_ok: bool
    faults: list[Fault]

    @property
    def body(self) -> bytes:
        return self.data[self.head.size :] if self.head else b""


def unwrap(given: bytes | str) -> Opened:
    """A frame from the wire, or bare: unescaped, without delimiters, with or without its checksum.

    ValueError for text that is no hexadecimal.
    """
    raw = bytes.fromhex("".join(given.split())) if isinstance(given, str) else given
    faults: list[Fault] = []
    if raw[:1] == frame.DELIMITER:
        data = _between(raw, faults)
    elif frame.checksum(raw) == 0 or frame.checksum(frame.unescape(raw)) != 0:
        data = raw  # a bare frame, escaped only if that makes its checksum right
    else:
        data = frame.unescape(raw)
    right = len(data) >= frame.MIN_FRAME and frame.checksum(data) == 0
    if not right and _whole(data):
        return Opened(data, header.parse(data), b"", True, faults)
    if len(data) < frame.MIN_FRAME:
        faults.append(Fault(Reason.TOO_SHORT, raw, len(data), f"{len(data)} bytes, a header has 12"))
        return Opened(data, None, b"", False, faults)
    content, trailer = data[:-1], data[-1:]
    if not right:
        wanted = frame.checksum(content)
        detail = f"checksum {trailer[0]:#04x} should be {wanted:#04x}"
        faults.append(Fault(Reason.CHECKSUM, trailer, len(content), detail))
    head = header.parse(content)
    if head is None:
        faults.append(Fault(Reason.HEADER, content, 0, "no header layout fits"))
    elif "body_length" in head.oddities:
        declared = head.properties & header.LENGTH_MASK
        detail = f"{declared} bytes of body declared, {len(content) - head.size} there"
        faults.append(Fault(Reason.HEADER, content[2:4], 2, detail))
    return Opened(content, head, trailer, right, faults)


def _between(raw: bytes, faults: list[Fault]) -> bytes:
    """The first frame of what stands between delimiters, unescaped.

    Documents publish frames that were not escaped: those are taken as they are where that makes their
    checksum right, and escaping does not.
    """
    inner = raw.strip(frame.DELIMITER)
    first, _, more = inner.partition(frame.DELIMITER)
    if not _right(first) and frame.checksum(inner) == 0:
        return inner
    if more:
        faults.append(Fault(Reason.GARBAGE, more, len(first), f"{len(more)} bytes behind the frame"))
    return frame.unescape(first)


def _right(raw: bytes) -> bool:
    data = frame.unescape(raw)
    return len(data) >= frame.MIN_FRAME and frame.checksum(data) == 0


def _whole(data: bytes) -> bool:
    """Whether `data` is a header and exactly the body that it declares: a frame without checksum."""
    head = header.parse(data) if len(data) >= frame.MIN_FRAME - 1 else None
    return head is not None and "body_length" not in head.oddities


def decode(given: bytes | str, *, edition: int | None = None, dialect: str | None = None) -> dict[str, Any]:
    """What a frame says, JSON-ready. Numbers of lists and words of bits stay numbers; `names` has, by the
    path of the field, what they stand for.

    `edition` (2011, 2013, 2019) pins the layouts of the body where the header's own claim is not wanted.
    """
    opened = unwrap(given)
    head = opened.head
    told: dict[str, Any] = {"checksum_ok": opened.checksum_ok}
    faults = list(opened.faults)
    if head is None:
        return told | {"raw": opened.data.hex(), "faults": _listed(faults)}
    reading = _read(opened, head, edition, dialect)
    told = _header_told(head) | told
    if reading.row is not None:
        told |= {"name": reading.row.name, "title": reading.row.title, "clause": reading.row.clause}
    if reading.row is not None and reading.row.dialect:
        told["dialect"] = reading.row.dialect
    if reading.trials:
        told["readings"] = [_tried(trial, reading) for trial in reading.trials]
    told |= {"body": reading.fields, "names": {p.path: p.names for p in reading.parts if p.names}}
    if reading.rest:
        told["rest"] = reading.rest.hex()
    return told | {"faults": _listed([*faults, *_faults(head.size, opened.body, reading)])}


def explain(given: bytes | str, *, edition: int | None = None, dialect: str | None = None) -> list[Field]:
    """Each field of a frame with its bytes, in their order; offsets count from the header's first byte."""
    opened = unwrap(given)
    head = opened.head
    if head is None:
        return [Field("raw", 0, opened.data, opened.data.hex(), "", "原始数据", "no header fits", "")]
    layout, clause = _header_layout(head)
    parts = catalog.decode(layout, opened.data[: head.size], present=True, explain=True, clause=clause).parts
    reading = _read(opened, head, edition, dialect)
    for part in [*reading.parts, *_unread(len(opened.body) - len(reading.rest), reading.rest, reading)]:
        parts.append(msgspec.structs.replace(part, offset=part.offset + head.size))
    for place, part in enumerate(parts):
        if part.path in MESSAGE_IDS:
            row = Profile(head.edition).row(part.value)
            shown = {"value": f"{part.value:#06x}", "names": f"{row.name} {row.title}" if row else ""}
            parts[place] = msgspec.structs.replace(part, **shown)
    if opened.trailer:
        state = "" if opened.checksum_ok else f"should be {frame.checksum(opened.data):#04x}"
        end = len(opened.data)
        parts.append(Field("checksum", end, opened.trailer, opened.trailer[0], state, *doc(CHECKSUM)))
    return parts


def encode(
    message_id: int,
    fields: Mapping[str, Any],
    phone: str,
    serial: int,
    edition: int,
    *,
    version: int = 1,
) -> bytes:
    """A frame for the wire. EncodeError for what does not fit; a body of more than 1023 bytes does not
    (`protocol.subpackage` cuts those)."""
    speaks = Edition(edition)
    body = Profile(speaks).encode(message_id, fields)
    try:
        number = header.phone_bytes(phone, speaks)
        head = header.build(message_id, number, serial & 0xFFFF, len(body), version=version)
    except ValueError as error:
        raise EncodeError(f"{message_id:#06x}: {error}") from error
    return frame.escape(head + body)


def _read(opened: Opened, head: Header, edition: int | None, dialect: str | None) -> Reading:
    """The body; raw where it is a part of a message, or encrypted."""
    speaks = Edition(edition) if edition else head.edition
    profile = Profile(speaks, dialect)
    if head.total > 1 or head.properties & header.ENCRYPTION_MASK:
        row = profile.row(head.message_id)
        return Reading({}, row, speaks if row else None, opened.body)
    return profile.decode(head.message_id, opened.body, present=True, explain=True)


def _header_layout(head: Header) -> tuple[Struct, str]:
    """The layout that `head` was read with."""
    if head.edition is Edition.V2019:
        layout, size, clause = header.HEADER_2019, 17, "808-2019 4.4.3 table 2"
    else:
        layout, size, clause = header.HEADER_2013, 12, "808-2013 4.4.3 table 2"
    *fixed, _ = layout.subcons
    return Struct(*fixed, *(header.SUBPACKAGE.subcons if head.size > size else ())), clause


def _header_told(head: Header) -> dict[str, Any]:
    told: dict[str, Any] = {
        "message_id": f"{head.message_id:#06x}",
        "phone": header.phone_text(head.phone),
        "serial": head.serial,
        "edition": int(head.edition),
    }
    if head.edition is Edition.V2019:
        told["version"] = head.version
    if head.total:
        told["sub_package"] = {"total": head.total, "index": head.index}
    encryption = (head.properties & header.ENCRYPTION_MASK) >> 10
    if encryption:
        told["encryption"] = encryption
    if head.oddities:
        told["oddities"] = list(head.oddities)
    return told


def _tried(trial: Trial, reading: Reading) -> dict[str, Any]:
    told: dict[str, Any] = {"clause": trial.row.clause, "taken": trial.row is reading.row}
    if trial.row.dialect:
        told["dialect"] = trial.row.dialect
    return told | {"outcome": trial.outcome, "points": trial.points}


def _unread(at: int, rest: bytes, reading: Reading) -> list[Field]:
    """The bytes behind the last field."""
    if not rest:
        return []
    why = reading.breaks[-1].detail if reading.breaks else ""
    title, meaning, unit = doc(UNREAD)
    return [Field("rest", at, rest, rest.hex(), "", title, why or meaning, unit)]


def _faults(size: int, body: bytes, reading: Reading) -> list[Fault]:
    """What is wrong with a body of which `reading` was made."""
    faults = [Fault(Reason.BODY, b"", size + b.offset, f"{b.path}: {b.detail}") for b in reading.breaks]
    read_whole = reading.row is not None and (reading.fields or reading.row.layout.subcons == [])
    if reading.rest and read_whole and not reading.breaks and any(reading.rest):
        at = size + len(body) - len(reading.rest)
        faults.append(Fault(Reason.BODY, reading.rest, at, f"{len(reading.rest)} bytes not in the layout"))
    return faults


def _listed(faults: list[Fault]) -> list[dict[str, Any]]:
    return [{"reason": str(f.reason), "offset": f.offset, "detail": f.detail} for f in faults]
