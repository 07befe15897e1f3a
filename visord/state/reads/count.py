"""SCAN's `count`: how many files a selector means at a rev.

For trees and directories this need not look at every file: a directory knows how many of its entries are directories,
and where nothing changed since the rev, what holds now held then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from visor.protocol.verbs import SEL_CHILDREN, SEL_TREE
from visord.state.reads.scan import visit
from visord.state.selector import Selector
from visord.state.store import Store
from visord.state.tree import Directory


def count(store: Store, selector: Selector, rev: int) -> int:
    """Return the exact number of files at a readable `rev`."""
    if selector.kind not in (SEL_TREE, SEL_CHILDREN):
        matches = selector.matches
        found = visit(store, selector, rev)
        return sum(1 for path, version in found if version is not None and matches(path))
    directory = store.directories.get(selector.base)
    if store.version(selector.base, rev) is not None:
        return 1 if selector.kind == SEL_TREE else 0
    return _below(store, directory, rev, deep=selector.kind == SEL_TREE) if directory is not None else 0


def _below(store: Store, top: Directory, rev: int, *, deep: bool) -> int:
    total, waiting = 0, [top]
    while waiting:
        directory = waiting.pop()
        unchanged = rev == store.rev or (directory.changes and directory.changes[-1] <= rev)
        if unchanged:
            total += len(directory.live) - directory.folders
            if deep and directory.folders:
                waiting.extend(_directories(store, directory.live.walk()))
            continue
        entries = directory.live.walk()
        for path in chain(entries, directory.gone.walk()) if directory.gone else entries:
            if store.version(path, rev) is not None:
                total += 1
            elif deep:
                waiting.extend(_directories(store, (path,)))
    return total


def _directories(store: Store, entries: Iterable[str]) -> Iterator[Directory]:
    """Yield those of the entries that are, or have been, directories; without files of the rev they add nothing."""
    for path in entries:
        directory = store.directories.get(path)
        if directory is not None:
            yield directory
