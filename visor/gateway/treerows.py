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


def windows(opened: Mapping[str, Opened], first: int, last: int) -> tuple[int, dict[str, tuple[int, int]]]:
    """Return how many rows there are, and which places of which directory lie from row `first` up to `last`.

    >>> tree = {"/": Opened(1, {"/apps": 0}), "/apps": Opened(3, {"/apps/web": 1}), "/apps/web": Opened(2, {})}
    >>> windows(tree, 1, 4)
    (6, {'/apps': (0, 2), '/apps/web': (0, 1)})
    """
    found: dict[str, tuple[int, int]] = {}

    def take(path: str, place: int, count: int, row: int) -> None:
        """Take what can be seen of so many entries from a place of their directory on, which begin in a row."""
        low, high = max(0, first - row), min(count, last - row)
        if low < high:
            before = found.get(path, (place + low, 0))
            found[path] = before[0], place + high

    def lay(path: str, row: int) -> int:
        """Lay the entries of a directory out from a row on; return the row behind them."""
        place, here = 0, opened[path]
        for kid, at in sorted(here.places.items(), key=lambda each: each[1]):
            take(path, place, at + 1 - place, row)
            row = lay(kid, row + at + 1 - place)
            place = at + 1
        take(path, place, here.total - place, row)
        return row + here.total - place

    return lay(paths.ROOT, 0), found
