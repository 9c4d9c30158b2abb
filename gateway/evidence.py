"""The evidence listener: files of alarms, from sockets to the store.

A terminal says which files it has (0x1210, accepted only under a number that we issued to it), announces
each (0x1211), sends its bytes in packets and asks whether all have come (0x1212). The answer (0x9212) names
what is missing, and says "complete" only when the file is on the disk under its hash and its row is
committed. What has come survives the connection: a later one, hours after, is asked for the rest.

Knows the catalogue, the store and the writer; knows no session of the terminal port and no HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, cast

import msgspec
import structlog

from gateway.metrics import Counters
from protocol.codec import Profile
from protocol.frame import Fault
from protocol.header import Edition
from protocol.link import Link, Message, Part, Result, Role
from protocol.subpackage import Budget
from protocol.text import encode_text
from protocol.upload import Chunk, Splitter, known
from storage import evidence as table
from storage.database import OUTAGES, Pool
from storage.evidence import Active, File, Request, State
from storage.files import Partial, Piece, Store, is_full
from storage.writer import Entry, Writer

log = structlog.get_logger(__name__)

HIGH_WATER = 256 << 10
"""Bytes read and not yet on their way to the disk; above, a socket is not read. One read may add as much."""

MAX_OPEN = 16
"""Files that a connection has open at once. Of more that are interleaved one is closed and opened again."""

MAX_FILES = 255
"""Files of one alarm: as many as 0x1210 can list."""

MAX_CASES = 256
"""Alarms whose files one connection brings."""

MAX_BODY = 1023
"""Bytes of an answer: 0x9212 in parts would be legal, and few terminals join them."""

TRUST_TIME, IDLE_TIME, LIFETIME = 15.0, 60.0, 6 * 3600.0
"""Seconds: to name an alarm of ours, of silence, and of a connection at all."""

MAX_FAULTS = 60
MAX_REFUSED = 5
"""Faults, and numbers that were not issued to the terminal, that close a connection."""

WRITE_LIMIT = 64 << 10
"""Bytes of answers that wait for a terminal; one that does not read them is closed."""

DAY = 86400.0

PATIENCE = 10.0
"""Seconds to wait for the writer, or for connections at the end."""

THREADS = 4
PROFILES = {edition: Profile(edition) for edition in Edition}


class Limits(NamedTuple):
    """Bytes and connections."""

    file: int = 64 << 20
    alarm: int = 256 << 20
    terminal: int = 2 << 30  # a day
    connections: int = 2000
    per_address: int = 200  # that have not named an alarm of ours yet


class Upload:
    """A file that is coming in, shared by the connections that bring it."""

    def __init__(self, row: File) -> None:
        self.row = row
        self.partial: Partial | None = None  # while it is open
        self.lock = asyncio.Lock()  # around the disk
        self.committing = False  # in the store, its row not committed yet


class Case:
    """An alarm whose files are coming in."""

    def __init__(self, request: Request, rows: list[File], used: int) -> None:
        self.request = request
        self.uploads = {row.slot: Upload(row) for row in rows}
        self.used = used  # bytes that the terminal has brought within a day
        self.users = 0  # connections

    def add(self, name: str, size: int, number: str) -> Upload | None:
        """The file of that name, the number left aside; None where there are too many."""
        slot = name.replace(number, "*")
        upload = self.uploads.get(slot)
        if upload is not None or len(self.uploads) >= MAX_FILES:
            return upload
        request = self.request
        row = File(
            alarm_id=request.alarm_id,
            n=1 + max((known.row.n for known in self.uploads.values()), default=0),
            terminal_id=request.terminal_id,
            phone=request.phone,
            identifier=request.identifier,
            occurred_at=request.occurred_at,
            name=name,
            slot=slot,
            size=size,
        )
        self.uploads[slot] = upload = Upload(row)
        return upload

    def total(self, but: Upload) -> int:
        """Bytes of the alarm's files, those of one aside."""
        counts = [
            u.row.size for u in self.uploads.values() if u is not but and u.row.state is not State.FAILED
        ]
        return sum(counts)


class Receipt(msgspec.Struct, gc=False):
    """What is to be said after the commit: that a list was taken, or that a file is complete."""

    connection: Connection
    message: Message
    upload: Upload | None = None


class Evidence:
    """Everything that comes in on the evidence port. `sweep` is called once a second."""

    def __init__(
        self,
        pool: Pool,
        writer: Writer,
        store: Store,
        counters: Counters,
        limits: Limits | None = None,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.pool = pool
        self.writer = writer
        self.store = store
        self.counters = counters
        self.limits = limits or Limits()
        self.wall = wall
        self.budget = Budget()
        self.threads = ThreadPoolExecutor(THREADS, "evidence")
        self.cases: dict[str, Case] = {}
        self.connections: set[Connection] = set()
        self.unproven: Counter[str] = Counter()  # connections by address
        self._server: asyncio.Server | None = None
        self.port = 0

    async def listen(self, host: str, port: int) -> None:
        """OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), host, port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Takes no more; what has come is noted, so that it is there after the restart."""
        if self._server is not None:
            self._server.close()
        tasks = [connection.stop("shutdown") for connection in list(self.connections)]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=PATIENCE)
            for task in late:
                task.cancel()
        self.threads.shutdown(wait=False)

    def sweep(self) -> None:
        """Deadlines."""
        now = asyncio.get_running_loop().time()
        for connection in list(self.connections):
            why = connection.overdue(now)
            if why:
                connection.stop(why)

    def committed(self, entry: Entry) -> None:
        """An entry of ours is stored: now it may be said."""
        receipt = cast(Receipt, entry.receipt)
        upload, connection = receipt.upload, receipt.connection
        if upload is None:
            connection.acknowledge(receipt.message)
        else:
            upload.committing = False
            if not entry.evidence:  # Postgres refused the row: nothing may be said
                upload.row.state = State.PARTIAL
                return
            self.counters.evidence_files["complete"] += 1
            connection.say(receipt.message, [])
        connection.flush()

    def busy(self, alarm_id: str) -> bool:
        """Whether files of an alarm are coming in now."""
        return alarm_id in self.cases

    async def request(self, number: str) -> Request | None:
        async with self.pool.acquire() as connection:
            return await table.find(connection, number, self.wall())

    async def case(self, request: Request) -> Case:
        """The alarm's files as they stand, the same for all connections that bring them."""
        case = self.cases.get(request.alarm_id)
        if case is None:
            async with asyncio.timeout(PATIENCE), self.pool.acquire() as connection:
                await self.writer.barrier()  # steps under way count
                rows = await table.files(connection, request.alarm_id)
                used = await table.stored_since(connection, request.terminal_id, self.wall() - DAY)
            # another connection may have been quicker
            case = self.cases.setdefault(request.alarm_id, Case(request, rows, used))
        return case

    def leave(self, case: Case) -> None:
        case.users -= 1
        if not case.users and self.cases.get(case.request.alarm_id) is case:
            del self.cases[case.request.alarm_id]

    def refusal(self, case: Case, upload: Upload, size: int) -> str | None:
        """Why a file of that size is not taken."""
        limits = self.limits
        checks = (
            (size > limits.file, "file_too_large"),
            (case.total(upload) + size > limits.alarm, "alarm_too_large"),
            (case.used + case.total(upload) + size > limits.terminal, "terminal_too_much"),
            (size > self.store.room(), "disk_full"),
        )
        return next((reason for applies, reason in checks if applies), None)

    async def work(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Something that blocks, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, function, *arguments)


class Connection(asyncio.Protocol):
    """One connection. Bytes are taken by `_run`, in order; a socket whose bytes wait is not read."""

    def __init__(self, house: Evidence) -> None:
        self._house = house
        self._link = Link(Role.PLATFORM, budget=house.budget)
        self._names: set[bytes] = set()
        self._splitter = Splitter(self._names)
        self._uploads: dict[bytes, Upload] = {}  # by the names that packets use
        self._cases: dict[str, Case] = {}  # by number
        self._open: dict[Upload, None] = {}  # the oldest first
        self._pieces: dict[Upload, list[Piece]] = {}  # on their way to the disk
        self._read: list[bytes] = []
        self._waiting = 0  # bytes in `_read`
        self._arrived = asyncio.Event()
        self._faults = self._refused = self._stray = 0
        self._transport: asyncio.Transport
        self._task: asyncio.Task[None] | None = None
        self._paused = False
        self.address = ""

    # --- the socket -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        house = self._house
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_LIMIT)
        self._began = self._heard = asyncio.get_running_loop().time()
        self.address = transport.get_extra_info("peername", ("",))[0]
        limits = house.limits
        if len(house.connections) >= limits.connections or house.unproven[self.address] >= limits.per_address:
            house.counters.evidence_refused["connections"] += 1
            self._transport.abort()
            return
        house.connections.add(self)
        house.unproven[self.address] += 1
        house.counters.evidence_connections += 1
        self._task = asyncio.create_task(self._run())

    def data_received(self, data: bytes) -> None:
        self._read.append(data)
        self._waiting += len(data)
        self._arrived.set()
        if self._waiting > HIGH_WATER and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._arrived.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived.set()

    def pause_writing(self) -> None:
        self._transport.abort()

    def overdue(self, now: float) -> str:
        """Why this connection has lasted long enough; empty: it has not."""
        if not self._cases and now - self._began > TRUST_TIME:
            return "no alarm named"
        if now - self._heard > IDLE_TIME and not self._waiting:
            return "idle"
        return "too old" if now - self._began > LIFETIME else ""

    def stop(self, why: str) -> asyncio.Task[None]:
        """Ends the connection; what has come is noted by the task that is returned."""
        log.debug("evidence connection closed", address=self.address, why=why)
        assert self._task is not None  # noqa: S101 - only connections that were let in are stopped
        self._transport.abort()
        self._arrived.set()
        return self._task

    async def _run(self) -> None:
        house = self._house
        try:
            while self._read or not self._transport.is_closing():
                self._arrived.clear()
                while self._read:
                    data = self._read.pop(0)
                    self._heard = asyncio.get_running_loop().time()
                    await self._take(data)
                    self._waiting -= len(data)
                    self.flush()
                    if self._paused and self._waiting <= HIGH_WATER and not self._transport.is_closing():
                        self._paused = False
                        self._transport.resume_reading()
                if not self._transport.is_closing():
                    await self._arrived.wait()
        except OUTAGES as error:  # Postgres or the disk: the terminal comes again
            full = isinstance(error, OSError) and is_full(error)
            house.counters.evidence_refused["disk_full" if full else "outage"] += 1
            log.warning("evidence not taken", address=self.address, error=str(error))
        except Exception:  # the last boundary of a connection: it ends, the others go on
            house.counters.evidence_refused["error"] += 1
            log.exception("evidence connection failed", address=self.address)
        finally:
            self._transport.abort() if self._read else self._transport.close()
            house.connections.discard(self)
            house.counters.evidence_connections -= 1
            if not self._cases:
                self._prove()
            await self._leave()

    def _prove(self) -> None:
        """It counts against its address no more."""
        unproven = self._house.unproven
        unproven[self.address] -= 1
        if not unproven[self.address]:
            del unproven[self.address]

    async def _leave(self) -> None:
        """Notes what has come of files that are not whole."""
        house = self._house
        for upload in list(self._open):
            with contextlib.suppress(OSError):  # what is not noted is asked for again
                await self._shut(upload)
            row = upload.row
            if row.received and row.state is State.EXPECTED:
                row.state = State.PARTIAL
            if row.state is State.PARTIAL and not upload.committing:
                step = msgspec.structs.replace(row)
                house.writer.put(Entry(None, row.phone, row.terminal_id, evidence=(step,)))
        for number, case in self._cases.items():
            request = case.request
            step_ = Active(number, house.wall())
            house.writer.put(Entry(None, request.phone, request.terminal_id, evidence=(step_,)))
            house.leave(case)

    # --- bytes ------------------------------------------------------------------------------------------

    async def _take(self, data: bytes) -> None:
        now = self._heard
        for item in self._splitter.feed(data):
            if isinstance(item, Chunk):
                upload = self._uploads.get(item.name)
                if upload is None or upload.row.state in (State.COMPLETE, State.FAILED):
                    self._stray += len(item.data)
                else:
                    self._pieces.setdefault(upload, []).append((item.offset, item.data))
                continue
            for received in self._link.receive(item, now):
                if self._pieces:
                    await self._write()
                await self._handle(received)
        if self._pieces:
            await self._write()
        if self._stray > 2 * self._house.limits.file or self._faults > MAX_FAULTS:
            self._house.counters.evidence_refused["stray" if self._faults <= MAX_FAULTS else "faults"] += 1
            self._transport.close()

    async def _write(self) -> None:
        house = self._house
        pieces, self._pieces = self._pieces, {}
        for upload, parts in pieces.items():
            async with upload.lock:
                if upload.committing or upload.row.state is State.COMPLETE:
                    continue
                partial = await self._opened(upload)
                outside = await house.work(partial.write, parts)
                upload.row.received = partial.ranges.received
            house.counters.evidence_bytes += sum(len(data) for _, data in parts) - outside
            self._stray += outside

    async def _opened(self, upload: Upload) -> Partial:
        """The open file; its lock is held."""
        if upload.partial is None:
            row = upload.row
            upload.partial = await self._house.work(self._house.store.open, row.alarm_id, row.n, row.size)
            row.received = upload.partial.ranges.received
        self._open.pop(upload, None)
        self._open[upload] = None  # the youngest
        if len(self._open) > MAX_OPEN:
            oldest = next(iter(self._open))
            if not oldest.lock.locked():
                await self._shut(oldest)
        return upload.partial

    async def _shut(self, upload: Upload) -> None:
        """Closes a file; what has come of it counts from here on."""
        del self._open[upload]
        async with upload.lock:
            partial, upload.partial = upload.partial, None
            if partial is not None:
                try:
                    await self._house.work(partial.checkpoint)
                finally:
                    partial.close()

    # --- messages ---------------------------------------------------------------------------------------

    async def _handle(self, received: Message | Part | Fault) -> None:
        if isinstance(received, Fault):
            self._faults += 1
            self._house.counters.faults[received.reason] += 1
            return
        if isinstance(received, Part):
            self._link.acknowledge(received.id, received.serial)
            return
        self._house.counters.messages[received.id] += 1
        handler = HANDLERS.get(received.id)
        if handler is not None:
            reading = PROFILES[received.edition].decode(received.id, received.body)
            if received.id != 0x1210 and reading.breaks:  # a list may end early; a file is named or it is not
                self._faults += 1
                self._link.acknowledge(received.id, received.serial, Result.MALFORMED)
            else:
                await handler(self, received, reading.fields)
        elif received.id != 0x0001:
            known_here = received.id in (0x0002, 0x0102)  # some say hello as they do at the other port
            self._link.acknowledge(
                received.id, received.serial, Result.OK if known_here else Result.UNSUPPORTED
            )
        self.flush()

    async def announced(self, message: Message, fields: dict[str, Any]) -> None:
        """0x1210: which files an alarm has."""
        house, number = self._house, str(fields.get("number", ""))
        request = await house.request(number) if len(number) == NUMBER else None
        why = _mismatch(request, message)
        if request is None or why or len(self._cases) >= MAX_CASES:
            self._refuse(message, why or "alarms")
            return
        case = self._cases.get(number)
        if case is None:
            case = await house.case(request)
            if not self._cases:
                self._prove()
            case.users += 1
            self._cases[number] = case
        steps: list[table.Step] = [Active(number, house.wall())]
        for listed in fields.get("files", ()):
            if "size" not in listed:
                break
            upload = case.add(listed["name"], listed["size"], number)
            if upload is None:
                break
            await self._expect(case, upload, listed["name"], listed["size"])
            steps.append(msgspec.structs.replace(upload.row))
        house.writer.put(Entry(Receipt(self, message), request.phone, request.terminal_id, evidence=steps))

    async def _expect(self, case: Case, upload: Upload, name: str, size: int) -> None:
        """A file is announced under a name and with a size: whether it is taken stands in its row."""
        for form in known(encode_text(name)):
            self._names.add(form)
            self._uploads[form] = upload
        row = upload.row
        if row.state is State.COMPLETE or upload.committing:
            return
        reason = self._house.refusal(case, upload, size)
        if reason:
            self._house.counters.evidence_refused[reason] += 1
            row.state, row.reason = State.FAILED, reason
        else:
            row.state, row.reason = State.PARTIAL if row.received else State.EXPECTED, None
        row.name = name
        if row.size != size:
            async with upload.lock:
                row.size, row.received = size, 0
                if upload.partial is not None:
                    await self._house.work(upload.partial.resize, size)

    async def begins(self, message: Message, fields: dict[str, Any]) -> None:
        """0x1211: the file that comes next; one that the list did not have belongs to the latest alarm."""
        name, size = fields.get("name", ""), fields.get("size", 0)
        upload = self._uploads.get(_key(name))
        case = None
        if upload is not None:
            case = self._house.cases.get(upload.row.alarm_id)
        elif self._cases:
            number, case = next(reversed(self._cases.items()))
            upload = case.add(name, size, number)
        if upload is None or case is None:
            self._refuse(message, "unknown_file")
            return
        upload.row.type = fields.get("type")
        await self._expect(case, upload, name, size)
        self._link.acknowledge(
            message.id, message.serial, Result.FAILURE if upload.row.state is State.FAILED else Result.OK
        )

    async def ends(self, message: Message, fields: dict[str, Any]) -> None:
        """0x1212: whether the file is whole; "complete" is said after the commit."""
        house, upload = self._house, self._uploads.get(_key(fields.get("name", "")))
        if upload is None or upload.row.state is State.FAILED:
            self._refuse(message, "unknown_file")
            return
        row = upload.row
        async with upload.lock:
            if upload.committing:
                return
            if row.state is State.COMPLETE:
                self.say(message, [])
                return
            partial = await self._opened(upload)
            if not partial.whole:
                house.counters.evidence_missing += 1
                self.say(message, partial.ranges.missing(row.size, _room(fields["name"])))
                return
            stored = await house.work(house.store.finish, partial)
            upload.partial = None
            self._open.pop(upload, None)
            upload.committing = True
            row.state, row.received = State.COMPLETE, row.size
            row.sha256, row.media_type = stored.sha256, stored.kind.media_type
        receipt = Receipt(self, message, upload)
        step = msgspec.structs.replace(row)
        house.writer.put(Entry(receipt, row.phone, row.terminal_id, evidence=(step,)))

    def _refuse(self, message: Message, why: str) -> None:
        self._house.counters.evidence_refused[why] += 1
        log.info("evidence refused", phone=message.phone, address=self.address, why=why)
        self._link.acknowledge(message.id, message.serial, Result.FAILURE)
        self._refused += message.id == 0x1210
        if self._refused >= MAX_REFUSED:
            self.flush()
            self._transport.close()

    # --- answers ----------------------------------------------------------------------------------------

    def acknowledge(self, message: Message) -> None:
        self._link.acknowledge(message.id, message.serial)

    def say(self, message: Message, missing: list[tuple[int, int]]) -> None:
        """0x9212: complete, or what is to be sent again."""
        profile = PROFILES[message.edition]
        fields = profile.decode(message.id, message.body).fields
        answer = {
            "name": fields["name"],
            "type": fields["type"],
            "result": 1 if missing else 0,
            "missing": [{"offset": offset, "length": length} for offset, length in missing],
        }
        self._link.send(0x9212, profile.encode(0x9212, answer), self._heard)

    def flush(self) -> None:
        data = self._link.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)


NUMBER = 32
"""Characters of a number."""


def _mismatch(request: Request | None, message: Message) -> str:
    """Why an announcement is not that of the terminal and alarm that the number was issued for."""
    if request is None:
        return "unknown_number"
    if request.phone != message.phone:
        return "foreign_number"
    # Byte for byte, in front of the number: whatever dialect the layout was taken for.
    return "" if request.identifier + request.number.encode() in message.body else "foreign_identifier"


def _key(name: str) -> bytes:
    return known(encode_text(name))[0]


def _room(name: str) -> int:
    """Missing ranges that an answer of one packet can name."""
    return min(255, (MAX_BODY - 4 - len(encode_text(name))) // 8)


HANDLERS = {0x1210: Connection.announced, 0x1211: Connection.begins, 0x1212: Connection.ends}
