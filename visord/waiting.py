"""What waits until some rev, or index, passes a bound of its own, cheapest first.

Watches from the future wait for the store to reach their start, lagging ones are ended when the floor passes their
cursor, reads wait for a rev, or for the index that a leader confirmed. A heap with lazy removal: an entry counts only
while the table still says the same, and when most entries are stale the heap is made anew, so that its size stays
within a constant of what waits, whatever comes and goes.
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

SLACK = 64
"""Stale entries that are not worth making the heap anew."""


class Waiting(Generic[T]):
    """Values by the rev that each waits for."""

    __slots__ = ("_count", "_heap", "_revs")

    def __init__(self) -> None:
        self._revs: dict[T, int] = {}
        self._heap: list[tuple[int, int, T]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._revs)

    def __iter__(self) -> Iterator[T]:
        return iter(self._revs)

    def add(self, value: T, rev: int) -> None:
        """Let `value` wait for `rev`; it must not be waiting already."""
        self._revs[value] = rev
        self._count += 1
        heapq.heappush(self._heap, (rev, self._count, value))
        self._tidy()

    def discard(self, value: T) -> None:
        """Let `value` wait no more."""
        self._revs.pop(value, None)
        self._tidy()

    def due(self, rev: int) -> bool:
        """Whether `pop_through(rev)` has something to do."""
        return bool(self._heap) and self._heap[0][0] <= rev

    def pop_through(self, rev: int, most: int = sys.maxsize) -> list[T]:
        """Take out and return those that wait for `rev` or less, lowest first; about `most` of them at once."""
        heap, revs = self._heap, self._revs
        popped: list[T] = []
        while heap and heap[0][0] <= rev and len(popped) < most:
            waited, _, value = heapq.heappop(heap)
            if revs.get(value) == waited:
                del revs[value]
                popped.append(value)
        return popped

    def _tidy(self) -> None:
        """Have nothing kept of what waits no more, once that is most: values, and the room in the tables."""
        if len(self._heap) > 2 * len(self._revs) + SLACK:
            self._revs = dict(self._revs)
            self._heap = [(rev, number, value) for number, (value, rev) in enumerate(self._revs.items())]
            self._count = len(self._heap)
            heapq.heapify(self._heap)
