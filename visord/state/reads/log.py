"""LOG: the commits that changed what a selector means, oldest or newest first.

Which revs have to be looked at comes from where the changes are known already: a file's versions, a
directory's list of changes; only a selector at the root looks at every rev.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from heapq import merge
from typing import Any

from visor.paths import ROOT
from visor.protocol.verbs import SEL_PATH, SEL_TREE
from visord.state import cost, refusal
from visord.state.cost import CHANGE_ROW, UNIT_BYTES_BITS, VISIT
from visord.state.reads import page
from visord.state.refusal import Refusal
from visord.state.selector import Selector
from visord.state.store import Change, Store
from visord.state.tree import File
from visord.state.version import Version


def log(
    store: Store,
    selector: Selector,
    first: int | None = None,
    last: int | None = None,
    limit: int = 0,
    *,
    keys: bool = False,
    previous: bool = False,
    reverse: bool = False,
) -> list[Any] | Refusal:
    """Return `[rev, commits, cursor]` for the revs from `first` (None: the oldest known) to `last` (None:
    now).

    `cursor` is the rev to go on with: the next `first`, or with `reverse` the next `last`. A commit is told as a
    whole, so one may take a page over its budget. Refused: `compacted` (the commits above the floor are known),
    `future_rev`, `too_large` where already the matching of one commit would hold up the node.
    """
    if first is not None and first <= store.floor and store.floor > 0:
        return refusal.compacted(store.floor, first)
    if last is not None and last > store.rev:
        return refusal.future_rev(store.rev, last)
    low = max(first or 0, store.floor + 1)
    high = store.rev if last is None else last
    rows: list[list[Any]] = []
    most, room, left = page.rows(limit, store.limits), store.limits.page_bytes, page.BUDGET
    matches, plain = selector.matches, selector.plain
    for rev in candidates(store, selector, low, high, reverse=reverse):
        if left <= 0:
            return [store.rev, rows, rev]
        files = store.history.files(rev)
        price = VISIT + VISIT * len(files) if plain else _price(selector, files)
        if price > left and rows:
            return [store.rev, rows, rev]
        if price > cost.WRITE:
            return refusal.too_large(f"cost of matching the changes of rev {rev}", cost.WRITE, price)
        left -= price
        changes = [store.change(file, rev, previous=previous) for file in files if matches(file.path)]
        if changes:
            if len(rows) >= most or room <= 0:
                return [store.rev, rows, rev]
            rows.append(_row(store, rev, changes, keys, previous))
            if keys:
                size = 0
            elif len(changes) == 1 and not previous:
                size = len(changes[0][2][1] or b"")
            else:
                size = _size(changes, previous)
            room -= size
            left -= CHANGE_ROW * len(changes) + (size >> UNIT_BYTES_BITS)
    return [store.rev, rows, None]


def _price(selector: Selector, files: Sequence[File]) -> int:
    """Return what it costs to look at the changes of one commit. They are looked at together: a cursor is a rev."""
    return VISIT + sum(selector.price(file.path) for file in files)


def _size(changes: list[Change], previous: bool) -> int:
    size = sum(len(change[2][1] or b"") for change in changes)
    if previous:
        size += sum(len(change[3][1] or b"") for change in changes if change[3] is not None)
    return size


def _row(store: Store, rev: int, changes: list[Change], keys: bool, previous: bool) -> list[Any]:
    shown = [change_row(change, keys=keys, previous=previous) for change in changes]
    return [rev, store.history.time(rev), *store.told(rev), shown]


def bare(version: Version) -> Version:
    """Return `version` without its value."""
    return (version[0], None, version[2], version[3], version[4])


def change_row(change: Change, *, keys: bool, previous: bool) -> list[Any]:
    """Return a change as the wire has it: `[kind, path, version]`, and what was before it with `previous`."""
    kind, path, version, before = change
    row = [kind, path, bare(version) if keys else version]
    if previous:
        row.append(bare(before) if keys and before is not None else before)
    return row


def candidates(store: Store, selector: Selector, low: int, high: int, *, reverse: bool) -> Iterator[int]:
    """Yield the revs from `low` to `high` that may have changed what the selector means."""
    base = selector.base
    if selector.several is not None and not any(part.base == ROOT for part in selector.parts):
        each = (candidates(store, part, low, high, reverse=reverse) for part in selector.parts)
        return _distinct(merge(*each, reverse=reverse))
    if base == ROOT:
        return _span(range(low, high + 1), reverse)
    sources: list[Iterator[int]] = []
    directory = store.directories.get(base)
    if directory is not None and selector.kind != SEL_PATH:
        changes = directory.changes
        span = range(bisect_left(changes, low), bisect_right(changes, high))
        sources.append(changes[i] for i in _span(span, reverse))
    file = store.files.get(base)
    if file is not None and selector.kind in (SEL_PATH, SEL_TREE):
        span = range(file.position_after(low - 1), file.position_after(high))
        sources.append(file.rev_at(i) for i in _span(span, reverse))
    if len(sources) == 1:
        return sources[0]
    return _distinct(merge(*sources, reverse=reverse))


def _span(span: Sequence[int], reverse: bool) -> Iterator[int]:
    return reversed(span) if reverse else iter(span)


def _distinct(revs: Iterator[int]) -> Iterator[int]:
    # A file deleted and a directory made in its place, by one commit, come from both sources; so does what concerns two
    # of several selectors.
    before = 0
    for rev in revs:
        if rev != before:
            yield rev
        before = rev
