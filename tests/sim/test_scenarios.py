"""What the simulation found, each again on purpose: these stay found whatever the seeds come to mean later."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.sim.host import ROOM, Host
from tests.sim.world import Plan, World


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Nodes tell of every fault."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def begun(seed: int = 1, nodes: int = 3) -> World:
    """A cluster at work, without faults."""
    world = World(seed, Plan(nodes=nodes, faults=False))
    assert world.form()
    for number in range(3):
        world.add_client(number)
    return world


def go_on(world: World, seconds: float) -> None:
    world.scheduler.run_until(world.scheduler.now + seconds)
    assert not world.violations


def come_to_rest(world: World) -> None:
    world.rest()
    assert not world.result().violations


def replica(world: World) -> Host:
    leader = world.leader()
    return next(host for host in world.hosts if host is not leader)


def isolate(world: World, host: Host) -> None:
    for other in world.hosts:
        if other is not host:
            world.network.cut(host.address, other.address)
            world.network.cut(other.address, host.address)


def lag(world: World, host: Host, seconds: float) -> None:
    """Keep a member away until the leader's log does not reach back to it."""
    isolate(world, host)
    go_on(world, seconds)
    leader = world.leader()
    assert leader is not None and leader.node is not None and host.node is not None
    assert leader.node.log.first_index > host.node.log.last_index
    world.network.heal_all()


def test_a_member_whose_disk_was_full_gets_the_checkpoint_when_there_is_room() -> None:
    world = begun()
    host = replica(world)
    host.disk.capacity = host.disk.used()
    lag(world, host, 15.0)
    go_on(world, 4.0)
    assert host.node is not None and host.node.catchup.incoming.received == 0
    host.disk.capacity = ROOM
    come_to_rest(world)
    assert host.node.catchup.incoming.received > 0


def test_a_member_that_lags_again_and_again_is_offered_a_newer_checkpoint() -> None:
    world = begun()
    host = replica(world)
    for _ in range(3):
        lag(world, host, 8.0)
        go_on(world, 1.5)
    come_to_rest(world)
