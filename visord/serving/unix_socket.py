"""The Unix socket: who may connect is said by its file, from the first moment on.

    socket = bind("/run/visord/visord.sock", 0o660)    the file is born with this mode: no moment is open to more
    ... serve ...
    remove(path, socket)                               only what was bound, not what lies there now

A socket that an ended server left is removed first: when it is one (links are not followed), ours, and nobody answers
there. A directory in which others may rename files is refused: they could put their own socket in its place, and
clients would tell that their secrets.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path
from typing import Final

from visord.system_errors import cannot_listen, stays

PROBE_SECONDS: Final = 1.0


class UnixSocketError(Exception):
    """The socket cannot be had; the text says why. `passes`: for a reason that may pass, as another server does."""

    def __init__(self, text: str, *, passes: bool = False) -> None:
        super().__init__(text)
        self.passes = passes


def bind(path: Path, mode: int) -> socket.socket:
    """Return a bound socket whose file has this mode. Raises `UnixSocketError`.

    To be called before other threads make files: the process's umask says what the file is born with.
    """
    try:
        _check_directory(path)
        _clear(path)
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o777 & ~mode)
        try:
            bound.bind(str(path))
        except BaseException:
            bound.close()
            raise
        finally:
            os.umask(before)
    except (OSError, ValueError) as error:
        passes = isinstance(error, OSError) and _passes(error)
        raise UnixSocketError(cannot_listen(path, error), passes=passes) from error
    return bound


def remove(path: Path, inode: tuple[int, int] | None) -> None:
    """Remove the socket if it is still the one with this `inode`, as `inode_of` told it."""
    with contextlib.suppress(OSError):
        if inode is not None and inode_of(path) == inode:
            path.unlink()


def inode_of(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from any other of the same name; None when it is not there."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check_directory(path: Path) -> None:
    found = path.parent.stat()
    mode = stat.S_IMODE(found.st_mode)
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise UnixSocketError(
            f"cannot listen on {path}: everybody may put another socket in its place ({path.parent} has mode "
            f"{mode:04o}); take a directory of its own, or chmod o-w {path.parent}"
        )


def _clear(path: Path) -> None:
    """Remove the socket that an ended server left; refuse to touch a living one, or anything else."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise UnixSocketError(f"cannot listen on {path}: there is something else than a socket")
    if found.st_uid != os.geteuid():
        raise UnixSocketError(f"cannot listen on {path}: there is a socket of user {found.st_uid}")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise UnixSocketError(f"cannot listen on {path}: another server is running there", passes=True)


def _passes(error: OSError) -> bool:
    return error.errno is not None and not stays(error)  # without a number: a path that is too long
