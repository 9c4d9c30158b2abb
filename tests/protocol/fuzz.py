"""Broken input for the codec: mutated frames, bodies and items, and what must hold for every one of them.

    python -m tests.protocol.fuzz [--executions N] [--seconds S] [--seed N] [--jobs N]        (make fuzz)

A target takes bytes that may have come from a peer; it must not raise, hang, or keep memory. Inputs are
mutations of the project's own vectors and of the examples of every layout, and are the same for the same
seed. `tests/fuzz/coverage_guided.py` drives the same targets by coverage, where atheris is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import multiprocessing
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

from protocol import catalog, codec, frame
from protocol.catalog import EncodeError
from protocol.frame import MAX_FRAME, Fault, Splitter
from protocol.header import VERSIONED, Edition, build, parse, phone_bytes
from protocol.items import places, read_item, reread
from protocol.link import Link, Message, Repetition, Role
from protocol.location import SIZE, read
from protocol.messages import DIALECTS, EDITIONS, ITEMS
from protocol.messages.location import batch_bodies
from protocol.schema import example
from protocol.subpackage import MAX_JOINED, Budget
from tests.protocol.own import chapters, vectors

EXECUTIONS = 10_000_000
SLOWEST = 5.0  # seconds that one execution may take, on a machine that does other things too
STUCK = 20.0  # seconds without a thousand more of them
GROWTH = 48 << 20  # bytes by which a process may grow once its caches are filled

MESSAGE_IDS = sorted({message_id for rows in (*EDITIONS.values(), *DIALECTS.values()) for message_id in rows})
NAMES = [None, *DIALECTS]
PROFILES = [codec.Profile(edition, dialect) for edition in Edition for dialect in NAMES]


# --- what must hold ---------------------------------------------------------------------------------------


def check_body(data: bytes, message_id: int, profile: codec.Profile, *, thorough: bool) -> None:
    """Any body of any message is read, and what was read can be written or is refused."""
    reading = profile.decode(message_id, data)
    assert data.endswith(reading.rest)
    if reading.row is None or not thorough:
        return
    shown = profile.decode(message_id, data, present=True, explain=True)
    json.dumps(shown.fields)
    assert b"".join(part.raw for part in shown.parts) + shown.rest == data
    for fields in (reading.fields, shown.fields):
        with contextlib.suppress(EncodeError):
            profile.encode(message_id, fields)


def check_item(data: bytes, item_id: int, dialect: str | None) -> None:
    found = read_item(ITEMS, item_id, data, dialect=dialect, present=True)
    if found.item is not None:
        json.dumps(found.fields)
        with contextlib.suppress(EncodeError):
            catalog.encode(found.item.layout, found.fields)


def check_report(data: bytes) -> None:
    """The fast way of a location report, and of a batch, finds what the bytes hold."""
    if len(data) >= 3:
        _, bodies, left = batch_bodies(data)
        assert sum(map(len, bodies)) + len(left) <= len(data)
    if len(data) < SIZE:
        return
    report = read(data)
    if report.left:
        report = reread(report, data)
    assert sum(len(raw) for _, raw in report.items) + len(report.left) <= len(data) - SIZE
    ends = [place.stop for place in places(data[SIZE:])]
    assert ends == sorted(ends)
    assert abs(report.signed[0]) <= 180_000_000 >= abs(report.signed[1])


def check_frame(data: bytes) -> None:
    """Anything is told and explained, every byte of it."""
    told = codec.decode(data)
    json.dumps(told)
    opened = codec.unwrap(data)
    if opened.head is not None:
        assert b"".join(part.raw for part in codec.explain(data)) == opened.data + opened.trailer


def check_split(data: bytes, cuts: list[int]) -> None:
    """The frames of a stream do not depend on how it is cut."""
    whole, pieces = Splitter(), Splitter()
    frames = [one for one in whole.feed(data) if not isinstance(one, Fault)]
    found: list[bytes | Fault] = []
    for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True):
        found += pieces.feed(data[start:stop])
        assert pieces.buffered <= MAX_FRAME
    assert [one for one in found if not isinstance(one, Fault)] == frames
    for one in frames:
        head = parse(one)
        assert head is None or head.size <= len(one)


class Peer:
    """A link of each role that takes whatever comes, for as long as a connection lives."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.budget = Budget(4 * MAX_JOINED)
        self.links = [
            Link(Role.PLATFORM, budget=self.budget, repetition=Repetition()),
            Link(
                Role.TERMINAL, phone="1", edition=Edition.V2013, budget=self.budget, repetition=Repetition()
            ),
        ]
        self.now = 0.0
        self.fed = 0

    def check(self, data: bytes) -> None:
        self.now += 0.7
        self.fed += 1
        for link in self.links:
            for received in link.receive(data, self.now):
                if isinstance(received, Message):
                    link.acknowledge(received.id, received.serial)
            if self.fed % 16 == 0 and link.edition is not None:
                link.send(0x8104, data, self.now, repeat=True)
            link.tick(self.now)
            link.data_to_send()
        if self.fed == 500:
            for link in self.links:
                link.close()
            assert self.budget.left == self.budget.total
            self.renew()


# --- inputs -----------------------------------------------------------------------------------------------


class Seeds(NamedTuple):
    """Bytes that are right, to be broken."""

    bodies: dict[int, list[bytes]]
    items: dict[int, list[bytes]]


def seeds() -> Seeds:
    bodies: dict[int, list[bytes]] = {message_id: [] for message_id in MESSAGE_IDS}
    items: dict[int, list[bytes]] = {item_id: [] for item_id in ITEMS}
    for rows in (*EDITIONS.values(), *DIALECTS.values()):
        for row in rows.values():
            bodies[row.id].append(catalog.encode(row.layout, example(row.layout)))
    for chapter in chapters():
        for vector in vectors(chapter):
            bodies[int(vector["message"], 16)].append(bytes.fromhex(vector["body"]))
    for item in (item for group in ITEMS.values() for item in group):
        items[item.id].append(catalog.encode(item.layout, example(item.layout)))
    for vector in vectors("items"):
        items[int(vector["item"], 16)].append(bytes.fromhex(vector["value"]))
    for item_id, values in items.items():
        fixed = bodies[0x0200][0][:SIZE]
        bodies[0x0200] += [fixed + bytes((item_id, len(value))) + value for value in values]
    return Seeds(bodies, items)


ODD = (0, 1, 2, 3, 4, 5, 8, 16, 28, 31, 32, 56, 0x7D, 0x7E, 0x7F, 0x80, 0xFE, 0xFF)
"""Bytes that are lengths, counts, types or delimiters more often than others."""


def mutate(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """`data` with a few things wrong; `other` lends some of its bytes."""
    raw = bytearray(data)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 6))):
        at = rng.randrange(len(raw) + 1)
        match rng.randrange(8):
            case 0 if raw:
                raw[at % len(raw)] ^= 1 << rng.randrange(8)
            case 1 if raw:
                raw[at % len(raw)] = rng.choice(ODD)
            case 2:
                del raw[at:]
            case 3:
                del raw[at : at + rng.randrange(1, 9)]
            case 4:
                raw[at:at] = rng.randbytes(rng.randrange(1, 9))
            case 5:
                start = rng.randrange(len(other) + 1)
                raw[at:at] = other[start : start + rng.randrange(40)]
            case 6:
                raw[at : at + rng.randrange(1, 5)] = bytes((rng.choice((0, 0xFF)),)) * rng.randrange(1, 5)
            case 7:
                raw += raw[: rng.randrange(len(raw) + 1)]
    return bytes(raw[:4000])


Target = Callable[[random.Random], None]


def targets(given: Seeds) -> dict[str, tuple[int, Target]]:
    """What is tried, each as often as its number says; an execution is one call."""
    peer = Peer()
    item_ids = sorted(given.items)
    profiles = len(PROFILES)

    def body(rng: random.Random) -> bytes:
        return rng.choice(given.bodies[rng.choice(MESSAGE_IDS)])

    def a_body(rng: random.Random) -> None:
        message_id = rng.choice(MESSAGE_IDS)
        data = mutate(rng.choice(given.bodies[message_id]), rng, body(rng))
        profile = PROFILES[rng.randrange(profiles)]
        check_body(data, message_id, profile, thorough=rng.random() < 0.1)

    def an_item(rng: random.Random) -> None:
        item_id = rng.choice(item_ids)
        data = mutate(rng.choice(given.items[item_id]), rng, b"")
        check_item(data[:255], item_id, rng.choice(NAMES))

    def a_report(rng: random.Random) -> None:
        check_report(mutate(rng.choice(given.bodies[rng.choice((0x0200, 0x0704))]), rng, body(rng)))

    def wire(rng: random.Random) -> bytes:
        message_id = rng.choice(MESSAGE_IDS)
        data = mutate(rng.choice(given.bodies[message_id]), rng, b"")[:1023]
        phone = phone_bytes("13800138000", rng.choice(list(Edition)))
        total = rng.choice((0, 0, 0, 1, 2, 3, 0xFFFF))
        head = build(
            message_id, phone, rng.randrange(1 << 16), len(data), total=total, index=rng.choice((1, 2, 3))
        )
        if rng.random() < 0.1:
            head = head[:2] + bytes((head[2] ^ rng.choice((0x20, VERSIONED >> 8, 0x04, 3)),)) + head[3:]
        return frame.escape(head + data)

    def stream(rng: random.Random) -> bytes:
        return mutate(b"".join(wire(rng) for _ in range(rng.randrange(1, 4))), rng, b"~~}}")

    def a_frame(rng: random.Random) -> None:
        check_frame(mutate(wire(rng), rng, b"~") if rng.random() < 0.5 else wire(rng))

    def a_split(rng: random.Random) -> None:
        data = stream(rng)
        check_split(data, sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(6))))

    def a_link(rng: random.Random) -> None:
        peer.check(stream(rng))

    return {
        "body": (10, a_body),
        "item": (4, an_item),
        "report": (2, a_report),
        "frame": (1, a_frame),
        "split": (2, a_split),
        "link": (2, a_link),
    }


# --- running ----------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    executions: dict[str, int]
    seconds: float
    slowest: tuple[float, str]  # seconds of one execution, and which
    grown: int  # bytes, once caches were filled
    failures: list[str]


WARM = 100_000  # executions until caches are filled
ENOUGH = 20  # failures after which a run ends


class Stuck(Exception):  # noqa: N818 - it is where it is stuck that counts
    """An execution did not end."""


BLOCK = 1000
"""Executions of one random generator, so that a failure can be found again without all before it."""


def run(
    executions: int, seconds: float, seed: int, chosen: dict[str, tuple[int, Target]], *, watch: bool = False
) -> Outcome:
    """So many executions, or so many seconds. `watch`: one that hangs is interrupted with `Stuck`."""
    names = [name for name, (weight, _) in chosen.items() for _ in range(weight)]
    counts = dict.fromkeys(chosen, 0)
    start = time.monotonic()
    slowest, first_size, failures = (0.0, ""), 0, list[str]()
    rng = random.Random(seed)
    for number in range(executions):
        if number % BLOCK == 0:
            if time.monotonic() - start > seconds or len(failures) >= ENOUGH:
                break
            if not first_size and number >= min(executions // 10, WARM):
                first_size = memory()
            if watch:
                signal.setitimer(signal.ITIMER_REAL, STUCK)
            rng = random.Random(f"{seed}:{number}")
        name = names[number % len(names)]
        began = time.perf_counter()
        try:
            chosen[name][1](rng)
        except Exception as error:  # whatever comes out is what is looked for
            failures.append(f"{name}, seed {seed}, execution {number}: {error!r}\n{traceback.format_exc()}")
        counts[name] += 1
        if (took := time.perf_counter() - began) > slowest[0] and number >= BLOCK:
            slowest = took, f"{name}, seed {seed}, execution {number}"
    if watch:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return Outcome(counts, time.monotonic() - start, slowest, memory() - first_size, failures)


def memory() -> int:
    """Bytes that the process has in memory."""
    with open("/proc/self/statm") as told:  # noqa: PTH123
        return int(told.read().split()[1]) * resource.getpagesize()


def _share(arguments: tuple[int, float, int]) -> Outcome:
    """What one process does of a long run."""

    def stuck(*_: Any) -> None:
        raise Stuck

    signal.signal(signal.SIGALRM, stuck)
    executions, seconds, seed = arguments
    return run(executions, seconds, seed, targets(seeds()), watch=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.protocol.fuzz", description="Fuzz the codec.")
    parser.add_argument("--executions", type=int, default=EXECUTIONS)
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop after so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    given = parser.parse_args()
    shares = [
        (given.executions // given.jobs, given.seconds, given.seed * 1000 + job) for job in range(given.jobs)
    ]
    with multiprocessing.Pool(given.jobs) as pool:
        outcomes = pool.map(_share, shares)
    counts = {name: sum(one.executions[name] for one in outcomes) for name in outcomes[0].executions}
    slowest, grown = max(one.slowest for one in outcomes), max(one.grown for one in outcomes)
    failures = [failure for one in outcomes for failure in one.failures]
    print(f"{sum(counts.values()):,} executions in {max(one.seconds for one in outcomes):.0f} s:", end=" ")
    print(", ".join(f"{name} {count:,}" for name, count in counts.items()))
    print(
        f"slowest {1000 * slowest[0]:.1f} ms ({slowest[1]}), memory grown by {grown / (1 << 20):.1f} MB each"
    )
    print("\n".join(failures) if failures else "no exception")
    return 1 if failures or slowest[0] > SLOWEST or grown > GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())
