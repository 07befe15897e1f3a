"""Three engines on a simulated network and fake disks: what was committed stays, and all apply the same.

The network is in order per link and slow at random, links break, disks sync late, nodes lose power (with
what was not synced) and come back. Commands are large, so that several messages are under way: what stock
pysyncobj loses writes by.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from typing import Any

import msgpack
import pytest

from tests.storage.fake_disk import FakeDisk
from visord.peers import messages as msg
from visord.raft.configuration import Configuration, encode
from visord.raft.configuration import Member as Who
from visord.raft.core import Timing
from visord.raft.engine import Engine
from visord.raft.log import RaftLog
from visord.raft.segments import Options
from visord.state.formats import FORMAT
from visord.storage.worker import Done, Inline, Job

IDS = ("a", "b", "c")
EVERYBODY = Configuration(tuple(Who(me, me, me, me, True) for me in IDS))
OPTIONS = Options(segment=1 << 20, chunk=1 << 18, ahead=1 << 19, first=1 << 17, reserve=0, keep=1 << 30)
TIMING = Timing(heartbeat=0.05, min_timeout=0.3, max_timeout=0.8, quorum_timeout=1.0)
SOAK = float(os.environ.get("VISOR_SOAK", "1"))


class Wire:
    """One node's end of the network: a `Peers`."""

    def __init__(self, world: World, me: str) -> None:
        self.world = world
        self.me = me
        self.connected: set[str] = set()
        self.receive: Callable[[str, list[Any]], None] = lambda member, message: None
        self.changed: Callable[[str, bool], None] = lambda member, reachable: None

    def set_members(self, addresses: Mapping[str, str]) -> None:
        pass

    def send(self, member: str, data: bytes) -> bool:
        return self.world.send(self.me, member, data)

    def queued(self, member: str) -> int:
        return 0

    def reachable(self, member: str) -> bool:
        return member in self.connected

    def connect(self, member: str, yes: bool) -> None:
        (self.connected.add if yes else self.connected.discard)(member)
        self.changed(member, yes)

    def reads(self, member: str) -> int:
        return FORMAT

    def require(self, form: int) -> None:
        pass

    def certified(self, member: str) -> bool:
        return False

    def hang_up(self, member: str) -> None:
        pass

    def close(self) -> None:
        pass


class LateDisk:
    """Runs syncs some time after they were asked for."""

    def __init__(self, world: World, me: str) -> None:
        self.world = world
        self.jobs: list[tuple[float, Job, Done]] = []

    def submit(self, job: Job, done: Done) -> None:
        self.jobs.append((self.world.now + self.world.rng.choice((0.0002, 0.001, 0.02)), job, done))

    def run(self) -> None:
        while self.jobs and self.jobs[0][0] <= self.world.now:
            _, job, done = self.jobs.pop(0)
            Inline().submit(job, done)


class Member:
    """A node that is up: its engine, and what it applied since it started."""

    def __init__(self, world: World, me: str, disk: FakeDisk) -> None:
        self.me = me
        self.disk = disk
        self.sync = LateDisk(world, me)
        self.wire = Wire(world, me)
        self.applied: list[tuple[int, int, bytes]] = []
        disk.mkdir("d")
        rng = random.Random(world.rng.random())
        self.log = RaftLog.open(
            disk,
            "d",
            options=OPTIONS,
            sync=self.sync,
            background=Inline(),
            random32=lambda: rng.getrandbits(32),
        )
        self.engine = Engine(
            me,
            EVERYBODY,
            self.log,
            self.wire,
            clock=lambda: world.now,
            random=rng,
            on_apply=lambda index, term, command: self.applied.append((index, term, command)),
            timing=TIMING,
        )
        self.log.on_durable = self.engine.tick
        self.wire.receive = self.engine.receive
        self.wire.changed = self.engine.reachable


class World:
    """Three nodes, the time and the network."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = 100.0
        self.queues: dict[tuple[str, str], list[tuple[float, bytes]]] = {}
        self.cut: set[tuple[str, str]] = set()
        self.disks = {me: FakeDisk(random.Random(f"{seed}{me}")) for me in IDS}
        self.up: dict[str, Member] = {}
        self.committed: dict[int, tuple[int, bytes]] = {}
        self.acknowledged: list[bytes] = []
        self.proposed: dict[bytes, tuple[int, int]] = {}
        self.highest = 0
        self.stored: dict[str, dict[int, int]] = {}
        self.count = 0
        for me in IDS:
            self.start(me)

    def start(self, me: str) -> None:
        member = self.up[me] = Member(self, me, self.disks[me])
        for other in self.up.values():
            if other is not member:
                member.wire.connect(other.me, True)
                other.wire.connect(me, True)

    def stop(self, me: str) -> None:
        """Cut the power of a node."""
        log = self.up.pop(me).log
        self.stored[me] = {index: term for _, index, term in log[:] if index <= log.durable_index}
        self.disks[me] = self.disks[me].after_crash()
        for link in self.queues:
            if me in link:
                self.queues[link].clear()
        for other in self.up.values():
            other.wire.connect(me, False)

    def send(self, source: str, target: str, data: bytes) -> bool:
        if target not in self.up:
            return False
        queue = self.queues.setdefault((source, target), [])
        at = self.now + self.rng.choice((0.0005, 0.002, 0.01, 0.05))
        queue.append((max(at, queue[-1][0]) if queue else at, data))
        return True

    def deliver(self) -> None:
        for link in self.rng.sample(sorted(self.queues), len(self.queues)):
            source, target = link
            queue = self.queues[link]
            while queue and queue[0][0] <= self.now:
                _, data = queue.pop(0)
                if link in self.cut or target not in self.up or source not in self.up:
                    continue
                message = msgpack.unpackb(data)
                assert msg.well_formed(message), message
                self.up[target].wire.receive(source, message)

    def step(self, *, faults: bool) -> None:
        self.now += self.rng.choice((0.0005, 0.001, 0.004))
        self.deliver()
        for me in self.rng.sample(sorted(self.up), len(self.up)):
            member = self.up[me]
            member.sync.run()
            member.engine.tick()
            self.observe(member)
        self.check_disks()
        if faults:
            self.hurt()
            self.write()

    def write(self) -> None:
        for member in self.up.values():
            if member.engine.is_leader and self.rng.random() < 0.3:
                self.count += 1
                command = b"\0%d:" % self.count + bytes(self.rng.choice((10, 3000, 40_000)))
                position = member.engine.propose(command)
                if position is not None:
                    self.proposed[command] = position

    def hurt(self) -> None:
        rng = self.rng
        choice = rng.random()
        if choice < 0.003:
            link = tuple(rng.sample(IDS, 2))
            self.cut.add(link)  # type: ignore[arg-type]
        elif choice < 0.008 and self.cut:
            self.cut.discard(rng.choice(sorted(self.cut)))
        elif choice < 0.0095 and len(self.up) > 2:
            self.stop(rng.choice(sorted(self.up)))
        elif choice < 0.013 and len(self.up) < 3:
            self.start(next(me for me in IDS if me not in self.up))

    def check_disks(self) -> None:
        """What was committed is on the disks of a majority at every moment, whoever is up."""
        term = self.committed.get(self.highest, (0, b""))[0]
        holders = sum(self.stored[me].get(self.highest) == term for me in IDS if me not in self.up)
        for member in self.up.values():
            log = member.log
            holders += log.durable_index >= self.highest and log.term_at(self.highest) == term
        assert holders >= 2 or not self.highest, (self.highest, term)

    def observe(self, member: Member) -> None:
        """Nobody may apply anything else at an index than anybody else ever did."""
        while member.applied:
            index, term, command = member.applied.pop(0)
            assert self.committed.setdefault(index, (term, command)) == (term, command), index
            self.highest = max(self.highest, index)
            if command in self.proposed and self.proposed[command] == (index, term):
                self.acknowledged.append(command)


def converge(world: World) -> None:
    world.cut.clear()
    for me in IDS:
        if me not in world.up:
            world.start(me)
    for _ in range(6000):
        world.step(faults=False)
    assert len({member.log.last_index for member in world.up.values()}) == 1
    assert all(member.engine.applied_index == member.log.last_index for member in world.up.values())
    assert sum(member.engine.is_leader for member in world.up.values()) == 1


@pytest.mark.parametrize("seed", range(int(8 * SOAK)))
def test_committed_entries_survive_cuts_crashes_and_slow_disks(seed: int) -> None:
    world = World(seed)
    for _ in range(4000):
        world.step(faults=True)
    converge(world)
    assert len(set(world.acknowledged)) > 20
    for member in world.up.values():
        held = {command for command, _, _ in member.log[:]}
        assert set(world.acknowledged) <= held
        assert {index: (term, command) for command, index, term in member.log[1:]} == world.committed


def test_a_replica_acknowledges_only_what_its_disk_has() -> None:
    world = World(1)
    while not any(member.engine.reads_are_current for member in world.up.values()):
        world.step(faults=False)
    leader = next(member for member in world.up.values() if member.engine.is_leader)
    others = [member for member in world.up.values() if member is not leader]
    for _ in range(400):
        world.step(faults=False)
    for member in others:
        member.sync.run = lambda: None  # type: ignore[method-assign]
    before = leader.engine.commit_index
    position = leader.engine.propose(b"\0x")
    assert position is not None
    for _ in range(600):
        world.step(faults=False)
    assert all(member.log.last_index == position[0] for member in others), "it is there, in memory"
    assert leader.engine.commit_index == before
    assert leader.engine.is_leader, "heartbeats are answered meanwhile"
    del others[0].sync.run
    for _ in range(600):
        world.step(faults=False)
    assert leader.engine.commit_index == position[0]


@pytest.mark.parametrize("seed", range(12))
def test_who_lets_another_stand_does_not_stand_in_the_same_moment(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Three of five are left, and all have waited long enough; but a node looks at its clock from time to time only. So
    # the message that asks is what makes the others look, too. They must not split the votes.
    monkeypatch.setitem(globals(), "IDS", ("a", "b", "c", "d", "e"))
    monkeypatch.setitem(globals(), "EVERYBODY", Configuration(tuple(Who(i, i, i, i, True) for i in "abcde")))
    world = World(seed)
    while not any(member.engine.reads_are_current for member in world.up.values()):
        world.step(faults=False)
    for _ in range(400):
        world.step(faults=False)
    leader = next(member.me for member in world.up.values() if member.engine.is_leader)
    for me in (leader, next(me for me in IDS if me != leader)):
        world.stop(me)
    rest = list(world.up.values())
    stood = sum(member.engine.counters["election"] for member in rest)
    world.now += 2.0
    rest[0].engine.tick()
    for _ in range(30):
        world.now += 0.001
        for queue in world.queues.values():
            queue[:] = [(world.now, data) for _, data in queue]
        world.deliver()
        rest[0].sync.run()
    assert rest[0].engine.is_leader
    assert sum(member.engine.counters["election"] for member in rest) == stood + 1


@pytest.mark.parametrize("long", [True, False])
def test_members_hear_of_a_commit_before_it_is_applied_here_where_that_takes_long(long: bool) -> None:
    world = World(1)
    while not any(member.engine.reads_are_current for member in world.up.values()):
        world.step(faults=False)
    for _ in range(400):
        world.step(faults=False)
    leader = next(member for member in world.up.values() if member.engine.is_leader)
    position = leader.engine.propose(b"\0x")
    assert position is not None
    if long:
        leader.engine.applies_long(position[0])
    told: list[bool] = []

    def apply(index: int, term: int, command: bytes) -> None:
        last = [queue[-1][1] for (source, _), queue in world.queues.items() if source == leader.me and queue]
        told.append(any(msgpack.unpackb(data)[4] == index for data in last))

    leader.engine._core.apply_entry = apply
    for _ in range(600):
        world.step(faults=False)
    assert told == [long]


def test_who_is_removed_has_heard_of_all_that_was_committed_before() -> None:
    # What there is to say is said when a turn of the loop is over. An entry is committed in it, and the next one takes
    # a member out, who hears nothing more.
    world = World(1)
    while not any(member.engine.reads_are_current for member in world.up.values()):
        world.step(faults=False)
    for _ in range(400):
        world.step(faults=False)
    leader = next(member for member in world.up.values() if member.engine.is_leader)
    gone = next(member for member in world.up.values() if member is not leader)
    turn: list[Callable[[], None]] = []
    leader.engine._soon = turn.append
    position = leader.engine.propose(b"\0x")
    assert position is not None
    while leader.engine.commit_index < position[0]:
        while turn:
            turn.pop(0)()
        world.step(faults=False)
    assert gone.engine.commit_index < position[0]
    leader.engine.propose(encode(EVERYBODY.remove(gone.me)))
    while turn:
        turn.pop(0)()
    for _ in range(60):
        world.step(faults=False)
    assert gone.engine.commit_index == position[0]
    assert gone.engine.configuration == EVERYBODY
