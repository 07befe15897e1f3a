"""Which writes a node takes: none while it stops or differs from the others, and none that grow where there is no room.

    refusal()   asked before a write is queued, and before a command is started
    growth()    asked by a leader for each command: the writes that let the state grow are refused then
    full()      asked where the log has no room for a command: is it the disk?

At a replica a full disk refuses all writes of its own clients. At a leader what makes room goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from visor.protocol.frames import Message
from visord.state import growth
from visord.state.machine import Machine
from visord.state.refusal import Refusal

CLOSING = Refusal("closing", "the server is stopping", {})


class Full(Protocol):
    """Why a disk has no space."""

    @property
    def path(self) -> str: ...

    @property
    def why(self) -> str: ...

    @property
    def free(self) -> int: ...


class Log(Protocol):
    """What of the log is used."""

    @property
    def full(self) -> Full | None: ...


class Admission:
    """See the module. `leads()`: this node is the leader; `state_bytes`: the memory that the state may take."""

    def __init__(self, leads: Callable[[], bool], log: Log, machine: Machine, state_bytes: int) -> None:
        self._leads = leads
        self._log = log
        self._machine = machine
        self.state_limit = state_bytes
        """`storage.state_bytes`."""
        self.closing = False
        """The node is about to stop."""
        self.diverged: Refusal | None = None
        """Its state differs from that of the others: what everybody is told."""

    def refusal(self) -> Refusal | None:
        """Why this node takes no writes; None when it does."""
        if self.closing:
            return CLOSING
        if self.diverged is not None:
            return self.diverged
        return None if self._leads() else self.full()

    def full(self) -> Refusal | None:
        """Why there is no room on this node's disk; None when there is. What makes room goes on at a leader."""
        full = self._log.full
        if full is None:
            return None
        return Refusal(
            "no_space",
            f"the disk of {full.path} is full ({full.why}): free some space, writes resume by themselves; deletions, "
            "REVOKE and RETAIN go on, from a reserve",
            {"path": full.path, "free": full.free},
        )

    def growth(self) -> Refusal | None:
        """Why nothing is taken now that makes the state grow; None when it is. Judged where this node leads."""
        full = self.full()
        if full is not None:
            return full
        limit, taken = self.state_limit, self.state_bytes
        if taken < limit:
            return None
        return Refusal(
            "no_space",
            f"the state takes {taken} bytes of memory, storage.state_bytes is {limit}: delete what is not needed and "
            "RETAIN less history, or set a higher limit; writes resume by themselves",
            {"what": "storage.state_bytes", "limit": limit, "actual": taken},
        )

    def known(self, session: Any, frame: Message) -> bool:
        """Tell whether a RETRY of a session will be told what became of its write, and do nothing."""
        return type(session) is bytes and self._machine.sessions.known(session, frame)

    @property
    def state_bytes(self) -> int:
        """About how many bytes of memory the state takes."""
        return growth.held(self._machine)
