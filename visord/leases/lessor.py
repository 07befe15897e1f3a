"""How long each lease has left, measured on the leader's monotonic clock. Pure: the clock is an argument.

    table      the replicated leases (`state/leases.py`): which there are, and their time to live
    leads?     deadlines: lease -> when it ends, in the lessor's own time
    a heap     (when, lease), one entry a lease; a kept lease is not moved in it but looked at again when it comes up

Never early, for whatever reason:
- who becomes leader gives every lease a full time to live first;
- while this process stood still (a stopped process, a slow disk under the loop) it heard nobody, so that time does
  not count: the lessor's time stops when `tick` is not called for more than `STALL` seconds;
- a lease whose expiry is proposed is neither kept nor proposed again until it is known what became of that.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Final

from visord.state.leases import Leases

STALL: Final = 1.0
"""Seconds without a call of `tick` after which the time in between does not count."""
AGAIN: Final = 1.0
"""Seconds until an expiry that could not be committed is proposed again."""


class Lessor:
    """Deadlines of the leases in `table`. Times are monotonic seconds, time to live is in ms."""

    __slots__ = ("_deadlines", "_heap", "_idle", "_looked", "_queued", "_table", "expiring", "leading")

    def __init__(self, table: Leases) -> None:
        self._table = table
        self._deadlines: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []
        self._queued: dict[int, float] = {}  # which heap entry of a lease counts
        self._looked = 0.0
        self._idle = 0.0  # time that does not count, in total
        self.leading = False
        self.expiring: set[int] = set()
        """Leases whose expiry is proposed, and not decided yet."""

    def leadership(self, gained: bool, now: float) -> None:
        """This node begins to lead in a new term: every lease has a full time to live. Or it does not lead any more.

        What was proposed in an earlier term is void: the machine compares the terms.
        """
        self.leading = gained
        self._deadlines.clear()
        self._queued.clear()
        self._heap.clear()
        self.expiring.clear()
        if not gained:
            return
        self._looked, self._idle = now, 0.0
        for lease in self._table.by_id.values():
            self._deadlines[lease.id] = self._queued[lease.id] = now + lease.ttl / 1000
        self._heap = [(when, lease) for lease, when in self._queued.items()]
        heapq.heapify(self._heap)

    def learn(self, news: Iterable[tuple[int, int]], now: float) -> None:
        """A command was applied that granted leases, `(lease, ttl)`, or ended them, `(lease, 0)`."""
        if not self.leading:
            return
        for lease, ttl in news:
            self.expiring.discard(lease)
            if ttl and lease in self._table.by_id:
                self._deadlines[lease] = when = self._time(now) + ttl / 1000
                self._queue(lease, when)
            else:
                self._deadlines.pop(lease, None)
                self._queued.pop(lease, None)

    def keep(self, leases: Iterable[int], now: float) -> list[list[int]]:
        """Give each lease its full time again; return rows `[lease, ttl]`, ttl 0 where there is no such lease.

        Not to be called for one of `expiring`, nor unless this node leads for sure.
        """
        time, known = self._time(now), self._table.by_id
        rows = []
        for number in leases:
            lease = known.get(number)
            if lease is None:
                rows.append([number, 0])
            else:
                self._deadlines[number] = time + lease.ttl / 1000
                rows.append([number, lease.ttl])
        return rows

    def left(self, lease: int, now: float) -> int | None:
        """Return how many ms the lease has left, 0 at least; None when this node does not measure it."""
        deadline = self._deadlines.get(lease)
        return None if deadline is None else max(0, int((deadline - self._time(now)) * 1000))

    def renew(self, now: float) -> None:
        """For a while it was not sure that this node leads: nobody could keep a lease, so all begin again."""
        time = self._time(now)
        for number in self._deadlines:
            if number not in self.expiring:
                self._deadlines[number] = time + self._table.by_id[number].ttl / 1000

    def tick(self, now: float) -> bool:
        """Let time go on, and return whether there may be something for `due`. Called several times a second."""
        if now - self._looked > STALL:
            self._idle += now - self._looked
        self._looked = now
        return bool(self._heap) and self._heap[0][0] <= now - self._idle

    def due(self, now: float, budget: int) -> list[int]:
        """Return leases whose time is over, to be proposed for expiry: they are `expiring` now.

        `budget`: of how many leases and files together, about; the rest is due the next time.
        """
        time, heap, found = self._time(now), self._heap, list[int]()
        while heap and heap[0][0] <= time and budget > 0:
            when, number = heapq.heappop(heap)
            if self._queued.get(number) != when:
                continue  # of an earlier lease with this id
            deadline = self._deadlines[number]
            if deadline > time:
                self._queue(number, deadline)
                continue
            del self._queued[number]
            self.expiring.add(number)
            found.append(number)
            budget -= 1 + len(self._table.by_id[number].files)
        return found

    def completed(self, leases: Iterable[int], now: float) -> None:
        """The expiry of these was applied, or was not: those that are still there are proposed again later."""
        for lease in leases:
            self.expiring.discard(lease)
            if lease in self._deadlines and lease not in self._queued:
                self._queue(lease, self._time(now) + AGAIN)

    def _time(self, now: float) -> float:
        """Return the lessor's time; it stands still from the last tick on once that is long ago."""
        return min(now, self._looked + STALL) - self._idle

    def _queue(self, lease: int, when: float) -> None:
        self._queued[lease] = when
        heapq.heappush(self._heap, (when, lease))
