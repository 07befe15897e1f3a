"""A machine with its checkpoints on a disk that fails, driven by random writes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.storage.fake_disk import FakeDisk
from visor.protocol.verbs import DELETE, GRANT, RETAIN, SET, TXN
from visord.state.command import encode
from visord.state.exporting import export_base, export_commits
from visord.state.machine import Machine
from visord.state.tables import export_tables
from visord.storage.checkpoint import Checkpointer
from visord.storage.directory import DataDirectory
from visord.storage.worker import Done, Inline, Job

SMALL = 3000
"""Bytes of a history file in these tests."""


class Writer:
    """Drives a machine: random sets, deletes and transactions."""

    def __init__(self, machine: Machine, seed: int = 0) -> None:
        self.machine = machine
        self.rng = random.Random(seed)
        self.count = 0
        self.applied: list[tuple[int, bytes]] = []
        """(index, command) of all that was written."""

    def write(self, count: int = 1) -> None:
        for _ in range(count):
            self.apply(self.frame())

    def apply(self, frame: list[Any]) -> None:
        machine = self.machine
        command = encode(1000 + machine.index * 10, [[b"session", "me", [frame], ""]])
        self.applied.append((machine.index + 1, bytes(command)))
        machine.apply(machine.index + 1, 1, command)

    def frame(self) -> list[Any]:
        self.count += 1
        rng, head = self.rng, [self.machine.index + 1, max(0, self.machine.index - 3)]
        path = f"/dir{rng.randrange(4)}/file{rng.randrange(12)}"
        choice = rng.random()
        if choice < 0.7:
            return [SET, *head, path, rng.randbytes(rng.choice((0, 20, 200)))]
        if choice < 0.72:
            return [GRANT, *head, 10_000]
        if choice < 0.75:
            leases = [0, *self.machine.store.leases.by_id]
            return [SET, *head, path, b"leased", 0, 0, rng.choice(leases)]
        if choice < 0.9:
            return [DELETE, *head, path]
        other = f"/other/{rng.randrange(9)}"
        return [TXN, *head, [], [[0, path, b"one"], [0, other, b"two"]], [], "a note"]

    def retain(self, floor: int) -> None:
        head = [self.machine.index + 1, max(0, self.machine.index - 3)]
        self.apply([RETAIN, *head, None, None, floor])


class World:
    """A disk with a data directory, a machine and its checkpointer."""

    def __init__(
        self, disk: FakeDisk | None = None, background: Any = None, cluster: str | None = None
    ) -> None:
        self.disk = disk or FakeDisk(random.Random(3))
        self.directory = DataDirectory.open(
            self.disk, "data", node="a", cluster=cluster, rng=random.Random(5)
        )
        self.machine = Machine()
        self.checkpointer = Checkpointer(
            self.disk,
            self.directory,
            background or Inline(),
            segment_bytes=SMALL,
            config=lambda: b"members at %d" % self.machine.index,
        )
        self.checkpointer.load(self.machine)
        self.writer = Writer(self.machine, self.machine.index)

    def checkpoint(self, between: Callable[[], None] = lambda: None) -> int:
        steps = 0
        for _ in self.checkpointer.steps(self.machine):
            steps += 1
            between()
        return steps

    def restart(self) -> World:
        self.directory.close()
        return World(self.disk)

    def follow(self, other: World, count: int = 1 << 30) -> None:
        """Apply, as a member of the same cluster, the next commands that were written at `other`."""
        machine = self.machine
        for index, command in other.writer.applied:
            if machine.index < index and count > 0:
                assert index == machine.index + 1
                machine.apply(index, 1, command)
                count -= 1

    def reopen(self, disk: FakeDisk | None = None) -> World:
        """Start again after the process was killed, or on the disk that a power cut left."""
        return World(disk or self.disk.after_kill())


def contents(machine: Machine) -> Any:
    """Everything that a machine answers from."""
    store = machine.store
    rows, cursor = export_base(store, None, 1 << 30, store.rev) if store.rev else ([], None)
    assert cursor is None
    tables = export_tables(machine)
    history = export_commits(store, store.floor + 1, store.rev)
    return rows, history, tables


def reads(machine: Machine) -> list[Any]:
    """Each path at each rev."""
    store = machine.store
    paths = sorted(store.files)
    revs = range(store.floor, store.rev + 1)
    found = [(rev, path, store.version(path, rev)) for rev in revs for path in paths]
    return [(rev, path, version and store.filled(path, version)) for rev, path, version in found]


def same(one: Machine, two: Machine) -> None:
    assert contents(one) == contents(two)
    assert [row for row in reads(one) if row[2]] == [row for row in reads(two) if row[2]]


def files(disk: FakeDisk) -> list[str]:
    return sorted(name for name in disk.names if not name.endswith("lock"))


class Later:
    """Runs jobs only when told: what a worker thread does, step by step."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Job, Done]] = []

    def submit(self, job: Job, done: Done) -> None:
        self.jobs.append((job, done))

    def run(self, count: int = 1) -> None:
        for _ in range(min(count, len(self.jobs))):
            job, done = self.jobs.pop(0)
            Inline().submit(job, done)
