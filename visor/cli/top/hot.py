"""Which directories change most: the changes of the last seconds, by the directory that they are in. Pure, bounded.

Only the latest commits of each look are read (`COMMITS`): of a registry that is written to faster, this is a sample.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from visor.values import Commit

SECONDS: Final = 15.0
COMMITS: Final = 500
"""Commits that one look reads at most."""
CHANGES: Final = 4000
"""Changes that one look counts at most: a commit can have thousands."""
DIRECTORIES: Final = 20_000
"""Entries that are kept, over all looks of the last seconds."""


class Churn(NamedTuple):
    """What one look found of the commits since the one before."""

    by: Counter[str]
    """Directory -> how many changes were in it."""
    commits: int
    """So many were read ..."""
    of: int
    """... of so many that there were."""


def changes_of(commits: Iterable[Commit[Any]], of: int) -> Churn:
    """Count the changes of commits, of which there were `of`."""
    by: Counter[str] = Counter()
    read = seen = 0
    for commit in commits:
        read += 1
        for change in commit.changes:
            seen += 1
            if seen <= CHANGES:
                by[directory_of(change.path)] += 1
    return Churn(by, read, max(of, read))


def directory_of(path: str) -> str:
    """Return the directory that a path is in, with a slash at its end."""
    return f"{path.rpartition('/')[0]}/"


def shortened(directory: str, depth: int) -> str:
    """Return the first `depth` levels of a directory; 0: all of them.

    >>> shortened("/apps/web/instances/", 2), shortened("/apps/", 2), shortened("/apps/web/", 0)
    ('/apps/web/', '/apps/', '/apps/web/')
    """
    if not depth:
        return directory
    names = directory.strip("/").split("/")[:depth]
    return f"/{'/'.join(names)}/" if names != [""] else "/"


class Hot:
    """The changes of the last `SECONDS`."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, Churn]] = deque()
        self._entries = 0

    def add(self, at: float, found: Churn) -> None:
        """A look at `at` (monotonic seconds) found this."""
        self._looks.append((at, found))
        self._entries += len(found.by)
        while self._looks and (self._looks[0][0] <= at - SECONDS or self._entries > DIRECTORIES):
            self._entries -= len(self._looks.popleft()[1].by)

    @property
    def commits(self) -> tuple[int, int]:
        """How many commits were read, of how many."""
        return sum(each.commits for _, each in self._looks), sum(each.of for _, each in self._looks)

    def ranked(self, depth: int = 0, by_name: bool = False) -> list[tuple[str, int]]:
        """Return directories and how many changes were in them: most first, or by name."""
        total: Counter[str] = Counter()
        for _, found in self._looks:
            for directory, count in found.by.items():
                total[shortened(directory, depth)] += count
        return sorted(total.items(), key=lambda each: (each[0],) if by_name else (-each[1], each[0]))
