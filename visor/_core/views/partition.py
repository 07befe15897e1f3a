"""Partitions: which part of which space a view serves, and which views serve the whole of it.

A space is hashed onto 0 .. 2**64 - 1; a view serves a range of it, both ends included.

    a  [0 .......... 7]                    cover: a, c, d    (a tiling: nothing is served twice)
    b  [0 ..... 4]
    c               [8 .... 11]
    d                       [12 ... 15]
    e            [6 ........... 13]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from visor._core.dataclass import dataclass
from visor._core.public import public

LAST = 2**64 - 1
"""The last hash of a space."""


@dataclass(frozen=True, slots=True, order=True)
class HashRange:
    """The hashes from `first` to `last`, both included."""

    first: int = 0
    last: int = LAST

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last <= LAST:
            raise ValueError(
                f"a range lies in 0 .. 2**64 - 1 and is not empty, not {self.first} .. {self.last}"
            )

    def __contains__(self, hash: int) -> bool:
        return self.first <= hash <= self.last

    def __str__(self) -> str:
        return f"{self.first:016x}..{self.last:016x}"


WHOLE = HashRange()


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """A range of a space."""

    space: str
    range: HashRange = WHOLE

    def __str__(self) -> str:
        return f"{self.space} {self.range}"


class Partitioned(Protocol):
    """What has a partition: a view."""

    @property
    def partition(self) -> Partition | None: ...


V = TypeVar("V", bound=Partitioned)


def in_space(views: Iterable[V], space: str) -> list[tuple[HashRange, V]]:
    """Return the views of a space with their ranges, as they were ordered."""
    found = []
    for view in views:
        partition = view.partition
        if partition is not None and partition.space == space:
            found.append((partition.range, view))
    return found


def cover(
    views: Iterable[V],
    space: str,
    whole: HashRange = WHOLE,
    shuffle: Callable[[list[int]], object] | None = None,
) -> tuple[list[V], list[HashRange]]:
    """Return views that serve all of the range, in its order, and the gaps that nobody serves.

    When views can be laid side by side without overlap, as few such as possible; otherwise as few as
    possible. `shuffle` decides between equals (`random.shuffle`); without it the first ones are taken.
    """
    candidates = in_space(views, space)
    if shuffle is not None:
        order = list(range(len(candidates)))
        shuffle(order)
        candidates = [candidates[number] for number in order]
    tiling = _tiling(candidates, whole)
    return (tiling, []) if tiling is not None else _overlapping(candidates, whole)


def covers(
    views: Sequence[V],
    space: str,
    count: int,
    whole: HashRange = WHOLE,
    shuffle: Callable[[list[int]], object] | None = None,
) -> list[list[V]]:
    """Return `count` covers; no view is in two of them where that is possible. Empty when there are gaps."""
    found: list[list[V]] = []
    unused = list(views)
    for _ in range(count):
        chosen, gaps = cover(unused, space, whole, shuffle)
        if gaps:
            chosen, gaps = cover(views, space, whole, shuffle)
        if gaps:
            return []
        found.append(chosen)
        unused = [view for view in unused if all(view is not used for used in chosen)]
    return found


def _tiling(candidates: Sequence[tuple[HashRange, V]], whole: HashRange) -> list[V] | None:
    """Return views that lie side by side from end to end, as few as possible; None when none do."""
    by_first: dict[int, list[tuple[HashRange, V]]] = {}
    for item in candidates:
        by_first.setdefault(item[0].first, []).append(item)
    reached: dict[int, list[V]] = {whole.first: []}
    edge = [whole.first]
    while edge:
        following = []
        for position in edge:
            for served, view in by_first.get(position, ()):
                if served.last == whole.last:
                    return [*reached[position], view]
                if served.last < whole.last and served.last + 1 not in reached:
                    reached[served.last + 1] = [*reached[position], view]
                    following.append(served.last + 1)
        edge = following
    return None


def _overlapping(
    candidates: Sequence[tuple[HashRange, V]], whole: HashRange
) -> tuple[list[V], list[HashRange]]:
    """Return as few views as possible that serve what can be served, and the gaps."""
    chosen: list[V] = []
    gaps: list[HashRange] = []
    position = whole.first
    ordered = sorted(candidates, key=lambda item: item[0].first)
    while position <= whole.last:
        here = [item for item in ordered if item[0].first <= position <= item[0].last]
        if here:
            served, view = max(here, key=lambda item: item[0].last)
            chosen.append(view)
            position = served.last + 1
            continue
        after = next((item[0].first for item in ordered if item[0].first > position), whole.last + 1)
        gaps.append(HashRange(position, min(after - 1, whole.last)))
        position = after
    return chosen, gaps


public("visor.views", HashRange, Partition, cover, covers)
