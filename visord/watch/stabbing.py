"""Which of many ranges contain a point: a sorted array of starts under a tree of the largest ends.

Ranges by start, with ends:      [b, d)  [b, z)  [f, g)  [m, n)
the tree holds at each node the largest end below it (heap order, node 1 is the root):

                     z
               z           n
            d     z     g     n

To find what contains `c`: only ranges that start at or before `c` can, which are the first two
(bisection); descending from the root, a subtree whose largest end is not above `c` holds nothing and is
skipped. That costs O(log n + hits) however many ranges there are; a list would cost all of them. The
arrays are built again at the first question after a change.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class RangeMap(Generic[T]):
    """Values by half-open ranges `[start, end)` of keys that compare with each other; end None is open."""

    __slots__ = ("_ends", "_ranges", "_size", "_starts", "_values")

    def __init__(self) -> None:
        self._ranges: dict[T, tuple[Any, Any]] = {}
        self._starts: list[Any] | None = None
        self._ends: list[tuple[bool, Any]] = []
        self._values: list[T] = []
        self._size = 0

    def __len__(self) -> int:
        return len(self._ranges)

    def add(self, value: T, start: Any, end: Any) -> None:
        """Put `value` (hashable, not in the map yet) at `[start, end)`."""
        self._ranges[value] = (start, end)
        self._starts = None

    def remove(self, value: T) -> None:
        """Take `value` out. Raises KeyError when it is not there."""
        del self._ranges[value]
        self._starts = None

    def at(self, point: Any) -> Iterator[T]:
        """Yield the values whose range contains `point`, in order of their starts."""
        if self._starts is None:
            self._build()
        before = bisect_right(self._starts or [], point)
        ends, size = self._ends, self._size
        beyond = (False, point)
        todo = [(1, 0, size)] if before else []
        while todo:
            node, low, width = todo.pop()
            if low >= before or ends[node] <= beyond:
                continue
            if width == 1:
                yield self._values[low]
                continue
            half = width // 2
            todo.append((2 * node + 1, low + half, half))
            todo.append((2 * node, low, half))

    def _build(self) -> None:
        ordered = sorted(self._ranges.items(), key=_start)
        self._starts = [start for _, (start, _) in ordered]
        self._values = [value for value, _ in ordered]
        size = 1
        while size < len(ordered):
            size *= 2
        # An end is (is it open, the end): an open one is above all others. Leaves past the last range hold
        # their neighbour's end; they are never reached, because `before` cuts them off.
        leaves = [(end is None, end) for _, (_, end) in ordered]
        ends = [(False, None)] * size + leaves + leaves[-1:] * (size - len(leaves))
        for node in range(size - 1, 0, -1):
            ends[node] = max(ends[2 * node], ends[2 * node + 1])
        self._ends, self._size = ends, size


def _start(item: tuple[Any, tuple[Any, Any]]) -> Any:
    return item[1][0]
