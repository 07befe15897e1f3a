"""The promise: what mirrors, readers and followers claim to be the state at a rev is the state at that rev.

With VISOR_FOLLOW_ADDRESSES (HOST:PORT, several with commas) the same runs against a cluster that is there.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.following.world import World
from visor.testing import server

SOAK = float(os.environ.get("VISOR_SOAK", "1"))
GIVEN = [text for text in os.environ.get("VISOR_FOLLOW_ADDRESSES", "").split(",") if text]

NAMES = st.sampled_from(["a", "b", "c", "d/a", "d/b", "d-e"])
VALUES = st.sampled_from(["1", "2", "3"])
WRITES = st.one_of(
    st.tuples(st.just("set"), NAMES, VALUES),
    st.tuples(st.just("delete"), NAMES),
    st.tuples(st.just("several"), st.lists(NAMES, min_size=1, max_size=5), VALUES),
    st.tuples(st.sampled_from(["clear", "elsewhere"])),
)
TROUBLE = st.tuples(st.sampled_from(["cut", "refuse", "heal", "compact", "look"]))


def play(world: World, events: list[tuple[Any, ...]]) -> None:
    for name, *arguments in events:
        getattr(world, name)(*arguments)
    world.settle()


@settings(max_examples=max(5, int(25 * SOAK)), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(WRITES, WRITES, TROUBLE), max_size=40))
def test_claims_are_true_through_cuts_and_compactions(events: list[tuple[Any, ...]]) -> None:
    if GIVEN:
        with World(GIVEN) as world:
            play(world, events)
        return
    with server() as node, World([node.address]) as world:
        play(world, events)


@pytest.mark.soak
def test_claims_stay_true_over_a_long_random_life() -> None:
    """One life with much of everything, also silent connections, which cost real time to notice."""
    dice = random.Random(5)
    names = [f"d{number % 5}/f{number}" for number in range(60)]
    choices = ["set"] * 40 + ["several"] * 8 + ["delete"] * 10 + ["elsewhere"] * 5
    choices += ["cut", "cut", "refuse", "heal", "heal", "heal", "compact", "look", "look", "clear", "stall"]

    def life(world: World) -> None:
        for number in range(int(2000 * SOAK)):
            what = dice.choice(choices)
            arguments: tuple[Any, ...] = ()
            if what == "set":
                arguments = dice.choice(names), str(number)
            elif what == "delete":
                arguments = (dice.choice(names),)
            elif what == "several":
                arguments = dice.sample(names, dice.randint(1, 20)), str(number % 7)
            getattr(world, what)(*arguments)
            if number % 200 == 199:
                world.settle()
        world.settle()

    if GIVEN:
        with World(GIVEN) as world:
            life(world)
        return
    with server() as node, World([node.address]) as world:
        life(world)
