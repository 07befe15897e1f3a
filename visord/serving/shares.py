"""What the conversations of one node share: the loop's time, and what they make the node hold in memory.

    held     bytes that arrived and are not handled: unfinished messages, and what waits for a turn or for room
    unsent   bytes that were written for peers that do not read
    waiting  requests that wait for something else than room: a rev, the leader, an operation

Once a second `sweep` ends those that have been unfinished, or stuck, for too long.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from visord.serving.ledger import Ledger
from visord.serving.turns import Turns


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a node waits for its clients, in seconds."""

    message: float = 60.0
    """For the rest of a message that has begun."""
    stuck: float = 300.0
    """For a client that does not read what it asked for."""


WAITING: Final = 16_384
"""Requests that wait, over all connections."""
FEW_WAITING: Final = 16
"""Of one connection that anybody may have, beside that: most have one or none, and are not worth counting."""


class Sharer(Protocol):
    """A conversation."""

    @property
    def owner(self) -> str: ...

    def overdue(self, limits: Patience) -> str:
        """Return what takes too long, or ""."""

    def expel(self, code: str, text: str) -> None:
        """End it."""


class ConnectionPlaces(Protocol):
    """The places of connections over TCP, as `places.Places` has them."""

    total: int
    refused: int
    sent_away: int

    def __len__(self) -> int: ...


class ListenLimits(Protocol):
    """What of `[listen]` is used."""

    held_bytes: int
    unsent_bytes: int
    waiting: int
    message_seconds: float
    stuck_seconds: float


class Shares:
    """See the module. `held` and `unsent`: bytes over all connections."""

    __slots__ = (
        *("_doomed", "held", "now", "overdue", "patience", "places", "reads", "turns", "unsent", "waiting"),
    )

    def __init__(
        self, turns: Turns, held: int, unsent: int, patience: Patience, waiting: int = WAITING
    ) -> None:
        self.turns = turns
        self.held: Ledger[Sharer] = Ledger(held)
        self.unsent: Ledger[Sharer] = Ledger(unsent)
        self.waiting: Ledger[Sharer] = Ledger(waiting)
        self.patience = patience
        self._doomed: set[Sharer] = set()
        """Conversations to be sent away as soon as this turn of the loop allows it."""
        self.places: ConnectionPlaces | None = None
        """Set by who listens."""
        self.now = 0.0
        """Seconds, as of the last sweep: exact enough for what is counted in minutes, and free to read."""
        self.overdue = 0
        """How many conversations took too long, since the start."""
        self.reads = 0
        """How many reads were asked for, since the start."""

    def note_held(self, sharer: Sharer, size: int) -> None:
        """So much of what arrived from it is kept now."""
        self._note(self.held, sharer, size, "bytes of unfinished requests (listen.held_bytes)")

    def note_unsent(self, sharer: Sharer, size: int) -> None:
        """So much of what was written for it was not taken."""
        self._note(self.unsent, sharer, size, "bytes that are not read (listen.unsent_bytes)")

    def may_wait(self, sharer: Sharer, count: int) -> bool:
        """Tell whether it may have so many requests wait; a few always, which are not counted."""
        return count <= FEW_WAITING or not self.waiting.over_its_share(sharer.owner)

    def note_waiting(self, sharer: Sharer, count: int) -> None:
        """So many of its requests wait now."""
        counted = count if count > FEW_WAITING else 0
        self._note(self.waiting, sharer, counted, "requests that wait (listen.waiting)")

    def _note(self, ledger: Ledger[Sharer], sharer: Sharer, amount: int, what: str) -> None:
        if sharer in self._doomed:
            return
        # Not at once: this is told within a write, which may be one of many to many.
        for victim in ledger.set(sharer, amount):
            self._doomed.add(victim)  # what it still holds goes with it
            text = f"this node may hold {ledger.limit} {what}, and this connection has most of the address with most"
            self.turns.call_soon(partial(victim.expel, "overloaded", text))

    def sweep(self, now: float) -> None:
        """Once a second: end what takes too long."""
        self.now = now
        for sharer in {*self.held.holders(), *self.unsent.holders()}:
            why = sharer.overdue(self.patience)
            if why:
                self.overdue += 1
                sharer.expel("deadline", why)

    def forget(self, sharer: Sharer) -> None:
        """The conversation has ended."""
        self._doomed.discard(sharer)
        self.held.set(sharer, 0)
        self.unsent.set(sharer, 0)
        self.waiting.set(sharer, 0)


def shares_of(listen: ListenLimits, turns: Turns) -> Shares:
    """Return what an operator lets all conversations of a node share."""
    patience = Patience(listen.message_seconds, listen.stuck_seconds)
    return Shares(turns, listen.held_bytes, listen.unsent_bytes, patience, listen.waiting)
