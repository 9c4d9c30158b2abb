"""One terminal: registers, authenticates, reports, repeats, saves and back-fills, as JT/T 808 asks.

A pure state machine over `protocol.link.Link`. The shell that holds the socket tells it what happened
(`connected`, `receive`, `disconnected`, `tick` at `wake`), writes what `data_to_send` gives and does what
the returned `Action` says. Time is one steady clock in seconds since 1970 that the shell hands in. It
knows nothing of sockets, other terminals or files.
"""

from __future__ import annotations

import enum
import heapq
import random
from collections import deque
from collections.abc import Callable
from math import inf

import msgspec

from protocol.header import Edition
from protocol.link import Link, Message, Result, Role, Unanswered
from protocol.messages import EDITIONS
from simulator import bodies
from simulator.answers import answer
from simulator.behaviour import Action, Behaviour, Login
from simulator.bodies import Say
from simulator.device import Device
from simulator.evidence import Filed, Uploader
from simulator.identity import Config
from simulator.reports import Report, Reporter
from simulator.tally import Tally
from simulator.track import Track

MAX_SAVED = 10_000
"""Reports a terminal keeps while it can't send them; beyond that it drops the oldest."""

_SAID = EDITIONS[Edition.V2019]  # which messages are acknowledged is the same in all editions


class Stage(enum.Enum):
    OFFLINE = "offline"
    CONNECTING = "connecting"
    REGISTERING = "registering"
    AUTHENTICATING = "authenticating"
    ONLINE = "online"


class Acked(msgspec.Struct, gc=False):
    """A report that the platform has acknowledged as stored."""

    phone: str
    serial: int  # of the message that carried it
    message_id: int
    report: Report
    at: float


class _Flight(msgspec.Struct, gc=False):
    """A message with reports that waits for its acknowledgement."""

    message_id: int
    reports: tuple[Report, ...]
    sent: float


class Terminal:
    """One terminal, from its first connection at `start`."""

    def __init__(
        self,
        config: Config,
        track: Track,
        *,
        behaviour: type[Behaviour] = Behaviour,
        tally: Tally | None = None,
        acked: Callable[[Acked], None] | None = None,
        filed: Callable[[Filed], None] | None = None,
        start: float = 0.0,
    ) -> None:
        self.config = config = behaviour.configure(config)
        self.rng = random.Random(config.seed)
        self.behaviour = behaviour(config, self.rng)
        self.tally = tally if tally is not None else Tally()
        self.stage = Stage.OFFLINE
        self.code: str | None = None  # survives connections
        self.link = self._new_link()
        self._reporter = Reporter(config, track, self.behaviour, self.tally, self.rng, start)
        self.uploader: Uploader | None = None  # until the first 0x9208
        self._filed_hook = filed
        self._device: Device | None = None  # until the first command: most terminals never get one
        self._acked_hook = acked if behaviour.certain else None
        self._connect_at = start
        self._attempts = 0
        self._refusals = 0
        self._login_serial = -1
        self._last_sent = start
        self._next_report = start + self.rng.uniform(0.0, config.interval) if config.interval else inf
        self._flat_out = not config.interval
        self._fresh: deque[Report] = deque()  # recorded while the link stands
        self._saved: deque[Report] = deque()  # missed an earlier connection
        self._key: deque[Report] = deque()  # of these, those with alarms
        self._inflight: dict[int, _Flight] = {}  # by serial
        self._answers: list[tuple[float, int, Say]] = []  # a heap: due, order, what to say
        self._said = 0
        self._media: dict[int, int] = {}  # recording to the serial of its first packet
        self._outgoing: deque[tuple[float, bytes]] = deque()  # due, bytes

    # --- what the shell asks ------------------------------------------------------------------------

    @property
    def wake(self) -> float:
        """When `tick` (and `data_to_send`) wants to be called at the latest."""
        if self.stage is Stage.OFFLINE:
            return self._connect_at
        if self.stage is Stage.CONNECTING:
            return inf
        due = min(self.link.due, self.behaviour.leave_at)
        if self._outgoing:
            due = min(due, self._outgoing[0][0])
        if self._answers:
            due = min(due, self._answers[0][0])
        if self.stage is Stage.ONLINE:
            due = min(due, self._next_report, self._last_sent + self.config.heartbeat)
        return due

    @property
    def unacknowledged(self) -> int:
        """Reports that are recorded and not acknowledged yet."""
        flying = sum(len(flight.reports) for flight in self._inflight.values())
        return flying + len(self._fresh) + len(self._saved) + len(self._key)

    def data_to_send(self, now: float) -> bytes:
        """Bytes for the line. To be asked until it gives none: each answer is one write."""
        data = self.link.data_to_send()
        if data:
            pieces = self.behaviour.wire(data, now)
            if pieces is None and not self._outgoing:
                return data
            due = max(now, self._outgoing[-1][0]) if self._outgoing else now
            for delay, piece in pieces if pieces is not None else ((0.0, data),):
                due += delay
                self._outgoing.append((due, piece))
        if self._outgoing and self._outgoing[0][0] <= now:
            return self._outgoing.popleft()[1]
        return b""

    def stop(self, now: float) -> None:
        """Records nothing later than `now`; what is recorded is still sent."""
        self._record_due(now)
        self._next_report = inf
        self._flat_out = False

    # --- what the shell tells -----------------------------------------------------------------------

    def connected(self, now: float) -> None:
        self.link = self._new_link(self.link.serial)
        self.tally.connects += 1
        self.tally.reconnects += self._login_serial >= 0
        self._outgoing.clear()
        self._answers.clear()
        self._media.clear()
        self._refusals = 0
        self.behaviour.connected(now)
        match self.behaviour.login:
            case Login.NONE:
                self._login_serial = 0
                self._online(now)
            case Login.CODE:
                self._authenticate(self.behaviour.code or "", now)
            case Login.USUAL if self.code is not None:
                self._authenticate(self.code, now)
            case Login.USUAL:
                self._register(now)

    def disconnected(self, now: float) -> None:
        """The connection is lost, or could not be made."""
        if self.stage is Stage.CONNECTING:
            self.tally.failed_connects += 1
        if self.stage is not Stage.OFFLINE:
            self._leave(now, self._back_off())

    def receive(self, data: bytes, now: float) -> Action | None:
        for got in self.link.receive(data, now):
            if type(got) is not Message:
                self.tally.faults += 1
            elif (answer := _ANSWERS.get(got.id)) is not None:
                action = answer(self, got, now)
                if action is not None:
                    return action
            else:
                self._command(got, now)
        if self.stage is Stage.ONLINE:
            self._pump(now)
        return None

    def tick(self, now: float) -> Action | None:
        """Does what time asks for."""
        self._record_due(now)
        if self.stage is Stage.OFFLINE and now >= self._connect_at:
            self.stage = Stage.CONNECTING
            return Action.CONNECT
        if self.stage in (Stage.OFFLINE, Stage.CONNECTING):
            return None
        if now >= self.behaviour.leave_at:
            self.behaviour.leave_at = inf
            leave = self.behaviour.leave(now)
            self._leave(now, leave.back_after)
            return leave.how
        if self._repeat(now):
            # Repeated in vain on a good link counts as its loss, 808-2013 clause 5.3.
            self._leave(now, self._back_off())
            return Action.CLOSE
        self._answer(now)
        if self.stage is Stage.ONLINE:
            if now >= self._last_sent + self.config.heartbeat:
                self.tally.heartbeats += 1
                self._send(bodies.HEARTBEAT, b"", now)
            self._pump(now)
        return None

    # --- logging in ---------------------------------------------------------------------------------

    def _register(self, now: float) -> None:
        self.stage = Stage.REGISTERING
        self._login_serial = self._send(bodies.REGISTER, self.behaviour.registration(), now)

    def _authenticate(self, code: str, now: float) -> None:
        self.stage = Stage.AUTHENTICATING
        self._login_serial = self._send(bodies.AUTHENTICATE, self.behaviour.authentication(code), now)

    def _registered(self, message: Message, now: float) -> Action | None:
        answer = bodies.read_registered(message.body)
        if answer is None or self.stage is not Stage.REGISTERING or answer[0] != self._login_serial:
            return None
        self.link.answered(answer[0])
        if answer[1] != 0:
            return self._login_refused(now)
        self.tally.registered += 1
        self.code = answer[2]
        self._authenticate(self.code, now)
        return None

    def _authenticated(self, result: int, now: float) -> Action | None:
        if result == Result.OK:
            self.tally.authenticated += 1
            self._online(now)
            return None
        self._refusals += 1
        if self._refusals == 1 and self.behaviour.refused(now):
            self.tally.login_refused += 1
            self.code = None
            self._register(now)
            return None
        return self._login_refused(now)

    def _login_refused(self, now: float) -> Action:
        self.tally.login_refused += 1
        self._leave(now, self._back_off())
        return Action.CLOSE

    def _online(self, now: float) -> None:
        self.stage = Stage.ONLINE
        self.tally.online += 1
        self._attempts = 0
        self._pump(now)

    # --- reports ------------------------------------------------------------------------------------

    def _record_due(self, now: float) -> None:
        """Makes the reports that are due and keeps them until they can be sent.

        A terminal without a connection is not woken for them: it catches up, for its track knows where
        it was.
        """
        while self._next_report <= now:
            report = self._compose(self._next_report)
            self._next_report += self._interval()
            if self.stage is Stage.ONLINE:
                self._fresh.append(report)
                continue
            (self._key if report.key else self._saved).append(report)
            if len(self._saved) > MAX_SAVED:
                self._saved.popleft()
                self.tally.discarded += 1

    def _compose(self, now: float) -> Report:
        return self._reporter.compose(now, self._device.status if self._device is not None else 0)

    def _interval(self) -> float:
        """Seconds to the report after the one that is due: shorter while the platform tracks the terminal."""
        track = self._device.track if self._device is not None else None
        tracked = track is not None and self._next_report + track[0] <= track[1]
        return track[0] if track is not None and tracked else self.config.interval

    def _pump(self, now: float) -> None:
        """Sends what the window allows: saved alarms, then saved reports, then new ones."""
        room = self.config.window - len(self._inflight)
        while room > 0:
            if self._key:
                self._send_reports(bodies.REPORT, (self._key.popleft(),), now)
            elif self._saved:
                self._send_saved(now)
            elif self._fresh:
                self._send_reports(bodies.REPORT, (self._fresh.popleft(),), now)
            elif self._flat_out:
                self._send_reports(bodies.REPORT, (self._compose(now),), now)
            else:
                break
            room -= 1

    def _send_saved(self, now: float) -> None:
        """One message out of the saved reports: a 0x0704, which the edition of 2011 does not have."""
        if self.config.edition is Edition.V2011:
            self._send_reports(bodies.REPORT, (self._saved.popleft(),), now)
            return
        reports = [self._saved.popleft()]
        size = len(reports[0].body)
        while self._saved and size + len(self._saved[0].body) + 2 <= self.behaviour.batch_bytes:
            reports.append(self._saved.popleft())
            size += len(reports[-1].body) + 2
        self.tally.backfilled += len(reports)
        self._send_reports(bodies.BATCH, tuple(reports), now)

    def _send_reports(self, message_id: int, reports: tuple[Report, ...], now: float) -> None:
        if message_id == bodies.REPORT:
            body = reports[0].body
        else:
            body = self.behaviour.batch([report.body for report in reports])
        self.tally.sent += len(reports)
        self._inflight[self._send(message_id, body, now)] = _Flight(message_id, reports, now)
        for other_id, other in self.behaviour.also(reports[-1].number):
            self._send(other_id, other, now)

    def _acknowledged(self, message: Message, now: float) -> Action | None:
        answer = bodies.read_ack(message.body)
        if answer is None:
            return None
        serial, message_id, result = answer
        if message_id == bodies.AUTHENTICATE:
            waiting = self.stage is Stage.AUTHENTICATING and serial == self._login_serial
            return self._authenticated(result, now) if waiting else None
        flight = self._inflight.get(serial)
        if flight is None or flight.message_id != message_id:
            return None
        del self._inflight[serial]
        if result not in (Result.OK, Result.ALARM_CONFIRMED):
            self.tally.refused += len(flight.reports)
            return None
        self.tally.acked += len(flight.reports)
        self.tally.latency.add(now - flight.sent)
        if self._acked_hook is not None:
            for report in flight.reports:
                self._acked_hook(Acked(self.config.phone, serial, message_id, report, now))
        return None

    # --- the link -----------------------------------------------------------------------------------

    def _new_link(self, serial: int = 0) -> Link:
        config = self.config
        phone, edition, repetition = config.phone, config.edition, config.repetition
        return Link(Role.TERMINAL, phone=phone, edition=edition, repetition=repetition, serial=serial)

    def _send(self, message_id: int, body: bytes, now: float) -> int:
        """Sends and repeats until answered; gives the serial that the answer will name."""
        self.link.serial = self.behaviour.serial(self.link.serial, message_id, body)
        self._last_sent = now
        return self.link.send(message_id, body, now, repeat=True)

    def _repeat(self, now: float) -> bool:
        """Whether a message was repeated as often as it may be, without an answer."""
        before = self.link.repeated
        given_up = sum(type(gone) is Unanswered for gone in self.link.tick(now))
        self.tally.repeated += self.link.repeated - before
        self.tally.exhausted += given_up
        return given_up > 0

    def _command(self, message: Message, now: float) -> None:
        """A message of the platform that is no answer to one of ours."""
        if self._device is None:
            self._device = Device(self.config, self._reporter.signals.announced)
        device, heard = self._device, self._device.heard
        said = answer(device, message, now, lambda: self._compose(now).body)
        self.tally.commands += bool(said)
        self.tally.texts += device.heard - heard
        self._upload(device)
        for say in self.behaviour.replies(message, said):
            heapq.heappush(self._answers, (now + say.after, self._said, say))
            self._said += 1
        if device.track is not None and self._next_report < inf:
            self._next_report = min(self._next_report, now + device.track[0])
        self._answer(now)

    def _upload(self, device: Device) -> None:
        """Hands on what evidence was asked for."""
        for order in device.orders:
            if self.uploader is None:
                rng = random.Random(self.config.seed)  # its own: the shell calls it at times of its own
                faults, filed = self.behaviour.faults, self._filed_hook
                self.uploader = Uploader(self.config, self.tally, rng, faults, filed)
            self.uploader.add(order)
        device.orders.clear()

    def _answer(self, now: float) -> None:
        """Says what is due."""
        while self._answers and self._answers[0][0] <= now:
            say = heapq.heappop(self._answers)[2]
            self.tally.answers += 1
            if say.parts and self.link.again(self._media.get(say.media, -1), say.parts):
                continue
            first = self.link.serial
            row = _SAID.get(say.message_id)
            self._last_sent = now
            self.link.send(say.message_id, say.body, now, repeat=row is not None and row.acknowledged)
            if say.media:
                self._media[say.media] = first

    def _leave(self, now: float, back_after: float) -> None:
        """The link is gone: saves what was not acknowledged, in the order in which it was recorded."""
        self.tally.online -= self.stage is Stage.ONLINE
        self.stage = Stage.OFFLINE
        self._connect_at = now + back_after
        self.link.close()
        flying = [report for flight in self._inflight.values() for report in flight.reports]
        self._inflight.clear()
        waiting = sorted([*flying, *self._key, *self._saved, *self._fresh], key=lambda r: r.number)
        self._fresh.clear()
        self._key = deque(report for report in waiting if report.key)
        self._saved = deque(report for report in waiting if not report.key)

    def _back_off(self) -> float:
        """Seconds until the next attempt to connect."""
        pause: float = min(self.config.reconnect * 2.0**self._attempts, self.config.reconnect_limit)
        self._attempts = min(self._attempts + 1, 16)
        return pause * self.rng.uniform(0.5, 1.0)


_ANSWERS = {bodies.ACK: Terminal._acknowledged, bodies.REGISTERED: Terminal._registered}
