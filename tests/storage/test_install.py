"""Checkpoint and log together: whenever the power goes while a checkpoint is installed, the next start fits them."""

from __future__ import annotations

import random

import pytest

from tests.storage.fake_disk import FakeDisk, PowerCut
from tests.storage.fetching_world import equal, fetch, incoming, install, member, outgoing
from tests.storage.storage_world import World, contents
from visord.raft.configuration import Configuration
from visord.raft.engine import Engine
from visord.raft.log import RaftLog
from visord.raft.segments import Options
from visord.storage.worker import Inline

OPTIONS = Options(segment=6000, chunk=1500, ahead=2500, first=1000, reserve=0, keep=300)


def open_log(world: World, *, create: bool = True) -> RaftLog:
    rng = random.Random(4)
    return RaftLog.open(
        world.disk,
        world.directory.log,
        options=OPTIONS,
        sync=Inline(),
        background=Inline(),
        random32=lambda: rng.getrandbits(32),
        create=create,
    )


def start(world: World, log: RaftLog) -> Engine:
    machine = world.machine
    return Engine(
        "b",
        Configuration(),
        log,
        random=random.Random(1),
        on_apply=machine.apply,
        applied=(machine.index, machine.term),
    )


def lagging(leader: World, own: int, tail: int) -> World:
    """Return a member with `own` entries applied, and a log with `tail` more entries that another leader gave it."""
    world = member(leader)
    log = open_log(world)
    for index, command in leader.writer.applied[:own]:
        if index > 1:
            log.add(command, index, 1)
    for index in range(max(own, 1) + 1, max(own, 1) + tail + 1):
        log.add(b"\x00 never committed", index, 2 if index > own + 3 else 1)
    log.flush()
    world.follow(leader, own)
    world.checkpoint()
    return world


@pytest.mark.parametrize("own, tail", [(0, 0), (30, 0), (30, 10), (30, 200)])
def test_a_power_cut_anywhere_from_the_first_piece_to_the_reset_of_the_log(own: int, tail: int) -> None:
    leader = World()
    leader.writer.write(120)
    leader.checkpoint()
    before = lagging(leader, own, tail)
    old, new = contents(before.machine), contents(leader.machine)
    calls = reset_at_start = 0
    while True:
        calls += 1
        disk = before.disk.copy()
        disk.rng = random.Random(calls)
        world = World(disk)
        log = open_log(world, create=own == 0)
        engine = start(world, log)
        disk.crash_at = disk.calls + calls
        try:
            source, target = outgoing(leader), incoming(world)
            target.begin(source.offer(), "leader")
            fetch(source, target)
            install(world, target)
            engine.installed(world.machine.index, world.machine.term, Configuration())
        except PowerCut:
            world = World(disk.after_crash())
            assert contents(world.machine) in (old, new)
            log = open_log(world, create=world.checkpointer.index == 0)
            reset_at_start += log.term_at(world.machine.index) != world.machine.term
            engine = start(world, log)
            log.flush()
            assert engine.applied_index == max(world.machine.index, 1)
            assert log.first_index <= max(world.machine.index, 1) <= log.last_index
            if world.machine.index == 120:
                # What was never committed is gone: the entry after the checkpoint is the leader's.
                log.add(b"\x00 next", log.last_index + 1, 3)
                assert log.last_index == 121
            continue
        break
    assert calls > 20
    assert reset_at_start > 0, "the crash between the manifest and the log's reset was among them"
    equal(world.machine, leader.machine)
    assert (log.first_index, log.last_index, log.term_at(120)) == (120, 120, 1)
    again = World(FakeDisk.after_kill(disk))
    assert open_log(again, create=False).last_index == 120
