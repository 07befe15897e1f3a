"""A copy of a part of the registry at one rev, that moves on and can be held still.

    cache.entries            path -> entry: the present, for reading at memory speed
    cache.apply(rev, ...)    on to the next rev; returns what differs
    cache.reset(rev, ...)    on to a rev whose whole state is given; returns what differs
    cache.view()             the present held still: a View keeps answering as of its rev

Views cost nothing until something changes: then the entry that a path had goes into each view that is
alive, once for each path. So a view is never in the way of the writer, nor the writer in its way.

    cache   rev 7   a=1  b=2          view at 7: old {}
    apply     rev 8   a=3  b=2          view at 7: old {a: 1}        a -> 1, b -> 2
    apply     rev 9   a=3               view at 7: old {a: 1, b: 2}  a -> 1, b -> 2

A reader in another thread looks at the present first and at `old` second, the writer writes `old` first and
the present second: whatever the reader meets between, it ends with the entry of its rev.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar, cast

from visor._core.following.delta import Delta, difference
from visor._core.following.sorted_paths import SortedPaths
from visor.values import Kind

E = TypeVar("E")

_SAME = object()
"""Not in a view's `old`: the path has not changed since."""


class View(Generic[E]):
    """The entries as they were at `rev`; immutable, for any number of threads."""

    __slots__ = ("__weakref__", "_cache", "old", "rev")

    def __init__(self, cache: Cache[E]) -> None:
        self._cache = cache
        self.rev = cache.rev
        self.old: dict[str, E | None] = {}
        """What paths were at `rev`, of those that have changed since."""

    def get(self, path: str) -> E | None:
        """Return the entry, None when there was none."""
        now = self._cache.entries.get(path)
        old = self.old.get(path, _SAME)
        return now if old is _SAME else cast("E | None", old)

    def entries(self) -> dict[str, E]:
        """Return all of them, by path, in no order."""
        found: dict[str, E] = dict(self._cache.entries)
        for path, entry in list(self.old.items()):
            if entry is None:
                found.pop(path, None)
            else:
                found[path] = entry
        return found

    def starting(self, prefix: str) -> list[str]:
        """Return the paths that begin with this text, in path order."""
        found = self._cache.starting(prefix)
        old = list(self.old.items())
        if not any(path.startswith(prefix) for path, _ in old):
            return found
        there = set(found)
        there.difference_update(path for path, entry in old if entry is None)
        there.update(path for path, entry in old if entry is not None and path.startswith(prefix))
        return SortedPaths(there).starting(prefix)

    def among(self, candidates: Iterable[str]) -> list[tuple[str, E]]:
        """Return those of the candidates, and of what has changed since, that were there: an index's answer."""
        chosen = dict.fromkeys(candidates)
        chosen.update(dict.fromkeys(list(self.old)))
        return [(path, entry) for path in chosen if (entry := self.get(path)) is not None]

    def __len__(self) -> int:
        present = len(self._cache.entries)
        return len(self.entries()) if self.old else present


class Cache(Generic[E]):
    """The moving copy. One thread at a time may call `apply` and `reset`; any may read.

    `latch` is held while it moves: who holds it sees one rev and nothing between two. Never hold it while
    calling foreign code.
    """

    def __init__(self, same: Callable[[E, E], bool]) -> None:
        self._same = same
        self.entries: dict[str, E] = {}
        self.rev = 0
        self.latch = threading.Lock()
        self._views: list[weakref.ref[View[E]]] = []
        self._order: SortedPaths | None = None

    def view(self) -> View[E]:
        """Return the present held still; with the latch held by the caller."""
        view = View(self)
        self._views = [known for known in self._views if known() is not None]
        self._views.append(weakref.ref(view))
        return view

    @property
    def alone(self) -> bool:
        """Whether nobody keeps anything beside the entries: then `overwrite` will do."""
        return not self._views and self._order is None

    def overwrite(self, rev: int, changes: Iterable[tuple[str, E | None, Kind]]) -> None:
        """Take in one commit when nobody asks what differs; under the latch."""
        entries = self.entries
        for path, after, _ in changes:
            if after is None:
                entries.pop(path, None)
            else:
                entries[path] = after
        self.rev = rev

    def apply(self, rev: int, changes: Iterable[tuple[str, E | None, Kind]]) -> tuple[Delta[E], ...]:
        """Take in one commit and return what differs; under the latch."""
        entries = self.entries
        deltas = []
        for path, after, kind in changes:
            before = entries.get(path)
            if before is None and after is None:
                continue  # made and undone where nobody here could see it
            if after is not None:  # what the registry calls an update may be the first that is wanted here
                kind = Kind.CREATE if before is None else Kind.UPDATE
            deltas.append(Delta(path, before, after, kind))
        self._move(rev, deltas)
        return tuple(deltas)

    def reset(self, rev: int, entries: dict[str, E], told: bool = True) -> tuple[Delta[E], ...]:
        """Take in a whole state and return how it differs from what was known; under the latch.

        Nothing is returned when nothing was known and nobody is `told`.
        """
        same, known = self._same, self.entries
        if not known and not told and self.alone:
            known.update(entries)
            self.rev = max(self.rev, rev)
            return ()
        deltas = [difference(path, entry, None) for path, entry in known.items() if path not in entries]
        for path, entry in entries.items():
            before = known.get(path)
            if before is None or not same(before, entry):
                deltas.append(difference(path, before, entry))
        self._move(rev, deltas)
        return tuple(deltas)

    def mark(self, rev: int) -> None:
        """Nothing has changed up to `rev`; under the latch."""
        self.rev = max(self.rev, rev)

    def starting(self, prefix: str) -> list[str]:
        """Return the paths that begin with this text, in path order."""
        with self.latch:
            if self._order is None:
                self._order = SortedPaths(self.entries)
            return self._order.starting(prefix)

    def _move(self, rev: int, deltas: list[Delta[E]]) -> None:
        if self._views:
            self._keep(deltas)
        entries, order = self.entries, self._order
        for delta in deltas:
            if delta.after is None:
                entries.pop(delta.path, None)
            else:
                entries[delta.path] = delta.after
        if order is not None:
            self._reorder(order, deltas)
        self.rev = max(self.rev, rev)

    def _keep(self, deltas: list[Delta[E]]) -> None:
        """Give every view what is about to go."""
        gone = False
        for known in self._views:
            view = known()
            if view is None:
                gone = True
                continue
            for delta in deltas:
                view.old.setdefault(delta.path, delta.before)
        if gone:
            self._views = [known for known in self._views if known() is not None]

    def _reorder(self, order: SortedPaths, deltas: list[Delta[E]]) -> None:
        if len(deltas) > 64:
            self._order = None  # sorting anew, when somebody asks, is cheaper
            return
        for delta in deltas:
            if delta.before is None:
                order.add(delta.path)
            elif delta.after is None:
                order.discard(delta.path)
