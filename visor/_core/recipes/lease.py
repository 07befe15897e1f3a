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
from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol

from visor._core.public import public
from visor.errors import LeaseLost

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
        self.tick(now)
        if self.over:
            return
        self.ttl = ttl
        self.deadline = max(self.deadline, sent + ttl)
        self.due = sent + ttl / SHARE
        self.kept += 1
        self.state = LeaseState.CONNECTED
        self.tick(now)

    def miss(self, sent: float, now: float) -> None:
        """An attempt sent at `sent` has failed, now."""
        if not self.over:
            pause = min(MOST_PAUSE, max(LEAST_PAUSE, self.ttl / 20))
            self.due = max(now, sent + pause)
            self.state = LeaseState.SUSPENDED
        self.tick(now)

    def end(self, *, lost: bool) -> None:
        """The registry says that it is gone (`lost`), or it was ended here."""
        if not self.over:
            self.state = LeaseState.LOST if lost else LeaseState.ENDED
            self.due = math.inf

    def tick(self, now: float) -> LeaseState:
        """Return how it stands now."""
        if not self.over and now >= self.deadline:
            self.end(lost=True)
        return self.state

    def left(self, now: float) -> float:
        """Return the seconds for which it is held for sure, 0 at least."""
        return 0.0 if self.tick(now) in (LeaseState.LOST, LeaseState.ENDED) else self.deadline - now


class Fires(Protocol):
    """What wakes those who wait for something."""

    def fire(self) -> None:
        """Wake them."""


class Tells(Protocol):
    """What calls listeners, one after another."""

    def tell(self, value: LeaseState) -> None:
        """Have them called with this."""


class BaseLease:
    """How a lease stands, and what was heard of it. Nothing here asks the registry."""

    _word = "lease"
    _lock: AbstractContextManager[object]
    """Guards the timer; never held across anything that waits, so it is a thread's under asyncio as well."""
    _signal: Fires
    _listeners: Tells

    def __init__(
        self, lease: int, timer: LeaseTimer, clock: Callable[[], float], process: Callable[[], int]
    ) -> None:
        self._id = lease
        self._clock = clock
        self._timer = timer
        self._told = LeaseState.CONNECTED
        self._process = process
        self._pid = process()
        """Of the process that it was granted to: a fork of that one has no lease."""

    # -- how it stands --------------------------------------------------------------------------------
    @property
    def id(self) -> int:
        """Its number in the registry."""
        return self._id

    @property
    def ttl(self) -> float:
        """Its time to live in seconds, as granted."""
        return self._timer.ttl

    @property
    def state(self) -> LeaseState:
        """How it stands now, by this client's own clock."""
        if self._process() != self._pid:
            return LeaseState.LOST
        with self._lock:
            return self._timer.tick(self._clock())

    @property
    def over(self) -> bool:
        """It is lost or ended: nothing that was attached to it can be relied on."""
        return self.state in (LeaseState.LOST, LeaseState.ENDED)

    @property
    def lost(self) -> bool:
        """Nobody can be sure any more that it is held; false after `revoke` and `close`."""
        return self.state is LeaseState.LOST

    def time_left(self) -> float:
        """Return the seconds for which it is held for sure, if nothing more is heard; 0.0 once it is over."""
        if self._process() != self._pid:
            return 0.0
        with self._lock:
            return self._timer.left(self._clock())

    def check(self) -> None:
        """Raise LeaseLost unless it is held, as far as this client can know without asking."""
        if self.time_left() <= 0:
            raise self._loss()

    def _loss(self) -> LeaseLost:
        if self._timer.state is LeaseState.ENDED and self._process() == self._pid:
            return LeaseLost(f"lease {self._id} has ended: it was revoked or closed here", lease=self._id)
        return LeaseLost(lease=self._id)

    def __repr__(self) -> str:
        left = f"{self.time_left():.1f} of {self.ttl:g} s left"
        return f"<visor {self._word} {self._id}, {self.state.value}, {left}>"

    # -- what was heard -------------------------------------------------------------------------------
    def _confirmed(self, sent: float, ttl: float) -> None:
        self._update(lambda now: self._timer.confirm(sent, ttl, now))

    def _missed(self, sent: float) -> None:
        self._update(lambda now: self._timer.miss(sent, now))

    def _gone(self) -> None:
        self._update(lambda now: self._timer.end(lost=True))

    def _update(self, change: Callable[[float], None]) -> None:
        """Make a change, and tell of it if the state is another one now."""
        if self._process() != self._pid:
            return
        with self._lock:
            now = self._clock()
            change(now)
            state = self._timer.tick(now)
            changed, self._told = state is not self._told, state
        if changed:
            self._signal.fire()
            self._changed(state)

    def _changed(self, state: LeaseState) -> None:
        self._listeners.tell(state)


public("visor", LeaseState)
