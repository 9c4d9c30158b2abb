"""The evidence of a terminal's alarms on its way to the platform, one connection at a time.

T/JSATL 12 clause 4.6, T/GDRTA 002 clause 5.6: after a 0x9208 the terminal connects to the server named there,
announces the files of the alarm (0x1210), then each file (0x1211), sends it in data packets and says so
(0x1212); what the answer (0x9212) calls missing is sent again until nothing is.

A pure state machine like the terminal: the shell (`simulator/uploads.py`) connects to `address`, writes what
`data_to_send` gives, hands in what arrives, and hangs up where `hang_up` says so. `Faults` bends it.
"""

from __future__ import annotations

import hashlib
import random
import struct
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from protocol.codec import Profile
from protocol.header import Edition
from protocol.link import Link, Message, Result, Role
from protocol.text import encode_text
from simulator import bodies, media
from simulator.device import Order
from simulator.identity import Config, Dialect
from simulator.signals import Announced
from simulator.tally import Tally

FILES, FILE, FILE_DONE, FILE_ANSWER = 0x1210, 0x1211, 0x1212, 0x9212
ROUNDS = 50  # times that missing pieces of one file are sent again
ATTEMPTS = 8  # connections for one alarm

_packet = struct.Struct(">4s50sII")  # T/JSATL 12 table 4-26
MAGIC = b"01cd"


class Faults(msgspec.Struct, frozen=True):
    """How uploads go wrong. Shares are of the packets, each time they are sent."""

    lost: float = 0.0
    doubled: float = 0.0
    reordered: float = 0.0
    overlapping: float = 0.0
    early_done: bool = False  # the first 0x1212 comes before the last packet
    cut: float = 0.0  # share of connections that break in the middle; never the last one allowed
    back_after: float = 1.0  # s until the terminal comes back after that
    chunk: int = 1 << 16  # bytes of a packet
    names: tuple[str, ...] = ()  # of the files, in turn
    claimed: int = 0  # size that is told instead of the real one
    number: str = ""  # of the alarm, instead of the platform's
    foreign: bool = False  # under the phone number and the identifier of another terminal
    other_header: bool = False  # of the other edition


class File(NamedTuple):
    """One file of an alarm."""

    name: str
    kind: int  # T/JSATL 12 table 4-25
    data: bytes


class Filed(NamedTuple):
    """A file that the platform has called complete."""

    phone: str
    sha256: str
    size: int
    at: float


# --- the files of an alarm ------------------------------------------------------------------------------

PICTURE, SOUND, FILM, STATES = 0, 1, 2, 3
FACE = 4  # T/GDRTA 002 table 5-25
MIX: dict[int, tuple[int, ...]] = {
    1: (PICTURE,),
    2: (PICTURE, STATES),
    3: (PICTURE, PICTURE, STATES),
    4: (PICTURE, FILM, SOUND, STATES),
    5: (PICTURE, PICTURE, PICTURE, FILM, STATES),
}
"""What an alarm with so many files has."""


def files_of(alarm: Announced, number: str, config: Config) -> list[File]:
    """The files, named as both standards have it: kind_channel_type_place_number.suffix."""
    found = []
    for place, kind in enumerate(MIX[min(max(alarm.attachments, 1), 5)]):
        seed, suffix = config.seed * 31 + alarm.time + place, _suffix(kind, alarm, config)
        channel = 0 if kind == STATES else 65 if alarm.item == 0x65 else 64
        told = FACE if kind == PICTURE and _face(alarm, config) else kind
        name = f"{told:02}_{channel}_{alarm.item:02x}{alarm.code & 0xFF:02x}_{place}_{number}.{suffix}"
        found.append(File(name, told, _data(kind, alarm, config, seed, suffix)))
    return found


def _face(alarm: Announced, config: Config) -> bool:
    return alarm.item == 0x65 and config.dialect is Dialect.GUANGDONG


def _suffix(kind: int, alarm: Announced, config: Config) -> str:
    """Su has h264 for films, Guangdong mp4; in the field either is met with Su."""
    film = "h264" if config.dialect is Dialect.SU and alarm.time % 2 else "mp4"
    return {PICTURE: "jpg", SOUND: "wav", FILM: film, STATES: "bin"}[kind]


def _data(kind: int, alarm: Announced, config: Config, seed: int, suffix: str) -> bytes:
    if kind == PICTURE:
        return media.jpeg(alarm.time, seed)
    if kind == SOUND:
        return media.wav(seed)
    if kind == FILM:
        return (media.mp4 if suffix == "mp4" else media.h264)(alarm.time, seed, config.film)
    return media.states(
        alarm.time,
        latitude=alarm.latitude,
        longitude=alarm.longitude,
        altitude=alarm.altitude,
        speed=alarm.speed,
        heading=alarm.heading,
    )


# --- the way of the files -------------------------------------------------------------------------------


class _Alarm(msgspec.Struct):
    order: Order
    files: deque[File]  # not complete yet, the first one is under way
    attempts: int = 0
    sent: int = 0  # bytes of the first file that have been sent, in order


class Uploader:
    """Uploads of one terminal, in the order in which they were asked for."""

    def __init__(
        self,
        config: Config,
        tally: Tally,
        rng: random.Random,
        faults: Faults,
        filed: Callable[[Filed], None] | None = None,
    ) -> None:
        self._config = config
        self._tally = tally
        self._rng = rng
        self._faults = faults
        self._filed = filed
        self._profile = Profile(config.edition, str(config.dialect))
        self._waiting: deque[Order] = deque()
        self._alarm: _Alarm | None = None
        self._link = self._new_link()
        self._asked = -1  # serial of the 0x1210 or 0x1211 that waits for its acknowledgement
        self._announced = False  # whether the first file has been accepted
        self._pieces: deque[tuple[int, int] | None] = deque()  # (offset, length); None: say 0x1212
        self._rounds = 0
        self._cut_after = -1  # packets until the connection breaks
        self.hang_up = False

    # --- what the shell asks --------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        return self._alarm is not None or bool(self._waiting)

    @property
    def address(self) -> tuple[str, int]:
        """Where to connect to; only while `busy`."""
        order = self._alarm.order if self._alarm is not None else self._waiting[0]
        return order.server, order.port

    def add(self, order: Order) -> None:
        self._waiting.append(order)

    def data_to_send(self) -> bytes:
        """Bytes for the line, a packet at the most; to be asked until it gives none."""
        data = self._link.data_to_send()
        if data or not self._pieces or self.hang_up:
            return data
        piece = self._pieces.popleft()
        if piece is None:
            self._say(FILE_DONE)
            return self._link.data_to_send()
        self._cut_after -= 1
        self.hang_up = self._cut_after == 0
        return self._packed(*piece)

    @property
    def pause(self) -> float:
        """Seconds until the next connection."""
        return self._faults.back_after

    # --- what the shell tells -------------------------------------------------------------------------

    def connected(self) -> None:
        self._link = self._new_link(self._link.serial)
        self.hang_up = False
        self._tally.uploads += 1
        cut = self._rng.random() < self._faults.cut and self._attempts < ATTEMPTS - 2
        packets = self._announce()
        self._cut_after = self._rng.randint(1, packets) if cut else -1

    def disconnected(self) -> None:
        """The connection is lost, could not be made, or has been hung up."""
        self._pieces.clear()
        self._asked, self._announced = -1, False
        if self._alarm is not None:
            self._alarm.attempts += 1
            if self._alarm.attempts >= ATTEMPTS:
                self._give_up(len(self._alarm.files))
        elif self._waiting and not self.hang_up:  # not even the first connection
            self._alarm = self._prepared()
            self._alarm.attempts = 1

    def receive(self, data: bytes, now: float) -> None:
        for got in self._link.receive(data, now):
            if not isinstance(got, Message):
                continue
            if got.id == bodies.ACK:
                self._acknowledged(got)
            elif got.id == FILE_ANSWER:
                self._answered(got, now)

    # --- one alarm after the other ----------------------------------------------------------------------

    @property
    def _attempts(self) -> int:
        return self._alarm.attempts if self._alarm is not None else 0

    def _prepared(self) -> _Alarm:
        order = self._waiting.popleft()
        files = files_of(order.alarm, order.number, self._config)
        names = self._faults.names
        if names:
            files = [f._replace(name=names[n % len(names)]) for n, f in enumerate(files)]
        return _Alarm(order, deque(files))

    def _announce(self) -> int:
        """0x1210: what is left of the alarm under way, or the next one that goes to the same place. Gives
        how many packets that is."""
        if self._alarm is None:
            self._alarm = self._prepared()
        alarm = self._alarm
        identifier = alarm.order.alarm.identifier
        fields = {
            "terminal_id": self._config.terminal_id,
            "identifier": b"FOREIGN" + identifier[7:] if self._faults.foreign else identifier,
            "number": self._faults.number or alarm.order.number,
            "kind": 1 if alarm.attempts else 0,
            "files": [{"name": file.name, "size": self._size(file)} for file in alarm.files],
        }
        self._asked = self._link.send(FILES, self._profile.encode(FILES, fields), 0.0)
        return sum(-(-len(file.data) // self._faults.chunk) for file in alarm.files)

    def _next(self) -> None:
        """The next file, the next alarm, or the end."""
        assert self._alarm is not None  # noqa: S101 - of one that is under way
        self._announced, self._rounds = False, 0
        if self._alarm.files:
            self._asked = self._say(FILE)
            return
        here, self._alarm = self.address, None
        if self._waiting and self.address == here:
            self._announce()
        else:
            self.hang_up = True

    def _give_up(self, files: int) -> None:
        """The files of the alarm are not sent any more."""
        assert self._alarm is not None  # noqa: S101 - called with one only
        self._tally.files_failed += files
        for _ in range(files):
            self._alarm.files.popleft()
        self._alarm.sent = 0
        if not self._alarm.files:
            self._alarm = None
            self.hang_up = True

    def _acknowledged(self, message: Message) -> None:
        answer = bodies.read_ack(message.body)
        alarm = self._alarm
        if answer is None or alarm is None or answer[0] != self._asked or answer[1] not in (FILES, FILE):
            return
        self._asked = -1
        if answer[2] != Result.OK:
            self._tally.uploads_refused += 1
            self._give_up(len(alarm.files) if answer[1] == FILES else 1)
            if not self.hang_up:
                self._next()
        elif answer[1] == FILES:
            self._next()
        else:
            self._announced = True
            size = len(alarm.files[0].data)
            self._plan([(min(alarm.sent, size), size)], early=self._faults.early_done)

    def _answered(self, message: Message, now: float) -> None:
        fields = self._profile.decode(FILE_ANSWER, message.body).fields
        alarm = self._alarm
        if alarm is None or not self._announced or not alarm.files or fields.get("name") != self._echo():
            return
        file = alarm.files[0]
        if fields["result"] == 0:
            alarm.files.popleft()
            alarm.sent = 0
            self._pieces.clear()
            self._tally.files_uploaded += 1
            self._tally.bytes_uploaded += len(file.data)
            if self._filed is not None:
                digest = hashlib.sha256(file.data).hexdigest()
                self._filed(Filed(self._config.phone, digest, len(file.data), now))
            self._next()
            return
        self._rounds += 1
        gaps = [(gap["offset"], gap["offset"] + gap["length"]) for gap in fields["missing"]]
        real = [(start, min(end, len(file.data))) for start, end in gaps if start < len(file.data)]
        if not real or self._rounds > ROUNDS:
            self._give_up(1)
            if not self.hang_up:
                self._next()
            return
        self._tally.pieces_again += len(real)
        self._plan(real)

    # --- packets --------------------------------------------------------------------------------------

    def _plan(self, ranges: Iterable[tuple[int, int]], *, early: bool = False) -> None:
        """What is to be sent, and how it goes wrong on its way."""
        faults, rng = self._faults, self._rng
        pieces: list[tuple[int, int]] = []
        for start, end in ranges:
            for at in range(start, end, faults.chunk):
                stop = min(at + faults.chunk, end)
                if rng.random() < faults.lost:
                    continue
                first = max(0, at - faults.chunk // 3) if rng.random() < faults.overlapping else at
                pieces += [(first, stop - first)] * (2 if rng.random() < faults.doubled else 1)
        for place in range(1, len(pieces)):
            if rng.random() < faults.reordered:
                other = rng.randrange(place)
                pieces[place], pieces[other] = pieces[other], pieces[place]
        self._pieces.clear()
        self._pieces.extend(pieces[:-1] if early else pieces)
        self._pieces.append(None)
        if early:
            self._pieces.extend(pieces[-1:])

    def _packed(self, offset: int, length: int) -> bytes:
        assert self._alarm is not None  # noqa: S101 - pieces are of an alarm
        file = self._alarm.files[0]
        data = file.data[offset : offset + length]
        if offset <= self._alarm.sent:
            self._alarm.sent = max(self._alarm.sent, offset + length)
        self._tally.bytes_sent += len(data)
        return _packet.pack(MAGIC, encode_text(file.name)[:50], offset, len(data)) + data

    def _say(self, message_id: int) -> int:
        return self._link.send(message_id, self._about(message_id), 0.0)

    def _about(self, message_id: int) -> bytes:
        """The body of 0x1211 and 0x1212."""
        assert self._alarm is not None  # noqa: S101 - said of a file
        file = self._alarm.files[0]
        fields = {"name": file.name, "type": file.kind, "size": self._size(file)}
        return self._profile.encode(message_id, fields)

    def _echo(self) -> object:
        """The name of the file as an answer repeats it: not every name survives the wire."""
        return self._profile.decode(FILE_DONE, self._about(FILE_DONE)).fields.get("name")

    def _size(self, file: File) -> int:
        return self._faults.claimed or len(file.data)

    def _new_link(self, serial: int = 0) -> Link:
        config, edition = self._config, self._config.edition
        if self._faults.other_header:
            edition = Edition.V2013 if edition is Edition.V2019 else Edition.V2019
        phone = config.phone
        if self._faults.foreign:
            phone = phone[:-1] + str((int(phone[-1], 16) + 1) % 10)
        return Link(Role.TERMINAL, phone=phone, edition=edition, serial=serial)
