"""Group commit against a real Postgres: what is said to be stored is stored, once, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
import uuid

import asyncpg
import pytest

from alarms.model import Alarm, Change, Position, State, Transition
from protocol.location import FIXED, read
from storage import database as db
from storage import migrate, partitions
from storage import writer as storage_writer
from storage.events import NewEvent
from storage.rows import Clock, pack_row
from storage.writer import Batch, Entry, Parked, Writer

NOW = int(time.time())


def report(terminal: int, second: int, *, at: int | bytes | None = None, received: float = NOW) -> Entry:
    """An entry with one report, told apart by terminal and second."""
    body = FIXED.pack(0, 3, 23_000_000 + second, 113_000_000, 10, 600, 90, NOW - second if at is None else at)
    row = pack_row(terminal, read(body), body, received, 0, Clock())
    return Entry(
        (terminal, second), f"1380000{terminal:04}", terminal, 0x0200, body, (row.data,), not row.believed
    )


def alarm(number: int, **changes) -> Alarm:
    values = {
        "id": str(uuid.UUID(int=number)),
        "kind": "fatigue",
        "family": "driver",
        "level": 1,
        "state": State.OPEN,
        "rev": 1,
        "occurred_at": NOW - 60,
        "ended_at": None,
        "end_reason": None,
        "received_at": float(NOW),
        "backfilled": False,
        "position": Position(23_000_000, 113_000_000, 5, 600),
        "source": "su:0x65",
        "code": 1,
        "pairing": "su:0x65:1",
        "details": {"plate": "粤E\0x"},
        "raw": b"\0\1",
        "attachments": 2,
    }
    return Alarm(**(values | changes))


def ended(number: int) -> Alarm:
    return alarm(number, state=State.ENDED, rev=2, ended_at=NOW, end_reason="reported")


class Rig:
    """A writer that runs, what it has committed, and a connection to look with."""

    def __init__(self, dsn: str, **options) -> None:
        self.dsn = dsn
        self.batches: list[Batch] = []
        self.pressure: list[bool] = []
        self.writer = Writer(
            self.connect,
            self.batches.append,
            on_pressure=self.pressure.append,
            repair=self.partitions,
            **options,
        )

    async def connect(self):
        connection = await asyncpg.connect(self.dsn, timeout=5)
        await db.prepare(connection)
        return connection

    @staticmethod
    async def partitions(connection) -> None:
        await partitions.make_ahead(connection, today=dt.datetime.now(dt.UTC).date(), back=31, ahead=2)

    async def fetch(self, statement: str, *arguments):
        connection = await asyncpg.connect(self.dsn)
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    @property
    def receipts(self) -> list:
        return [entry.receipt for batch in self.batches for entry in batch.entries]


@contextlib.asynccontextmanager
async def running(dsn: str, **options):
    rig = Rig(dsn, **options)
    connection = await rig.connect()
    await rig.partitions(connection)
    await connection.close()
    task = asyncio.create_task(rig.writer.run())
    try:
        yield rig
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_comes_together_is_committed_together_and_once(database):
    async with running(database) as rig:
        for second in range(300):
            rig.writer.put(report(second % 7, second))
        await rig.writer.barrier()
        assert rig.receipts == [(second % 7, second) for second in range(300)]
        assert len(rig.batches) <= 2
        for second in range(300):  # the same bytes again
            rig.writer.put(report(second % 7, second, received=NOW + 5))
        await rig.writer.barrier()
        assert (await rig.fetch("SELECT count(*) FROM locations"))[0][0] == 300
        assert sum(batch.stored for batch in rig.batches) == 300
        assert len(rig.receipts) == 600


async def test_a_wrong_clock_still_gives_one_row(database):
    """Zero BCD has no time of its own; sent again a minute later it must meet the same key."""
    async with running(database) as rig:
        for received in (NOW, NOW + 60, NOW + 61):
            rig.writer.put(report(1, 5, at=bytes(6), received=received))
            await rig.writer.barrier()
        rig.writer.put(report(1, 6, at=bytes(6), received=NOW + 90))
        rig.writer.put(report(1, 6, at=bytes(6), received=NOW + 91))
        await rig.writer.barrier()
        rows = await rig.fetch("SELECT time FROM locations ORDER BY time")
        assert [row["time"].timestamp() for row in rows] == [NOW, NOW + 90]


async def test_alarms_and_events_are_of_the_same_transaction_and_idempotent(database):
    async with running(database) as rig:
        first = report(1, 1)
        first.transitions = [Transition(Change.RAISED, alarm(1))]
        second = report(1, 2)
        second.transitions = [Transition(Change.RAISED, alarm(2)), Transition(Change.ENDED, ended(1))]
        for _ in range(3):
            rig.writer.put(first)
            rig.writer.put(second)
            await rig.writer.barrier()
        events = await rig.fetch("SELECT type, id, phone, kind, data FROM events ORDER BY xid, seq")
        assert [(e["type"], e["id"]) for e in events] == [
            ("alarm.raised", f"{uuid.UUID(int=1)}.1"),
            ("alarm.raised", f"{uuid.UUID(int=2)}.1"),
            ("alarm.ended", f"{uuid.UUID(int=1)}.2"),
        ]
        rows = await rig.fetch(
            "SELECT id, state, rev, ended_at, details, raw, attachments FROM alarms ORDER BY id"
        )
        assert [(r["state"], r["rev"]) for r in rows] == [("ended", 2), ("open", 1)]
        assert rows[0]["ended_at"].timestamp() == NOW and rows[0]["raw"] == b"\0\1"
        assert "粤Ex" in rows[0]["details"]  # NUL is what Postgres can't hold
        assert sum(len(batch.changes) for batch in rig.batches) == 3


async def test_a_refused_row_is_parked_and_blocks_nobody(database):
    async with running(database) as rig:
        await rig.fetch("ALTER TABLE locations ADD CONSTRAINT no_seven CHECK (terminal_id <> 7)")
        for second in range(64):
            rig.writer.put(report(7 if second in (3, 40, 41) else 1, second))
        await rig.writer.barrier()
        assert (await rig.fetch("SELECT count(*) FROM locations"))[0][0] == 61
        parked = await rig.fetch("SELECT phone, message_id, reason, detail, raw FROM rejected")
        assert len(parked) == 3
        assert parked[0]["phone"] == "13800000007" and parked[0]["message_id"] == 0x0200
        assert parked[0]["reason"] == "refused" and "no_seven" in parked[0]["detail"]
        assert {p["raw"] for p in parked} == {report(7, s).raw for s in (3, 40, 41)}
        assert sorted(rig.receipts) == sorted((7 if s in (3, 40, 41) else 1, s) for s in range(64))


async def test_missing_partitions_are_made_not_parked(database):
    async with running(database) as rig:
        day = dt.datetime.fromtimestamp(NOW, dt.UTC).date()
        await rig.fetch(f"DROP TABLE {partitions.name('locations', day)}")
        rig.writer.put(report(1, 1))
        await rig.writer.barrier()
        assert (await rig.fetch("SELECT count(*) FROM locations"))[0][0] == 1
        assert (await rig.fetch("SELECT count(*) FROM rejected"))[0][0] == 0


async def test_other_events_and_parked_bytes(database):
    async with running(database) as rig:
        event = NewEvent(type="vehicle.online", phone="1", id="x", data={"a": 1})
        parked = Parked("1", 0x0F00, "unknown", "\0 odd", b"raw")
        rig.writer.put(Entry("r", "1", events=(event,), parked=(parked,)))
        await rig.writer.barrier()
        assert rig.batches[0].events == 1 and rig.batches[0].rejected == ["unknown"]
        assert (await rig.fetch("SELECT raw, detail FROM rejected"))[0]["detail"] == " odd"


async def test_a_full_queue_asks_for_reading_to_stop(database):
    async with running(database, high_water=100) as rig:
        for second in range(150):
            rig.writer.put(report(1, second))
        assert rig.pressure == [True] and rig.writer.under_pressure
        await rig.writer.barrier()
        assert rig.pressure == [True, False]
        assert rig.writer.queued == 0


async def test_a_listener_that_fails_costs_no_row_and_no_later_receipt(database, monkeypatch):
    async with running(database) as rig:
        heard = rig.batches.append
        monkeypatch.setattr(storage_writer, "MAX_BATCH", 10)
        said = iter(range(1000))

        def fail_once(batch: Batch) -> None:
            if next(said) == 0:
                raise ValueError("a listener's own mistake")
            heard(batch)

        rig.writer._committed = fail_once
        for second in range(50):
            rig.writer.put(report(1, second))
        await asyncio.wait_for(rig.writer.barrier(), 10)
        assert (await rig.fetch("SELECT count(*) FROM locations"))[0][0] == 50
        assert (await rig.fetch("SELECT count(*) FROM rejected"))[0][0] == 0
        assert rig.receipts == [(1, second) for second in range(10, 50)]


async def test_barrier_with_nothing_to_wait_for(database):
    async with running(database) as rig:
        await asyncio.wait_for(rig.writer.barrier(), 1)


@pytest.mark.timeout(60)
async def test_postgres_killed_under_load_loses_nothing_and_acknowledges_nothing_early(postgres):
    connection = await asyncpg.connect(postgres.dsn)
    await migrate.migrate(connection)
    await connection.close()
    async with running(postgres.dsn) as rig:
        sent = 0

        async def load(seconds: float) -> None:
            nonlocal sent
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                for _ in range(20):
                    sent += 1
                    rig.writer.put(report(sent % 5, sent))
                await asyncio.sleep(0.005)

        await load(0.5)
        postgres.kill()
        await asyncio.sleep(0.3)  # what was committed before is still said
        said = len(rig.receipts)
        await load(0.5)
        assert len(rig.receipts) == said, "acknowledged while Postgres was dead"
        assert rig.writer.stalled_since is not None
        await asyncio.to_thread(postgres.start)
        await load(0.5)
        await asyncio.wait_for(rig.writer.barrier(), 30)
        assert rig.writer.stalled_since is None
        assert rig.receipts == [(n % 5, n) for n in range(1, sent + 1)]
        rows = await rig.fetch("SELECT count(*) FROM locations")
        assert rows[0][0] == sent


async def test_a_storm_of_terminated_backends(database):
    async with running(database) as rig:
        killer = await asyncpg.connect(database)
        try:
            for second in range(400):
                rig.writer.put(report(1, second))
                if second % 20 == 0:
                    await killer.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                    await asyncio.sleep(0.01)
            await asyncio.wait_for(rig.writer.barrier(), 30)
        finally:
            await killer.close()
        assert (await rig.fetch("SELECT count(*) FROM locations"))[0][0] == 400
        assert rig.receipts == [(1, second) for second in range(400)]
