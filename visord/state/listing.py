"""What a transaction listed: noted when the write is applied, made into rows where it is answered.

Applying happens on every replica, an answer is given by one, and only when its client takes it. So a large listing is
noted as a place in history, which costs the same however large the directory is:

    [T_LIST, "/d"] after [T_SET, "/d/new", ...]    Listing("/d", rev 41, {"/d/new": 1})
    rows, at any later rev                         the entries of /d at rev 41, and what the transaction had changed

A small one is made into rows at once: it is kept for retries, which have to be the same on every replica.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from visor.paths import ROOT, below
from visor.protocol.limits import DEFAULT
from visor.protocol.verbs import N_DIRECTORY, N_FILE, SEL_TREE
from visord.state import cost, refusal
from visord.state.reads.log import candidates
from visord.state.refusal import Refusal
from visord.state.selector import Selector, parse
from visord.state.store import Store


@dataclass(slots=True)
class Listing:
    """The direct entries of the directory `path` at `rev`, but for those in `changed`: kind, or None for none."""

    path: str
    rev: int
    changed: dict[str, int | None]

    def rows(self, store: Store) -> list[list[Any]] | None:
        """Return `[name, kind]` in order; None when that history is not known any more, or too long ago."""
        entries = self._entries(store)
        if entries is None:
            return None
        begin = 1 if self.path == ROOT else len(self.path) + 1
        changed, rev = self.changed, self.rev
        rows: list[list[Any]] = []
        for entry in entries:
            kind = changed[entry] if entry in changed else _kind(store, entry, rev)
            if kind is not None:
                rows.append([entry[begin:], kind])
        return rows

    def _entries(self, store: Store) -> list[str] | None:
        """Return, in order, all paths that may have been entries then."""
        if not store.cut <= self.rev <= store.rev:
            return None
        directory = store.directories.get(self.path)
        live = directory.live.walk() if directory is not None else ()
        since = self._since(store) if directory is not None else {}
        if since is None:
            return None
        if not since and not self.changed:
            return list(live)
        return sorted({**dict.fromkeys(live), **since, **dict.fromkeys(self.changed)})

    def _since(self, store: Store) -> dict[str, None] | None:
        """Return the entries that may have changed since then, None when that is too much to look at."""
        tree = parse([SEL_TREE, self.path], DEFAULT)
        if not isinstance(tree, Selector):
            return None
        begin = len(self.path) + 1 if self.path != ROOT else 1
        found: dict[str, None] = {}
        left = cost.WRITE
        for rev in candidates(store, tree, self.rev + 1, store.rev, reverse=False):
            for file in store.history.files(rev):
                left -= cost.VISIT
                if file.path != self.path and below(file.path, self.path):
                    end = file.path.find("/", begin)
                    found[file.path if end < 0 else file.path[:end]] = None
            left -= cost.VISIT
            if left <= 0:
                return None
        return found


def _kind(store: Store, entry: str, rev: int) -> int | None:
    if store.version(entry, rev) is not None:
        return N_FILE
    directory = store.directories.get(entry)
    return N_DIRECTORY if directory is not None and directory.size_at(rev) else None


@dataclass(slots=True)
class Deferred:
    """The outcome of a transaction some of whose results are still `Listing`s; the others are what they are."""

    rev: int
    succeeded: bool
    results: list[Any]

    def told(self, store: Store) -> list[Any] | Refusal:
        """Return the outcome as the client gets it, `session_lost` where it came too late for that."""
        results = []
        for result in self.results:
            if type(result) is Listing:
                result = result.rows(store)
                if result is None:
                    return refusal.session_lost(TOO_LATE % self.rev, rev=self.rev)
            results.append(result)
        return [self.rev, self.succeeded, results]


TOO_LATE: Final = "the transaction was decided at rev %d, what it listed was asked for too late"
