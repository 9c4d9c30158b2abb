"""An audit passes where every acknowledged report is stored once, and only there."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
import typer
from typer.testing import CliRunner
from xxhash import xxh3_64_intdigest

from gateway.commands_audit import Audit, audit, examine, tell
from protocol.header import Edition, build, phone_bytes
from simulator import bodies
from simulator.ledger import Ledger, Reader
from storage import partitions
from storage.files import Store
from storage.rows import TIME_STALE, TIME_UNREADABLE

NOW = int(time.time())
PHONES = {"13800000001": 1, "4eb6f0000002": 2}

APP = typer.Typer()
APP.command()(audit)

INSERT = """
INSERT INTO locations VALUES ($1, $2, $3, $2, 0, 0, 0, 0, 0, 0, 0, $4, '', NULL)
"""


def signed(body: bytes) -> int:
    digest = xxh3_64_intdigest(body)
    return digest - (1 << 64) if digest >> 63 else digest


class Case:
    """A database and a ledger to be held against each other."""

    def __init__(self, connection: asyncpg.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path
        self.ledger = Ledger(path)
        self.ids: dict[str, int] = {}

    async def prepare(self) -> None:
        await partitions.make_ahead(self.connection, today=datetime.now(UTC).date(), back=3, ahead=2)
        for phone in PHONES:
            self.ids[phone] = await self.connection.fetchval(
                "INSERT INTO terminals (phone) VALUES ($1) RETURNING id", phone
            )

    def acked(
        self, body: bytes, *, at: int | bytes = NOW, phone: str = "13800000001", message: int = 0x0200
    ) -> None:
        self.ledger.add(phone, 7, message, time=at, body=body, acked=NOW + 1)

    async def stored(
        self, body: bytes, *, at: int = NOW, phone: str = "13800000001", quality: int = 0
    ) -> None:
        moment = datetime.fromtimestamp(at, UTC)
        await self.connection.execute(INSERT, self.ids[phone], moment, signed(body), quality)

    async def audit(self, show: int = 10) -> Audit:
        self.ledger.close()
        return await examine(self.connection, Reader(self.path), show=show)


@pytest.fixture
async def case(database: str, tmp_path: Path):
    connection = await asyncpg.connect(database)
    case = Case(connection, tmp_path / "ledger")
    await case.prepare()
    yield case
    case.ledger.close()
    await connection.close()


async def test_all_is_there(case: Case) -> None:
    for n in range(300):
        phone = list(PHONES)[n % 2]
        case.acked(b"%d" % n, at=NOW - n, phone=phone)
        await case.stored(b"%d" % n, at=NOW - n, phone=phone)
    await case.stored(b"never acknowledged")
    found = await case.audit()
    assert found == Audit(lines=300, terminals=2, acknowledged=300)
    assert found.passed
    assert tell(found).startswith("passed: 300 acknowledged reports of 2 terminals, 0 missing")


async def test_missing_ones_are_named(case: Case) -> None:
    for n in range(5):
        case.acked(b"%d" % n, at=NOW - n)
    await case.stored(b"3", at=NOW - 3)
    case.acked(b"x", phone="999")  # a terminal that the database does not know
    found = await case.audit(show=3)
    assert (found.acknowledged, found.missing, found.twice) == (6, 5, 0)
    assert not found.passed
    assert len(found.details) == 3
    first = next(d for d in found.details if d["digest"] == f"{xxh3_64_intdigest(b'0'):016x}")
    assert first["what"] == "missing"
    assert (first["phone"], first["serial"], first["message_id"]) == ("13800000001", 7, "0x0200")
    assert "FAILED" in tell(found)
    assert first["digest"] in tell(found)


async def test_the_report_of_another_terminal_does_not_count(case: Case) -> None:
    case.acked(b"a")
    await case.stored(b"a", phone="4eb6f0000002")
    assert (await case.audit()).missing == 1


async def test_twice_under_different_times(case: Case) -> None:
    for body in (b"a", b"b"):
        case.acked(body, at=bytes(6))
        await case.stored(body, at=NOW, quality=TIME_UNREADABLE)
    await case.stored(b"b", at=NOW + 40, quality=TIME_UNREADABLE)
    found = await case.audit()
    assert (found.acknowledged, found.missing, found.twice) == (2, 0, 1)
    assert not found.passed
    assert found.details[0]["copies"] == 2


async def test_acknowledged_twice_is_one_report(case: Case) -> None:
    case.acked(b"a")
    case.acked(b"a", message=0x0704)
    await case.stored(b"a")
    found = await case.audit()
    assert (found.lines, found.acknowledged, found.passed) == (2, 1, True)


async def test_wrong_clocks(case: Case) -> None:
    """Stored under the time of reception: that is right where the time was not believed."""
    case.acked(b"2007", at=1_168_654_841)
    await case.stored(b"2007", at=NOW, quality=TIME_STALE)
    case.acked(b"zero", at=bytes(6))
    await case.stored(b"zero", at=NOW, quality=TIME_UNREADABLE)
    assert (await case.audit()).passed


async def test_elsewhere(case: Case) -> None:
    case.acked(b"a", at=NOW - 60)
    await case.stored(b"a", at=NOW)
    found = await case.audit()
    assert (found.missing, found.elsewhere, found.passed) == (0, 1, False)
    assert found.details[0]["what"] == "elsewhere"


async def test_parked_is_stored(case: Case) -> None:
    frame = build(0x0200, phone_bytes("13800000001", Edition.V2013), 3, 5) + b"short"
    parked = (
        (0x0200, b"as a body", b"as a body"),
        (0x0200, frame, b"short"),
        (0x0704, bodies.batch([b"in a batch", b"too"]), b"too"),
    )
    for message_id, raw, body in parked:
        case.acked(body, message=message_id)
        await case.connection.execute(
            "INSERT INTO rejected (phone, message_id, reason, raw) VALUES ($1, $2, 'body', $3)",
            "13800000001",
            message_id,
            raw,
        )
    case.acked(b"nowhere")
    found = await case.audit()
    assert (found.acknowledged, found.parked, found.missing) == (4, 3, 1)


async def test_an_empty_ledger_proves_nothing(case: Case) -> None:
    found = await case.audit()
    assert found == Audit()
    assert not found.passed
    assert "proves nothing" in tell(found)


async def test_a_truncated_ledger(case: Case) -> None:
    case.acked(b"a")
    await case.stored(b"a")
    case.acked(b"b")
    case.ledger.close()
    case.path.write_bytes(case.path.read_bytes()[:-5])
    found = await case.audit()
    assert (found.acknowledged, found.unreadable, found.passed) == (1, 1, True)
    assert "1 lines of the ledger are not whole" in tell(found)


async def test_hundreds_of_thousands_are_no_matter(case: Case) -> None:
    count = 200_000
    records = []
    for n in range(count):
        body = b"%d" % n
        case.acked(body, at=NOW - n % 3600)
        moment = datetime.fromtimestamp(NOW - n % 3600, UTC)
        records.append((1, moment, signed(body), moment, 0, 0, 0, 0, 0, 0, 0, 0, b"", None))
    await case.connection.copy_records_to_table("locations", records=records)
    begun = time.monotonic()
    found = await case.audit()
    assert (found.acknowledged, found.missing, found.twice) == (count, 0, 0)
    assert time.monotonic() - begun < 20


async def test_the_command(case: Case, database: str) -> None:
    case.acked(b"a")
    case.acked(b"b")
    await case.stored(b"a")
    case.ledger.close()

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(APP, [str(case.path), "--database-url", database, *arguments])
        return result.exit_code, result.output

    status, text = await asyncio.to_thread(run, "--json")
    assert status == 1
    told = json.loads(text)
    assert (told["acknowledged"], told["missing"]) == (2, 1)
    await case.stored(b"b")
    status, text = await asyncio.to_thread(run)
    assert status == 0
    assert text.startswith("passed: 2 ")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://nobody@127.0.0.1:9/none", "could not be made"),
        ("nonsense", "could not be made"),
    ],
)
def test_no_database(tmp_path: Path, url: str, sentence: str) -> None:
    path = tmp_path / "ledger"
    Ledger(path).close()
    result = CliRunner().invoke(APP, [str(path), "--database-url", url])
    assert result.exit_code == 2
    assert sentence in result.output


def test_no_ledger(tmp_path: Path) -> None:
    result = CliRunner().invoke(APP, [str(tmp_path / "none")])
    assert result.exit_code == 2
    assert "there is no ledger" in " ".join(result.output.replace("│", " ").split())


FILE = """
INSERT INTO evidence
    (alarm_id, n, terminal_id, phone, identifier, occurred_at, name, slot, size, state, sha256)
VALUES (gen_random_uuid(), 1, 1, $1, '', now(), 'x', 'x', 3, $2, $3)
"""


async def test_files_of_evidence(case: Case, tmp_path: Path) -> None:
    """In the table as complete, under the terminal that sent it, and with the same bytes in the store."""
    store = Store(tmp_path / "evidence")
    contents = [b"one", b"two", b"six", b"ten", b"foreign", b"partial"]
    for content in contents:
        sha256 = hashlib.sha256(content)
        case.ledger.add_file("13800000001", sha256.hexdigest(), len(content), acked=NOW)
        case.ledger.add_file("13800000001", sha256.hexdigest(), len(content), acked=NOW + 1)
        phone = "4eb6f0000002" if content == b"foreign" else "13800000001"
        if content != b"ten":
            state = "partial" if content == b"partial" else "complete"
            await case.connection.execute(FILE, phone, state, sha256.digest())
        if content != b"two":
            path = store.path(sha256.digest())
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"bad" if content == b"six" else content)
    case.ledger.close()
    found = await examine(case.connection, Reader(case.path), store=store)
    assert (found.files, found.files_missing, found.passed) == (6, 5, False)
    assert "6 files of evidence, 5 missing" in tell(found)
    why = {detail["sha256"]: detail["why"] for detail in found.details}
    assert why[hashlib.sha256(b"two").hexdigest()] == "No such file or directory"
    assert why[hashlib.sha256(b"six").hexdigest()] == "other bytes in the store"
    absent = {hashlib.sha256(content).hexdigest() for content in (b"ten", b"foreign", b"partial")}
    assert {sha256 for sha256, reason in why.items() if reason == "not in the table"} == absent
