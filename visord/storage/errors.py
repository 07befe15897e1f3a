"""What can be wrong with a data directory, each with what an operator needs to act on it."""

from __future__ import annotations

import errno
from typing import Final

NO_SPACE_ERRNOS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE})
"""Errors that pass when somebody frees space, or closes files; every other one means a failing disk."""


RESTORE: Final = (
    "Nothing was changed. If this node is one of several, remove it from the cluster and join it again with "
    "an empty data directory; otherwise restore a backup, or a copy of the disk from before the damage."
)
"""What to do about damage, where nothing better can be said."""


OLDER: Final = "The checkpoint is older than the log: restore the newest one, or a backup."
"""What to do where the log does not reach back to the checkpoint."""


UNSAFE: Final = (
    "Nothing was changed. Give back with chown what root made by mistake; if you do not know who put it there, "
    "somebody has tampered with the directory: restore it from a backup."
)
"""What to do about something that is no file of the node's."""


class StorageError(Exception):
    """The data directory cannot be used as it is."""


class DamageError(StorageError):
    """Bytes on disk are not what was written. Nothing was changed.

    `path` is the file, `offset` the position in bytes of what could not be read (None: the whole file),
    `expected` and `found` say how it differs, `advice` what to do.
    """

    def __init__(self, path: str, offset: int | None, expected: str, found: str, advice: str) -> None:
        where = path if offset is None else f"{path}, offset {offset}"
        super().__init__(f"damaged data: {where}: expected {expected}, found {found}. {advice}")
        self.path = path
        self.offset = offset
        self.expected = expected
        self.found = found
        self.advice = advice


def missing_entries(path: str, checkpoint: int, first: int, advice: str = OLDER) -> DamageError:
    """The log begins with entry `first`, and so does not go on where the checkpoint ends."""
    expected = f"the entries after the checkpoint at index {checkpoint}"
    return DamageError(path, None, expected, f"a log that begins at {first}", advice)


class LockedError(StorageError):
    """Another process uses the directory. `pid` is the owner's, None when it could not be read."""

    def __init__(self, path: str, pid: int | None) -> None:
        owner = "another process" if pid is None else f"process {pid}"
        super().__init__(f"data directory {path} is in use by {owner}")
        self.path = path
        self.pid = pid


class FormatError(StorageError):
    """The directory was written by a version that this code does not know."""


class IdentityError(StorageError):
    """The directory belongs to another cluster or node than the one asked for."""


class OwnerError(IdentityError):
    """The directory belongs to another user of the machine."""
