"""The ordered names in a directory, cheap to add to even by the million.

New entries wait unsorted until somebody needs the order: a bulk load then sorts once, and a program that
creates files without listing them never pays for the order. Up to `_SMALL` entries they are one sorted list;
beyond that, a SortedList, whose inserts do not move everything behind them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator

from sortedcontainers import SortedList

_SMALL = 500


class SortedNames:
    """Paths of one directory's entries, ascending, each at most once (the caller sees to that)."""

    __slots__ = ("_fresh", "_ordered")

    def __init__(self) -> None:
        self._ordered: list[str] | SortedList[str] = []
        self._fresh: list[str] = []

    def __len__(self) -> int:
        return len(self._ordered) + len(self._fresh)

    def add(self, path: str) -> int:
        """Add `path`; return how many there are now."""
        fresh = self._fresh
        fresh.append(path)
        return len(self._ordered) + len(fresh)

    def discard(self, path: str) -> None:
        """Take out `path` if it is there."""
        ordered = self.sort()
        if not isinstance(ordered, list):
            ordered.discard(path)
            return
        position = bisect_left(ordered, path)
        if position < len(ordered) and ordered[position] == path:
            del ordered[position]

    def sort(self) -> list[str] | SortedList[str]:
        """Bring the order up to date and return the container itself, to be read only."""
        fresh, ordered = self._fresh, self._ordered
        if not fresh:
            return ordered
        if not isinstance(ordered, list):
            ordered.update(fresh)
        elif len(ordered) + len(fresh) > _SMALL:
            fresh.extend(ordered)
            self._ordered = ordered = SortedList(fresh)
        elif len(fresh) == 1:
            insort(ordered, fresh[0])
        else:
            ordered.extend(fresh)
            ordered.sort()
        self._fresh = []
        return ordered

    def walk(
        self, start: str | None = None, *, inclusive: bool = True, reverse: bool = False
    ) -> Iterator[str]:
        """Yield from `start` on (None: from the end where the direction begins), ascending or descending.

        The names must not change while the walk is under way.
        """
        ordered = self.sort()
        if start is None:
            return reversed(ordered) if reverse else iter(ordered)
        if isinstance(ordered, list):
            return _slice(ordered, start, inclusive, reverse)
        if reverse:
            return ordered.irange(maximum=start, inclusive=(True, inclusive), reverse=True)
        return ordered.irange(minimum=start, inclusive=(inclusive, True))

    def place(self, path: str, *, behind: bool = False) -> int:
        """Return how many come before `path`; with `behind` it counts itself."""
        ordered = self.sort()
        if isinstance(ordered, list):
            return bisect_right(ordered, path) if behind else bisect_left(ordered, path)
        return int(ordered.bisect_right(path) if behind else ordered.bisect_left(path))

    def walk_from(self, place: int) -> Iterator[str]:
        """Yield those behind the first `place` of them, ascending."""
        ordered = self.sort()
        return iter(ordered[place:]) if isinstance(ordered, list) else ordered.islice(place)


def _slice(ordered: list[str], start: str, inclusive: bool, reverse: bool) -> Iterator[str]:
    if reverse:
        end = bisect_right(ordered, start) if inclusive else bisect_left(ordered, start)
        return reversed(ordered[:end])
    begin = bisect_left(ordered, start) if inclusive else bisect_right(ordered, start)
    return iter(ordered[begin:])


def merged(first: Iterable[str], second: Iterable[str], *, reverse: bool) -> Iterator[str]:
    """Merge two walks of the same direction that share no name."""
    left, right = iter(first), iter(second)
    one, two = next(left, None), next(right, None)
    while one is not None and two is not None:
        if (one > two) if reverse else (one < two):
            yield one
            one = next(left, None)
        else:
            yield two
            two = next(right, None)
    if one is not None:
        yield one
        yield from left
    elif two is not None:
        yield two
        yield from right
