"""Between what the wire says and a cache: entries are made, the cache moves, a batch says what differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from visor._core.following.cache import Cache
from visor._core.following.delta import Batch, Origin
from visor._core.following.marked_feed import is_mark
from visor.values import KINDS, Kind

E = TypeVar("E")

Rows = list[list[Any]]
"""`[path on the wire, version]` each."""


class Ingest(Generic[E]):
    """Feeds one cache. `make(path, rev, version)` returns the entry of a file, None to leave it out.

    Making entries is the slow part and needs no latch; `reset` and `apply` are called under it.
    """

    def __init__(
        self,
        cache: Cache[E],
        strip: Callable[[str], str],
        make: Callable[[str, int, list[Any]], E | None],
        gone: Callable[[str], object] | None = None,
    ) -> None:
        self.cache = cache
        self._strip = strip
        self._make = make
        self._gone = gone
        """Called with the path of every file that was deleted, also of one that `make` left out."""

    def entries(self, rev: int, rows: Rows) -> dict[str, E]:
        """Return the entries of a whole state, or of a part of it."""
        found = {}
        for full, version in rows:
            path = self._strip(full)
            entry = self._make(path, rev, version)
            if entry is not None:
                found[path] = entry
        return found

    def changes(self, item: list[Any]) -> list[tuple[str, E | None, Kind]]:
        """Return what a commit does; nothing for a mark."""
        return [] if is_mark(item) else self.part(item, 0, len(item[4]))

    def part(self, item: list[Any], start: int, end: int) -> list[tuple[str, E | None, Kind]]:
        """Return what some of the changes of a commit do."""
        rev, strip, make, gone = item[0], self._strip, self._make, self._gone
        found = []
        for row in item[4][start:end]:
            path, version = strip(row[1]), row[2]
            if version[1] is not None:
                found.append((path, make(path, rev, version), KINDS[row[0]]))
                continue
            if gone is not None:
                gone(path)
            found.append((path, None, KINDS[row[0]]))
        return found

    def reset(self, rev: int, entries: dict[str, E], origin: Origin, told: bool = True) -> Batch[E]:
        """Move the cache to a whole state; say what differs, if anybody is to be told."""
        since = self.cache.rev
        deltas = self.cache.reset(rev, entries, told)
        return Batch(rev, since, deltas, origin, backlog_end=origin is Origin.BACKLOG)

    def apply(
        self, item: list[Any], changes: list[tuple[str, E | None, Kind]], told: bool = True
    ) -> Batch[E] | None:
        """Move the cache by a commit and say what differs, if anybody is to be told; by a mark, and return None."""
        cache, rev = self.cache, item[0]
        if is_mark(item):
            cache.mark(rev)
            return None
        since = cache.rev
        if not told and cache.alone:
            cache.overwrite(rev, changes)
            return None
        deltas = cache.apply(rev, changes)
        return Batch(rev, since, deltas, time=item[1], actor=item[2], note=item[3])
