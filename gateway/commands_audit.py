"""`jtgate audit LEDGER`: every report that a fleet saw acknowledged, against the database.

Each must be in `locations` once and only once, under its own device time where the gateway believed that
time. Reports that Postgres refused lie raw in `rejected`: they are stored, too, and are counted apart.
Each file of evidence that was called complete must be in `evidence` as such, and in the store.
The ledger goes through a temporary table, so its size is bounded by the disk of the database. Knows the
ledger's format from `simulator.ledger` and the tables, nothing of the running gateway.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import asyncpg
import msgspec
import typer
from xxhash import xxh3_64_intdigest

from gateway.config import ConfigError, load
from protocol.header import parse
from protocol.messages.location import batch_bodies
from simulator.ledger import Entry, FileEntry, Reader
from storage.database import moment
from storage.embedded import DataFolderBusyError, EmbeddedPostgres, EmbeddedPostgresError
from storage.files import Store
from storage.rows import TIME_QUALITY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DAY = 86400.0
MARGIN = DAY  # s around the ledger's times in which its rows are looked for
SANE = 400 * DAY  # s between device time and acknowledgement, beyond which no row has the device time
BATCH = 0x0704
LOOKED_AT = 100_000  # missing reports and rows of `rejected` that are compared with each other

_LEDGER = """
CREATE TEMP TABLE ledger (
    phone text NOT NULL, digest bigint NOT NULL, time timestamptz, serial integer NOT NULL,
    message_id integer NOT NULL, acked timestamptz NOT NULL
)
"""
_COLUMNS = ("phone", "digest", "time", "serial", "message_id", "acked")

# A body that was acknowledged twice is one report.
_WANTED = """
CREATE TEMP TABLE wanted AS
SELECT t.id AS terminal_id, l.phone, l.digest, max(l.time) AS time,
       (array_agg(l.serial ORDER BY l.acked))[1] AS serial,
       (array_agg(l.message_id ORDER BY l.acked))[1] AS message_id, min(l.acked) AS acked
FROM ledger l LEFT JOIN terminals t USING (phone)
GROUP BY t.id, l.phone, l.digest
"""
_STORED = """
CREATE TEMP TABLE stored (
    terminal_id bigint, digest bigint, copies bigint, first timestamptz, last timestamptz, believed boolean
)
"""
_LOOK = """
INSERT INTO stored
SELECT terminal_id, digest, count(*), min(time), max(time), bool_or(flags & $3 = 0)
FROM locations
WHERE terminal_id IN (SELECT terminal_id FROM wanted) AND time >= $1 AND time < $2
GROUP BY terminal_id, digest
"""
_MISSING = """
SELECT w.phone, w.serial, w.message_id, w.time, w.digest, w.acked
FROM wanted w LEFT JOIN stored s USING (terminal_id, digest)
WHERE s.digest IS NULL ORDER BY w.acked
"""
_TWICE = """
SELECT t.phone, s.digest, s.copies, s.first, s.last
FROM stored s JOIN terminals t ON t.id = s.terminal_id WHERE s.copies > 1 ORDER BY s.first
"""
_ELSEWHERE = """
SELECT w.phone, w.serial, w.message_id, w.time, w.digest, w.acked, s.first AS stored
FROM wanted w JOIN stored s USING (terminal_id, digest)
WHERE s.copies = 1 AND s.believed AND w.time IS DISTINCT FROM s.first ORDER BY w.acked
"""
_REJECTED = """
SELECT phone, message_id, raw FROM rejected WHERE phone = ANY($1) ORDER BY id DESC LIMIT $2
"""


_COMPLETE = "SELECT phone, sha256 FROM evidence WHERE sha256 = ANY($1) AND state = 'complete'"


class Audit(msgspec.Struct):
    """What an audit found. Counts are of different reports, however often the ledger has them."""

    lines: int = 0  # entries of the ledger
    unreadable: int = 0  # lines that were not whole
    terminals: int = 0
    acknowledged: int = 0
    parked: int = 0  # of these, raw in `rejected` instead of in `locations`
    missing: int = 0
    twice: int = 0  # reports of these terminals that are in `locations` more than once
    elsewhere: int = 0  # stored under a device time that is not the report's
    files: int = 0  # of evidence, that were called complete
    files_missing: int = 0  # of these, not in `evidence` or not whole in the store
    details: list[dict[str, Any]] = msgspec.field(default_factory=list)

    @property
    def passed(self) -> bool:
        """An empty ledger proves nothing."""
        proved = self.acknowledged > 0 or self.files > 0
        return proved and not (self.missing or self.twice or self.elsewhere or self.files_missing)


def audit(
    ledger: Annotated[Path, typer.Argument(help="The file of `jtgate simulate --ledger`.")],
    *,
    database_url: Annotated[
        str | None, typer.Option(help="PostgreSQL to look into; unset: that of the settings.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.")] = None,
    show: Annotated[int, typer.Option(min=0, help="Failures that are shown one by one.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Hold the acknowledged reports of a ledger against the database.

    Files of evidence that were called complete must be in the table, and in the store of the settings.
    Ends with 0 only if none is missing and none is there twice; 1 otherwise, 2 if it could not look.
    """
    if not ledger.is_file():
        raise typer.BadParameter(f"there is no ledger {ledger}")
    try:
        found = asyncio.run(_with_database(ledger, database_url, config, show))
    except (ConfigError, EmbeddedPostgresError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        typer.echo(f"The audit could not be made: {error}", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"The audit could not be made: {error.strerror or error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(msgspec.json.encode(found).decode() if as_json else tell(found))
    if not found.passed:
        raise typer.Exit(1)


def tell(found: Audit) -> str:
    """The result in words, the verdict first."""
    lines = [
        f"{'passed' if found.passed else 'FAILED'}: {found.acknowledged} acknowledged reports of "
        f"{found.terminals} terminals, {found.missing} missing, {found.twice} twice, "
        f"{found.elsewhere} under another time, {found.parked} parked in rejected; "
        f"{found.files} files of evidence, {found.files_missing} missing"
        + (f"; {found.unreadable} lines of the ledger are not whole" if found.unreadable else "")
    ]
    lines += ["  " + " ".join(f"{key}={value}" for key, value in detail.items()) for detail in found.details]
    if not (found.acknowledged or found.files):
        lines.append("  the ledger holds no acknowledged report, so it proves nothing")
    return "\n".join(lines)


async def examine(
    connection: asyncpg.Connection[Any], reader: Reader, *, show: int = 10, store: Store | None = None
) -> Audit:
    """The audit itself. Makes temporary tables: the connection should be the audit's own.

    `store` has the evidence files; None: only the table is looked into.
    """
    found = Audit()
    begin, end = await _load(connection, reader)
    found.lines, found.unreadable = reader.entries, reader.unreadable
    await _files(connection, reader.files, found, show, store)
    if not reader.entries:
        return found
    await connection.execute(_WANTED)
    await connection.execute("ANALYZE wanted")
    await connection.execute(_STORED)
    await connection.execute(_LOOK, moment(begin - MARGIN), moment(end + MARGIN), TIME_QUALITY)
    await connection.execute("ANALYZE stored")
    counts = await connection.fetchrow("SELECT count(*), count(DISTINCT phone) FROM wanted")
    assert counts is not None  # noqa: S101 - an aggregate always gives one row
    found.acknowledged, found.terminals = counts
    missing = await _fetch(connection, _MISSING)
    missing, found.parked = await _without_parked(connection, missing)
    twice = await _fetch(connection, _TWICE)
    elsewhere = await _fetch(connection, _ELSEWHERE)
    found.missing, found.twice, found.elsewhere = len(missing), len(twice), len(elsewhere)
    named = (("missing", missing), ("twice", twice), ("elsewhere", elsewhere))
    found.details += [{"what": what, **_shown(row)} for what, rows in named for row in rows[:show]]
    return found


async def _files(
    connection: asyncpg.Connection[Any],
    files: Sequence[FileEntry],
    found: Audit,
    show: int,
    store: Store | None,
) -> None:
    """What the ledger says of evidence, against the table and the folder."""
    wanted = {(file.phone.lstrip("0") or "0", file.sha256): file for file in files}
    digests = list({bytes.fromhex(file.sha256) for file in files})
    rows = await connection.fetch(_COMPLETE, digests) if digests else []
    kept = {(row["phone"], row["sha256"].hex()) for row in rows}
    missing = [
        {"what": "file", "phone": file.phone, "sha256": file.sha256, "size": file.size, "why": why}
        for key, file in wanted.items()
        if (why := "not in the table" if key not in kept else _not_in(store, file))
    ]
    found.files, found.files_missing = len(wanted), len(missing)
    found.details += missing[:show]


def _not_in(store: Store | None, file: FileEntry) -> str:
    """What is wrong with a file in the store; empty where all is well."""
    if store is None:
        return ""
    try:
        with store.path(bytes.fromhex(file.sha256)).open("rb") as held:
            right = hashlib.file_digest(held, "sha256").hexdigest() == file.sha256
    except OSError as error:
        return error.strerror or str(error)
    return "" if right else "other bytes in the store"


async def _load(connection: asyncpg.Connection[Any], reader: Reader) -> tuple[float, float]:
    """The ledger into its table; gives the times between which its rows must lie."""
    await connection.execute("SET timezone TO 'UTC'")
    await connection.execute(_LEDGER)
    begin, end = float("inf"), 0.0
    for batch in reader:
        await connection.copy_records_to_table("ledger", records=_records(batch), columns=_COLUMNS)
        times = [e.time for e in batch if e.time is not None and abs(e.time - e.acked) < SANE]
        acked = [e.acked for e in batch]
        begin, end = min(begin, *times, *acked), max(end, *times, *acked)
    return begin, end


def _records(batch: Iterable[Entry]) -> Iterable[tuple[object, ...]]:
    for e in batch:
        time = None if e.time is None else moment(e.time)
        yield e.phone.lstrip("0") or "0", e.digest, time, e.serial, e.message_id, moment(e.acked)


async def _without_parked(
    connection: asyncpg.Connection[Any], missing: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], int]:
    """`missing` without those that lie in `rejected`, and how many those are."""
    if not missing:
        return missing, 0
    phones = list({row["phone"] for row in missing[:LOOKED_AT]})
    parked = {
        (row["phone"], digest)
        for row in await connection.fetch(_REJECTED, phones, LOOKED_AT)
        for digest in _digests(row["message_id"], row["raw"])
    }
    rest = [row for row in missing if (row["phone"], row["digest"]) not in parked]
    return rest, len(missing) - len(rest)


def _digests(message_id: int | None, raw: bytes) -> Iterable[int]:
    """Digests of the reports that `raw` may be: a body, a header and a body, a batch of bodies."""
    bodies = [raw]
    header = parse(raw) if len(raw) >= 12 else None
    if header is not None and header.message_id == message_id:
        bodies.append(raw[header.size :])
    if message_id == BATCH:
        bodies += [inner for body in list(bodies) if len(body) >= 3 for inner in batch_bodies(body)[1]]
    for body in bodies:
        digest = xxh3_64_intdigest(body)
        yield digest - (1 << 64) if digest >> 63 else digest


async def _fetch(connection: asyncpg.Connection[Any], query: str) -> list[dict[str, Any]]:
    return [dict(row) for row in await connection.fetch(query)]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a failure as people and programs read it."""
    shown = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in row.items()}
    shown["digest"] = f"{row['digest'] % (1 << 64):016x}"
    if "message_id" in row:
        shown["message_id"] = f"{row['message_id']:#06x}"
    return shown


async def _with_database(ledger: Path, url: str | None, config: Path | None, show: int) -> Audit:
    store = Store(load(config).evidence_folder) if url is None else None
    async with _database(url, config) as dsn:
        connection = await asyncpg.connect(dsn)
        try:
            return await examine(connection, Reader(ledger), show=show, store=store)
        finally:
            await connection.close()


@asynccontextmanager
async def _database(url: str | None, config: Path | None) -> AsyncIterator[str]:
    """The DSN of the database; an embedded one is started for the time of the audit."""
    if url is None:
        settings = load(config)
        url = settings.database_url
        if url is None:
            embedded = EmbeddedPostgres(settings.data_dir)
            try:
                url = await embedded.start()
            except DataFolderBusyError:  # the gateway is running on it
                yield EmbeddedPostgres(settings.data_dir).attach()
                return
            try:
                yield url
            finally:
                await embedded.stop()
            return
    yield url
