"""What a store remembers of values that were taken out of its history (`redact.py`).

count, index    how many REDACTs were applied, and at which entry of the log the last one was: as the others have it
sizes           {"/a": {3: 6}}: the version of /a that rev 3 wrote had 6 bytes
fresh           [("/a", 1, 8)]: what was taken out since the last checkpoint, which may hold it
marks           {("/a", 3): b"redacted by ..."}: what stands for values of `fresh` that are on disk as they were
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

ANY: Final = ""
"""No file's path: whatever there is."""
MOST_FRESH: Final = 1024
"""Beyond so many it is not remembered which: everything counts then."""


class Redacted:
    """See the module."""

    __slots__ = ("count", "fresh", "index", "marks", "sizes")

    def __init__(self) -> None:
        self.count = 0
        self.index = 0
        self.sizes: dict[str, dict[int, int]] = {}
        self.fresh: list[tuple[str, int, int]] = []
        self.marks: dict[tuple[str, int], bytes] = {}

    def applied(self, index: int) -> None:
        """One more was applied, at the entry `index`."""
        self.count += 1
        self.index = index

    def note(self, path: str, first: int, last: int) -> None:
        """Values of `path` that these revs wrote may lie in the last checkpoint."""
        if len(self.fresh) >= MOST_FRESH:
            self.fresh = [(ANY, 1, max(each[2] for each in self.fresh))]
        self.fresh.append((path, first, last))

    def take_fresh(self) -> list[tuple[str, int, int]]:
        """Return what is fresh, and begin anew: a checkpoint is made without it."""
        fresh, self.fresh = self.fresh, []
        return fresh

    def size(self, path: str, rev: int) -> int | None:
        """Return the size that the version of `path` written by `rev` had; None: it was not taken out."""
        sizes = self.sizes.get(path)
        return None if sizes is None else sizes.get(rev)

    def forget(self, path: str, revs: Iterable[int]) -> None:
        """The versions of `path` that these revs wrote are gone."""
        sizes = self.sizes.get(path)
        if sizes is None:
            return
        for rev in revs:
            sizes.pop(rev, None)
        if not sizes:
            del self.sizes[path]
