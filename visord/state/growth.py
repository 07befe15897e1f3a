"""What makes the state grow, told from the shape of a write, and about how much memory the state takes.

    grows(frame)        SET, REVERT, GRANT, and transactions that set: refused first when space is short
    held(machine)       bytes, from what the store counts as it goes

What does not grow goes on when there is no space: deletions, REVOKE, RETAIN and NOP are how space comes back.

The constants are what CPython's objects take: a version is a tuple with its rev, the header of its value and its
places in half a dozen lists; one that is on disk only, its rev and those places. Values, paths, notes and the lists
of the directories above are counted as they are. It is an estimate, for a limit that is one node's; nothing
replicated depends on it.
"""

from __future__ import annotations

from typing import Any, Final

from visor.protocol.verbs import GRANT, RETRY, REVERT, SET, T_SET, TXN
from visord.state.machine import Machine

FILE: Final = 320
"""A file beside its versions and its path."""
DIRECTORY: Final = 1_200
"""A directory beside its path and what it lists."""
LEASE: Final = 700

_GROWING: Final = frozenset((SET, REVERT, GRANT))
_THEN: Final = 4
_ELSE: Final = 5


def grows(frame: Any) -> bool:
    """Tell whether a write adds to the state, whatever it is."""
    if type(frame) is not list or not frame or type(frame[0]) is not int:
        return False
    verb = frame[0]
    if verb == RETRY:
        return len(frame) > 2 and (type(frame[2]) is not list or frame[2][:1] != [RETRY]) and grows(frame[2])
    if verb == TXN:
        return any(map(_sets, frame[_THEN : _ELSE + 1]))
    return verb in _GROWING


def _sets(operations: Any) -> bool:
    if type(operations) is not list:
        return False
    return any(type(one) is list and one and type(one[0]) is int and one[0] == T_SET for one in operations)


def held(machine: Machine) -> int:
    """Return about how many bytes of memory the state takes, in a few steps."""
    store = machine.store
    return (
        store.held
        + store.history.extra
        + FILE * len(store.files)
        + DIRECTORY * len(store.directories)
        + LEASE * len(store.leases)
        + machine.sessions.held
    )
