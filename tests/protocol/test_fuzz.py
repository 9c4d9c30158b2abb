"""A short run of the fuzzer (`make fuzz` is the long one), and that it would find what it looks for."""

from __future__ import annotations

import random

import pytest

from tests.protocol import fuzz
from tests.protocol.fuzz import MESSAGE_IDS, run, seeds, targets

EXECUTIONS = 120_000
SECONDS = 15.0


@pytest.mark.parametrize("name", ["body", "item", "report", "frame", "split", "link"])
def test_broken_input_is_taken(name: str) -> None:
    chosen = {name: targets(seeds())[name]}
    outcome = run(EXECUTIONS // 6, SECONDS / 6, random.randrange(1 << 32), chosen)
    assert not outcome.failures, outcome.failures[0]
    assert outcome.executions[name] >= 1000
    assert outcome.grown < fuzz.GROWTH


def test_seeds_are_of_every_message_and_item() -> None:
    given = seeds()
    assert list(given.bodies) == MESSAGE_IDS
    assert all(given.bodies.values())
    assert all(given.items.values())


def test_mutations_are_the_same_for_the_same_seed_and_stay_small() -> None:
    made = [fuzz.mutate(bytes(3000), random.Random(seed), b"other") for seed in range(200)]
    assert made == [fuzz.mutate(bytes(3000), random.Random(seed), b"other") for seed in range(200)]
    assert len(set(made)) > 50
    assert max(map(len, made)) <= 4000


def test_what_raises_is_found_again_from_its_line() -> None:
    def picky(rng: random.Random) -> None:
        if rng.random() < 0.001:
            raise ValueError("picked")

    outcome = run(20_000, 10.0, 7, {"picky": (1, picky)})
    assert 5 < len(outcome.failures) <= fuzz.ENOUGH + fuzz.BLOCK
    assert outcome.failures == run(20_000, 10.0, 7, {"picky": (1, picky)}).failures
    assert "picky, seed 7, execution " in outcome.failures[0]
    assert 'raise ValueError("picked")' in outcome.failures[0]


def test_what_is_slow_and_what_grows_is_found() -> None:
    kept = []

    def greedy(rng: random.Random) -> None:
        kept.append(bytearray(1 << 12))

    assert run(20_000, 10.0, 1, {"greedy": (1, greedy)}).grown > fuzz.GROWTH


@pytest.mark.parametrize("check", ["body", "frame"])
def test_the_checks_would_notice(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if check == "body":
        monkeypatch.setattr(
            fuzz.codec.Profile, "decode", lambda *_, **__: fuzz.codec.Reading({}, rest=b"not of it")
        )
    else:
        monkeypatch.setattr(fuzz.codec, "explain", lambda data: [])
    assert run(2000, 10.0, 1, {check: targets(seeds())[check]}).failures
