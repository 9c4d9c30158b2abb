"""A ledger says exactly what was acknowledged, also after its writer was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from simulator import ledger
from simulator.ledger import Entry, FileEntry, Ledger, Reader, parse, parse_file


def entries(path: Path) -> list[Entry]:
    return [entry for batch in Reader(path) for entry in batch]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with Ledger(path) as book:
        book.add("13800000001", 7, 0x0200, time=1_700_000_000, body=b"one", acked=1_700_000_000.25)
        book.add("4eb6fb4afd9e", 65535, 0x0704, time=b"\xff" * 6, body=b"two", acked=1_700_000_001.0)
    first, second = entries(path)
    assert first.phone == "13800000001"
    assert (first.serial, first.message_id, first.time) == (7, 0x0200, 1_700_000_000)
    assert first.digest % (1 << 64) == xxh3_64_intdigest(b"one")
    assert first.acked == 1_700_000_000.25
    assert second.time is None
    assert second.phone == "4eb6fb4afd9e"


@given(st.binary())
def test_digests_are_as_postgres_stores_them(body: bytes) -> None:
    line = f"1 2 0200 3 {xxh3_64_intdigest(body):016x} 4.0\n".encode()
    entry = parse(line)
    assert entry is not None
    assert -(1 << 63) <= entry.digest < 1 << 63
    assert entry.digest % (1 << 64) == xxh3_64_intdigest(body)


@given(st.integers(1, 40))
def test_no_beginning_of_a_line_is_an_entry(cut: int) -> None:
    line = b"13800000001 7 0200 1700000000 00000000000000ff 1700000000.250\n"
    assert parse(line) is not None
    assert parse(line[:-cut]) is None


@given(st.binary(max_size=80))
def test_no_line_raises(line: bytes) -> None:
    parse(line)


def test_files_stand_beside_reports(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with Ledger(path) as book:
        book.add_file("13800000001", "ab" * 32, 2_000_000, acked=1_700_000_000.5)
        book.add("13800000001", 7, 0x0200, time=1_700_000_000, body=b"one", acked=1_700_000_000.25)
    reader = Reader(path)
    assert [len(batch) for batch in reader] == [1] and reader.unreadable == 0
    assert reader.files == [FileEntry("13800000001", "ab" * 32, 2_000_000, 1_700_000_000.5)]
    line = f"file 13800000001 {'ab' * 32} 2000000 1700000000.500\n".encode()
    assert parse_file(line) == reader.files[0] and parse(line) is None
    assert all(parse_file(line[:stop]) is None for stop in range(len(line)))
    assert parse_file(line.replace(b"abab", b"abxx")) is None


def test_a_truncated_last_line_is_left_out_and_written_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with Ledger(path) as book:
        for n in range(3):
            book.add("1", n, 0x0200, time=n, body=b"%d" % n, acked=1.0)
    path.write_bytes(path.read_bytes()[:-9])
    reader = Reader(path)
    assert [entry.serial for batch in reader for entry in batch] == [0, 1]
    assert (reader.entries, reader.unreadable) == (2, 1)
    with Ledger(path) as book:
        book.add("1", 9, 0x0200, time=9, body=b"9", acked=1.0)
    assert [entry.serial for entry in entries(path)] == [0, 1, 9]
    assert path.read_text().count("#") == 1


def test_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "BATCH", 4)
    path = tmp_path / "ledger"
    with Ledger(path) as book:
        for n in range(10):
            book.add("1", n, 0x0200, time=n, body=b"%d" % n, acked=1.0)
    assert [len(batch) for batch in Reader(path)] == [4, 4, 2]


def test_flushed_in_time(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    book = Ledger(path)
    book.flush_due(100.0)
    book.add("1", 1, 0x0200, time=1, body=b"1", acked=1.0)
    book.flush_due(100.1)
    assert entries(path) == []
    book.flush_due(100.7)
    assert len(entries(path)) == 1
    book.close()


WRITER = """
import sys, time
from pathlib import Path
from simulator.ledger import Ledger
book = Ledger(Path(sys.argv[1]))
n = 0
while True:
    book.add("13800000001", n & 0xFFFF, 0x0200, time=n, body=b"%d" % n, acked=time.time())
    n += 1
    if n % 5000 == 0:
        book.flush()
        print(n, flush=True)
"""


def test_readable_after_kill(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        flushed = [int(process.stdout.readline()) for _ in range(3)][-1]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    found = entries(path)
    assert len(found) >= flushed
    assert [entry.time for entry in found] == list(range(len(found)))
