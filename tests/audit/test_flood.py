"""Whoever is denied as fast as he can fills no disk, and hides nobody's lines."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from tests.audit.world import World
from visord.audit import recorded
from visord.audit.auditor import VERBS
from visord.audit.book import ChainBounds
from visord.audit.flood import ALL_BURST, ALL_RATE, BURST, MOST, RATE, TOLD

BOUNDS = ChainBounds(bytes=1 << 24, files=3, reserve=0)


def test_one_who_is_denied_all_the_time_is_summed_up(world: World) -> None:
    auditor = world.auditor(BOUNDS)
    for _ in range(60):
        for _ in range(1000):
            auditor.record(
                recorded.DENIED,
                user="eve",
                credential="k3x9q2mv7a",
                address="10.0.0.9",
                verb="SET",
                path="/a",
            )
        world.pass_time(auditor, 1)
    auditor.close()
    world.background.run()
    lines = world.lines("access")
    alone = [line for line in lines if "more" not in line]
    sums = [line for line in lines if "more" in line]
    assert BURST <= len(alone) <= BURST + 60 * RATE + 1
    assert len(sums) <= 7
    assert sum(line["more"] for line in sums) + len(alone) == 60_000
    assert {(line["user"], line["address"], line["verb"]) for line in sums} == {("eve", "10.0.0.9", "SET")}
    assert all(line["since"] < line["ts"] for line in sums)
    assert auditor.denied == {"SET": 60_000}


def test_others_are_seen_through_a_flood(world: World) -> None:
    """The hostile one: from a hundred thousand addresses, with logins that fail and requests that are denied."""
    auditor = world.auditor(BOUNDS)
    numbers = itertools.count()
    for _ in range(100):
        for _ in range(1000):
            number = next(numbers)
            event = recorded.DENIED if number % 2 else recorded.LOGIN_FAILED
            auditor.record(
                event, address=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", verb=f"V{number}"
            )
        auditor.record(recorded.DENIED, user="bob", address="10.0.0.1", verb="GET", path="/payroll")
        auditor.record(recorded.RIGHTS, user="root", reason="a role was given")
        world.pass_time(auditor, 1)
    auditor.close()
    world.background.run()
    lines = world.lines("access")
    of_bob = sum(line.get("more", 1) for line in lines if line.get("user") == "bob")
    assert of_bob == 100
    assert Counter(line["event"] for line in world.lines("changes")) == {"rights": 100}
    # What was written of them is bounded, and none of what they did is uncounted.
    assert len(lines) <= ALL_BURST + 100 * ALL_RATE + 100 + 11 * (TOLD + 2)
    assert sum(line.get("more", 1) for line in lines if "user" not in line) == 100_000
    assert auditor.lost == 0
    assert world.found("access").problem == ""


def test_what_is_kept_in_memory_is_bounded(world: World) -> None:
    auditor = world.auditor(BOUNDS)
    for number in range(20_000):
        auditor.record(recorded.DENIED, address=f"a{number}", verb=f"V{number}")
        auditor.record(recorded.LOGIN_FAILED, kind=f"k{number}", address=f"a{number}")
    crowd = auditor._flood._unproven
    assert len(crowd._buckets) <= MOST
    assert len(crowd._more) <= MOST + len(recorded.CHAIN_OF)
    assert len(auditor.denied) <= VERBS + 1
    assert len(auditor.failures) <= VERBS + 1
    assert sum(auditor.denied.values()) == 20_000


def test_a_user_has_one_bucket_wherever_he_comes_from(world: World) -> None:
    auditor = world.auditor(BOUNDS)
    for number in range(1000):
        auditor.record(recorded.DENIED, user="eve", address=f"10.0.{number >> 8}.{number & 255}", verb="SET")
    world.background.run()
    assert len(world.lines("access")) == BURST


def test_changes_are_never_summed_up(world: World) -> None:
    auditor = world.auditor(BOUNDS)
    for _ in range(1000):
        auditor.record(recorded.RIGHTS, user="root")
    world.background.run()
    assert len(world.lines("changes")) == 1000


def test_an_event_that_is_not_known_is_a_defect(world: World) -> None:
    with pytest.raises(KeyError):
        world.auditor().record("nonsense")
