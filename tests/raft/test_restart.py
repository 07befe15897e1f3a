"""Machine, log and checkpoints together on a disk that loses power: a restart is the machine as it was acknowledged."""

from __future__ import annotations

import os
import random
from typing import Any

from tests.storage.fake_disk import FakeDisk, PowerCut
from visor.protocol.verbs import DELETE, RETAIN, SET
from visord.check import check
from visord.raft.engine import Engine, alone
from visord.raft.inspection import inspect_log
from visord.raft.log import RaftLog
from visord.raft.segments import Options
from visord.state.command import Command, encode
from visord.state.exporting import export_base, export_commits
from visord.state.machine import Machine
from visord.state.tables import export_tables
from visord.state.trim import trim
from visord.storage.checkpoint import Checkpointer
from visord.storage.directory import DataDirectory
from visord.storage.worker import Inline

OPTIONS = Options(segment=6000, chunk=1500, ahead=2500, first=1000, reserve=0, keep=300)
SOAK = float(os.environ.get("VISOR_SOAK", "1"))


Entry = tuple[int, bytes]
"""(term, command)."""


class Node:
    """What a node does with its storage, without a loop: everything runs at once."""

    def __init__(self, disk: FakeDisk) -> None:
        rng = random.Random(4)
        self.directory = DataDirectory.open(disk, "data", node="a", rng=rng)
        self.machine = Machine()
        self.checkpointer = Checkpointer(disk, self.directory, Inline(), segment_bytes=2500)
        self.checkpointer.load(self.machine)
        self.loaded = self.machine.index
        self.log = RaftLog.open(
            disk,
            self.directory.log,
            options=OPTIONS,
            sync=Inline(),
            background=Inline(),
            random32=lambda: rng.getrandbits(32),
            create=self.machine.index == 0,
        )
        self.acknowledged: list[tuple[int, Entry]] = []
        self.engine = Engine(
            "a",
            alone("a"),
            self.log,
            random=rng,
            on_apply=self.apply,
            applied=(self.machine.index, self.machine.term),
        )
        self.log.on_durable = self.engine.tick
        self.steps: Any = None
        self.engine.tick()

    def apply(self, index: int, term: int, command: bytes) -> None:
        self.machine.apply(index, term, command)
        self.acknowledged.append((index, (term, bytes(command))))

    def work(self, rng: random.Random) -> None:
        """One turn: a write, or a step of a checkpoint, or trimming."""
        choice = rng.random()
        if choice < 0.7:
            self.engine.propose(self.command(rng))
        elif self.steps is not None:
            if next(self.steps, "end") == "end":
                self.steps = None
                self.log.trim(self.checkpointer.index)
        elif choice < 0.8:
            self.steps = self.checkpointer.steps(self.machine)
        else:
            trim(self.machine.store, 20)

    def command(self, rng: random.Random) -> Command:
        number = self.machine.index + 1
        frames: list[Any] = []
        for offset in range(rng.choice((1, 1, 2, 5))):
            head = [number * 10 + offset, max(0, number * 10 - 30)]
            path = f"/d{rng.randrange(3)}/f{rng.randrange(9)}"
            choice = rng.random()
            if choice < 0.8:
                frames.append([SET, *head, path, rng.randbytes(rng.choice((0, 30, 300)))])
            elif choice < 0.95:
                frames.append([DELETE, *head, path])
            else:
                frames.append([RETAIN, *head, None, None, max(self.machine.store.rev - 20, 0)])
        return encode(number * 1000, [[b"session", "me", frames, ""]])


def contents(machine: Machine) -> Any:
    store = machine.store
    rows = export_base(store, None, 1 << 30, store.rev)[0] if store.rev else []
    return rows, export_commits(store, store.floor + 1, store.rev), export_tables(machine)


def replayed(entries: dict[int, Entry]) -> Machine:
    machine = Machine()
    for index, (term, command) in sorted(entries.items()):
        machine.apply(index, term, command)
    return machine


def test_any_power_cut_leaves_a_machine_that_was_acknowledged() -> None:
    checkpoints = 0
    for seed in range(int(25 * SOAK)):
        rng = random.Random(seed)
        disk = FakeDisk(random.Random(seed))
        entries: dict[int, Entry] = {}
        for _ in range(5):
            disk.crash_at = disk.calls + rng.randrange(1, 400)
            node = None
            try:
                node = Node(disk)
                for _ in range(150):
                    node.work(rng)
            except PowerCut:
                pass
            if node is not None:
                for index, entry in node.acknowledged:
                    assert entries.setdefault(index, entry) == entry, "what was handed out once stays"
                checkpoints += node.loaded > 0
            disk = disk.after_crash()
        node = Node(disk)
        assert node.engine.applied_index >= max(entries, default=0), "nothing acknowledged is missing"
        for index, entry in node.acknowledged:
            assert entries.setdefault(index, entry) == entry
        assert contents(node.machine) == contents(replayed(entries))
        node.directory.close()
        assert check(disk, "data", inspect_log).problems == []
    assert checkpoints > 20
