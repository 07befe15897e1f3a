"""The states of an instance and of a ticket: every legal move, in one table.

    pending --claim--> claimed --started--> running --stop--> stopping
       ^                  |                    |                 |
       '-----unclaim------'     exited, failed, lost: from claimed, running and stopping

    unregister leads from everywhere to done; lock, unlock and restarted leave the state as it is

What is not in `MOVES` is refused, naming both states. An end (`exited`, `failed`, `lost`) is left only by unregister:
the ancestors let a failed instance exit again.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from visor._core.public import public


class State(StrEnum):
    """What an instance is doing."""

    PENDING = "pending"
    """Registered; nobody has taken it on. It is a start ticket."""
    CLAIMED = "claimed"
    """A host has taken it on and has not reported yet."""
    RUNNING = "running"
    """The process runs; host and port are known."""
    STOPPING = "stopping"
    """It should end. It is a stop ticket of its host."""
    EXITED = "exited"
    """The process ended as it should."""
    FAILED = "failed"
    """The process ended, or never began, for a reason that is kept."""
    LOST = "lost"
    """Nobody knows the process any more: somebody said so, or the lease of its host ended."""
    DONE = "done"
    """Unregistered; only the tombstone is left."""


class Move(StrEnum):
    """What can be done to an instance."""

    CLAIM = "claim"
    UNCLAIM = "unclaim"
    STARTED = "started"
    RESTARTED = "restarted"
    STOP = "stop"
    EXITED = "exited"
    FAILED = "failed"
    LOST = "lost"
    LOCK = "lock"
    UNLOCK = "unlock"
    UNREGISTER = "unregister"


_S, _M = State, Move
_ENDS = {_M.EXITED: _S.EXITED, _M.FAILED: _S.FAILED, _M.LOST: _S.LOST}
_TAKEN = (_S.CLAIMED, _S.RUNNING, _S.STOPPING)

MOVES: Final[dict[tuple[State, Move], State]] = {
    (_S.PENDING, _M.CLAIM): _S.CLAIMED,
    (_S.CLAIMED, _M.UNCLAIM): _S.PENDING,
    (_S.CLAIMED, _M.STARTED): _S.RUNNING,
    (_S.CLAIMED, _M.STOP): _S.STOPPING,
    (_S.RUNNING, _M.STOP): _S.STOPPING,
    (_S.RUNNING, _M.RESTARTED): _S.RUNNING,
    **{(state, move): end for state in _TAKEN for move, end in _ENDS.items()},
    **{(state, move): state for state in _S if state is not _S.DONE for move in (_M.LOCK, _M.UNLOCK)},
    **{(state, _M.UNREGISTER): _S.DONE for state in _S if state is not _S.DONE},
}
"""(state, move) -> the state after it. What is missing is refused."""

GOALS: Final[dict[Move, str]] = {
    _M.CLAIM: "claimed",
    _M.UNCLAIM: "pending",
    _M.STARTED: "running",
    _M.RESTARTED: "running again",
    _M.STOP: "stopping",
    _M.EXITED: "exited",
    _M.FAILED: "failed",
    _M.LOST: "lost",
    _M.LOCK: "locked",
    _M.UNLOCK: "unlocked",
    _M.UNREGISTER: "done",
}
"""What a move wants, for the error that refuses it."""

BY_CLAIMER: Final = frozenset((_M.UNCLAIM, _M.STARTED, _M.RESTARTED, _M.EXITED, _M.FAILED))
"""Moves that only the claimer may make; the others anybody."""

STAYING: Final = frozenset((_S.PENDING, _S.CLAIMED, _S.RUNNING))
"""What `scale` counts: there, and meant to stay."""

TAKEN: Final = frozenset(_TAKEN)
"""A host has it. With a lease it lives as long as that lease."""

LIVE: Final = STAYING | TAKEN
ENDED: Final = frozenset((_S.EXITED, _S.FAILED, _S.LOST))
TERMINAL: Final = ENDED | {_S.DONE}
"""Nothing comes after these: every wait ends here."""


class Operation(StrEnum):
    """What a ticket asks for."""

    START = "start"
    STOP = "stop"


class Status(StrEnum):
    """How far a ticket is."""

    UNCLAIMED = "unclaimed"
    CLAIMED = "claimed"
    DONE = "done"
    DEAD = "dead"


TICKET_OF: Final[dict[State, tuple[Operation, Status]]] = {
    _S.PENDING: (Operation.START, Status.UNCLAIMED),
    _S.CLAIMED: (Operation.START, Status.CLAIMED),
    _S.RUNNING: (Operation.START, Status.DONE),
    _S.STOPPING: (Operation.STOP, Status.CLAIMED),
    _S.EXITED: (Operation.STOP, Status.DONE),
    _S.FAILED: (Operation.START, Status.DEAD),
    _S.LOST: (Operation.START, Status.DEAD),
}
"""An instance read as a ticket (eras 4 and 5: "ticket = instance")."""


public("visor.registry", Move, Operation, State, Status)
