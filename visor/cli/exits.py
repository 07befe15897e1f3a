"""Exit codes: one contract, one table.

| code | meaning |
|---|---|
| 0 | done |
| 1 | failed, not otherwise classed; also a defect of this command |
| 2 | wrong usage, wrong configuration, or the `cli` extra is missing |
| 3 | not found |
| 4 | conflict: a guard failed, it already exists, or it is a directory and no file (or the other way round) |
| 5 | denied: not authenticated or not allowed |
| 6 | unavailable: not accepted, safe to run again |
| 7 | unknown: it may have happened |
| 8 | below the floor (compacted), or a rev that is not there yet |
| 9 | damage: replicas differ (`cluster hash`) |
| 10 | a lock, a lead or a lease was lost while it was needed |
| 124 | the deadline was reached, nothing was changed |
| 129, 130, 131, 143 | ended by SIGHUP, SIGINT, SIGQUIT, SIGTERM: 128 + N |
| 141 | the reader of standard output went away (what a shell reports for SIGPIPE); nothing is printed |
"""

from __future__ import annotations

from typing import Final

from visor import errors

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
CONFLICT: Final = 4
DENIED: Final = 5
UNAVAILABLE: Final = 6
UNKNOWN: Final = 7
HISTORY: Final = 8
DAMAGE: Final = 9
LOST: Final = 10
DEADLINE: Final = 124
SIGNAL: Final = 128
"""And the number of the signal that ended the command."""
INTERRUPTED: Final = 130
PIPE: Final = 141

TABLE: Final[dict[type[errors.VisorError], int]] = {
    errors.Rejected: FAILED,
    errors.NotFound: NOT_FOUND,
    errors.LeaseNotFound: NOT_FOUND,
    errors.LeaseLost: LOST,
    errors.NoMember: NOT_FOUND,
    errors.Unsafe: CONFLICT,
    errors.Conflict: CONFLICT,
    errors.IsDirectory: CONFLICT,
    errors.NotDirectory: CONFLICT,
    errors.BadPath: USAGE,
    errors.BadGlob: USAGE,
    errors.BadRequest: USAGE,
    errors.Unsendable: USAGE,
    errors.Denied: DENIED,
    errors.Compacted: HISTORY,
    errors.FutureRev: HISTORY,
    errors.Unavailable: UNAVAILABLE,
    errors.DeadlineExceeded: DEADLINE,
    # Also a timeout, but what a script must know is that the write may have happened.
    errors.OutcomeUnknown: UNKNOWN,
    errors.ClientUnusable: FAILED,
}
"""The exit code of each error class; a class that is not named ends as its nearest base does."""


def exit_code(error: errors.VisorError) -> int:
    """Return the exit code for an error of the client library."""
    for kind in type(error).__mro__:
        if kind in TABLE:
            return TABLE[kind]
    return FAILED
