"""Which rows of a tree lie where, when some of its directories are open: worked out from sizes, without the rows. Pure.

/apps      3 entries, "web" (at place 1 of them) is open       row 0  apps     (of /, place 0)
/apps/web  2 entries                                               1  db       (of /apps, place 0)
                                                                   2  web      (of /apps, place 1)
                                                                   3  config   (of /apps/web, place 0)    ...
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from visor import paths
from visor._core.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Opened:
    """One open directory: how many entries it has, and at which place each of them is that is open, too."""

    total: int
    places: Mapping[str, int]
    """By the path of the entry."""


@dataclass(frozen=True, slots=True)
class Run:
    """Entries of one directory that lie in rows one below the other."""

    path: str
    level: int
    place: int
    """Of the first one in its directory."""
    count: int
    row: int
    """In which the first one lies."""


def reachable(directories: Iterable[str]) -> list[str]:
    """Return the root, and those of these directories all of whose parents are among them.

    >>> reachable(["/a/b", "/c/d", "/a"])
    ['/', '/a', '/a/b']
    """
    found = [paths.ROOT]
    for path in sorted(set(directories)):
        if path != paths.ROOT and paths.parent(path) in found:
            found.append(path)
    return found


def runs(opened: Mapping[str, Opened]) -> list[Run]:
    """Return all rows, from the first to the last.

    >>> [(run.path, run.place, run.count) for run in runs({"/": Opened(3, {"/a": 1}), "/a": Opened(9, {})})]
    [('/', 0, 2), ('/a', 0, 9), ('/', 2, 1)]
    """
    found: list[Run] = []

    def lay(path: str, level: int, row: int) -> int:
        """Lay the entries of a directory out from a row on; return the row behind them."""
        place, here = 0, opened[path]
        for kid, at in sorted(here.places.items(), key=lambda each: each[1]):
            found.append(Run(path, level, place, at + 1 - place, row))
            row = lay(kid, level + 1, row + at + 1 - place)
            place = at + 1
        found.append(Run(path, level, place, here.total - place, row))
        return row + here.total - place

    lay(paths.ROOT, 1, 0)
    return [run for run in found if run.count]


def seen(rows: Iterable[Run], first: int, last: int) -> list[Run]:
    """Return what of these rows lies from the row `first` up to `last`.

    >>> seen([Run("/", 1, 0, 2, 0), Run("/a", 2, 0, 9, 2)], 1, 4)
    [Run(path='/', level=1, place=1, count=1, row=1), Run(path='/a', level=2, place=0, count=2, row=2)]
    """
    found = []
    for run in rows:
        low, high = max(0, first - run.row), min(run.count, last - run.row)
        if low < high:
            found.append(Run(run.path, run.level, run.place + low, high - low, run.row + low))
    return found


def row_of(rows: Iterable[Run], directory: str, place: int) -> int | None:
    """Return the row of the entry at a place of a directory; None where it has none."""
    for run in rows:
        if run.path == directory and run.place <= place < run.place + run.count:
            return run.row + place - run.place
    return None
