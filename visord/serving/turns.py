"""The loop's time, shared among conversations: none that asks for much makes others wait for long.

Most arrivals are answered at once. A conversation that is not done after `SLICE` seconds keeps the rest as bytes,
stops reading, and waits for its next turn; the owners (addresses) of those who wait are served round robin, and so are
the conversations of one owner, for about `TURN` seconds between two looks at the sockets:

    a loop's turn    A A A A a.. | b C c.. |                   A has a thousand scans, b one GET, C a hundred
    the next         [A A | C C] | b b | ...                   queued work first for TURN seconds, then what arrives
    the next         [A A | C C] | d |                         b and d never wait for more than a turn

`charge` notes long direct answers, so that a thousand connections that each ask for a little too much in the same turn
of the loop queue up as well (`crowded`).

Time is asked of `clock`, seconds that only go forward; the simulation turns its own.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, Protocol

SLICE: Final = 0.003
"""Seconds that one conversation may work without a break."""
TURN: Final = 0.010
"""Seconds of queued, or of long direct, work in one turn of the loop."""
NOTICE: Final = 0.0003
"""Seconds below which direct work is not worth noting."""


class Runnable(Protocol):
    """A conversation with more to do."""

    def work(self, deadline: float) -> None:
        """Do something, go on until `clock()` reaches `deadline`, and queue again if anything is left."""


class Turns:
    """See the module. `call_soon` runs a callback in the loop's next turn, after a look at the sockets."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], clock: Callable[[], float]) -> None:
        self.call_soon = call_soon
        self.clock = clock
        self._queue: OrderedDict[str, deque[Runnable]] = OrderedDict()
        """Whatever waits, by owner; the first owner is served next."""
        self._spent = 0.0
        """Seconds of direct work that were charged in this turn of the loop."""
        self._scheduled = False
        self.queued = 0
        """How often a conversation had to wait for a turn, since the start."""

    @property
    def crowded(self) -> bool:
        """Enough was done in this turn of the loop: what takes long waits for the next."""
        return self._spent >= TURN

    @property
    def waiting(self) -> int:
        """How many wait for a turn."""
        return sum(map(len, self._queue.values()))

    def deadline(self) -> float:
        """Return until when one that has just got something may work; a time that has passed where it is crowded."""
        return self.clock() + SLICE if self._spent < TURN else 0.0

    def charge(self, seconds: float) -> None:
        """Note that direct work took so long."""
        self._spent += seconds
        self._schedule()

    def queue(self, runnable: Runnable, owner: str) -> None:
        """Let `runnable`, which is not queued, go on when its turn comes. Those of one owner share a place in the
        round: all from one address, all of one user, all that have proven nothing where nobody may do anything."""
        self.queued += 1
        line = self._queue.get(owner)
        if line is None:
            line = self._queue[owner] = deque()
        line.append(runnable)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.call_soon(self._run)

    def _run(self) -> None:
        self._scheduled = False
        self._spent = 0.0
        clock, queue = self.clock, self._queue
        # Who queues again in this turn waits for the next one: others first, and the sockets before that.
        rounds = self.waiting
        end = clock() + TURN
        try:
            while rounds and queue:
                now = clock()
                if now >= end:
                    break
                rounds -= 1
                owner, line = queue.popitem(last=False)
                runnable = line.popleft()
                if line:
                    queue[owner] = line
                runnable.work(min(now + SLICE, end))
        finally:  # whatever one of them did, the others go on
            if queue:
                self._schedule()
