"""The one way in which `visord` opens files of its data directory: never a link, a pipe, or somebody else's file.

A user who could once write into a data directory, or prepares one for others to look at, must get no one to write
through it, to read what is not the directory's, or to wait for ever. So every file is opened

1. relative to its directory, which is opened first and must be one (no symbolic link);
2. with O_NOFOLLOW (no symbolic link) and O_NONBLOCK (a pipe does not hold the process that opens it), and
3. is then looked at through its descriptor: a regular file, of the same owner as its directory, and, where it may be
   written, without a second name, behind which anything could be.

What does not pass is an `UnsafeFileError` that names the file. New files are made with O_EXCL, after a regular file
of that name was removed, so that nothing that was there before is ever written to.

    /var/lib/visord/manifest -> /etc/shadow      UnsafeFileError: ... is a symbolic link
    mkfifo /var/lib/visord/log/vote              UnsafeFileError: ... is a pipe
"""

# ruff: noqa: PTH114 - names are relative to a descriptor

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from typing import Final, NamedTuple

REGULAR: Final = "a regular file"
DIRECTORY: Final = "a directory"
LINK: Final = "a symbolic link"
_KINDS: Final = {
    stat.S_IFREG: REGULAR,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: LINK,
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class UnsafeFileError(OSError):
    """A file that must not be used as what it stands for. `filename` is its path, `strerror` what is wrong with it."""

    def __init__(self, path: str, wrong: str) -> None:
        super().__init__(errno.EPERM, wrong, path)

    def __str__(self) -> str:
        return f"{self.filename} {self.strerror}"


class FileStatus(NamedTuple):
    """What a name stands for; links are not followed."""

    kind: str
    """One of the words of this module, as in "is a pipe"."""
    owner: int
    """The user's number."""
    links: int
    mode: int
    """The permissions alone, as in 0o600."""
    size: int
    """Bytes."""


def status_of(found: os.stat_result) -> FileStatus:
    """Return what the system said of a file."""
    kind = _KINDS.get(stat.S_IFMT(found.st_mode), "no file")
    return FileStatus(kind, found.st_uid, found.st_nlink, stat.S_IMODE(found.st_mode), found.st_size)


def unsafe(path: str, found: FileStatus, owner: int, *, writing: bool) -> UnsafeFileError | None:
    """Return why a file of a directory that belongs to `owner` must not be used; None when it may."""
    if found.kind != REGULAR:
        return UnsafeFileError(path, f"is {found.kind}: only regular files are opened here")
    if found.owner != owner:
        belongs = f"belongs to user {found.owner}, its directory to user {owner}"
        return UnsafeFileError(path, f"{belongs}: somebody else may have made it")
    if writing and found.links > 1:
        return UnsafeFileError(
            path, f"has {found.links} names (hard links): another file would change with it"
        )
    return None


@contextlib.contextmanager
def parent(path: str) -> Iterator[tuple[int, str]]:
    """Open the directory of `path`, which must be one: (descriptor, name in it)."""
    directory, slash, name = path.rpartition("/")
    fd = open_directory(directory or slash or ".")
    try:
        yield fd, name
    finally:
        os.close(fd)


def open_directory(path: str) -> int:
    """Open a directory that is no symbolic link. Raises `UnsafeFileError` for a link, else `OSError`."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(path, error) from None


def open_file(path: str, flags: int) -> int:
    """Open what is there. `flags` are O_RDONLY or O_RDWR. Raises `UnsafeFileError` or `OSError`."""
    with parent(path) as (directory, name):
        return _open(path, directory, name, flags)


def make_file(path: str) -> int:
    """Make a new and empty file of mode 0600, in the place of a regular one. Raises like `open_file`."""
    with parent(path) as (directory, name):
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(name, flags, 0o600, dir_fd=directory)
        except FileExistsError:
            pass
        except OSError as error:
            raise _refused(path, error) from None
        there = status_of(os.stat(name, dir_fd=directory, follow_symlinks=False))
        wrong = unsafe(
            path, there, os.fstat(directory).st_uid, writing=False
        )  # the other name keeps the file
        if wrong is not None:
            raise wrong
        os.unlink(name, dir_fd=directory)
        try:
            return os.open(name, flags, 0o600, dir_fd=directory)
        except OSError as error:
            raise _refused(path, error) from None


def open_or_make(path: str) -> int:
    """Open a file for reading and writing, making it with mode 0600 when it is missing. Raises like `open_file`."""
    with parent(path) as (directory, name):
        return _open(path, directory, name, os.O_RDWR | os.O_CREAT)


def _open(path: str, directory: int, name: str, flags: int) -> int:
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, 0o600, dir_fd=directory)
    except OSError as error:
        raise _refused(path, error) from None
    try:
        owner = os.fstat(directory).st_uid
        wrong = unsafe(path, status_of(os.fstat(fd)), owner, writing=bool(flags & os.O_RDWR))
        if wrong is not None:
            raise wrong
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_NONBLOCK)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _refused(path: str, error: OSError) -> OSError:
    """Return the error with the whole path; a link is told from other failures."""
    if error.errno in (errno.ELOOP, errno.EMLINK) or (error.errno == errno.ENOTDIR and os.path.islink(path)):
        return UnsafeFileError(path, f"is {LINK}: links are not followed here")
    if error.errno == errno.ENXIO:  # a socket, or a device without a driver
        return UnsafeFileError(path, "is no regular file")
    return OSError(error.errno, error.strerror, path)
