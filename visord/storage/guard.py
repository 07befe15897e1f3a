"""Whose a data directory is, and that nothing in it is what it should not be: looked at before anything is opened.

    serve, recover    require_owner, inspect(writing=True), and once it is sure that it is a data directory: close
    check             inspect(writing=False): it changes nothing, and may look at somebody else's directory

A node runs as the owner of its data: files that root made in the directory of a service user keep that user from
starting the next time, and the directory's owner could lead root anywhere. Opening itself is guarded as well
(`opening`), for what changes after this look; the look names whatever is wrong, in all files, before anything is begun.

Names that a node never opens are nobody's business: an operator may keep a note beside the data.
"""

from __future__ import annotations

import logging
import os
import pwd
from collections.abc import Iterator
from typing import Final

from visord.storage.disk import Disk, join
from visord.storage.errors import OwnerError
from visord.storage.opening import DIRECTORY, UnsafeFileError, unsafe

logger = logging.getLogger("visord.storage")

FILES: Final = ("lock", "identity", "manifest", "incoming", "diverged", "peers-secret", "scrubbed")
"""What lies directly in a data directory, each also with `.tmp` while it is replaced."""
DIRECTORIES: Final = ("log", "history", "audit", "authority")
"""Everything in these is the node's own."""
OTHERS: Final = 0o077


def require_owner(disk: Disk, path: str) -> None:
    """Raise `OwnerError` unless the directory belongs to the user of this process, `UnsafeFileError` if it is none."""
    found = disk.status(path)
    if found is None:
        return
    if found.kind != DIRECTORY:
        raise _no_directory(path, found.kind)
    if found.owner != (user := os.geteuid()):
        owner = name_of(found.owner)
        raise OwnerError(
            f"data directory {path} belongs to user {owner}, this process runs as {name_of(user)}: run it as the "
            f"owner (sudo -u {owner} ...), or give the directory to the user it shall run as (chown -R)"
        )


def _no_directory(path: str, kind: str) -> UnsafeFileError:
    return UnsafeFileError(path, f"is {kind}: the data directory itself was expected")


def inspect(disk: Disk, path: str, *, writing: bool) -> list[UnsafeFileError]:
    """Return what in a data directory must not be opened, each with its name; links to it were resolved before."""
    top = disk.status(path)
    if top is None:
        return []
    if top.kind != DIRECTORY:
        return [_no_directory(path, top.kind)]
    wrong = list[UnsafeFileError]()
    for file, expected in _entries(disk, path):
        found = disk.status(file)
        if found is None:
            continue
        error = unsafe(file, found, top.owner, writing=writing) if expected != DIRECTORY else None
        if expected == DIRECTORY and (found.kind, found.owner) != (DIRECTORY, top.owner):
            error = UnsafeFileError(
                file, f"is {found.kind} of user {found.owner}: a directory of the node was expected"
            )
        if error is not None:
            wrong.append(error)
    return wrong


def require_safe(disk: Disk, path: str) -> None:
    """Raise what keeps this process from writing in the directory: `OwnerError`, or the first `UnsafeFileError`."""
    require_owner(disk, path)
    for error in inspect(disk, path, writing=True):
        raise error


def close(disk: Disk, path: str) -> None:
    """Take a data directory and what is in it from other users of the machine, and say so in the log.

    Only for what is known to be a data directory: a wrong `data_dir` must not close somebody's home.
    """
    for file in (path, *(file for file, _ in _entries(disk, path))):
        found = disk.status(file)
        if found is not None and found.mode & OTHERS:
            disk.close_to_others(file)
            logger.warning(
                "%s had mode %04o: other users of this machine could get at it; now it has mode %04o",
                file, found.mode, found.mode & 0o700,
            )  # fmt: skip


def name_of(user: int) -> str:
    """Return a user's name, its number where there is none."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _entries(disk: Disk, path: str) -> Iterator[tuple[str, str]]:
    """Yield (path, what is expected there) of every name that a node may open."""
    for name in FILES:
        for variant in (name, f"{name}.tmp"):
            yield join(path, variant), "file"
    for name in DIRECTORIES:
        directory = join(path, name)
        yield directory, DIRECTORY
        found = disk.status(directory)
        if found is not None and found.kind == DIRECTORY:
            for each in disk.listdir(directory):
                yield join(directory, each), "file"
