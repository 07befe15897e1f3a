"""A disk in memory that behaves as badly as a real one may.

disk = FakeDisk(random.Random(1)) disk.crash_at = 17          # PowerCut is raised in the 17th changing
call, whose effect may or may not last disk = disk.after_crash()   # what a machine finds after the power
came back: unsynced sectors lost or kept at random disk.capacity = 10_000      # bytes; beyond it ENOSPC
disk.broken_sync = "log/"   # syncs of files whose path contains this fail with EIO disk.flip(path, bit)
"""

from __future__ import annotations

import errno
import os
import random

from visord.storage.opening import DIRECTORY, REGULAR, FileStatus

SECTOR = 512


class PowerCut(BaseException):
    """The machine stopped in the middle of a call."""


class Inode:
    """A file's bytes as the processes see them, as the platter has them, and the writes between the two."""

    def __init__(self) -> None:
        self.seen = bytearray()
        self.stored = bytearray()
        self.pending: list[tuple[int, bytes] | int] = []
        self.mapped = False

    def write(self, data: bytes, offset: int) -> None:
        if offset > len(self.seen):
            self.seen.extend(bytes(offset - len(self.seen)))
        self.seen[offset : offset + len(data)] = data

    def sync(self) -> None:
        self.pending.clear()
        self.stored[:] = self.seen

    def survive(self, rng: random.Random) -> bytearray:
        """Return what is there after a power cut."""
        kept = bytearray(self.stored)
        mood = rng.choice(("none", "all", "some", "some", "prefix"))
        prefix = True
        for change in self.pending:
            if isinstance(change, int):
                if mood in ("all", "some"):
                    del kept[change:]
                continue
            offset, data = change
            start = offset
            while start < offset + len(data):
                end = min(offset + len(data), (start // SECTOR + 1) * SECTOR)
                torn = rng.randrange(start, end + 1) if mood == "prefix" and rng.random() < 0.3 else end
                prefix = prefix and torn == end
                if mood == "all" or (mood == "some" and rng.random() < 0.5) or mood == "prefix":
                    if len(kept) < torn:
                        kept.extend(bytes(torn - len(kept)))
                    kept[start:torn] = data[start - offset : torn - offset]
                if mood == "prefix" and not prefix:
                    return kept
                start = end
        if self.mapped:
            for page in range(0, len(self.seen), 4096):
                if rng.random() < 0.5:
                    kept[page : page + 4096] = self.seen[page : page + 4096]
        return kept


class FakeFile:
    """An open file of the fake disk."""

    def __init__(self, disk: FakeDisk, path: str, inode: Inode, *, writable: bool) -> None:
        self.path = path
        self._disk = disk
        self._inode = inode
        self._writable = writable
        self._open = True

    def pread(self, size: int, offset: int) -> bytes:
        assert self._open
        return bytes(self._inode.seen[offset : offset + size])

    def pread_at_hand(self, size: int, offset: int) -> bytes | None:
        """This disk is as slow as it can be."""
        return None

    def pwrite(self, data: bytes, offset: int) -> None:
        assert self._open and self._writable
        data = bytes(data)
        fits = self._disk.allocate(self._inode, offset + len(data), offset)
        if fits:
            self._inode.write(data[:fits], offset)
            self._inode.pending.append((offset, data[:fits]))
        self._disk.changed()
        if fits < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)

    def pwrite_sync(self, data: bytes, offset: int) -> None:
        assert self._open and self._writable
        assert offset + len(data) <= len(self._inode.stored), (
            "written into blocks that are not allocated durably"
        )
        self._inode.write(bytes(data), offset)
        self._inode.pending.append((offset, bytes(data)))
        self._disk.changed()
        self._disk.may_fail_sync(self.path)
        self._inode.pending.pop()
        self._inode.stored[offset : offset + len(data)] = data

    def sync(self) -> None:
        assert self._open
        self._disk.changed()
        self._disk.may_fail_sync(self.path)
        self._inode.sync()

    def size(self) -> int:
        return len(self._inode.seen)

    def truncate(self, size: int) -> None:
        assert self._open and self._writable
        del self._inode.seen[size:]
        self._inode.pending.append(size)
        self._disk.changed()

    def map(self, size: int) -> Memory:
        assert len(self._inode.stored) >= size, "mapped blocks that are not allocated durably"
        self._inode.mapped = True
        return Memory(self._inode)

    def close(self) -> None:
        self._open = False


class Memory:
    """Mapped memory of a file."""

    def __init__(self, inode: Inode) -> None:
        self._inode = inode

    def __setitem__(self, where: slice, data: bytes) -> None:
        self._inode.seen[where] = data

    def close(self) -> None:
        pass


def in_directory(names: dict[str, Inode], directory: str) -> dict[str, Inode]:
    return {path: inode for path, inode in names.items() if path.rpartition("/")[0] == directory}


class FakeLock:
    def __init__(self, disk: FakeDisk, path: str) -> None:
        self._disk = disk
        self._path = path

    def release(self) -> None:
        self._disk.locks.discard(self._path)


class FakeDisk:
    """See the module."""

    def __init__(self, rng: random.Random | None = None, capacity: int = 1 << 40) -> None:
        self.rng = rng or random.Random(0)
        self.capacity = capacity
        self.names: dict[str, Inode] = {}
        self.stored_names: dict[str, Inode] = {}
        self.renames: dict[str, list[dict[str, Inode]]] = {}
        self.directories: set[str] = set()
        self.locks: set[str] = set()
        self.calls = 0
        self.crash_at: int | None = None
        self.broken_sync: str | None = None

    # -- faults -------------------------------------------------------------------------------------------

    def changed(self) -> None:
        self.calls += 1
        if self.calls == self.crash_at:
            raise PowerCut

    def renamed(self, path: str) -> None:
        directory = path.rpartition("/")[0]
        self.renames.setdefault(directory, []).append(in_directory(self.names, directory))
        self.changed()

    def may_fail_sync(self, path: str) -> None:
        if self.broken_sync is not None and self.broken_sync in path:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    def used(self) -> int:
        return sum(len(inode.seen) for inode in {id(inode): inode for inode in self.names.values()}.values())

    def allocate(self, inode: Inode, end: int, start: int) -> int:
        """Return how many bytes from `start` to `end` find room."""
        grown = end - len(inode.seen)
        if grown <= 0 or self.used() + grown <= self.capacity:
            return end - start
        return max(0, end - start - (self.used() + grown - self.capacity))

    def after_crash(self) -> FakeDisk:
        """Return the disk as it is found after a power cut."""
        disk = FakeDisk(self.rng, self.capacity)
        disk.directories = set(self.directories)
        names: dict[str, Inode] = {}
        for directory in sorted({path.rpartition("/")[0] for path in (*self.names, *self.stored_names)}):
            # The changes of a directory that were not synced last up to any point, in order.
            names |= self.rng.choice(
                [in_directory(self.stored_names, directory), *self.renames.get(directory, [])]
            )
        inodes: dict[int, Inode] = {}
        for path, inode in names.items():
            fresh = inodes.get(id(inode))
            if fresh is None:
                fresh = inodes[id(inode)] = Inode()
                fresh.stored = inode.survive(self.rng)
                fresh.seen = bytearray(fresh.stored)
            disk.names[path] = fresh
        disk.stored_names = dict(disk.names)
        return disk

    def after_kill(self) -> FakeDisk:
        """Return the disk as the next process finds it: nothing is lost, nothing became durable."""
        self.locks.clear()
        self.crash_at = None
        return self

    def copy(self) -> FakeDisk:
        """Return an independent disk with the same, durable contents."""
        disk = FakeDisk(random.Random(0), self.capacity)
        disk.directories = set(self.directories)
        for path, inode in self.names.items():
            fresh = Inode()
            fresh.seen, fresh.stored = bytearray(inode.seen), bytearray(inode.seen)
            disk.names[path] = fresh
        disk.stored_names = dict(disk.names)
        return disk

    def flip(self, path: str, bit: int) -> None:
        inode = self.names[path]
        inode.seen[bit // 8] ^= 1 << bit % 8
        inode.stored[bit // 8] ^= 1 << bit % 8

    def read(self, path: str) -> bytes:
        return bytes(self.names[path].seen)

    def put(self, path: str, data: bytes) -> None:
        """Give a file these contents, durably."""
        inode = self.names.setdefault(path, Inode())
        inode.seen[:] = data
        inode.sync()
        self.stored_names[path] = inode

    # -- Disk ---------------------------------------------------------------------------------------------

    def open(self, path: str, *, create: bool = False) -> FakeFile:
        if create:
            self.names[path] = Inode()  # what was there before is unlinked, not cut
            self.renamed(path)
        if path not in self.names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return FakeFile(self, path, self.names[path], writable=True)

    def open_read(self, path: str) -> FakeFile:
        if path not in self.names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return FakeFile(self, path, self.names[path], writable=False)

    def rename(self, old: str, new: str) -> None:
        assert old.rpartition("/")[0] == new.rpartition("/")[0]
        self.names[new] = self.names.pop(old)
        self.renamed(new)

    def unlink(self, path: str) -> None:
        if path not in self.names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        del self.names[path]
        self.renamed(path)

    def listdir(self, path: str) -> list[str]:
        start = path + "/"
        names = {name[len(start) :].split("/")[0] for name in self.names if name.startswith(start)}
        names |= {name[len(start) :].split("/")[0] for name in self.directories if name.startswith(start)}
        return sorted(names)

    def exists(self, path: str) -> bool:
        return path in self.names or path in self.directories

    def status(self, path: str) -> FileStatus | None:
        if path in self.directories:
            return FileStatus(DIRECTORY, os.geteuid(), 2, 0o700, 0)
        inode = self.names.get(path)
        return None if inode is None else FileStatus(REGULAR, os.geteuid(), 1, 0o600, len(inode.seen))

    def close_to_others(self, path: str) -> None:
        """Nobody else is there."""

    def mkdir(self, path: str) -> None:
        self.directories.add(path)

    def sync_dir(self, path: str) -> None:
        self.changed()
        self.may_fail_sync(path + "/")
        for name in in_directory(self.stored_names, path):
            del self.stored_names[name]
        self.stored_names |= in_directory(self.names, path)
        self.renames.pop(path, None)

    def free(self, path: str) -> int:
        return max(0, self.capacity - self.used())

    def lock(self, path: str, content: bytes) -> FakeLock | None:
        if path in self.locks:
            return None
        self.locks.add(path)
        self.names.setdefault(path, Inode()).seen[:] = content
        self.renames.setdefault(path.rpartition("/")[0], []).append(
            in_directory(self.names, path.rpartition("/")[0])
        )
        return FakeLock(self, path)

    def lock_shared(self, path: str) -> FakeLock | None:
        """Readers of a fake disk do not keep each other out, nor a node that begins meanwhile."""
        return None if path in self.locks else FakeLock(self, "")
