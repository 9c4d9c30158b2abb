"""One connection, seen from either end: bytes in, messages out; messages in, bytes out.

A `Link` knows frames, headers, parts, serials and repetitions. It has no socket and no clock: the shell
feeds it bytes with the time, writes what `data_to_send` gives, and calls `tick` now and then. Feeding
never raises. Gateway, simulator and tests drive the same class, in the role that is theirs.
"""

from __future__ import annotations

import enum
import struct
from math import inf

import msgspec

from protocol.frame import Fault, Reason, Splitter, escape
from protocol.header import ENCRYPTION_MASK, Edition, Header, build, parse, phone_bytes, phone_text
from protocol.subpackage import Budget, Joiner, Missing, Sent, cut, read_resend_request, resend_request


class Role(enum.Enum):
    """Which end of a connection a link is."""

    PLATFORM = "platform"
    TERMINAL = "terminal"


_GENERAL_ACK = {Role.PLATFORM: 0x8001, Role.TERMINAL: 0x0001}
_RESEND = {Role.PLATFORM: 0x8003, Role.TERMINAL: 0x0005}
_OTHER = {Role.PLATFORM: Role.TERMINAL, Role.TERMINAL: Role.PLATFORM}

_ack_body = struct.Struct(">HHB")


class Result(enum.IntEnum):
    """Results of a general acknowledgement (808-2013 tables 4 and 6)."""

    OK = 0
    FAILURE = 1
    MALFORMED = 2
    UNSUPPORTED = 3
    ALARM_CONFIRMED = 4


class Message(msgspec.Struct, gc=False):
    """A whole message as its sender meant it; `body` is joined and unescaped, not decoded."""

    id: int
    phone: str  # digits without leading zeros; hex letters where the device sent them
    serial: int  # for a joined message: of the part that completed it
    body: bytes
    edition: Edition  # of the header: V2013 stands for 2011 too
    frame: bytes  # header and body of the last packet, unescaped, without checksum
    encryption: int = 0  # bits 10 to 12 of the properties
    parts: tuple[int, ...] = ()  # serials of its packets, where there were several
    oddities: tuple[str, ...] = ()


class Part(msgspec.Struct, gc=False):
    """A packet whose message is not whole yet."""

    id: int
    phone: str
    serial: int
    total: int
    index: int


class Unanswered(msgspec.Struct, frozen=True):
    """A message that was repeated as often as it may be, without an answer."""

    id: int
    serial: int


Received = Message | Part | Fault


class Repetition(msgspec.Struct, frozen=True):
    """How often and when an unanswered message is sent again: T(n+1) = T(n) * (n+1).

    808-2013 clause 6.1; `timeout` and `count` are the parameters 0x0002 and 0x0003.
    """

    timeout: float = 10.0  # seconds
    count: int = 3


class _Pending(msgspec.Struct):
    id: int
    wire: bytes
    due: float
    wait: float
    sent: int = 1


class Link:
    """Both directions of one connection."""

    __slots__ = (
        "_ack_head",
        "_joiner",
        "_out",
        "_pending",
        "_phone_raw",
        "_sent",
        "_splitter",
        "budget",
        "edition",
        "phone",
        "pinned",
        "repeated",
        "repetition",
        "role",
        "serial",
        "version",
    )

    def __init__(
        self,
        role: Role,
        *,
        phone: str = "",
        edition: Edition | None = None,
        budget: Budget | None = None,
        repetition: Repetition | None = None,
        serial: int = 0,
    ) -> None:
        self.role = role
        self.phone = phone
        self.edition = edition  # of the peer's headers; a platform learns it from the first frame
        self.version = 1  # protocol version byte of 2019, echoed
        self.serial = serial  # of the next packet that we send
        self.pinned = False  # whether `phone` stays, whatever later frames claim
        self.budget = budget
        self.repetition = repetition
        self.repeated = 0  # messages sent again for want of an answer
        self._phone_raw = phone_bytes(phone, edition) if phone and edition else b""
        self._splitter = Splitter()
        self._out: list[bytes] = []
        self._ack_head = b""
        # Most links never join, cut or repeat: 1.1 KB less for each of them.
        self._joiner: Joiner | None = None
        self._sent: Sent | None = None
        self._pending: dict[int, _Pending] | None = None

    # --- receiving ------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Received]:
        """Messages, parts and faults out of `data`, in order. `now` is in seconds of any steady clock."""
        found: list[Received] = []
        for frame in self._splitter.feed(data):
            if isinstance(frame, Fault):
                found.append(frame)
                continue
            header = parse(frame, self.edition)
            if header is None:
                found.append(Fault(Reason.HEADER, frame, 0, f"{len(frame)} bytes fit no header"))
                continue
            phone = self.phone
            if header.phone != self._phone_raw or header.edition is not self.edition:
                phone = self._learn(header)
            if header.total:
                found.append(self._join(header, frame, phone, now))
                continue
            message = Message(
                header.message_id,
                phone,
                header.serial,
                frame[header.size :],
                header.edition,
                frame,
                header.properties & ENCRYPTION_MASK,
                (),
                header.oddities,
            )
            if self._pending is not None or self._sent is not None:
                self._notice(message)
            found.append(message)
        return found

    def _learn(self, header: Header) -> str:
        """Answers go out under the phone number and the header of the peer's latest frame.

        A pinned link keeps its phone number: a frame that claims another one changes nothing.
        """
        phone = phone_text(header.phone)
        if not self.pinned or phone == self.phone:
            self._phone_raw = header.phone
            self.phone = phone
            self.edition = header.edition
            self.version = header.version or 1
            self._ack_head = b""
        return phone

    def _join(self, header: Header, frame: bytes, phone: str, now: float) -> Received:
        if self._joiner is None:
            self._joiner = Joiner(self.budget or Budget())
        joined = self._joiner.add(header, frame[header.size :], frame, now)
        if isinstance(joined, Fault):
            return joined
        if joined is None:
            return Part(header.message_id, phone, header.serial, header.total, header.index)
        encryption = joined.first.properties & ENCRYPTION_MASK
        return Message(
            header.message_id,
            phone,
            joined.last,
            joined.body,
            header.edition,
            frame,
            encryption,
            joined.serials,
            header.oddities,
        )

    def _notice(self, message: Message) -> None:
        """Acknowledgements end repetitions; a request for parts is answered at once."""
        peer = _OTHER[self.role]
        if message.id == _GENERAL_ACK[peer] and len(message.body) >= 5:
            self.answered(int.from_bytes(message.body[:2]))
        elif message.id == _RESEND[peer] and self._sent is not None:
            missing = read_resend_request(message.body)
            if missing is not None:
                self._out.extend(self._sent.again(missing))

    # --- sending --------------------------------------------------------------------------------------

    def send(
        self, message_id: int, body: bytes, now: float, *, encryption: int = 0, repeat: bool = False
    ) -> int:
        """Queues a message, in parts where it is long; gives the serial that an answer will name.

        `repeat`: it is sent again until `answered` is called with its serial (the link does so itself
        for general acknowledgements), as `repetition` says. ValueError before the peer's header is known.
        """
        if self.edition is None or not self._phone_raw:
            raise ValueError("neither phone number nor header edition of the peer is known yet")
        first = self.serial
        pieces = cut(body)
        total = len(pieces) if len(pieces) > 1 else 0
        packets = []
        for number, piece in enumerate(pieces, 1):
            head = build(
                message_id,
                self._phone_raw,
                self.serial,
                len(piece),
                version=self.version,
                total=total,
                index=number if total else 0,
                encryption=encryption,
            )
            packets.append(escape(head + piece))
            self.serial = self.serial + 1 & 0xFFFF
        self._out.extend(packets)
        if total:
            if self._sent is None:
                self._sent = Sent()
            self._sent.keep(first, packets, now)
        if repeat and self.repetition is not None:
            if self._pending is None:
                self._pending = {}
            wait = self.repetition.timeout
            # A sub-packaged message is named by its last part's serial in a terminal's acknowledgement.
            named = self.serial - 1 & 0xFFFF
            self._pending[named] = _Pending(message_id, b"".join(packets), now + wait, wait)
            return named
        return first

    def again(self, first_serial: int, parts: tuple[int, ...]) -> bool:
        """Queues packets of a message of ours once more; whether it is still kept. 0x0005 needs no call."""
        packets = self._sent.again(Missing(first_serial, parts)) if self._sent is not None else []
        self._out.extend(packets)
        return bool(packets)

    def acknowledge(self, message_id: int, serial: int, result: int = Result.OK) -> None:
        """Queues a general acknowledgement (hot: one for every report)."""
        head = self._ack_head
        if not head:
            head = build(_GENERAL_ACK[self.role], self._phone_raw, 0, 5, version=self.version)[:-2]
            self._ack_head = head
        mine = self.serial
        self.serial = mine + 1 & 0xFFFF
        self._out.append(escape(head + mine.to_bytes(2) + _ack_body.pack(serial, message_id, result)))

    def answered(self, serial: int) -> None:
        """The message with this serial has its answer: it is not repeated any more."""
        if self._pending is not None:
            self._pending.pop(serial, None)

    @property
    def unanswered(self) -> int:
        """Messages that wait for an answer."""
        return len(self._pending) if self._pending is not None else 0

    @property
    def due(self) -> float:
        """When the next repetition is due; infinity where nothing waits for an answer."""
        return min((p.due for p in self._pending.values()), default=inf) if self._pending else inf

    def data_to_send(self) -> bytes:
        """Everything queued since the last call."""
        if not self._out:
            return b""
        data = b"".join(self._out) if len(self._out) > 1 else self._out[0]
        self._out.clear()
        return data

    # --- time -----------------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Fault | Unanswered]:
        """Queues what is due: repetitions, and requests for missing parts. Reports what is given up."""
        given_up: list[Fault | Unanswered] = []
        if self._joiner is not None:
            ask, faults = self._joiner.due(now)
            given_up.extend(faults)
            for missing in ask:
                body = resend_request(missing, self.edition or Edition.V2013)
                self.send(_RESEND[self.role], body, now)
        if self._sent is not None:
            self._sent.forget(now)
        if self._pending:
            given_up.extend(self._repeat(now))
        return given_up

    def _repeat(self, now: float) -> list[Unanswered]:
        assert self._pending is not None and self.repetition is not None  # noqa: S101 - set together
        gone = []
        for serial, pending in list(self._pending.items()):
            if now < pending.due:
                continue
            if pending.sent > self.repetition.count:
                del self._pending[serial]
                gone.append(Unanswered(pending.id, serial))
                continue
            pending.sent += 1
            pending.wait *= pending.sent
            pending.due = now + pending.wait
            self._out.append(pending.wire)
            self.repeated += 1
        return gone

    def close(self) -> None:
        """Gives back what unfinished parts hold."""
        if self._joiner is not None:
            self._joiner.clear()
