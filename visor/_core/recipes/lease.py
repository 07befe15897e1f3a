"""What a client may believe of a lease that it keeps alive: pure, the clock is an argument.

    sent      0 s        3.3 s      6.6 s
    answer      0.1 s      3.4 s      (none)
    sure until  10 s      13.3 s     13.3 s: then LOST, whatever the registry believes

The registry counts a time to live from a moment between a request and its answer; so the client counts from when the
request was *sent*, and stops believing before the registry can have given the lease up. An answer that comes too
late, after a pause of this process for example, does not bring back what was lost: somebody may have acted on it.
"""

from __future__ import annotations

import math
from enum import StrEnum

from visor._core.public import public

SHARE = 3.0
"""A lease is kept alive three times in its time to live: two attempts may fail."""
LEAST_ATTEMPT = 0.01
"""Seconds that an attempt may take at least."""
LEAST_PAUSE = 0.05
MOST_PAUSE = 1.0
"""Seconds between two attempts that failed at once."""


class LeaseState(StrEnum):
    """How a lease stands, as far as this client can know."""

    CONNECTED = "connected"
    """Kept alive as it should be."""
    SUSPENDED = "suspended"
    """An attempt to keep it alive has failed; it is still held, for `time_left` seconds at least."""
    LOST = "lost"
    """It has ended, or nobody can be sure that it has not. This is final."""
    ENDED = "ended"
    """It was revoked or closed here. This is final."""


def attempt_seconds(ttl: float, surely: float) -> float:
    """Return how long an attempt may take that begins when a lease is held for `surely` seconds more.

    A third of the time to live, and never more than half of what is sure: however many attempts fail, there is
    time for another, with another node.
    """
    return max(LEAST_ATTEMPT, min(ttl / SHARE, surely / 2))


class LeaseTimer:
    """One lease. Seconds everywhere; `deadline` is when the client stops being sure of it."""

    __slots__ = ("deadline", "due", "kept", "state", "ttl")

    def __init__(self, ttl: float, sent: float) -> None:
        self.ttl = ttl
        self.deadline = sent + ttl
        self.due = sent + ttl / SHARE
        """When it is to be kept alive next."""
        self.kept = 0
        """How often the registry has confirmed it."""
        self.state = LeaseState.CONNECTED

    @property
    def over(self) -> bool:
        """Nothing can change any more."""
        return self.state is LeaseState.LOST or self.state is LeaseState.ENDED

    def confirm(self, sent: float, ttl: float, now: float) -> None:
        """The registry has kept it: the request was sent at `sent`, its answer is here now."""
        self.look(now)
        if self.over:
            return
        self.ttl = ttl
        self.deadline = max(self.deadline, sent + ttl)
        self.due = sent + ttl / SHARE
        self.kept += 1
        self.state = LeaseState.CONNECTED
        self.look(now)

    def miss(self, sent: float, now: float) -> None:
        """An attempt sent at `sent` has failed, now."""
        if not self.over:
            pause = min(MOST_PAUSE, max(LEAST_PAUSE, self.ttl / 20))
            self.due = max(now, sent + pause)
            self.state = LeaseState.SUSPENDED
        self.look(now)

    def end(self, *, lost: bool) -> None:
        """The registry says that it is gone (`lost`), or it was ended here."""
        if not self.over:
            self.state = LeaseState.LOST if lost else LeaseState.ENDED
            self.due = math.inf

    def look(self, now: float) -> LeaseState:
        """Return how it stands now."""
        if not self.over and now >= self.deadline:
            self.end(lost=True)
        return self.state

    def left(self, now: float) -> float:
        """Return the seconds for which it is held for sure, 0 at least."""
        return 0.0 if self.look(now) in (LeaseState.LOST, LeaseState.ENDED) else self.deadline - now


public("visor", LeaseState)
