"""Files that the operator names (secrets, keys, certificates): read so that none can hold the node or be anybody's.

    read(file, most)                  a regular file of at most `most` bytes; no pipe or device, which could hold it up
    read(file, most, private=True)    and nobody but this user, root, and a group that root gave it to, may read it

Links are followed: the operator named the file, and secrets are often mounted as links to what changes behind them. A
group may read what belongs to root, as orchestrators mount secrets (root, 0440, the service's group), never what
belongs to this user.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

OTHERS: Final = 0o077
OTHERS_OF_ROOTS: Final = 0o027


class PrivateFileError(Exception):
    """A file that cannot be used; the text names it and says what to do."""


def read(file: Path, most: int, *, private: bool = False) -> bytes:
    """Return what is in the file. Raises `PrivateFileError`."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _check(file, os.fstat(fd), most, private)
            data = _read(fd, most + 1)
        finally:
            os.close(fd)
    except OSError as error:
        raise PrivateFileError(f"{file} cannot be read: {error.strerror}") from error
    if len(data) > most:
        raise PrivateFileError(f"{file} has more than {most} bytes")
    return data


def _check(file: Path, found: os.stat_result, most: int, private: bool) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise PrivateFileError(f"{file} cannot be read: it is no regular file")
    if found.st_size > most:
        raise PrivateFileError(f"{file} has {found.st_size} bytes, at most {most} are read")
    if not private:
        return
    user, mode = os.geteuid(), stat.S_IMODE(found.st_mode)
    if found.st_uid not in (user, 0):
        raise PrivateFileError(
            f"{file} belongs to user {found.st_uid}, who can read and change it: chown it to user {user}"
        )
    if mode & (OTHERS if found.st_uid == user else OTHERS_OF_ROOTS):
        raise PrivateFileError(
            f"{file} has mode {mode:04o}: other users of this machine can get at it; chmod 600 {file} (and if "
            "somebody may have read it, replace what is in it)"
        )


def _read(fd: int, most: int) -> bytes:
    pieces, got = list[bytes](), 0
    while got < most and (data := os.read(fd, most - got)):
        pieces.append(data)
        got += len(data)
    return b"".join(pieces)
