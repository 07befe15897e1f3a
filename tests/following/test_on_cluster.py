"""The same promise on a cluster of three real members that lose their leader again and again."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.processes import Cluster, Plan
from tests.following.world import World

SOAK = float(os.environ.get("VISOR_SOAK", "1"))


@pytest.mark.soak
@pytest.mark.timeout(int(120 + 600 * SOAK))
def test_claims_stay_true_while_leaders_die_and_histories_end(tmp_path: Path) -> None:
    dice = random.Random(11)
    names = [f"d{number % 3}/f{number}" for number in range(30)]
    with Cluster(tmp_path, Plan(network="plain")) as cluster:
        cluster.start()
        with World(cluster.addresses) as world:
            for number in range(max(2, int(3 * SOAK))):
                _write(world, dice, names, 60)
                victim = cluster.leader()
                assert victim is not None
                if number % 2:
                    victim.pause()
                    _write(world, dice, names, 20)
                    victim.resume()
                else:
                    victim.kill()
                    _write(world, dice, names, 20)
                    world.compact()
                    victim.launch()
                    victim.await_ready()
                world.settle()
        assert cluster.faults() == []


def _write(world: World, dice: random.Random, names: list[str], count: int) -> None:
    for number in range(count):
        what = dice.choice(
            ["set"] * 10 + ["several"] * 3 + ["delete"] * 3 + ["elsewhere", "cut", "look", "compact"]
        )
        arguments: tuple[Any, ...] = ()
        if what == "set":
            arguments = dice.choice(names), str(number)
        elif what == "delete":
            arguments = (dice.choice(names),)
        elif what == "several":
            arguments = dice.sample(names, dice.randint(1, 10)), str(number % 5)
        getattr(world, what)(*arguments)
