"""A leader without space hands leadership on, now and then, and only where there is somebody else."""

from __future__ import annotations

from typing import cast

import pytest

from tests.members.parts import Clock, Leading, voting
from visord.members.step_down import PAUSE_SECONDS, StepDown
from visord.raft.engine import Engine


class World:
    """A node without space."""

    def __init__(self, leader: str = "me") -> None:
        self.engine, self.clock = Leading(leader), Clock()
        self.step_down = StepDown("me", cast(Engine, self.engine), self.clock)
        self.tries = 0

    def tick(self, *heirs: str | None) -> int:
        """Look once; return how many tries there were by then. `heirs`: who takes over, should it be tried."""
        self.engine.heirs = [*heirs] or ["other"]
        before = len(self.engine.heirs)
        self.step_down.tick()
        self.tries += before - len(self.engine.heirs)
        return self.tries


def test_a_leader_hands_on_at_once_and_waits_while_that_goes_on() -> None:
    world = World()
    assert world.tick() == 1
    assert world.tick() == 1  # it is being transferred


def test_a_try_that_failed_in_the_same_term_is_repeated_with_the_next_tick() -> None:
    world = World()
    assert world.tick(None) == 1
    assert world.tick("other") == 2


def test_who_gets_leadership_back_pauses() -> None:
    """The others' disks may be full too: they would hand it round for ever."""
    world = World()
    assert world.tick() == 1
    world.engine.leads("other")
    world.engine.transferring = False
    world.engine.leads("me")
    assert world.tick() == 1
    world.clock.now += PAUSE_SECONDS
    assert world.tick() == 2


@pytest.mark.parametrize("leader", ["other", None])
def test_who_does_not_lead_has_nothing_to_hand_on(leader: str | None) -> None:
    world = World()
    world.engine.leads(leader)
    assert world.tick() == 0


def test_the_only_voter_keeps_it() -> None:
    world = World()
    world.engine.configuration = voting("me")
    assert world.tick() == 0
