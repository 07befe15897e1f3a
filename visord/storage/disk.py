"""The disk as `visord` uses it: a handful of calls behind an interface, and the real one.

Everything that `visord` stores goes through `Disk`, so that tests and the simulation can put a disk in its
place that loses what was not synced, tears writes, fills up, fails and flips bits.

What a `Disk` promises:

- `File.pwrite` changes what `pread` returns at once; a crash may keep all of it, none of it, or any part.
- After `File.sync` or `File.pwrite_sync` returned, contents and size of that file (for `pwrite_sync`: the
  written range of an already allocated file) survive a crash.
- Names (create, rename, unlink) survive a crash once `sync_dir` of their directory returned; a rename is
  atomic: afterwards either the old or the new file is there under the name.
- `File.map` shares memory with the file: stores survive the end of the process, and may or may not
  survive a power cut.

The real one opens files as `opening` says: no link, pipe or foreign file is ever followed, waited for or written to.

All methods raise `OSError`, for what must not be opened its kind `UnsafeFileError`. After a failed sync nothing
about the file may be assumed: the kernel may have dropped the bytes and call the pages clean. The only safe answer is
to stop.
"""

# ruff: noqa: PTH103, PTH208 - paths are text: a simulated disk has no file system

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import stat
from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeAlias

from visord.storage import opening
from visord.storage.opening import FileStatus, UnsafeFileError

Buffer: TypeAlias = bytes | bytearray | memoryview

TEMPORARY: Final = ".tmp"
"""What the name of a file ends with until it is whole."""


class File(Protocol):
    """An open file. Positions and sizes are in bytes."""

    path: str

    def pread(self, size: int, offset: int) -> bytes:
        """Return up to `size` bytes at `offset`; fewer only at the end of the file."""

    def pread_at_hand(self, size: int, offset: int) -> bytes | None:
        """Return what `pread` does if that does not wait for the disk, as far as this can be told; else None."""

    def pwrite(self, data: Buffer, offset: int) -> None:
        """Write all of `data` at `offset`."""

    def pwrite_sync(self, data: Buffer, offset: int) -> None:
        """Write all of `data` at `offset` into allocated blocks, durable on return."""

    def sync(self) -> None:
        """Make contents and size durable (`fdatasync`)."""

    def size(self) -> int:
        """Return the file's size."""

    def truncate(self, size: int) -> None:
        """Cut the file to `size` bytes."""

    def map(self, size: int) -> Any:
        """Return writable shared memory over the first `size` bytes (slice assignment, `close()`)."""

    def close(self) -> None:
        """Give the descriptor back. Idempotent."""


class Lock(Protocol):
    """An exclusive lock that lasts until it is released or the process ends."""

    def release(self) -> None:
        """Let others in. Idempotent."""


class Disk(Protocol):
    """Files by path. Paths are absolute or relative to the process, `/`-separated text."""

    def open(self, path: str, *, create: bool = False) -> File:
        """Open for reading and writing; with `create`, a new and empty file of mode 0600 in the place of any other."""

    def open_read(self, path: str) -> File:
        """Open for reading only."""

    def rename(self, old: str, new: str) -> None:
        """Give `old` the name `new`, replacing what was there."""

    def unlink(self, path: str) -> None:
        """Remove a file's name."""

    def listdir(self, path: str) -> list[str]:
        """Return the names in a directory, sorted."""

    def exists(self, path: str) -> bool:
        """Tell whether a file or directory has this name."""

    def status(self, path: str) -> FileStatus | None:
        """Return what has this name, None when nothing has it. Links are not followed."""

    def close_to_others(self, path: str) -> None:
        """Take all permissions of a file or directory from everybody but its owner."""

    def mkdir(self, path: str) -> None:
        """Make a directory of mode 0700 and its parents; nothing happens when it exists."""

    def sync_dir(self, path: str) -> None:
        """Make the names in a directory durable."""

    def free(self, path: str) -> int:
        """Return the bytes that this process may still allocate on the file system of `path`."""

    def lock(self, path: str, content: bytes) -> Lock | None:
        """Lock the file `path` and write `content` to it; None when somebody else holds it."""

    def lock_shared(self, path: str) -> Lock | None:
        """Keep others from locking the file `path`, changing nothing; None when somebody has locked it already.

        Where there is no such file nobody has, and nothing is kept.
        """


class OsFile:
    """A `File` of the operating system."""

    __slots__ = ("_fd", "path")

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def pread(self, size: int, offset: int) -> bytes:
        data = os.pread(self._fd, size, offset)
        if len(data) == size or not data:
            return data
        pieces = [data]  # a read may be short (Linux: at 2 GiB, or by a signal)
        got = len(data)
        while got < size and (data := os.pread(self._fd, size - got, offset + got)):
            pieces.append(data)
            got += len(data)
        return b"".join(pieces)

    def pread_at_hand(self, size: int, offset: int) -> bytes | None:
        if not _RWF_NOWAIT:
            return None
        data = bytearray(size)
        try:
            got = os.preadv(self._fd, (data,), offset, _RWF_NOWAIT)
        except OSError:
            return None  # not in memory, or this file system cannot tell; a real error shows with `pread`
        return bytes(data) if got == size else None

    def pwrite(self, data: Buffer, offset: int) -> None:
        written = os.pwrite(self._fd, data, offset)
        while written < len(data):
            written += os.pwrite(self._fd, memoryview(data)[written:], offset + written)

    def pwrite_sync(self, data: Buffer, offset: int) -> None:
        # One call instead of two: a thread beside a busy loop waits for the interpreter after each.
        if _RWF_DSYNC:
            try:
                if os.pwritev(self._fd, (data,), offset, _RWF_DSYNC) == len(data):
                    return
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:  # some file systems do not know the flag
                    raise
        self.pwrite(data, offset)
        os.fdatasync(self._fd)

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)

    def map(self, size: int) -> mmap.mmap:
        return mmap.mmap(self._fd, size)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


_RWF_NOWAIT: Final[int] = getattr(os, "RWF_NOWAIT", 0) if hasattr(os, "preadv") else 0
_RWF_DSYNC: Final[int] = getattr(os, "RWF_DSYNC", 0) if hasattr(os, "pwritev") else 0


class OsLock:
    """A `Lock` by `flock`: the kernel gives it back when the process ends, however it ends."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def take(cls, fd: int, how: int) -> OsLock | None:
        """Lock the file of the descriptor, which is closed with the lock; None when somebody else holds it."""
        try:
            fcntl.flock(fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        return cls(fd)

    def release(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class OsDisk:
    """The operating system's files."""

    def open(self, path: str, *, create: bool = False) -> OsFile:
        return OsFile(path, opening.make_file(path) if create else opening.open_file(path, os.O_RDWR))

    def open_read(self, path: str) -> OsFile:
        return OsFile(path, opening.open_file(path, os.O_RDONLY))

    def rename(self, old: str, new: str) -> None:
        with opening.parent(old) as (source, before), opening.parent(new) as (target, after):
            os.replace(before, after, src_dir_fd=source, dst_dir_fd=target)

    def unlink(self, path: str) -> None:
        with opening.parent(path) as (directory, name):
            os.unlink(name, dir_fd=directory)

    def listdir(self, path: str) -> list[str]:
        fd = opening.open_directory(path)
        try:
            return sorted(os.listdir(fd))
        finally:
            os.close(fd)

    def exists(self, path: str) -> bool:
        return os.path.lexists(path)

    def status(self, path: str) -> FileStatus | None:
        try:
            return opening.status_of(os.lstat(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def close_to_others(self, path: str) -> None:
        found = os.lstat(path)
        fd = (
            opening.open_directory(path)
            if stat.S_ISDIR(found.st_mode)
            else opening.open_file(path, os.O_RDONLY)
        )
        try:
            os.fchmod(fd, stat.S_IMODE(found.st_mode) & 0o700)
        finally:
            os.close(fd)

    def mkdir(self, path: str) -> None:
        os.makedirs(path, mode=0o700, exist_ok=True)

    def sync_dir(self, path: str) -> None:
        fd = opening.open_directory(path)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def free(self, path: str) -> int:
        status = os.statvfs(path)
        return status.f_bavail * status.f_frsize

    def lock(self, path: str, content: bytes) -> OsLock | None:
        lock = OsLock.take(fd := opening.open_or_make(path), fcntl.LOCK_EX)
        if lock is not None:
            # The content only informs the next one who asks; a full disk must not keep a node from starting.
            with contextlib.suppress(OSError):
                os.ftruncate(fd, 0)
                os.pwrite(fd, content, 0)
        return lock

    def lock_shared(self, path: str) -> OsLock | None:
        try:
            fd = opening.open_file(path, os.O_RDONLY)
        except FileNotFoundError:
            return OsLock(-1)
        return OsLock.take(fd, fcntl.LOCK_SH)


def join(directory: str, *names: str) -> str:
    """Return the path of a name in a directory."""
    return "/".join((directory, *names))


def read_all(disk: Disk, path: str, most: int) -> bytes:
    """Return a file's whole contents. Raises `UnsafeFileError` when it has more than `most` bytes, and `OSError`.

    A file may claim any size without a byte on the disk: what its kind cannot have is not read into memory.
    """
    file = disk.open_read(path)
    try:
        size = file.size()
        if size > most:
            raise UnsafeFileError(path, f"has {size} bytes, a file of its kind has at most {most}")
        return file.pread(size, 0)
    finally:
        file.close()


def write_atomic(disk: Disk, directory: str, name: str, pieces: Sequence[Buffer]) -> None:
    """Put a file of these pieces in the place of `directory/name`: wholly or, on any failure, not at all.

    Durable on return. A failure removes the temporary file where it can.
    """
    write_beside(disk, directory, name, pieces)
    put_in_place(disk, directory, name)


def write_beside(disk: Disk, directory: str, name: str, pieces: Sequence[Buffer]) -> None:
    """Write what `put_in_place` will give the name: the first half of `write_atomic`, which needs all of the room."""
    temporary = join(directory, name + TEMPORARY)
    try:
        file = disk.open(temporary, create=True)
        try:
            offset = 0
            for piece in pieces:
                file.pwrite(piece, offset)
                offset += len(piece)
            file.sync()
        finally:
            file.close()
    except OSError:
        with contextlib.suppress(OSError):
            disk.unlink(temporary)
        raise


def put_in_place(disk: Disk, directory: str, name: str) -> None:
    """Give what `write_beside` wrote the name, durably on return; the second half of `write_atomic`."""
    temporary = join(directory, name + TEMPORARY)
    try:
        disk.rename(temporary, join(directory, name))
    except OSError:
        with contextlib.suppress(OSError):
            disk.unlink(temporary)
        raise
    disk.sync_dir(directory)
