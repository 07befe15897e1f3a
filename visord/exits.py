"""With which code `visord` ends, and so whether a supervisor should start it again.

    75  it may pass: a port in use, a locked directory, no room on the disk     started again
    78  it is wrong and stays wrong until somebody mends it                     not started again (systemd unit, README)

What only an operator can change is 78, also where it came from the machine (no permission, no such address family):
started again once a second it would fill the log and change nothing. `StartRefusedError.passes` says which it is.
"""

from __future__ import annotations

from typing import Final

from visord.authority.location import BeginningError
from visord.node import RemovedError
from visord.peers.errors import PeersStartError
from visord.raft.configuration import UnknownConfiguration
from visord.state.command import UnknownFormat
from visord.storage.errors import (
    NO_SPACE_ERRNOS,
    UNSAFE,
    DamageError,
    FormatError,
    IdentityError,
    LockedError,
    StorageError,
)
from visord.storage.opening import UnsafeFileError
from visord.system_errors import stays

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_DAMAGE: Final = 9
EXIT_REFUSED: Final = 75
EXIT_VERSION: Final = 76
EXIT_CONFIG: Final = 78

FINAL: Final = (EXIT_USAGE, EXIT_DAMAGE, EXIT_VERSION, EXIT_CONFIG)
"""Codes after which starting again changes nothing: what the systemd unit is told."""


class StartRefusedError(Exception):
    """The server cannot start. `passes`: for a reason that may pass (a port in use), else somebody has to mend it."""

    def __init__(self, text: str, *, passes: bool) -> None:
        super().__init__(text)
        self.passes = passes


def refused(error: Exception) -> StartRefusedError:
    """Return what keeps a node from its network or its cluster as the reason why it does not start."""
    return StartRefusedError(str(error), passes=isinstance(error, PeersStartError) and error.passes)


def ending(error: Exception, data_dir: str) -> tuple[int, str] | None:
    """Return the exit code and the words for what ended a node, or kept it from starting; None for a defect."""
    if isinstance(error, StartRefusedError):
        return EXIT_REFUSED if error.passes else EXIT_CONFIG, str(error)
    if isinstance(error, BeginningError):
        return EXIT_REFUSED if error.passes else EXIT_CONFIG, str(error)
    if isinstance(error, LockedError):
        return EXIT_REFUSED, str(error)
    if isinstance(error, DamageError):
        return EXIT_DAMAGE, str(error)
    if isinstance(error, UnsafeFileError):
        return EXIT_CONFIG, f"{error}. {UNSAFE}"
    if isinstance(error, RemovedError):
        advice = "its data is not needed any more, a new member starts with an empty directory"
        return EXIT_CONFIG, f"{error}; {advice}"
    if isinstance(error, IdentityError):
        return EXIT_CONFIG, str(error)
    if isinstance(error, FormatError | UnknownFormat | UnknownConfiguration):
        return EXIT_VERSION, f"{error}; it was written by a later version: install that one here"
    if isinstance(error, StorageError):
        return EXIT_FAILED, str(error)  # nobody knows what is on the disk: the next start reads it
    if isinstance(error, OSError):
        return _of_the_system(error), str(error) if error.filename else f"{data_dir}: {error}"
    return None


def _of_the_system(error: OSError) -> int:
    if error.errno in NO_SPACE_ERRNOS:
        return EXIT_REFUSED
    return EXIT_CONFIG if stays(error) else EXIT_FAILED
