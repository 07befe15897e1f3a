"""Two members: one that has a checkpoint, and one that fetches it, without a network between them."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.storage.fake_disk import FakeDisk
from tests.storage.storage_world import World, contents
from visord.state.digest import state_hash
from visord.state.machine import Machine
from visord.storage.incoming import Incoming
from visord.storage.loading import reaches
from visord.storage.manifest import Manifest
from visord.storage.outgoing import Outgoing
from visord.storage.worker import Inline

CHUNK = 700


class Clock:
    """Time that passes when told, and what is due then."""

    def __init__(self) -> None:
        self.now = 100.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now + seconds, len(self._due), callback))

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            self.now, _, callback = heapq.heappop(self._due)
            callback()
        self.now = end


def outgoing(world: World, clock: Clock | None = None, **options: Any) -> Outgoing:
    clock = clock or Clock()
    background = options.pop("background", None) or Inline()
    return Outgoing(
        world.disk,
        world.directory,
        world.checkpointer,
        background,
        clock=clock.time,
        later=clock.later,
        **{"rate": float("inf"), **options},
    )


def incoming(world: World, **options: Any) -> Incoming:
    background = options.pop("background", None) or Inline()
    return Incoming(
        world.disk,
        world.directory,
        world.checkpointer,
        background,
        lambda: world.machine,
        **{"chunk": CHUNK, "margin": 0, **options},
    )


Chunk = tuple[str, int, bytes | None]


def fetch(
    source: Outgoing,
    target: Incoming,
    through: Callable[[Chunk], Chunk] = lambda chunk: chunk,
    most: int = 1 << 30,
) -> int:
    """Carry pieces from one to the other until nothing is wanted; return their bytes."""
    carried = 0
    while most > 0 and (wanted := target.wanted()) is not None:
        answers: list[bytes | None] = []
        source.read("reader", target.offer, *wanted, answers.append)
        name, offset, data = through((*wanted[:2], answers[0]))
        carried += len(data or b"")
        target.take(name, offset, data)
        most -= 1
    return carried


def loader(world: World, *, fresh: bool = False) -> Callable[[Manifest], Iterator[None]]:
    """Return what loads a checkpoint for `finish`; the machine that it is loaded into is the world's afterwards."""

    def load(manifest: Manifest) -> Iterator[None]:
        machine = Machine() if fresh or not reaches(manifest, world.machine) else world.machine
        yield from world.checkpointer.load_steps(manifest, machine)
        world.machine = world.writer.machine = machine

    return load


def install(world: World, target: Incoming) -> Machine:
    """Finish and load: into the own machine where that can be, else into a new one, which is returned."""
    for _ in target.finish(loader(world)):
        pass
    return world.machine


def transfer(leader: World, world: World) -> int:
    """Bring a member to the leader's newest checkpoint; return the bytes that were fetched."""
    source, target = outgoing(leader), incoming(world)
    assert target.begin(source.offer(), "leader")
    carried = fetch(source, target)
    assert target.complete
    install(world, target)
    return carried


def equal(one: Machine, two: Machine) -> None:
    """The same state, byte by byte, with all that is known of the past."""
    assert state_hash(one.store) == state_hash(two.store)
    assert contents(one) == contents(two)


def member(leader: World, seed: int = 9, disk: FakeDisk | None = None) -> World:
    """Return a new member of the leader's cluster."""
    return World(disk or FakeDisk(random.Random(seed)), cluster=leader.directory.cluster)
