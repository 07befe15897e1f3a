"""Our engine as a member of `trap_world.World`: a log on a fake disk that syncs late, and checkpoints."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import msgpack

from tests.raft.trap_world import HEARTBEAT, MAX_TIMEOUT, MIN_TIMEOUT, Member, Raw, World
from tests.storage.fake_disk import FakeDisk
from visord.peers import messages as msg
from visord.raft.configuration import Configuration
from visord.raft.configuration import Member as Who
from visord.raft.core import Timing
from visord.raft.engine import Engine
from visord.raft.log import RaftLog
from visord.raft.segments import Options
from visord.state.formats import FORMAT
from visord.storage.worker import Done, Inline, Job

OPTIONS = Options(segment=1 << 20, chunk=1 << 18, ahead=1 << 19, first=1 << 17, reserve=0, keep=0)


class Wire:
    """The engine's end of the world's network: a `Peers`."""

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

    def reads(self, member: str) -> int:
        return FORMAT

    def require(self, form: int) -> None:
        pass

    def hang_up(self, member: str) -> None:
        pass

    def close(self) -> None:
        pass


class LateDisk:
    """Runs syncs some time after they were asked for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.jobs: list[tuple[float, Job, Done]] = []

    def submit(self, job: Job, done: Done) -> None:
        self.jobs.append((self.world.now + self.world.rng.choice((0.0002, 0.001)), job, done))

    def run(self) -> None:
        while self.jobs and self.jobs[0][0] <= self.world.now:
            _, job, done = self.jobs.pop(0)
            Inline().submit(job, done)


class Kept:
    """What outlives a member: its disk, and its checkpoint (index, term, the commands up to there)."""

    def __init__(self, name: str) -> None:
        self.disk = FakeDisk(random.Random(name))
        self.disk.mkdir("d")
        self.checkpoint: tuple[int, int, list[bytes]] = (0, 0, [])


class OurMember(Member):
    """Further option: `apply`, called with each command before it is applied."""

    def __init__(self, world: World, me: str) -> None:
        super().__init__(world, me)
        self.kept: Kept = world.disks.setdefault(me, Kept(f"{me}{world.rng.random()}"))
        self.sync = LateDisk(world)
        self.wire = Wire(world, me)
        index, term, commands = self.kept.checkpoint
        self.applied = list(commands)
        self.waiting: dict[tuple[int, int], Callable[[], None]] = {}
        self.trim_to = 0
        self.wants_checkpoint_of = ""
        rng = random.Random(world.rng.random())
        self.log = RaftLog.open(
            self.kept.disk,
            "d",
            options=OPTIONS,
            sync=self.sync,
            background=Inline(),
            random32=lambda: rng.getrandbits(32),
        )
        everybody = Configuration(tuple(Who(one, one, one, one, True) for one in world.ids))
        self.engine = Engine(
            me,
            everybody,
            self.log,
            self.wire,
            clock=lambda: world.now,
            random=rng,
            on_apply=self.apply,
            applied=(index, term),
            timing=Timing(HEARTBEAT, MIN_TIMEOUT, MAX_TIMEOUT, quorum_timeout=1.0),
        )
        self.log.on_durable = self.engine.tick
        self.engine.on_install(self.wants_checkpoint)
        self.wire.receive = self.engine.receive
        self.wire.changed = self.engine.reachable

    def apply(self, index: int, term: int, command: bytes) -> None:
        if command[:1] == b"\0":
            self.world.options.get("apply", len)(command[1:])
            self.applied.append(command[1:])
        done = self.waiting.pop((index, term), None)
        if done is not None:
            done()

    def wants_checkpoint(self, leader: str, first: int) -> None:
        self.wants_checkpoint_of = leader

    def install(self) -> None:
        """Take over the leader's checkpoint: the transfer itself is not what is tried here."""
        source, self.wants_checkpoint_of = self.world.up.get(self.wants_checkpoint_of), ""
        if isinstance(source, OurMember) and source.kept.checkpoint[0] > self.engine.applied_index:
            index, term, commands = self.kept.checkpoint = source.kept.checkpoint
            self.applied = list(commands)
            self.engine.installed(index, term, self.engine.configuration)

    def tick(self) -> None:
        self.sync.run()
        self.install()
        self.engine.tick()
        compact = self.world.options.get("compact")
        if self.trim_to:
            self.log.trim(self.trim_to)
            self.trim_to = 0
        elif compact is not None and self.engine.applied_index - self.kept.checkpoint[0] >= compact:
            index = self.engine.applied_index
            term = self.log.term_at(index)
            assert term is not None
            self.kept.checkpoint = (index, term, list(self.applied))
            self.trim_to = index

    def receive(self, source: str, raw: Raw) -> None:
        message = msgpack.unpackb(raw)
        assert msg.well_formed(message), message
        self.wire.receive(source, message)

    def connect(self, peer: str, yes: bool) -> None:
        (self.wire.connected.add if yes else self.wire.connected.discard)(peer)
        self.wire.changed(peer, yes)

    def propose(self, command: bytes, done: Callable[[], None]) -> bool:
        position = self.engine.propose(b"\0" + command)
        if position is None:
            return False
        self.waiting[position] = done
        return True

    @property
    def leads(self) -> bool:
        return self.engine.is_leader

    @property
    def leader(self) -> str | None:
        return self.engine.leader

    @property
    def term(self) -> int:
        return self.engine.term

    @property
    def commit(self) -> int:
        return self.engine.commit_index

    @property
    def last(self) -> int:
        return self.log.last_index

    def term_at(self, index: int) -> int | None:
        return self.log.term_at(index)

    @property
    def half_compacted(self) -> bool:
        return self.trim_to > 0

    def hand_over(self, target: str) -> None:
        self.engine.transfer_leadership(target)

    def died(self, power: bool) -> None:
        self.kept.disk = self.kept.disk.after_crash() if power else self.kept.disk.after_kill()
