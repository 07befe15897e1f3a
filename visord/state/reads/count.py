"""SCAN's `count`: how many files a selector means at a rev.

Trees and directories need not be looked at file by file: a directory without subdirectories knows how many files it
has, and where nothing changed since the rev, what holds now held then. A count that costs too much for one answer is
given in pages, like everything else: each tells how many files lie between its cursor and that of the page before.
"""

from __future__ import annotations

from typing import Any

from visor.protocol.verbs import SEL_CHILDREN, SEL_TREE
from visord.state.cost import VISIT
from visord.state.reads import page
from visord.state.reads.scan import visit
from visord.state.selector import Selector
from visord.state.store import Store
from visord.state.tree import Directory


def count(store: Store, selector: Selector, rev: int, cursor: str | None = None) -> list[Any]:
    """Return `[rev, [], cursor, number]` for a readable `rev`; the number of all pages is their sum."""
    base = store.directories.get(selector.base)
    if cursor is None and base is not None and selector.kind in (SEL_TREE, SEL_CHILDREN):
        flat = selector.kind == SEL_CHILDREN or not base.folders
        if flat and store.is_directory(base.path, rev) and _unchanged(store, base, rev):
            return [rev, [], None, len(base.live) - base.folders]
    number, left = 0, page.BUDGET
    behind: str | None = None

    def passed(directory: Directory) -> bool:
        nonlocal number, behind
        if directory.folders or not _unchanged(store, directory, rev):
            return False
        number += len(directory.live)
        behind = directory.path
        return True

    matches, price = selector.matches, None if selector.plain else selector.price
    entries = visit(store, selector, rev, cursor, passed=passed if selector.kind == SEL_TREE else None)
    for path, version in entries:
        left -= VISIT if price is None else price(path)
        if version is not None and matches(path):
            number += 1
        if left <= 0:
            # Later pages may not pass this directory by any more: the cursor says that it was counted.
            return [rev, [], path + page.BEYOND if path == behind else path, number]
    return [rev, [], None, number]


def _unchanged(store: Store, directory: Directory, rev: int) -> bool:
    """Tell whether the directory's entries are now what they were at `rev`."""
    return rev == store.rev or (bool(directory.size_revs) and directory.size_revs[-1] <= rev)
