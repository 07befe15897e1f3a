"""Whatever is sent, all come to the same state; and a bug that would part them is found."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from random import Random

import msgpack
import pytest

from tests.hostile import inside, twins
from tests.hostile.mutants import INTEGERS, RAW, Mutants, Raw, encode
from tests.hostile.plants import PLANTS, planted

FOR_EVER = 3600.0
"""Seconds: what ends these runs is how much they do, never how fast this machine is."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Members that are killed and that refuse tell so in the log, hundreds of times."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.soak
def test_who_applies_and_who_reads_the_log_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins, "LIFE", 600)
    found = twins.run(FOR_EVER, 11, lives=1)
    assert not found.problems
    assert found.counts["writes"] > 1000


def test_three_members_and_what_they_were_restarted_from_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside, "PARTS", 10)
    found = inside.run(FOR_EVER, 7, lives=1)
    assert not found.problems
    assert found.counts["messages of a learner"]
    assert found.counts["restarts from the log"]
    assert found.counts["restarts with a checkpoint"]


@pytest.mark.parametrize("plant", list(PLANTS))
def test_a_planted_bug_is_found_between_two_machines(plant: str) -> None:
    with planted(plant):
        assert twins.run(FOR_EVER, 3, lives=3).problems


@pytest.mark.parametrize("plant", list(PLANTS))
def test_a_planted_bug_is_found_among_three_members(plant: str) -> None:
    with planted(plant):
        assert inside.run(FOR_EVER, 2, lives=3).problems


def test_an_ordinary_value_is_encoded_as_msgpack_does() -> None:
    value = [30, 5, "/a", b"x" * 300, {"k": [1.5, None, True, -7]}, "é" * 40, list(range(20))]
    rng = Random(1)
    for oddly in (0.0, 1.0):
        assert msgpack.unpackb(encode(value, rng, oddly)) == value
    assert encode([1, Raw(b"\xc1")], rng) == b"\x92\x01\xc1"


def test_mutants_have_what_they_promise() -> None:
    mutants = Mutants(Random(5))
    made = [mutants.write() for _ in range(3000)]
    deep = max(data.count(b"\x91" * 900) for data in made)
    assert deep
    assert sum(any(raw in data for raw in RAW if len(raw) > 4) for data in made) > 50
    assert {(1 << 63) - 1, 1 << 63, -(1 << 63), (1 << 62) + 1} <= set(INTEGERS)
