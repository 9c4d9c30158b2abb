"""Partial files, whole ones, and what a restart finds."""

from __future__ import annotations

import hashlib
import uuid

import pytest

from protocol.content import JPEG
from storage.files import Store

ALARM = str(uuid.UUID(int=1))
DATA = b"\xff\xd8\xff" + bytes(range(256)) * 40


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "evidence")


def view(data: bytes) -> memoryview:
    return memoryview(data)


def test_nothing_is_made_before_the_first_file(store):
    assert store.room() > 0
    assert not store.folder.exists()
    assert Store(store.folder, keep_free=1 << 60).room() < 0


def test_a_file_becomes_its_hash(store):
    partial = store.open(ALARM, 1, len(DATA))
    assert partial.write([(100, view(DATA)[100:]), (0, view(DATA)[:200])]) == 0
    assert partial.whole
    stored = store.finish(partial)
    assert stored == (hashlib.sha256(DATA).digest(), len(DATA), JPEG)
    assert store.path(stored.sha256).read_bytes() == DATA
    assert [p for p in store.folder.rglob("*") if p.is_file()] == [store.path(stored.sha256)]


def test_the_same_content_lies_there_once(store):
    for n in (1, 2):
        partial = store.open(ALARM, n, len(DATA))
        partial.write([(0, view(DATA))])
        path = store.path(store.finish(partial).sha256)
    assert path.stat().st_nlink == 1
    empty = store.open(ALARM, 3, 0)
    assert empty.whole and store.finish(empty).size == 0


def test_what_lies_outside_is_dropped(store):
    partial = store.open(ALARM, 1, 10)
    assert partial.write([(8, view(b"abcd")), (4_000_000_000, view(b"xyz"))]) == 5
    assert list(partial.ranges) == [(8, 10)]
    partial.close()


def test_a_checkpoint_survives_and_nothing_else_does(store):
    partial = store.open(ALARM, 1, 100)
    partial.write([(10, view(b"a" * 10))])
    partial.checkpoint()
    partial.write([(50, view(b"b" * 10))])
    partial.close()  # as a kill would
    again = store.open(ALARM, 1, 100)
    assert list(again.ranges) == [(10, 20)]
    again.close()
    other = store.open(ALARM, 1, 99)  # another file under the same number
    assert list(other.ranges) == [] and other.path.stat().st_size == 0
    other.close()


@pytest.mark.parametrize(
    "note", [b"", b"{", b"[]", b'{"size": 100}', b'{"size": 100, "ranges": [["x"]]}', b"\xff\xff"]
)
def test_a_broken_note_is_no_note(store, note):
    partial = store.open(ALARM, 1, 100)
    partial.write([(0, view(b"a" * 10))])
    partial.close()
    partial.path.with_name(partial.path.name + ".ranges").write_bytes(note)
    again = store.open(ALARM, 1, 100)
    assert list(again.ranges) == []
    again.close()


def test_another_size_begins_anew(store):
    partial = store.open(ALARM, 1, 100)
    partial.write([(0, view(b"a" * 100))])
    partial.checkpoint()
    partial.resize(5)
    assert not partial.whole
    partial.write([(0, view(b"abcde"))])
    assert store.path(store.finish(partial).sha256).read_bytes() == b"abcde"


def test_only_our_own_numbers_make_paths(store):
    with pytest.raises(ValueError, match="hexadecimal"):
        store.open("../../etc", 1, 1)
