"""What the globs of watches can cost: the most that one changed path can make them match.

A path tries only the globs whose literal beginning and end it has (`index`). So globs compete for one path where they
agree in both, and add up along the path. For globs by the lengths of what is literal:

    base      beginning  end         class: depth of the base, characters of beginning and end behind it
    /app      /app/web-  .conf       (1, 5, 5)     one bucket for each text: a path is in one of a class at most
    /app      /app/db-   .conf       (1, 4, 5)
    /         /          /port       (0, 1, 5)

    load = the sum over all classes of the dearest bucket in each

which bounds what any path can meet, is kept up to date at little cost, and does not grow with ten thousand watches of
`/app/HOST/*`, of which no path can meet two. Costs are tenths of a microsecond, for a path of `LENGTH` characters.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterable
from typing import Final, TypeAlias

from visor import paths
from visor.paths import Glob

LENGTH: Final = 1024
"""Characters of the path that is reckoned with: the most that one has."""
LOOK: Final = 3
"""Tenths of a microsecond for looking into a class."""
ENTRY: Final = 3
"""For each group of watches with one glob (they differ in kinds or shape)."""

_Class: TypeAlias = tuple[int, int, int]


class Load:
    """The globs of some watches."""

    __slots__ = ("_buckets", "_classes", "_globs", "_watches", "total")

    def __init__(self) -> None:
        self.total = 0
        """Tenths of a microsecond that one changed path can cost at most."""
        self._watches: dict[Hashable, int] = {}
        """How many watches each group has, and how many groups each glob."""
        self._globs: dict[str, int] = {}
        self._buckets: dict[tuple[int, int, str], int] = {}
        self._classes: dict[_Class, _Most] = {}

    def __len__(self) -> int:
        """How many different globs there are."""
        return len(self._globs)

    def add(self, key: Hashable, globs: Iterable[Glob]) -> None:
        """Count one more watch of all these globs; `key` is that of its group, all with one key have the same globs."""
        watches = self._watches.get(key, 0)
        self._watches[key] = watches + 1
        if watches:
            return
        for glob in globs:
            more = self._price(glob)
            self._globs[glob.text] = self._globs.get(glob.text, 0) + 1
            self._shift(glob, more)

    def remove(self, key: Hashable, globs: Iterable[Glob]) -> None:
        """Count one watch less."""
        self._watches[key] -= 1
        if self._watches[key]:
            return
        del self._watches[key]
        for glob in globs:
            self._globs[glob.text] -= 1
            if not self._globs[glob.text]:
                del self._globs[glob.text]
            self._shift(glob, -self._price(glob))

    def _price(self, glob: Glob) -> int:
        """Return what one more group with this glob adds to its bucket."""
        if glob.text in self._globs or glob.rest is None:
            return ENTRY
        return ENTRY + 10 * glob.cost(LENGTH)

    def _shift(self, glob: Glob, by: int) -> None:
        """Make the glob's bucket dearer or cheaper."""
        kind, where = _class(glob), _bucket(glob)
        most = self._classes.get(kind)
        if most is None:
            most = self._classes[kind] = _Most()
            self.total += LOOK
        value = self._buckets.get(where, 0)
        self.total -= most.value
        most.exchange(value, value + by)
        self.total += most.value
        if value + by:
            self._buckets[where] = value + by
        else:
            del self._buckets[where]
            if not most.value:
                del self._classes[kind]
                self.total -= LOOK


def _class(glob: Glob) -> _Class:
    base = len(glob.directory) if glob.directory != paths.ROOT else 0
    return len(paths.components(glob.directory)), len(glob.prefix) - base, len(glob.suffix)


def _bucket(glob: Glob) -> tuple[int, int, str]:
    return len(glob.prefix), len(glob.suffix), glob.prefix + glob.suffix


class _Most:
    """The largest of many numbers that come and go; 0 when there is none. Zeros are not kept."""

    __slots__ = ("_counts", "_heap", "value")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._heap: list[int] = []
        """Every number in the table, negative; those of which there are none any more go when they are largest."""
        self.value = 0

    def exchange(self, old: int, new: int) -> None:
        """Replace one of the numbers."""
        counts, heap = self._counts, self._heap
        if new:
            if new not in counts:
                counts[new] = 0
                heapq.heappush(heap, -new)
            counts[new] += 1
        if old:
            counts[old] -= 1
        while heap and not counts[-heap[0]]:
            del counts[-heapq.heappop(heap)]
        self.value = -heap[0] if heap else 0
