"""A token read from a file that nobody else may read; what it is and where it may be said: `visor._core.token`."""

from __future__ import annotations

import os
import stat

from visor._core.token import LIMIT, TokenError


def read(file: str) -> str:
    """Return the token in a file, without white space around it.

    TokenError when that is no plain file of this user, when others may use it (any mode but 0600 or 0400), when it is
    empty, over 16 KiB or not text; OSError when it cannot be opened.
    """
    try:
        data = read_secret(file, "token", LIMIT)
    except NotPrivateError as error:
        raise TokenError(str(error)) from None
    try:
        token = data.decode("ascii").strip()
    except UnicodeDecodeError:
        raise TokenError(f"the token file {file} is not text") from None
    if not token or len(data) > LIMIT:
        raise TokenError(f"the token file {file} is {'over 16 KiB' if token else 'empty'}")
    return token


class NotPrivateError(ValueError):
    """A file that others may use, or that is no plain file of this user; the text says what to do."""


def read_secret(file: str, what: str, limit: int) -> bytes:
    """Return what a file holds, up to one byte over `limit`. `what` it holds is named in errors.

    NotPrivateError when that is no plain file of this user, or when others may use it (any mode but 0600 or 0400);
    OSError when it cannot be opened.
    """
    from pathlib import Path  # costs more than all of the rest here, and secrets are rare

    descriptor = os.open(Path(file).expanduser(), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check_private(file, what, os.fstat(descriptor))
        return os.read(descriptor, limit + 1)
    finally:
        os.close(descriptor)


def _check_private(file: str, what: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotPrivateError(f"the {what} file {file} is not a plain file")
    if os.name != "posix":
        return
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o177:
        raise NotPrivateError(
            f"the {what} file {file} has mode {mode:04o}, so others may use the {what}; "
            f"make it 0600: chmod 600 {file}"
        )
    if status.st_uid not in (os.geteuid(), 0):
        raise NotPrivateError(f"the {what} file {file} belongs to user {status.st_uid}, not to you")
