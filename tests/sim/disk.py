"""One machine's disk and the threads that use it, in memory and in virtual time.

What a power cut leaves of bytes that were not synced: all, none, some sectors of some writes, or a prefix that ends
inside a write. Names that were not synced come back as they were at any moment since. A sync that fails with EIO leaves
in doubt which of the bytes are stored, and calls them clean, as Linux does: syncing once more does not help.

    disk = SimDisk(rng)
    disk.cut_in = 3                     # the third changing call from now raises PowerCut
    disk = disk.after_power_cut()       # what the machine finds when it comes back
    disk = disk.after_kill()            # what the next process finds: all that was written, nothing durable by that
    disk.capacity = disk.used()         # full
    disk.failing = True                 # every sync raises EIO

`SimWorker` is a thread: it runs jobs in order, each takes some time, and a crash catches the job under way before,
after or in the middle of its calls.
"""

from __future__ import annotations

import errno
import os
import random
from collections import deque
from collections.abc import Callable
from typing import Final

from tests.sim.scheduler import NodeLoop, PowerCut
from visord.storage.disk import Buffer
from visord.storage.opening import DIRECTORY, REGULAR, FileStatus
from visord.storage.worker import Done, Inline, Job

SECTOR: Final = 512
PAGE: Final = 4096
MAX_CALLS: Final = 8
"""A crash in the middle of a job comes within so many of its calls."""


class Inode:
    """A file's bytes as processes see them, as the platter has them, and the changes between the two, in order.

    A change is (offset, bytes), or the size to which the file was cut.
    """

    __slots__ = ("mapped", "pending", "seen", "stored")

    def __init__(self, content: bytes = b"") -> None:
        self.seen = bytearray(content)
        self.stored = bytearray(content)
        self.pending: list[tuple[int, bytes] | int] = []
        self.mapped = False

    def write(self, data: bytes, offset: int) -> None:
        _put(self.seen, data, offset)
        self.pending.append((offset, data))

    def cut(self, size: int) -> None:
        del self.seen[size:]
        self.pending.append(size)

    def sync(self) -> None:
        for change in self.pending:
            _play(self.stored, change)
        self.pending.clear()

    def fail_sync(self, rng: random.Random) -> None:
        """Store some of the changes and forget that the others were never stored."""
        for change in self.pending:
            if rng.random() < 0.5:
                _play(self.stored, change)
        self.pending.clear()

    def survivor(self, rng: random.Random) -> Inode:
        """Return the file as it is after a power cut."""
        kept = bytearray(self.stored)
        mood = rng.choice(("none", "all", "some", "prefix"))
        if mood == "all":
            for change in self.pending:
                _play(kept, change)
        elif mood == "some":
            self._keep_some(kept, rng)
        elif mood == "prefix":
            self._keep_prefix(kept, rng)
        if self.mapped:
            for page in range(0, len(self.seen), PAGE):
                if rng.random() < 0.5:
                    _put(kept, bytes(self.seen[page : page + PAGE]), page)
        return Inode(bytes(kept))

    def _keep_some(self, kept: bytearray, rng: random.Random) -> None:
        for change in self.pending:
            if isinstance(change, int):
                if rng.random() < 0.5:
                    del kept[change:]
                continue
            offset, data = change
            start = 0
            while start < len(data):
                end = min(len(data), ((offset + start) // SECTOR + 1) * SECTOR - offset)
                if rng.random() < 0.5:
                    _put(kept, data[start:end], offset + start)
                start = end

    def _keep_prefix(self, kept: bytearray, rng: random.Random) -> None:
        count = rng.randrange(len(self.pending) + 1)
        for change in self.pending[:count]:
            _play(kept, change)
        if count < len(self.pending) and not isinstance(change := self.pending[count], int):
            _put(kept, change[1][: rng.randrange(len(change[1]) + 1)], change[0])


def _put(target: bytearray, data: bytes, offset: int) -> None:
    if offset > len(target):
        target.extend(bytes(offset - len(target)))
    target[offset : offset + len(data)] = data


def _play(target: bytearray, change: tuple[int, bytes] | int) -> None:
    if isinstance(change, int):
        del target[change:]
    else:
        _put(target, change[1], change[0])


class SimFile:
    """An open file: `visord.storage.disk.File`."""

    __slots__ = ("_disk", "_inode", "_open", "_writable", "path")

    def __init__(self, disk: SimDisk, path: str, inode: Inode, *, writable: bool) -> None:
        self.path = path
        self._disk = disk
        self._inode = inode
        self._writable = writable
        self._open = True

    def pread_at_hand(self, size: int, offset: int) -> bytes | None:
        """Now and then a block is in memory: by where it lies, so that no dice are thrown."""
        return self.pread(size, offset) if offset % 3 else None

    def pread(self, size: int, offset: int) -> bytes:
        assert self._open
        self._disk.check()
        return bytes(self._inode.seen[offset : offset + size])

    def pwrite(self, data: Buffer, offset: int) -> None:
        assert self._open and self._writable
        content = bytes(data)
        fits = self._disk.room(self._inode, offset, offset + len(content))
        if fits:
            self._inode.write(content[:fits], offset)
        self._disk.changed()
        if fits < len(content):
            raise _error(errno.ENOSPC, self.path)

    def pwrite_sync(self, data: Buffer, offset: int) -> None:
        assert self._open and self._writable
        inode, content = self._inode, bytes(data)
        assert offset + len(content) <= len(inode.stored), (
            "written into blocks that are not durably allocated"
        )
        inode.write(content, offset)
        self._disk.changed()
        self._disk.may_fail(self.path, inode)
        inode.pending.pop()
        inode.stored[offset : offset + len(content)] = content

    def sync(self) -> None:
        assert self._open
        self._disk.changed()
        self._disk.may_fail(self.path, self._inode)
        self._inode.sync()

    def size(self) -> int:
        return len(self._inode.seen)

    def truncate(self, size: int) -> None:
        assert self._open and self._writable
        self._inode.cut(size)
        self._disk.changed()

    def map(self, size: int) -> Memory:
        assert len(self._inode.stored) >= size, "mapped blocks that are not durably allocated"
        self._inode.mapped = True
        return Memory(self._disk, self._inode)

    def close(self) -> None:
        self._open = False


class Memory:
    """Mapped memory of a file."""

    __slots__ = ("_disk", "_inode")

    def __init__(self, disk: SimDisk, inode: Inode) -> None:
        self._disk = disk
        self._inode = inode

    def __setitem__(self, where: slice, data: bytes) -> None:
        self._disk.check()
        self._inode.seen[where] = data

    def close(self) -> None:
        pass


class SimLock:
    """`visord.storage.disk.Lock`."""

    def __init__(self, disk: SimDisk, path: str) -> None:
        self._disk = disk
        self._path = path

    def release(self) -> None:
        self._disk.locks.discard(self._path)


class SimDisk:
    """`visord.storage.disk.Disk`; see the module."""

    def __init__(self, rng: random.Random, capacity: int = 1 << 40) -> None:
        self.rng = rng
        self.capacity = capacity
        self.failing = False
        self.cut_in: int | None = None
        self.off = False
        """Whoever still uses the disk is a process that is gone."""
        self.names: dict[str, Inode] = {}
        self.locks: set[str] = set()
        self._stored: dict[str, dict[str, Inode]] = {}
        """By directory: its names as they are durable."""
        self._changes: dict[str, list[dict[str, Inode]]] = {}
        """By directory: its names after each change that was not synced."""
        self._directories: set[str] = {"/"}

    # -- faults -------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise when the process that calls is gone."""
        if self.off:
            raise PowerCut

    def changed(self) -> None:
        """Count a changing call; the power may go after it."""
        if self.off:
            raise PowerCut
        if self.cut_in is not None:
            self.cut_in -= 1
            if self.cut_in <= 0:
                self.off = True
                raise PowerCut

    def may_fail(self, path: str, inode: Inode | None = None) -> None:
        """Raise what a sync of a failing disk raises."""
        if self.failing:
            if inode is not None:
                inode.fail_sync(self.rng)
            raise _error(errno.EIO, path)

    def used(self) -> int:
        """Return the bytes of all files."""
        return sum(len(inode.seen) for inode in self.names.values())

    def room(self, inode: Inode, start: int, end: int) -> int:
        """Return how many bytes from `start` to `end` find room."""
        grown = end - len(inode.seen)
        if grown <= 0:
            return end - start
        lacking = self.used() + grown - self.capacity
        return end - start if lacking <= 0 else max(0, end - start - lacking)

    def after_power_cut(self) -> SimDisk:
        """Return the disk as it is found when the power is back; this one is of no use any more."""
        after = self._successor()
        survivors: dict[int, Inode] = {}
        for directory in sorted({*self._stored, *self._changes}):
            # The changes of a directory that were not synced last up to any one of them, in order.
            states = [self._stored.get(directory, {}), *self._changes.get(directory, [])]
            names = self.rng.choice(states)
            for path in sorted(names):
                inode = names[path]
                if id(inode) not in survivors:
                    survivors[id(inode)] = inode.survivor(self.rng)
                after.names[path] = survivors[id(inode)]
            after._stored[directory] = {path: after.names[path] for path in sorted(names)}
        return after

    def after_kill(self) -> SimDisk:
        """Return the disk as the next process finds it; this one is of no use any more."""
        after = self._successor()
        after.names = self.names
        after._stored, after._changes = self._stored, self._changes
        return after

    def _successor(self) -> SimDisk:
        self.off = True
        after = SimDisk(self.rng, self.capacity)
        after.failing = self.failing
        after._directories = self._directories
        return after

    # -- Disk ---------------------------------------------------------------------------------------------

    def open(self, path: str, *, create: bool = False) -> SimFile:
        self.check()
        inode = self.names.get(path)
        if create:  # what was there before is unlinked, not cut
            inode = self.names[path] = Inode()
            self._renamed(path)
        if inode is None:
            raise _error(errno.ENOENT, path)
        return SimFile(self, path, inode, writable=True)

    def open_read(self, path: str) -> SimFile:
        self.check()
        if path not in self.names:
            raise _error(errno.ENOENT, path)
        return SimFile(self, path, self.names[path], writable=False)

    def rename(self, old: str, new: str) -> None:
        self.check()
        if old not in self.names:
            raise _error(errno.ENOENT, old)
        assert _parent(old) == _parent(new)
        self.names[new] = self.names.pop(old)
        self._renamed(new)

    def unlink(self, path: str) -> None:
        self.check()
        if path not in self.names:
            raise _error(errno.ENOENT, path)
        del self.names[path]
        self._renamed(path)

    def listdir(self, path: str) -> list[str]:
        self.check()
        start = path.rstrip("/") + "/"
        found = (
            name for name in (*self.names, *self._directories) if name.startswith(start) and name != start
        )
        return sorted({name[len(start) :].split("/")[0] for name in found})

    def exists(self, path: str) -> bool:
        self.check()
        return path in self.names or path in self._directories

    def status(self, path: str) -> FileStatus | None:
        self.check()
        if path in self._directories:
            return FileStatus(DIRECTORY, os.geteuid(), 2, 0o700, 0)
        inode = self.names.get(path)
        return None if inode is None else FileStatus(REGULAR, os.geteuid(), 1, 0o600, len(inode.seen))

    def close_to_others(self, path: str) -> None:
        """Nobody else is there."""

    def mkdir(self, path: str) -> None:
        """Directories are durable at once: that they may be lost is the concern of `tests/storage`."""
        self.check()
        while path not in self._directories:
            self._directories.add(path)
            path = _parent(path) or "/"

    def rmdir(self, path: str) -> None:
        """Remove a directory that holds nothing."""
        self.check()
        self._directories.discard(path)

    def sync_dir(self, path: str) -> None:
        self.changed()
        self.may_fail(path)
        self._stored[path] = self._in_directory(path)
        self._changes.pop(path, None)

    def free(self, path: str) -> int:
        self.check()
        return max(0, self.capacity - self.used())

    def lock(self, path: str, content: bytes) -> SimLock | None:
        self.check()
        if path in self.locks:
            return None
        self.locks.add(path)
        inode = self.names.get(path)
        if inode is None:
            inode = self.names[path] = Inode()
            self._renamed(path)
        inode.cut(0)
        inode.write(content, 0)
        return SimLock(self, path)

    def lock_shared(self, path: str) -> SimLock | None:
        self.check()
        return None if path in self.locks else SimLock(self, "")

    def _renamed(self, path: str) -> None:
        directory = _parent(path)
        self._changes.setdefault(directory, []).append(self._in_directory(directory))
        self.changed()

    def _in_directory(self, directory: str) -> dict[str, Inode]:
        return {path: inode for path, inode in self.names.items() if _parent(path) == directory}


class SimWorker:
    """A thread that runs jobs in order: `visord.storage.worker.Submitter`. `delay()` gives a job's seconds."""

    def __init__(self, loop: NodeLoop, delay: Callable[[], float]) -> None:
        self._loop = loop
        self._delay = delay
        self._jobs: deque[tuple[Job, Done]] = deque()

    def submit(self, job: Job, done: Done) -> None:
        self._jobs.append((job, done))
        if len(self._jobs) == 1:
            self._loop.call_later(self._delay(), self._finish)

    def _finish(self) -> None:
        job, done = self._jobs[0]
        # A job's calls change the disk now; that it ended is told in the same turn.
        answers: list[tuple[object, BaseException | None]] = []
        Inline().submit(job, lambda result, error: answers.append((result, error)))
        self._jobs.popleft()
        if self._jobs:
            self._loop.call_later(self._delay(), self._finish)
        done(*answers[0])

    def interrupt(self, disk: SimDisk, rng: random.Random) -> str:
        """The process ends: carry the job under way to anywhere between nothing and its end. Return how far."""
        jobs, self._jobs = self._jobs, deque()
        how = rng.choice(("not begun", "cut", "done")) if jobs and not disk.off else "idle"
        if how in ("idle", "not begun"):
            return how
        disk.cut_in = rng.randint(1, MAX_CALLS) if how == "cut" else None
        try:
            Inline().submit(jobs[0][0], lambda result, error: None)
        except PowerCut:
            return how
        return "done"


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)
